import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest

from labor_jax import data
from labor_jax.data import base
from labor_jax.data.base import DataError
from labor_jax.data.driving import ACDC, DATASETS, cityscapes, synthia
from labor_jax.data.driving import pair as driving_pair

# Cityscapes' label ids by class name (cityscapesScripts, labels.py) and SYNTHIA's (its README).
_LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_SYNTHIA_IDS = {
    "sky": 1,
    "building": 2,
    "road": 3,
    "sidewalk": 4,
    "fence": 5,
    "vegetation": 6,
    "pole": 7,
    "car": 8,
    "traffic sign": 9,
    "person": 10,
    "bicycle": 11,
    "motorcycle": 12,
    "traffic light": 15,
    "terrain": 16,
    "rider": 17,
    "truck": 18,
    "bus": 19,
    "train": 20,
    "wall": 21,
}
_TRAIN_IDS = {name: i for i, name in enumerate(cityscapes.CLASSES)}


def _check(split, values, ids, classes):
    """The split's labels are the files' values, class by class, and void elsewhere."""
    assert isinstance(split, base.Split)
    for i, name in enumerate(split.names):
        expected = np.full(values[name].shape, 255)
        for number, class_name in enumerate(classes):
            expected[values[name] == ids[class_name]] = number
        np.testing.assert_array_equal(split.label(i), expected)
        assert split.label(i).dtype == np.uint8
        assert split.size(i) == split.image(i).shape[:2] == split.label(i).shape


def test_gtav_to_cityscapes(driving):
    pair = data.load_pair("gtav", driving.config)
    assert pair.name == "gtav"
    assert pair.classes == cityscapes.CLASSES
    assert pair.class_subsets == {}
    assert pair.source.names == ("00001", "00002", "00003")
    assert pair.pool.names == ("aachen/aachen_000000_000019", "zurich/zurich_000000_000019")
    assert pair.evaluation.names == ("lindau/lindau_000000_000019",)
    _check(pair.source, driving.values["gtav"], _LABEL_IDS, pair.classes)
    for split in (pair.pool, pair.evaluation):
        _check(split, driving.values["cityscapes"], _LABEL_IDS, pair.classes)


def test_synthia_to_cityscapes_in_16_classes(driving):
    pair = data.load_pair("synthia", driving.config)
    assert pair.num_classes == 16
    assert not {"terrain", "truck", "train"} & set(pair.classes)
    assert pair.source.names == ("0000000", "0000001", "0000002")
    _check(pair.source, driving.values["synthia"], _SYNTHIA_IDS, pair.classes)
    _check(pair.pool, driving.values["cityscapes"], _LABEL_IDS, pair.classes)
    np.testing.assert_array_equal(pair.palette[pair.classes.index("bicycle")], (119, 11, 32))
    assert pair.class_subsets["16"] == tuple(range(16))
    names = [pair.classes[i] for i in pair.class_subsets["13"]]
    assert names == [name for name in pair.classes if name not in ("wall", "fence", "pole")]


def test_synthia_in_19_classes(driving):
    driving.config.num_classes = 19
    pair = data.load_pair("synthia", driving.config)
    assert pair.classes == cityscapes.CLASSES
    _check(pair.source, driving.values["synthia"], _SYNTHIA_IDS, pair.classes)
    assert pair.class_subsets == {
        "19": tuple(range(19)),
        "16": synthia.TRAIN_IDS_16,
        "13": synthia.TRAIN_IDS_13,
    }
    driving.config.num_classes = 13
    with pytest.raises(ValueError, match=r"data\.num_classes must be 16 or 19, got 13"):
        data.load_pair("synthia", driving.config)


def test_synthia_unpacked_without_its_own_folder(driving):
    inner = driving.root / "SYNTHIA" / "RAND_CITYSCAPES"
    inner.rename(driving.root / "elsewhere")
    driving.config.source_root = str(driving.root / "elsewhere")
    pair = data.load_pair("synthia", driving.config)
    _check(pair.source, driving.values["synthia"], _SYNTHIA_IDS, pair.classes)


@pytest.mark.parametrize("name", ["gtav", "synthia"])
@pytest.mark.parametrize(("target", "ids"), [("acdc", _LABEL_IDS), ("bdd100k", _TRAIN_IDS)])
def test_other_targets(driving, name, target, ids):
    driving.config.target = target
    pair = data.load_pair(name, driving.config)
    for split in (pair.pool, pair.evaluation):
        _check(split, driving.values[target], ids, pair.classes)
    assert len(pair.pool) + len(pair.evaluation) == len(driving.values[target])
    assert not set(pair.pool.names) & set(pair.evaluation.names)


