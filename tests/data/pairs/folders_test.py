import json
import logging
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from labor_jax import config as config_lib
from labor_jax import config_argument, data
from labor_jax.data import base
from labor_jax.data.base import DataError
from labor_jax.data.pairs import folders as folders_pair
from labor_jax.data.pairs import photos


def test_reads_all_roles(tree):
    pair = folders_pair.load(tree.config)
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


def test_cache_returns_what_the_files_hold(tree):
    plain = folders_pair.load(tree.config)
    tree.config.cache_bytes = 10_000
    cached = folders_pair.load(tree.config)
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached.pool.image(i), plain.pool.image(i))
            np.testing.assert_array_equal(cached.pool.label(i), plain.pool.label(i))


def test_given_palette(tree):
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 255))
    np.testing.assert_array_equal(folders_pair.load(tree.config).palette[2], (7, 8, 255))
    tree.config.palette = ((1, 2, 3), (4, 5, 6))
    with pytest.raises(ValueError, match=r"data\.palette must hold .* 3 classes"):
        folders_pair.load(tree.config)
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 256))
    with pytest.raises(ValueError, match="0 to 255"):
        folders_pair.load(tree.config)


def test_two_roles_in_one_folder(tree):
    for name in ("images", "labels"):
        shutil.copytree(
            tree.root / "evaluation" / name, tree.root / "pool" / name, dirs_exist_ok=True
        )
    tree.config.pool.pattern = ("drive/pool*",)
    tree.config.evaluation.update(
        images="pool/images", labels="pool/labels", pattern=("drive/evaluation*",)
    )
    pair = folders_pair.load(tree.config)
    assert pair.pool.names[0] == "drive/pool_0"
    assert pair.evaluation.names[0] == "drive/evaluation_0"


