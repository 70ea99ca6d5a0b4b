"""Pictures of arrays and of runs."""

import numpy as np
import pytest

from benchmarks.human_runs import write_run
from labor_jax.data import Pair
from labor_jax.experiment.workdir import ConfigError
from labor_jax.notebook import asked_about, pictures

IMAGE = np.full((8, 16, 3), 240, np.uint8)
LABELS = np.zeros((8, 16), np.uint8)
PALETTE = np.array([[200, 0, 0], [0, 0, 200]], np.uint8)
PAIR = Pair("mine", ("road", "sky"), PALETTE, None, None, None)


def has(picture, colour):
    """Whether many pixels, more than writing has, are of a colour, but for rounding."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return (np.abs(pixels - colour) <= 1).all(-1).sum() > 1000


def test_labels_have_their_classes_colours():
    labels = LABELS.copy()
    labels[:, 8:] = 255
    alone = pictures({"labels": labels}, PAIR)
    assert has(alone, PALETTE[0]) and has(alone, (0, 0, 0)) and not has(alone, PALETTE[1])
    over = pictures({"labels": (IMAGE, labels)}, PAIR)
    assert has(over, PALETTE[0]) and has(over, (80, 80, 80))


def test_masks_are_white_and_scores_from_dark_to_bright():
    mask = LABELS.astype(bool)
    mask[2:4, 3:5] = True
    assert has(pictures({"mask": (IMAGE, mask)}), (80, 80, 80))
    assert has(pictures({"mask": mask}), (0, 0, 0))
    scores = pictures({"scores": np.where(mask, 1.0, 0.0)})
    assert has(scores, (68, 1, 84)) and has(scores, (253, 231, 36))


def test_single_points_are_widened_and_areas_are_not():
    image, point = np.full((128, 128, 3), 240, np.uint8), np.zeros((128, 128), bool)
    point[60, 60] = True
    area = np.pad(np.ones((16, 16), bool), 56)
    white = [
        np.mean(np.asarray(pictures({"": (image, mask)}, width=512).convert("L"))[40:-40] > 250)
        for mask in (np.zeros_like(point), point, area)
    ]
    drawn = (white[1] - white[0]) / (white[2] - white[0])  # as a share of the area's 256 pixels
    assert 9 < 256 * drawn < 20  # a diamond of 13 pixels


def test_panels_stand_in_rows_of_a_width():
    one = pictures({"image": IMAGE}, width=400)
    row = pictures(dict.fromkeys("abcd", IMAGE), width=400)
    square = pictures(dict.fromkeys("abcd", IMAGE), columns=2, width=400)
    assert {each.width for each in (one, row, square)} == {400}
    assert row.height < square.height


@pytest.mark.parametrize(
    "panels, message",
    [
        ({}, "nothing to draw"),
        ({"x": LABELS}, "'x' is a label map"),
        ({"x": np.zeros((2, 3, 4))}, r"'x' is float64\[2, 3, 4\]"),
        ({"x": (IMAGE, LABELS[:4])}, r"\(8, 16\) pixels with \(4, 16\) over it"),
    ],
)
def test_what_cannot_be_drawn_is_said(panels, message):
    with pytest.raises(ValueError, match=message):
        pictures(panels)


def test_labels_of_other_classes_are_said():
    with pytest.raises(ValueError, match="'x' has labels from 2 to 2, but `classes` has 2 classes"):
        pictures({"x": LABELS + 2}, PAIR)


def test_of_a_run_that_waits_for_its_first_answers_there_is_the_image(tmp_path):
    folder = write_run(tmp_path / "run", images=2)
    (image,) = asked_about(folder.path, 1).values()
    np.testing.assert_array_equal(image, folder.load_pair(["pool"]).pool.image(1))
    with pytest.raises(ConfigError, match="holds no run"):
        asked_about(tmp_path)
