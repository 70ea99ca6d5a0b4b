"""The printed command reads the very folder that it was printed for."""

import shlex

import numpy as np
import pytest
from PIL import Image

from labor_jax import config_argument, data
from labor_jax.data import base
from labor_jax.data.driving import cityscapes
from labor_jax.data.inspection import class_table_template, suggestion
from labor_jax.data.inspection.inspection import inspect
from labor_jax.data.pairs import camvid
from tests.data.inspection import builders
from tests.driving import write


def suggested(root):
    """The fields that are suggested for a folder without problems."""
    inspection = inspect(root)
    assert not inspection.problems
    return suggestion.suggest_fields(inspection), inspection


def load(root, roles=base.ROLES, table=None, name="ppl:folders"):
    """The pair and the config that the printed command reads, perhaps with a class table."""
    fields, inspection = suggested(root)
    if table is not None:
        class_table_template.write(inspection.coding, table)
        fields = suggestion.suggest_fields(inspection, str(table))
        assert not {"data.palette", "data.label_map"} & set(fields)
    if fields["data.classes"] == suggestion.UNKNOWN_CLASSES:
        fields["data.classes"] = "road,sky"  # as the text says
    command = suggestion.command(fields, name).replace("\\\n", "")
    program, _, argument, *arguments = shlex.split(command)
    assert (program, argument) == ("labor-jax", name)
    config = config_argument.load(argument)
    assert config_argument.override(config, ["run", *arguments]) == ["run"]
    return data.load_pair(config.pair, config.data, roles), config


@pytest.mark.parametrize(
    ("values", "numbers", "classes"),
    [
        ([0, 1, 2, 255], [0, 1, 2, 255], 3),
        ([0, 255], [0, 1], 2),
        ([38, 75, 113, 255], [0, 1, 2, 255], 3),
        ([1, 2, 3, 4], [0, 1, 2, 3], 4),
        ([0, 7, 8, 11, 21, 23, 26, 33], [255, 0, 1, 2, 8, 10, 13, 18], 19),
    ],
)
@pytest.mark.parametrize("with_table", [False, True])
def test_class_numbers(tmp_path, values, numbers, classes, with_table):
    builders.write_roles(tmp_path, values)
    pair, config = load(tmp_path, table=tmp_path / "classes.csv" if with_table else None)
    for split in (pair.source, pair.evaluation):
        np.testing.assert_array_equal(split.label(1), builders.bands(numbers))
    assert len(pair.classes) == classes
    assert len(pair.pool) == 3
    assert config.annotator == "human"
    with pytest.raises(data.DataError):
        pair.pool.label(0)


def test_label_ids_and_train_ids_are_read_each_by_its_own(tmp_path):
    for role, values, ending in (
        ("source", [0, 7, 8, 11, 33], "labelIds"),
        ("evaluation", [0, 1, 2, 255], "labelTrainIds"),
    ):
        builders.write_photos(tmp_path / role / "images", 3, "{}_leftImg8bit.png")
        builders.write_labels(tmp_path / role / "labels", values, 3, f"{{}}_gtFine_{ending}.png")
    builders.write_photos(tmp_path / "pool" / "images", 3, "{}_leftImg8bit.png")
    pair, _ = load(tmp_path)
    assert pair.classes == cityscapes.CLASSES
    np.testing.assert_array_equal(pair.source.label(1), builders.bands([255, 0, 1, 2, 18]))
    np.testing.assert_array_equal(pair.evaluation.label(1), builders.bands([0, 1, 2, 255]))
    fields, inspection = suggested(tmp_path)
    text = suggestion.describe(inspection, fields)
    assert "evaluation: Cityscapes train ids" in text and "each role by its own coding" in text


def test_numbers_that_may_be_shifted_are_told(tmp_path):
    builders.write_roles(tmp_path, [0, 1, 2])
    builders.write_labels(tmp_path / "source" / "labels", [1, 2, 3], 3)
    fields, inspection = suggested(tmp_path)
    text = suggestion.describe(inspection, fields)
    assert "source: class numbers that start at 1 (1 to 3)" in text
    assert "if that is wrong, set data.source.label_map too" in text


