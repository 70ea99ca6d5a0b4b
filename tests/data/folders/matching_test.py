import dataclasses
import unicodedata

import numpy as np
import pytest

from labor_jax.data import folders
from labor_jax.data.base import DataError
from labor_jax.data.pairs import folders as folders_pair


def test_pattern_and_names_as_in_cityscapes(tree, write_image):
    image, label = np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8)
    images, labels = tree.root / "images" / "train", tree.root / "gtFine" / "train"
    for city in ("aachen", "bochum"):
        write_image(images / city / f"{city}_0_leftImg8bit.png", image)
        write_image(images / city / f"{city}_0_depth.png", image)
        write_image(labels / city / f"{city}_0_gtFine_labelTrainIds.png", label)
        write_image(labels / city / f"{city}_0_gtFine_color.png", image)
    role = folders.FolderLayout(
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


def test_missing_folders(tree):
    tree.config.pool.images = "pool/none"
    tree.fails(str(tree.root / "pool" / "none"), "does not exist", "data.pool.images")
    tree.config.pool.images = "pool/images"
    tree.config.evaluation.labels = "none/labels"
    tree.fails("none/labels", "(nor does", "data.evaluation.labels")
    tree.config.evaluation.labels = "evaluation/labels/drive/evaluation_0.png"
    tree.fails("is not a folder")
    tree.config.root = ""
    tree.fails("--config.data.root=DIR")


def test_no_images(tree):
    (tree.root / "empty").mkdir()
    (tree.root / "empty" / "notes.txt").touch()
    tree.config.source.images = "empty"
    tree.fails("source is empty", "holds no images", ".png", "data.source.images")


def test_images_that_cannot_be_read_are_told(tree, caplog):
    for file in ("IMG_1.HEIC", "clip.mov", "notes.txt", "night/a.gif"):
        (tree.root / "pool" / "images" / file).parent.mkdir(exist_ok=True)
        (tree.root / "pool" / "images" / file).touch()
    assert len(folders_pair.load(tree.config).pool) == 3
    assert "Not read: 1 .heic, 1 .gif (IMG_1.HEIC, night/a.gif). Convert them" in caplog.text
    assert "Not read: 1 .mov (clip.mov). Take frames" in caplog.text
    caplog.clear()
    tree.config.pool.pattern = ("drive/*",)
    folders_pair.load(tree.config)
    assert not caplog.text
    tree.config.pool.images = "pool/images/night"
    tree.fails("pool is empty", "holds no images", "Not read: 1 .gif (a.gif). Convert them")


def test_pattern_that_matches_nothing(tree):
    tree.config.pool.pattern = ("*.jpg",)
    tree.fails("none of the 3 images", "data.pool.pattern = ('*.jpg',)", "drive/pool_0.png")


def test_a_list_of_patterns(tree, caplog):
    def read(pattern):
        role = folders.FolderLayout("pool/images", "", pattern)
        return folders.read_split(tree.root, "pool", role, 3).names

    assert read("*/pool_0*, drive/pool_2* ,") == ("drive/pool_0", "drive/pool_2")
    assert len(read("*[!x].png,*[!_]x.png")) == 3
    assert not caplog.text
    assert len(read("drive/*,dirve/*")) == 3
    assert "pool: none of the 3 images" in caplog.text
    assert "matches 'dirve/*' of data.pool.pattern = 'drive/*,dirve/*'" in caplog.text
    with pytest.raises(DataError, match=r"pool is empty: .*data\.pool\.pattern = ' , '"):
        read(" , ")


def test_images_without_label(tree):
    for i in range(2):
        (tree.root / "pool" / "labels" / "drive" / f"pool_{i}.png").unlink()
    tree.fails("2 pool images have no label", "drive/pool_0.png, drive/pool_1.png", "{stem}.png")


def test_labels_without_image(tree):
    (tree.root / "pool" / "images" / "drive" / "pool_2.png").unlink()
    tree.fails("1 pool labels have no image", "drive/pool_2.png")


def test_a_label_that_the_pattern_leaves_out_is_no_concern(tree):
    (tree.root / "pool" / "images" / "drive" / "pool_2.png").unlink()
    tree.config.pool.pattern = ("drive/pool_0*", "drive/pool_1*")
    assert len(folders_pair.load(tree.config).pool) == 2


def test_one_name_twice(tree, write_image):
    write_image(
        tree.root / "pool" / "images" / "drive" / "pool_0.jpg", np.zeros((6, 8, 3), np.uint8)
    )
    tree.fails("1 pool images share a name", "drive/pool_0.jpg and drive/pool_0.png")


def _rename(tree, kind, number, name):
    path = tree.root / "source" / kind / "drive" / f"source_{number}.png"
    return path.rename(path.with_name(name))


def _both_forms(name):
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


@pytest.mark.parametrize("suffix", [".PNG", ".Png"])
def test_a_labels_extension_may_be_in_capitals(tree, suffix):
    label = _rename(tree, "labels", 1, f"source_1{suffix}")
    assert folders_pair.load(tree.config).source.label_paths[1] == label
    label.rename(label.with_name("source_1.tif"))
    tree.fails("1 source images have no label", "There is drive/source_1.tif: give all labels one")


def test_a_label_and_its_image_may_write_an_accent_in_two_ways(tree):
    one, other = _both_forms("Stra\u00dfe \u00fc")
    image, label = (
        _rename(tree, "images", 1, f"{other}.png"),
        _rename(tree, "labels", 1, f"{one}.png"),
    )
    tree.config.source.pattern = (f"*{one}*",)
    source = folders_pair.load(tree.config).source
    assert source.names == (f"drive/{other}",)  # as on the disk
    assert source.files(0) == (image, label)


def test_two_labels_of_an_image_and_two_images_of_a_name(tree, write_image):
    one, other = _both_forms("\u00fc")
    label = np.zeros((6, 8), np.uint8)
    second = write_image(tree.root / "source" / "labels" / "drive" / "source_1.PNG", label)
    tree.fails("1 source images have two labels in", "drive/source_1.PNG and drive/source_1.png")
    tree.config.source.pattern = ("*_0.png", "*_2.png")
    folders_pair.load(tree.config)  # those of images that aren't read are no concern
    tree.config.source.pattern = ("*",)
    second.unlink()
    _rename(tree, "images", 0, f"{one}.png")
    _rename(tree, "images", 1, f"{other}.png")
    tree.fails("1 source images share a name", f"drive/{other}.png and drive/{one}.png")
