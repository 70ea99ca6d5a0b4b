import concurrent.futures
import dataclasses
import shutil

import numpy as np
import pytest

from labor_jax.data import base, folders
from labor_jax.data.base import DataError


def _fails(tree, *parts):
    """Loading fails with a DataError that holds all parts."""
    with pytest.raises(DataError) as error:
        folders.load(tree.config)
    for part in parts:
        assert part in str(error.value)


def test_reads_all_roles(tree):
    pair = folders.load(tree.config)
    assert pair.name == "folders"
    assert pair.classes == ("road", "car", "sky")
    np.testing.assert_array_equal(pair.palette, base.default_palette(3))
    assert pair.pool.names == ("drive/pool_0", "drive/pool_1", "drive/pool_2")
    for split in (pair.source, pair.pool, pair.evaluation):
        assert isinstance(split, base.Split)
        assert len(split) == 3
        assert split.size(0) == (6, 8)
        assert split.image(0).shape == (6, 8, 3)
        assert split.label(0).shape == (6, 8)
        assert split.label(0).dtype == np.uint8
        assert split.label(0)[0, 0] == 255


def test_threads_read_the_same(tree):
    split = folders.load(tree.config).source
    expected = [(split.image(i), split.label(i)) for i in range(3)]
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        read = executor.map(lambda i: (split.image(i % 3), split.label(i % 3)), range(90))
        for i, (image, label) in enumerate(read):
            np.testing.assert_array_equal(image, expected[i % 3][0])
            np.testing.assert_array_equal(label, expected[i % 3][1])


def test_cache_returns_what_the_files_hold(tree):
    plain = folders.load(tree.config)
    tree.config.cache_bytes = 10_000
    cached = folders.load(tree.config)
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached.pool.image(i), plain.pool.image(i))
            np.testing.assert_array_equal(cached.pool.label(i), plain.pool.label(i))


def test_given_palette(tree):
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 255))
    np.testing.assert_array_equal(folders.load(tree.config).palette[2], (7, 8, 255))
    tree.config.palette = ((1, 2, 3), (4, 5, 6))
    with pytest.raises(ValueError, match=r"data\.palette must hold .* 3 classes"):
        folders.load(tree.config)
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 256))
    with pytest.raises(ValueError, match="0 to 255"):
        folders.load(tree.config)


def test_pattern_and_names_as_in_cityscapes(tree, write_image):
    image, label = np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8)
    images, labels = tree.root / "images" / "train", tree.root / "gtFine" / "train"
    for city in ("aachen", "bochum"):
        write_image(images / city / f"{city}_0_leftImg8bit.png", image)
        write_image(images / city / f"{city}_0_depth.png", image)
        write_image(labels / city / f"{city}_0_gtFine_labelTrainIds.png", label)
        write_image(labels / city / f"{city}_0_gtFine_color.png", image)
    role = folders.Role(
        "images/train",
        "gtFine/train",
        "*_leftImg8bit.png",
        image_suffix="_leftImg8bit",
        label_pattern="{stem}_gtFine_labelTrainIds.png",
    )
    split = folders.read_split(tree.root, "source", role, 3)
    assert split.names == ("aachen/aachen_0", "bochum/bochum_0")
    assert split.label_paths[1] == labels / "bochum" / "bochum_0_gtFine_labelTrainIds.png"
    only = dataclasses.replace(role, pattern=("bochum/*leftImg*", "none*"))
    assert folders.read_split(tree.root, "source", only, 3).names == ("bochum/bochum_0",)
    suffix = dataclasses.replace(role, pattern="*")
    with pytest.raises(DataError, match=r"2 source images do not end in .*aachen_0_depth\.png"):
        folders.read_split(tree.root, "source", suffix, 3)


def test_two_roles_in_one_folder(tree):
    for name in ("images", "labels"):
        shutil.copytree(
            tree.root / "evaluation" / name, tree.root / "pool" / name, dirs_exist_ok=True
        )
    tree.config.pool.pattern = ("drive/pool*",)
    tree.config.evaluation.update(
        images="pool/images", labels="pool/labels", pattern=("drive/evaluation*",)
    )
    pair = folders.load(tree.config)
    assert pair.pool.names[0] == "drive/pool_0"
    assert pair.evaluation.names[0] == "drive/evaluation_0"


