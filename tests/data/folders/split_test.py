import concurrent.futures

import numpy as np
import pytest
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.folders import label_checks
from labor_jax.data.pairs import folders as folders_pair


def test_threads_read_the_same(tree):
    split = folders_pair.load(tree.config).source
    expected = [(split.image(i), split.label(i)) for i in range(3)]
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        read = executor.map(lambda i: (split.image(i % 3), split.label(i % 3)), range(90))
        for i, (image, label) in enumerate(read):
            np.testing.assert_array_equal(image, expected[i % 3][0])
            np.testing.assert_array_equal(label, expected[i % 3][1])


def test_a_wrong_value_in_a_large_split_is_found_when_read_or_by_full(
    tree, write_image, monkeypatch
):
    monkeypatch.setattr(label_checks, "_CHECK_LABEL_PIXELS", 3 * 48 - 1)
    monkeypatch.setattr(label_checks, "_SAMPLE", 1)
    path = tree.root / "pool" / "labels" / "drive" / "pool_2.png"
    write_image(path, np.full((6, 8), 3, np.uint8))
    pair = folders_pair.load(tree.config)
    with pytest.raises(DataError, match=r"pool_2\.png: label value 3"):
        pair.pool.label(2)
    tree.config.verify = "full"
    tree.fails("pool_2.png: label value 3")


def test_full_finds_bytes_that_headers_cannot(tree, write_image):
    path = tree.root / "pool" / "images" / "drive" / "pool_1.png"
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    content = bytearray(write_image(path, noise).read_bytes())
    content[len(content) // 2] ^= 0xFF  # inside the pixels; the end of the file is in place
    path.write_bytes(content)
    pair = folders_pair.load(tree.config)
    with pytest.raises(DataError, match=r"pool_1\.png cannot be read"):
        pair.pool.image(1)
    tree.config.verify = "full"
    tree.fails("pool_1.png cannot be read")


def test_sizes_that_differ(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_0.png"
    write_image(path, np.zeros((8, 6), np.uint8))
    tree.fails("1 source images differ in size", "source_0.png is 6x8", "source_0.png is 8x6")


def test_labels_in_colours(tree, write_image):
    path = tree.root / "evaluation" / "labels" / "drive" / "evaluation_0.png"
    write_image(path, np.zeros((6, 8, 3), np.uint8))
    tree.fails("1 evaluation labels are in colours", "evaluation_0.png (mode RGB)", "data.palette")


def test_a_file_that_is_cut_off(tree, write_image):
    path = tree.root / "source" / "images" / "drive" / "source_1.png"
    path.write_bytes(path.read_bytes()[:-30])
    tree.fails("1 source images cannot be read", str(path), "again")


def test_a_file_that_vanishes_after_the_checks(tree):
    pair = folders_pair.load(tree.config)
    pair.pool.image_paths[0].unlink()
    with pytest.raises(DataError, match=r"pool_0\.png cannot be read: no such file"):
        pair.pool.image(0)


@pytest.mark.parametrize("pattern", ["label.png", "{stem}{stem}.png", "x/{stem}.png"])
def test_label_patterns_that_cannot_be(tree, pattern):
    tree.config.source.label_pattern = pattern
    with pytest.raises(ValueError, match=r"data\.source\.label_pattern must be"):
        folders_pair.load(tree.config)


def test_unknown_verify(tree):
    tree.config.verify = "some"
    with pytest.raises(ValueError, match='"headers" or "full", got \'some\''):
        folders_pair.load(tree.config)


def _turn(path, orientation):
    """Gives an image an EXIF orientation; its pixels stay as they are."""
    exif = Image.Exif()
    exif[0x112] = orientation
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)


def test_labels_fit_images_as_exif_turns_them(tree, write_image):
    path = tree.root / "source" / "images" / "drive" / "source_0.png"
    stored = folders_pair.load(tree.config).source.image(0)
    _turn(path, 6)
    tree.fails(
        "1 source images are turned when shown",
        "source_0.png is 8x6",
        "source_0.png is 6x8 (EXIF orientation 6)",
    )
    write_image(
        tree.root / "source" / "labels" / "drive" / "source_0.png", np.eye(8, 6, dtype="u1")
    )
    source = folders_pair.load(tree.config).source
    assert source.size(0) == source.label(0).shape == (8, 6)
    np.testing.assert_array_equal(source.image(0), np.rot90(stored, -1))


def test_turns_that_sizes_do_not_tell_are_a_warning(tree, caplog):
    path = tree.root / "source" / "images" / "drive" / "source_0.png"
    stored = folders_pair.load(tree.config).source.image(0)
    _turn(path, 3)
    source = folders_pair.load(tree.config).source
    np.testing.assert_array_equal(source.image(0), stored[::-1, ::-1])
    assert "source: 1 images are turned or mirrored when shown" in caplog.text
    assert f"{path} (EXIF orientation 3)" in caplog.text


def test_of_large_splits_a_sample_is_checked_and_all_if_it_says_nothing(
    tree, write_image, monkeypatch
):
    monkeypatch.setattr(label_checks, "_CHECK_LABEL_PIXELS", 1)
    monkeypatch.setattr(label_checks, "_SAMPLE", 1)
    labels = tree.root / "source" / "labels" / "drive"
    for number in range(2):
        write_image(labels / f"source_{number}.png", np.full((6, 8), 255, np.uint8))
    folders_pair.load(tree.config)  # the last one has classes
    write_image(labels / "source_2.png", np.full((6, 8), 255, np.uint8))
    tree.fails("source labels are void everywhere: none of the 3 files")