def test_numbers_and_colours_are_read_by_a_table_of_both(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    builders.write_labels(tmp_path / "evaluation" / "labels", [(1, 2, 3), (4, 5, 6)], 3)
    (problem,) = inspect(tmp_path).problems
    assert "two kinds" in problem and "classes.csv" in problem
    (tmp_path / "classes.csv").write_text("number,name,colour\n0,road,#010203\n1,sky,#040506\n")
    inspection = inspect(tmp_path)
    assert not inspection.problems
    fields = suggestion.suggest_fields(inspection, suggestion.existing_class_table(inspection))
    config = config_argument.load("ppl:folders")
    config_argument.override(config, ["run", *(f"--config.{n}={v}" for n, v in fields.items())])
    pair = data.load_pair(config.pair, config.data)
    for split in (pair.source, pair.evaluation):
        np.testing.assert_array_equal(split.label(1), builders.bands([0, 1]))


def test_only_the_fields_that_are_needed(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    fields, _ = suggested(tmp_path)
    assert set(fields) == {"data.root", "data.classes", "annotator"}


def test_names_as_in_cityscapes(tmp_path):
    for split in ("train", "val"):
        photos, labels = (tmp_path / kind / split / "aachen" for kind in ("leftImg8bit", "gtFine"))
        name = "aachen_{:06}_000019_"
        builders.write_photos(photos, 3, f"{name}leftImg8bit.png")
        builders.write_labels(labels, [7, 8, 26, 4], 3, f"{name}gtFine_labelIds.png")
        colours = [(128, 64, 128), (244, 35, 232), (0, 0, 142), (0, 0, 0)]
        builders.write_labels(labels, colours, 3, f"{name}gtFine_color.png")
    builders.write_photos(tmp_path / "unlabelled", 2)
    pair, config = load(tmp_path)
    assert pair.classes == cityscapes.CLASSES
    assert config.data.source.image_suffix == "_leftImg8bit"
    assert config.data.source.label_pattern == "{stem}_gtFine_labelIds.png"
    assert config.data.pool.images == "unlabelled" and len(pair.pool) == 2
    for split in (pair.source, pair.evaluation):
        assert len(split) == 3
        np.testing.assert_array_equal(split.label(0), builders.bands([0, 1, 13, 255]))


def test_photos_and_masks_in_one_folder(tmp_path):
    for role in ("sim", "val"):
        builders.write_photos(tmp_path / role, 4, "{:03}.png")
        builders.write_labels(tmp_path / role, [0, 1, 2], 4, "{:03}_L.png")
    builders.write_photos(tmp_path / "street photos, today's", 3, "{:03}.jpg")
    pair, _ = load(tmp_path)
    assert [len(pair.source), len(pair.pool), len(pair.evaluation)] == [4, 3, 4]
    np.testing.assert_array_equal(pair.source.label(3), builders.bands([0, 1, 2]))


@pytest.mark.parametrize(("photo", "label"), [("{}.JPG", "{}.png"), ("{}.png", "{}_mask.png")])
def test_everything_in_one_folder(tmp_path, photo, label):
    for role in ("sim", "real"):
        for name in ("park", "sea", "bank"):
            write(tmp_path / role / photo.format(name), builders.photo([*role.encode(), len(name)]))
    for name in ("park", "sea", "bank"):
        write(tmp_path / "sim" / label.format(name), builders.bands([0, 1]))
    pair, _ = load(tmp_path)
    assert pair.source.names == ("bank", "park", "sea") and len(pair.pool) == 3


def test_palette_images_of_cityscapes_label_ids(tmp_path):
    builders.write_roles(tmp_path, [0])
    colours = [(0, 0, 0)] * 34
    for number in (7, 8, 11, 21, 23, 26):
        colours[number] = cityscapes.PALETTE[cityscapes.TRAIN_IDS[number]].tolist()
    for path in tmp_path.glob("*/labels/*.png"):
        builders.write_palette(path, builders.bands([0, 7, 8, 11, 21, 23, 26]), colours)
    pair, _ = load(tmp_path)
    assert pair.classes == cityscapes.CLASSES
    expected = builders.bands([255, 0, 1, 2, 8, 10, 13])
    np.testing.assert_array_equal(pair.source.label(0), expected)


def test_a_labelled_pool_is_answered_by_its_labels(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    builders.write_labels(tmp_path / "pool" / "labels", [1, 0])
    pair, config = load(tmp_path)
    assert config.annotator == "oracle"
    np.testing.assert_array_equal(pair.pool.label(0), builders.bands([1, 0]))


@pytest.mark.parametrize(
    ("kind", "values"),
    [("semantic_ids", [0, 1]), ("labels_color", [(128, 64, 128), (0, 0, 142)]), ("depth", None)],
)
@pytest.mark.parametrize("size", [builders.SIZE, (12, 16)])
def test_another_kind_of_the_sources_labels_is_no_truth_of_the_pool(tmp_path, kind, values, size):
    builders.write_photos(tmp_path / "sim/rgb", 3)
    builders.write_labels(tmp_path / "sim/semantic", [0, 1], 3)
    builders.write_photos(tmp_path / "real", 3, "{:04}.jpg", size=size)
    if values is not None:
        builders.write_labels(tmp_path / "sim" / kind, values, 3)
    else:
        for i in range(3):
            write(tmp_path / "sim/depth" / f"{i:04}.png", np.full(builders.SIZE, 5000, np.uint16))
    fields, _ = suggested(tmp_path)
    assert fields["data.source.labels"] == "sim/semantic" and fields["annotator"] == "human"
    assert fields["data.pool.images"] == "real" and "data.pool.labels" not in fields


COLOURS = [(255, 0, 0), (0, 128, 255), (9, 9, 9)]


@pytest.mark.parametrize("form", ["RGB", "RGBA", "palette"])
@pytest.mark.parametrize("with_table", [False, True])
def test_colours(tmp_path, form, with_table):
    builders.write_roles(tmp_path, COLOURS)
    for path in tmp_path.glob("*/labels/*.png"):
        if form == "RGBA":
            Image.open(path).convert("RGBA").save(path)
        elif form == "palette":  # indices that differ from file to file
            order = np.random.default_rng(ord(path.stem[-1])).permutation(3)
            indices = builders.bands(np.argsort(order))
            builders.write_palette(path, indices, [COLOURS[i] for i in order])
    pair, config = load(tmp_path, table=tmp_path / "classes.csv" if with_table else None)
    assert config.data.label_coding == ("colours" if form == "palette" else "auto")
    _, inspection = suggested(tmp_path)
    wanted = builders.bands([inspection.coding.codes[colour] for colour in COLOURS])
    for i in range(3):
        np.testing.assert_array_equal(pair.source.label(i), wanted)
        np.testing.assert_array_equal(pair.evaluation.label(i), wanted)
    np.testing.assert_array_equal(pair.palette[wanted[0, 0]], COLOURS[0])


@pytest.mark.parametrize("with_table", [False, True])
def test_camvids_colours_with_void(tmp_path, with_table):
    colours = [*camvid.PALETTE[[3, 0, 8]].tolist(), (0, 0, 0)]
    builders.write_roles(tmp_path, colours)
    pair, _ = load(tmp_path, table=tmp_path / "classes.csv" if with_table else None)
    assert pair.classes == camvid.CLASSES
    np.testing.assert_array_equal(pair.source.label(0), builders.bands([3, 0, 8, 255]))


def test_palette_images_of_class_numbers(tmp_path):
    builders.write_roles(tmp_path, [0])
    for path in tmp_path.glob("*/labels/*.png"):
        builders.write_palette(path, builders.bands([2, 0, 1]), [(9, 9, 9), (8, 8, 8), (7, 7, 7)])
    pair, _ = load(tmp_path)
    np.testing.assert_array_equal(pair.source.label(0), builders.bands([2, 0, 1]))


def test_turned_photos(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    (tmp_path / "source/images/0000.png").unlink()
    builders.write_turned(tmp_path / "source/images/0000.jpg", builders.photo(), 6)
    write(tmp_path / "source/labels/0000.png", builders.bands([0, 1], (32, 24)))
    pair, _ = load(tmp_path)
    assert pair.source.image(0).shape == (32, 24, 3)
    assert pair.source.size(0) == pair.source.label(0).shape == (32, 24)


def test_without_evaluation_labels(tmp_path):
    builders.write_photos(tmp_path / "sim")
    builders.write_labels(tmp_path / "sim_masks", [0, 1])
    builders.write_photos(tmp_path / "real", 5)
    pair, _ = load(tmp_path)
    assert len(pair.source) == 3 and len(pair.pool) == 5 and pair.evaluation is None


def test_photos_alone_are_a_pair_without_a_source(tmp_path):
    builders.write_photos(tmp_path / "photos")
    fields, inspection = suggested(tmp_path)
    assert not {"data.source.images", "data.source.labels"} & set(fields)
    assert fields["data.pool.images"] == "photos"
    text = suggestion.describe(inspection, fields)
    assert "labor-jax run active:margin,photos" in text and "answers alone" in text
    assert "This folder doesn't tell: CLASS_NAMES." in text
    pair, _ = load(tmp_path, ["pool"], name="active:margin,photos")
    assert pair.source is None and len(pair.pool) == 3


def test_a_run_in_ones_own_photos_gets_a_workdir_outside(tmp_path, monkeypatch):
    root = tmp_path / "my trip"
    builders.write_photos(root, 3, "IMG_{}.jpg")
    fields, inspection = suggested(root)
    assert "--workdir" not in suggestion.describe(inspection, fields)
    for folder in (root, builders.made(root / "notes")):
        monkeypatch.chdir(folder)
        text = suggestion.describe(inspection, fields)
        assert f" \\\n    --workdir '{tmp_path}/runs/my trip'\n" in text


@pytest.mark.parametrize("simulator", [False, True])
def test_a_pool_of_several_folders_is_offered(tmp_path, simulator):
    days = ("bern", "oslo", "rome")
    for day in days:
        builders.write_photos(tmp_path / day, 4, "{}.jpg")
    if simulator:
        builders.write_photos(tmp_path / "source/images", 4, "{}.jpg")
        builders.write_labels(tmp_path / "source/labels", [0, 1], 4, "{}.png")
    fields, inspection = suggested(tmp_path)
    text = suggestion.describe(inspection, fields)
    assert "oslo, rome: 8 more photos." in text
    offered = shlex.split(next(line for line in text.splitlines() if line.startswith("--config")))
    config = config_argument.load("ppl:folders")
    given = [f"--config.{name}={value}" for name, value in fields.items()]
    offered.append("--config.data.classes=road,sky")  # photos alone don't tell
    assert config_argument.override(config, ["run", *given, *offered]) == ["run"]
    pool = data.load_pair(config.pair, config.data, ["pool"]).pool
    assert pool.names == tuple(f"{day}/{i}" for day in days for i in range(4))


@pytest.mark.parametrize("count", [1, 2])
def test_a_partly_labelled_pool_gives_its_labels_to_the_run(tmp_path, count):
    builders.write_roles(tmp_path, [0, 1])
    builders.write_labels(tmp_path / "pool" / "labels", [1, 0], count)
    fields, inspection = suggested(tmp_path)
    assert f"{count} of the 3 photos in pool/images have labels already" in inspection.remarks[0]
    assert fields["data.pool.labels"] == ""
    assert fields["annotation.existing_labels"] == str(tmp_path / "pool" / "labels")
    assert fields["annotator"] == "human"