def test_label_map_is_the_roles_own(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_1.png"
    write_image(path, np.full((6, 8), 200, np.uint8))
    tree.fails("source_1.png: label value 200 in 48 pixels", "valid here: 0-2, 255")
    tree.config.source.label_map = "200:1,0:0,1:1,2:255"
    pair = folders_pair.load(tree.config)
    assert (pair.source.label(1) == 1).all()
    assert pair.pool.label(1).max() == 255
    assert 2 in pair.pool.label(1)


def test_different_classes(tree):
    tree.config.pool.classes = ("road", "sky", "car")
    tree.fails("source and pool have different classes", "('road', 'sky', 'car')")
    tree.config.source.classes = ("road", "sky", "car")
    tree.fails("source and evaluation have different classes")
    tree.config.evaluation.classes = ("road", "sky", "car")
    assert folders_pair.load(tree.config).classes == ("road", "sky", "car")


def test_photos_look_at_no_field_of_a_source(tree):
    names = tree.config.classes
    tree.config.update(classes=())
    tree.config.pool.classes = tree.config.evaluation.classes = names
    tree.config.source.update(classes="no_such_table.csv", labels="")
    pair = photos.load(tree.config)
    assert pair.classes == names
    assert pair.source is None and len(pair.pool) == len(pair.evaluation) == 3
    assert photos.load(tree.config, []).classes == names
    tree.config.evaluation.classes = names[::-1]
    with pytest.raises(DataError, match="pool and evaluation have different classes"):
        photos.load(tree.config)


def test_only_what_is_read_of_classes_is_compared(tree):
    """Not the classes of a pool without labels, nor of an evaluation that isn't there."""
    names = tree.config.classes
    tree.config.update(classes=())
    tree.config.source.classes = names
    tree.fails("source and pool have different classes")
    shutil.rmtree(tree.root / "pool" / "labels")
    tree.fails("source and evaluation have different classes")
    shutil.rmtree(tree.root / "evaluation")
    assert folders_pair.load(tree.config).classes == names
    assert folders_pair.load(tree.config, ["pool"]).classes == names


def test_no_classes(tree):
    tree.config.classes = ()
    with pytest.raises(ValueError, match=r"set data\.classes"):
        folders_pair.load(tree.config)


def test_a_pool_may_lack_labels_until_they_are_read(tree):
    tree.config.pool.labels = ""
    pair = folders_pair.load(tree.config)
    assert pair.pool.size(0) == (6, 8)
    assert pair.pool.image(0).shape == (6, 8, 3)
    with pytest.raises(DataError, match=r"pool_0\.png has no label.*annotator=human"):
        pair.pool.label(0)
    tree.config.source.labels = ""
    tree.fails("source needs labels", "data.source.labels")


def test_only_the_roles_asked_for_are_read(tree):
    pair = data.load_pair("folders", tree.config)
    assert len(pair.pool) == 3
    shutil.rmtree(tree.root / "source")
    some = data.load_pair("folders", tree.config, ["pool"])
    assert some.pool.names == pair.pool.names
    assert some.source is some.evaluation is None
    tree.config.root = ""
    assert data.load_pair("folders", tree.config, []).classes == pair.classes


_COLOURS = np.array([(128, 64, 128), (0, 0, 142), (70, 130, 180), (0, 0, 0)], np.uint8)


def _numbers(tree, role):
    """The labels of a role, by the names of their files."""
    folder = tree.root / role / "labels" / "drive"
    return {path: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}


def _write_colours(tree, role, mode="RGB"):
    """Writes the labels of a role anew in colours, void in black; returns the numbers."""
    labels = _numbers(tree, role)
    for path, label in labels.items():
        image = Image.fromarray(_COLOURS[np.minimum(label, 3)])
        image.convert(mode).save(path)
    return list(labels.values())


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_labels_in_colours_are_read_by_the_palette(tree, mode):
    expected = _write_colours(tree, "source", mode)
    tree.config.palette = "#804080,#00008e,#4682b4"
    tree.config.label_map = "#000000:void"
    pair = folders_pair.load(tree.config)
    for number, label in enumerate(expected):
        np.testing.assert_array_equal(pair.source.label(number), label)
        assert pair.pool.label(number).max() == 255  # numbers, as before
    np.testing.assert_array_equal(pair.palette, _COLOURS[:3])


@pytest.mark.parametrize("name", ["classes.csv", "classes.CSV"])
def test_a_class_table_gives_names_colours_and_coding(tree, write_image, name):
    expected = _write_colours(tree, "source")
    for role in ("pool", "evaluation"):
        for path, label in _numbers(tree, role).items():
            write_image(path, np.where(label == 255, 40, 9 - label).astype(np.uint8))
    (tree.root / name).write_text(
        "number,name,colour,void\n7,sky,#4682b4,\n8,car,#00008e,\n9,road,#804080,\n"
        "40,nothing,#000000,yes\n"
    )
    tree.config.classes = name
    pair = folders_pair.load(tree.config)
    assert pair.classes == ("sky", "car", "road")
    np.testing.assert_array_equal(pair.palette, _COLOURS[[2, 1, 0]])
    for number, label in enumerate(expected):
        reversed_ = np.where(label == 255, 255, 2 - label.astype(int))
        np.testing.assert_array_equal(pair.source.label(number), reversed_)
        for split in (pair.pool, pair.evaluation):
            assert set(np.unique(split.label(number))) == {0, 1, 2, 255}


def test_palette_files_are_numbers_unless_colours_are_asked_for(tree):
    labels = _numbers(tree, "source")
    for path, label in labels.items():
        image = Image.fromarray((label + 1) % 4).convert("P")  # void is index 0
        image.putpalette(_COLOURS[[3, 0, 1, 2]].ravel().tolist())
        image.save(path)
    tree.config.palette = "#804080,#00008e,#4682b4"
    tree.config.label_map = "#000000:void"
    tree.fails("source_0.png: label value 3")
    tree.config.source.label_coding = "colours"
    pair = folders_pair.load(tree.config)
    for number, label in enumerate(labels.values()):
        np.testing.assert_array_equal(pair.source.label(number), label)


def test_one_label_map_for_all_roles_and_a_roles_own(tree, write_image):
    for role, shift in (("source", 7), ("pool", 7), ("evaluation", 1)):
        for path, label in _numbers(tree, role).items():
            write_image(path, np.where(label == 255, 0, label + shift).astype(np.uint8))
    tree.config.label_map = "7:road, 8:car, 9:sky, 0:void"
    tree.config.evaluation.label_map = "1:0, 2:1, 3:2, other:void"
    pair = folders_pair.load(tree.config)
    for split in (pair.source, pair.pool, pair.evaluation):
        assert set(np.unique(split.label(0))) == {0, 1, 2, 255}
        assert split.label(0)[0, 0] == 255


def test_a_binary_task_with_255_as_a_class(tree, write_image):
    for role in ("source", "pool", "evaluation"):
        for path, label in _numbers(tree, role).items():
            write_image(path, np.where(label == 1, 255, 0).astype(np.uint8))
    tree.config.classes = "sound,crack"
    tree.fails("hold the values 0 and 255 alone", "--config.data.label_map=0:0,255:1")
    tree.config.label_map = "0:0,255:1"
    assert set(np.unique(folders_pair.load(tree.config).source.label(0))) == {0, 1}
    tree.config.label_map = "255:void"
    assert set(np.unique(folders_pair.load(tree.config).source.label(0))) == {0, 255}


def test_missing_folders_under_their_default_names_are_optional(tree, caplog):
    shutil.rmtree(tree.root / "pool" / "labels")
    shutil.rmtree(tree.root / "evaluation" / "labels")
    with caplog.at_level(logging.INFO):
        pair = data.load_pair("folders", tree.config)
    assert pair.evaluation is None
    assert "mIoU will show as" in caplog.text and "evaluation/labels" in caplog.text
    assert len(pair.pool) == 3 and pair.pool.label_paths is None
    shutil.rmtree(tree.root / "evaluation")
    assert data.load_pair("folders", tree.config).evaluation is None
    tree.config.evaluation.images = "test"
    tree.fails("test does not exist", "data.evaluation.images")
    tree.config.evaluation.update(images="pool/images", labels="")
    assert data.load_pair("folders", tree.config).evaluation is None


def test_nothing_is_said_of_missing_evaluation_labels_if_answers_measure(tree, caplog):
    shutil.rmtree(tree.root / "evaluation")
    tree.config.evaluation_from_answers = 0.2
    with caplog.at_level("INFO"):
        assert data.load_pair("folders", tree.config).evaluation is None
    assert "mIoU" not in caplog.text


def test_missing_evaluation_labels_are_not_told_before_an_error(tree, caplog):
    for role in ("pool", "evaluation"):
        shutil.rmtree(tree.root / role)
    with caplog.at_level(logging.INFO):
        tree.fails("pool/images does not exist")
    assert not caplog.messages


def test_a_root_that_is_not_there_is_no_missing_evaluation(tree):
    tree.config.root = str(tree.root / "none")
    with pytest.raises(DataError, match="none/evaluation/images does not exist"):
        data.load_pair("folders", tree.config, ["evaluation"])


def test_void_labels_of_the_pool_are_a_warning(tree, write_image, caplog):
    for path in _numbers(tree, "pool"):
        write_image(path, np.full((6, 8), 255, np.uint8))
    folders_pair.load(tree.config)
    assert "pool labels are void everywhere" in caplog.text


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("classes", "road,sky", "road,sky"),
        ("classes", "classes.csv", "classes.csv"),
        ("classes", "('road', 'sky')", ("road", "sky")),
        ("palette", "#804080,#4682b4", "#804080,#4682b4"),
        ("palette", "((1, 2, 3), (4, 5, 6))", ((1, 2, 3), (4, 5, 6))),
        ("label_map", "0:void,#000000:1", "0:void,#000000:1"),
        ("pool.classes", "road,sky", "road,sky"),
    ],
)
def test_fields_on_the_command_line_and_in_config_json(field, text, value):
    config = config_lib.get_config("spl", "folders")
    config_argument.override(config, ["main", f"--config.data.{field}={text}"])
    section = config.data
    for name in field.split("."):
        section = section[name]
    assert section == value
    described = json.loads(config.to_json())["data"]
    for name in field.split("."):
        described = described[name]
    assert json.loads(json.dumps(value)) == described


def test_what_config_json_holds_is_read_as_the_config(tree):
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    pair = folders_pair.load(tree.config)
    again = folders_pair.load(ConfigDict(json.loads(tree.config.to_json())))
    assert again.classes == pair.classes
    np.testing.assert_array_equal(again.palette, pair.palette)