def test_label_map_is_the_roles_own(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_1.png"
    write_image(path, np.full((6, 8), 200, np.uint8))
    _fails(tree, "source_1.png: label value 200 in 48 pixels", "valid here: 0-2, 255")
    tree.config.source.label_map = "200:1,0:0,1:1,2:255"
    pair = folders.load(tree.config)
    assert (pair.source.label(1) == 1).all()
    assert pair.pool.label(1).max() == 255
    assert 2 in pair.pool.label(1)


def test_a_wrong_value_in_a_large_split_is_found_when_read_or_by_full(
    tree, write_image, monkeypatch
):
    monkeypatch.setattr(folders, "_CHECK_LABEL_PIXELS", 3 * 48 - 1)
    path = tree.root / "pool" / "labels" / "drive" / "pool_2.png"
    write_image(path, np.full((6, 8), 3, np.uint8))
    pair = folders.load(tree.config)
    with pytest.raises(DataError, match=r"pool_2\.png: label value 3"):
        pair.pool.label(2)
    tree.config.verify = "full"
    _fails(tree, "pool_2.png: label value 3")


def test_full_finds_bytes_that_headers_cannot(tree, write_image):
    path = tree.root / "pool" / "images" / "drive" / "pool_1.png"
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    content = bytearray(write_image(path, noise).read_bytes())
    content[len(content) // 2] ^= 0xFF  # inside the pixels; the end of the file is in place
    path.write_bytes(content)
    pair = folders.load(tree.config)
    with pytest.raises(DataError, match=r"pool_1\.png cannot be read"):
        pair.pool.image(1)
    tree.config.verify = "full"
    _fails(tree, "pool_1.png cannot be read")


def test_missing_folders(tree):
    tree.config.pool.images = "pool/none"
    _fails(tree, str(tree.root / "pool" / "none"), "does not exist", "data.pool.images")
    tree.config.pool.images = "pool/images"
    tree.config.evaluation.labels = "none/labels"
    _fails(tree, "none/labels", "(nor does", "data.evaluation.labels")
    tree.config.evaluation.labels = "evaluation/labels/drive/evaluation_0.png"
    _fails(tree, "is not a folder")
    tree.config.root = ""
    _fails(tree, "--config.data.root=DIR")


def test_no_images(tree):
    (tree.root / "empty").mkdir()
    (tree.root / "empty" / "notes.txt").touch()
    tree.config.source.images = "empty"
    _fails(tree, "source is empty", "holds no images", ".png", "data.source.images")


def test_pattern_that_matches_nothing(tree):
    tree.config.pool.pattern = ("*.jpg",)
    _fails(tree, "none of the 3 images", "data.pool.pattern = ('*.jpg',)", "drive/pool_0.png")


def test_images_without_label(tree):
    for i in range(2):
        (tree.root / "pool" / "labels" / "drive" / f"pool_{i}.png").unlink()
    _fails(tree, "2 pool images have no label", "drive/pool_0.png, drive/pool_1.png", "{stem}.png")


def test_labels_without_image(tree):
    (tree.root / "pool" / "images" / "drive" / "pool_2.png").unlink()
    _fails(tree, "1 pool labels have no image", "drive/pool_2.png")


def test_a_label_that_the_pattern_leaves_out_is_no_concern(tree):
    (tree.root / "pool" / "images" / "drive" / "pool_2.png").unlink()
    tree.config.pool.pattern = ("drive/pool_0*", "drive/pool_1*")
    assert len(folders.load(tree.config).pool) == 2


def test_one_name_twice(tree, write_image):
    write_image(
        tree.root / "pool" / "images" / "drive" / "pool_0.jpg", np.zeros((6, 8, 3), np.uint8)
    )
    _fails(tree, "1 pool images share a name", "drive/pool_0.jpg and drive/pool_0.png")


def test_sizes_that_differ(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_0.png"
    write_image(path, np.zeros((8, 6), np.uint8))
    _fails(tree, "1 source images differ in size", "source_0.png is 6x8", "source_0.png is 8x6")


def test_labels_in_colours(tree, write_image):
    path = tree.root / "evaluation" / "labels" / "drive" / "evaluation_0.png"
    write_image(path, np.zeros((6, 8, 3), np.uint8))
    _fails(tree, "1 evaluation labels are not single-channel", "evaluation_0.png (mode RGB)")


def test_a_file_that_is_cut_off(tree, write_image):
    path = tree.root / "source" / "images" / "drive" / "source_1.png"
    path.write_bytes(path.read_bytes()[:-30])
    _fails(tree, "1 source images cannot be read", str(path), "again")


def test_a_file_that_vanishes_after_the_checks(tree):
    pair = folders.load(tree.config)
    pair.pool.image_paths[0].unlink()
    with pytest.raises(DataError, match=r"pool_0\.png cannot be read: no such file"):
        pair.pool.image(0)


def test_different_classes(tree):
    tree.config.pool.classes = ("road", "sky", "car")
    _fails(tree, "source and pool have different classes", "('road', 'sky', 'car')")
    tree.config.source.classes = ("road", "sky", "car")
    _fails(tree, "source and evaluation have different classes")
    tree.config.evaluation.classes = ("road", "sky", "car")
    assert folders.load(tree.config).classes == ("road", "sky", "car")


def test_no_classes(tree):
    tree.config.classes = ()
    with pytest.raises(ValueError, match=r"set data\.classes"):
        folders.load(tree.config)


@pytest.mark.parametrize("how", ["same folder", "copy", "link"])
def test_an_image_in_pool_and_evaluation(tree, how):
    image = tree.root / "pool" / "images" / "drive" / "pool_1.png"
    label = tree.root / "pool" / "labels" / "drive" / "pool_1.png"
    if how == "same folder":
        tree.config.evaluation.update(images="pool/images", labels="pool/labels", pattern=("*_1*",))
    else:
        shutil.copy(label, tree.root / "evaluation" / "labels" / "drive" / "other.png")
        target = tree.root / "evaluation" / "images" / "drive" / "other.png"
        if how == "copy":
            shutil.copy(image, target)
        else:
            target.symlink_to(image)
    _fails(tree, "1 images are both in the pool", "pool_1.png")


def test_a_pool_may_lack_labels_until_they_are_read(tree):
    tree.config.pool.labels = ""
    pair = folders.load(tree.config)
    assert pair.pool.size(0) == (6, 8)
    assert pair.pool.image(0).shape == (6, 8, 3)
    with pytest.raises(DataError, match=r"pool_0\.png has no label.*Set `labels`"):
        pair.pool.label(0)
    tree.config.evaluation.labels = ""
    _fails(tree, "evaluation needs labels", "data.evaluation.labels")


@pytest.mark.parametrize("pattern", ["label.png", "{stem}{stem}.png", "x/{stem}.png"])
def test_label_patterns_that_cannot_be(tree, pattern):
    tree.config.source.label_pattern = pattern
    with pytest.raises(ValueError, match=r"data\.source\.label_pattern must be"):
        folders.load(tree.config)


def test_unknown_verify(tree):
    tree.config.verify = "some"
    with pytest.raises(ValueError, match='"headers" or "full", got \'some\''):
        folders.load(tree.config)