def test_acdc_in_some_conditions(driving, caplog):
    driving.config.target = "acdc"
    driving.config.acdc_conditions = ("night",)
    with caplog.at_level(logging.WARNING):
        pair = data.load_pair("gtav", driving.config)
    assert pair.pool.names == ("night/train/GOPR0475/GOPR0475_frame_000041",)
    assert pair.evaluation.names == ("night/val/GOPR0476/GOPR0476_frame_000041",)
    assert "ACDC: found 1 of the 400 images of its train split" in caplog.text
    assert "ACDC: found 1 of the 106 images of its validation split" in caplog.text
    for wrong in ((), ("night", "dusk")):
        driving.config.acdc_conditions = wrong
        with pytest.raises(ValueError, match=r"data\.acdc_conditions .* fog, night, rain, snow"):
            data.load_pair("gtav", driving.config)


def test_all_of_acdc():
    assert ACDC.counts == {"train": 1600, "validation": 406}


@pytest.mark.parametrize("name", ["gtav", "synthia"])
def test_only_the_roles_asked_for_are_read(driving, name):
    whole = data.load_pair(name, driving.config)
    for folder in ("GTAV", "SYNTHIA", "Cityscapes/leftImg8bit/train", "Cityscapes/gtFine/train"):
        shutil.rmtree(driving.root / folder)
    driving.config.skip = ("00001",)
    pair = data.load_pair(name, driving.config, ["evaluation"])
    assert pair.source is pair.pool is None
    assert pair.evaluation.names == whole.evaluation.names
    assert (pair.classes, pair.class_subsets) == (whole.classes, whole.class_subsets)
    driving.config.root = ""
    nothing = data.load_pair(name, driving.config, [])
    assert nothing.evaluation is None and nothing.classes == whole.classes


def test_the_cache_changes_nothing(driving):
    plain = data.load_pair("synthia", driving.config)
    driving.config.cache_bytes = 10_000
    cached = data.load_pair("synthia", driving.config)
    for _ in range(2):
        np.testing.assert_array_equal(cached.source.label(1), plain.source.label(1))
        np.testing.assert_array_equal(cached.pool.image(1), plain.pool.image(1))


def test_unknown_target(driving):
    driving.config.target = "citscapes"
    with pytest.raises(ValueError, match=r"data\.target 'citscapes'.*cityscapes, acdc, bdd100k"):
        data.load_pair("gtav", driving.config)


def _fails(driving, name, *parts):
    with pytest.raises(DataError) as error:
        data.load_pair(name, driving.config)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("folder", "name", "target", "parts"),
    [
        ("GTAV/images", "gtav", "cityscapes", ("from_games", "01_labels.zip", "data.source_root")),
        ("SYNTHIA", "synthia", "cityscapes", ("synthia-dataset.net", "data.source_root")),
        (
            "Cityscapes/gtFine",
            "gtav",
            "cityscapes",
            ("cityscapes-dataset.com", "gtFine_trainvaltest.zip", "data.target_root"),
        ),
        ("ACDC/gt", "gtav", "acdc", ("acdc.vision.ee.ethz.ch", "gt_trainval.zip")),
        ("BDD100K/bdd100k/labels", "gtav", "bdd100k", ("bdd-data.berkeley.edu", "Segmentation")),
    ],
)
def test_a_missing_folder_is_named_with_its_download(driving, folder, name, target, parts):
    shutil.rmtree(driving.root / folder)
    driving.config.target = target
    _fails(driving, name, str(driving.root / folder), "does not exist", *parts)


def test_no_root(driving):
    driving.config.root = ""
    _fails(driving, "gtav", "source needs the folder of GTAV", "--config.data.source_root=DIR")
    driving.config.source_root = str(driving.root / "GTAV")
    _fails(driving, "gtav", "pool needs the folder of Cityscapes", "Cityscapes/")
    driving.config.target_root = str(driving.root / "Cityscapes")
    assert len(data.load_pair("gtav", driving.config).source) == 3


def test_the_official_archives_not_yet_unpacked(driving):
    for path in (driving.root / "GTAV" / "images").iterdir():
        path.unlink()
    (driving.root / "GTAV" / "images" / "01_images.zip").touch()
    _fails(driving, "gtav", "source is empty", "01_images.zip to 10_images.zip")


