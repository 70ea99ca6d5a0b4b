import numpy as np
import pytest

from labor_jax.data import base
from labor_jax.data.driving import cityscapes
from labor_jax.data.inspection import label_contents
from labor_jax.data.inspection.codings import COLOURS, NUMBERS, guess_coding
from labor_jax.data.pairs import camvid
from tests.data.inspection import builders
from tests.driving import write, write_deep_png


@pytest.fixture
def guess(tmp_path):
    """Writes labels and returns the guess."""

    def guess(*arrays, names="", formats=("PNG",)):
        paths = [write(tmp_path / f"{i}.png", array) for i, array in enumerate(arrays)]
        return guess_coding(label_contents.read_contents(paths), names, formats)

    return guess


def test_class_numbers(guess):
    coding = guess(builders.bands([0, 1, 2, 255]), builders.bands([1, 4]))
    assert (coding.kind, coding.codes, coding.named) == (NUMBERS, None, False)
    assert coding.title == "class numbers 0 to 4, 255 void"
    assert len(coding.classes) == 5
    assert coding.remarks == ("Not seen: 3.",)


def test_binary(guess):
    coding = guess(builders.bands([0, 255]))
    assert "binary" in coding.title
    assert coding.classes == ("background", "object")
    assert coding.codes == {0: 0, 255: 1}


def test_numbers_that_are_no_list_are_mapped(guess):
    coding = guess(builders.bands([38, 75, 113, 255]))
    assert coding.codes == {38: 0, 75: 1, 113: 2}
    assert "255 void" in coding.title
    coding = guess(builders.bands([1, 2, 3]))
    assert coding.codes == {1: 0, 2: 1, 3: 2}
    assert "start at 1" in coding.title


def test_cityscapes_label_ids_by_name_or_by_values(guess):
    values = [0, 7, 8, 11, 21, 23, 24, 26, 33]
    by_values = guess(builders.bands(values))
    by_name = guess(builders.bands([7, 8]), names="gtFine/_gtFine_labelIds")
    for coding in (by_values, by_name):
        assert coding.title == "Cityscapes label ids"
        assert coding.classes == cityscapes.CLASSES
        assert coding.codes[26] == cityscapes.CLASSES.index("car")
        assert coding.other_is_void


def test_cityscapes_train_ids(guess):
    coding = guess(builders.bands([0, 1, 255]), names="_gtFine_labelTrainIds")
    assert coding.title == "Cityscapes train ids, 255 void"
    assert coding.classes == cityscapes.CLASSES
    assert coding.codes is None
    assert "guess" in guess(builders.bands(range(19))).title


@pytest.mark.parametrize(
    ("title", "classes", "palette"),
    [
        ("CamVid", camvid.CLASSES, camvid.PALETTE),
        ("Cityscapes", cityscapes.CLASSES, cityscapes.PALETTE),
    ],
)
def test_known_colours(guess, title, classes, palette):
    coding = guess(builders.bands([*palette[:6], (0, 0, 0)]))
    assert (coding.kind, coding.title) == (COLOURS, f"colours of {title}")
    assert coding.classes == classes
    np.testing.assert_array_equal(coding.colours, palette)
    assert coding.void == [(0, 0, 0)]


def test_a_lane_marking_tells_all_of_camvids_classes(guess):
    coding = guess(builders.bands([*camvid.PALETTE[:6], (128, 0, 192)]))
    assert coding.title == "colours of CamVid, all 31 classes"
    assert "LaneMkgsDriv" in coding.classes


def test_voc_palette_images_are_numbers_with_names(tmp_path):
    colours = [(0, 0, 0), *base.default_palette(20).tolist()]
    builders.write_palette(tmp_path / "a.png", builders.bands([0, 1, 15, 20, 7, 3]), colours)
    coding = guess_coding(label_contents.read_contents([tmp_path / "a.png"]))
    assert coding.kind == COLOURS  # six indices of 21 could be anything
    builders.write_palette(tmp_path / "a.png", builders.bands(range(21)), colours)
    coding = guess_coding(label_contents.read_contents([tmp_path / "a.png"]))
    assert coding.kind == NUMBERS
    assert coding.title == "class numbers 0 to 20, with the palette of PASCAL VOC"
    assert coding.classes[15] == "person" and coding.named


def test_palettes_that_differ_from_file_to_file_are_told_by_colour(tmp_path):
    red, green = (255, 0, 0), (0, 255, 0)
    builders.write_palette(tmp_path / "a.png", builders.bands([0, 1]), [red, green])
    builders.write_palette(tmp_path / "b.png", builders.bands([0, 1]), [green, red])
    contents = label_contents.read_contents([tmp_path / "a.png", tmp_path / "b.png"])
    coding = guess_coding(contents)
    assert coding.kind == COLOURS
    assert set(coding.codes) == {red, green}
    assert contents.indexed[red].pixels == contents.indexed[green].pixels


def test_unknown_colours(guess):
    coding = guess(builders.bands([(1, 2, 3), (200, 0, 0)]))
    assert (coding.title, coding.named) == ("2 colours", False)
    assert coding.colours == [(1, 2, 3), (200, 0, 0)]


def test_smeared_edges_are_a_problem(guess):
    smooth = np.asarray(builders.smooth_label())
    coding = guess(smooth)
    assert "smeared edges" in coding.problem
    assert set(coding.main) == {(128, 64, 128), (0, 0, 142), (70, 130, 180)}
    grey = guess(smooth[..., 1])
    assert "smeared edges" in grey.problem
    assert set(grey.main) == {0, 64, 130}


def test_jpeg_labels_are_a_problem(guess):
    assert "JPEG" in guess(builders.bands([0, 1]), formats=("JPEG", "PNG")).problem


def test_photos_among_the_labels_are_a_problem(guess):
    assert "look like photos" in guess(builders.photo(0, (200, 300))).problem


def test_numbers_and_colours_together_are_a_problem(guess):
    coding = guess(builders.bands([0, 1]), builders.bands([(1, 2, 3)]))
    assert "two kinds" in coding.problem


def test_void_alone_is_a_problem(guess):
    assert "void everywhere" in guess(builders.bands([255])).problem


def test_instances_are_a_problem(tmp_path):
    path = write_deep_png(tmp_path / "a.png", np.array([[7, 26001, 26002]], np.uint16))
    assert "instance" in guess_coding(label_contents.read_contents([path])).problem


def test_transparent_pixels_are_void_and_not_counted(guess):
    image = np.dstack([builders.bands([(255, 0, 0), (0, 255, 0)]), builders.bands([255, 0])])
    coding = guess(image)
    assert coding.colours == [(255, 0, 0)]
    assert "1 of 1 files have transparent pixels, which are void." in coding.remarks


def test_contents_count_pixels_and_files(tmp_path):
    paths = [
        write(tmp_path / "a.png", builders.bands([0, 1])),
        write(tmp_path / "b.png", builders.bands([1])),
    ]
    contents = label_contents.read_contents([*paths, tmp_path / "missing.png"])
    assert contents.numbers[0] == label_contents.Count(24 * 16, 1)
    assert contents.numbers[1] == label_contents.Count(24 * 48, 2)
    assert (contents.num_files, contents.num_pixels) == (2, 2 * 24 * 32)
    assert "missing.png" in contents.problems[0]