def test_sizes_that_differ_are_an_error_unless_skipped(driving, write_image):
    write_image(driving.root / "GTAV" / "labels" / "00002.png", np.zeros((7, 8), np.uint8))
    _fails(driving, "gtav", "1 source images differ in size", "00002.png is 7x8", "data.skip")
    driving.config.skip = ("00002",)
    pair = data.load_pair("gtav", driving.config)
    assert pair.source.names == ("00001", "00003")
    assert pair.source.left_out == ("00002",)
    _check(pair.source, driving.values["gtav"], _LABEL_IDS, pair.classes)


def test_skipping_an_image_that_is_not_there(driving):
    driving.config.skip = ("00002", "2", "zurich/zurich_000000_000019")
    _fails(driving, "gtav", "1 names in data.skip are not images: 2.", "00001, aachen/aachen_0")
    driving.config.skip = ("00002", "zurich/zurich_000000_000019")
    pair = data.load_pair("gtav", driving.config)
    assert (len(pair.source), len(pair.pool)) == (2, 1)
    driving.config.skip = ("aachen/aachen_000000_000019", "zurich/zurich_000000_000019")
    _fails(driving, "gtav", "pool is empty: all of its 2 images are left out")


def test_gtavs_known_pair_of_other_size_is_left_out_and_told(driving, write_image, caplog):
    root = driving.root / "GTAV"
    for name in ("15188", "17705"):
        write_image(root / "images" / f"{name}.png", np.zeros((6, 8, 3), np.uint8))
        write_image(root / "labels" / f"{name}.png", np.zeros((6, 8), np.uint8))
    write_image(root / "labels" / "17705.png", np.zeros((4, 8), np.uint8))
    with caplog.at_level(logging.WARNING):
        pair = data.load_pair("gtav", driving.config)
    assert pair.source.names == ("00001", "00002", "00003", "15188")  # this one's sizes agree
    assert "source: 1 images left out: 17705" in caplog.text


def test_bdd100ks_known_defects_are_left_out(driving, write_image):
    root = driving.root / "BDD100K" / "bdd100k"
    images, labels = root / "images/10k/train", root / "labels/sem_seg/masks/train"
    image, label = np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)
    write_image(images / "3d581db5-2564fb7e.jpg", image)  # no label
    write_image(images / "52e3fd10-c205dec2.jpg", np.zeros((8, 6, 3), np.uint8))  # upright
    write_image(labels / "52e3fd10-c205dec2.png", label)
    write_image(labels / "fee92217-63b3f87f.png", label)  # no image
    driving.config.target = "bdd100k"
    pool = data.load_pair("gtav", driving.config).pool
    assert pool.names == ("0004a4c0-d4dff0ad",)
    assert pool.left_out == ("3d581db5-2564fb7e", "52e3fd10-c205dec2")
    write_image(images / "11111111-11111111.jpg", image)
    _fails(driving, "gtav", "1 pool images have no label", "11111111-11111111.jpg", "data.skip")


def test_missing_images_are_told(driving, caplog):
    with caplog.at_level(logging.WARNING):
        data.load_pair("gtav", driving.config)
    assert "GTAV: found 3 of the 24966 images of its train split." in caplog.text
    assert "Cityscapes: found 2 of the 2975 images" in caplog.text


def test_labels_of_the_wrong_kind(driving, write_image):
    labels = driving.root / "SYNTHIA" / "RAND_CITYSCAPES" / "GT" / "LABELS"
    write_image(labels / "0000001.png", np.zeros((6, 8), np.uint8))
    _fails(driving, "synthia", "1 source labels are not 16-bit PNGs", "0000001.png", "original")
    labels = driving.root / "BDD100K" / "bdd100k" / "labels/sem_seg/masks/train"
    write_image(labels / "0004a4c0-d4dff0ad.png", np.full((6, 8), 33, np.uint8))
    driving.config.target = "bdd100k"
    _fails(driving, "gtav", "0004a4c0-d4dff0ad.png: label value 33", "valid here: 0-18, 255")


def test_every_data_set_has_every_train_id():
    for dataset in DATASETS.values():
        assert set(dataset.train_ids.values()) - {255} == set(range(19))
        assert set(dataset.splits) == set(dataset.counts)
    assert all(
        set(dataset.splits) == {"train", "validation"} for dataset in driving_pair.TARGETS.values()
    )


def test_reading_folders_imports_no_large_library():
    code = (
        "import sys, labor_jax.data;"
        "large = {'tensorflow_datasets', 'imagecodecs', 'jax', 'grain'};"
        "print(sorted(large & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
