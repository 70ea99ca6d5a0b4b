"""The strip's panels, pixel by pixel."""

import numpy as np
import pytest

from labor_jax.experiment.picture_strip import draw_strip, strip_arrays
from labor_jax.experiment.workdir import ConfigError
from tests.evaluation.scenes import SIZE

HEIGHT, WIDTH = SIZE
GAP, CAPTION = 4, 14


def panels(strip, scale=1):
    """The pixels of each panel, without captions."""
    pixels = np.asarray(strip)
    width = scale * WIDTH
    assert pixels.shape[0] == scale * HEIGHT + CAPTION
    count, rest = divmod(pixels.shape[1] + GAP, width + GAP)
    assert rest == 0
    return [pixels[CAPTION:, i * (width + GAP) : i * (width + GAP) + width] for i in range(count)]


def ask(rows, columns):
    mask = np.zeros(SIZE, bool)
    mask[rows, columns] = True
    return mask


def test_before_the_rounds_image_and_prediction(folder, pair, store, add_preview):
    add_preview("supervised", 1, 2)
    add_preview("warmup", 1, 0)
    image, prediction = panels(draw_strip(folder, pair, store, 1))
    np.testing.assert_array_equal(image, pair.pool.image(1))
    np.testing.assert_array_equal(prediction, np.broadcast_to(pair.palette[0], (*SIZE, 3)))


def test_after_two_rounds(folder, pair, store, add_preview, add_round):
    add_preview("warmup", 0, 0)
    first, second = ask(slice(2, 6), slice(3, 9)), ask(slice(10, 12), slice(0, 4))
    add_round(1, {0: first})
    add_round(2, {0: second})
    image, mask, asked, before, after = panels(draw_strip(folder, pair, store, 0))
    original, labels = pair.pool.image(0), pair.pool.label(0)
    dimmed, either = original // 3, (first | second)[..., None]
    np.testing.assert_array_equal(image, original)
    np.testing.assert_array_equal(mask, np.where(either, 255, dimmed))
    known = either & (labels != 255)[..., None]
    colours = pair.palette[np.where(labels == 255, 0, labels)]
    np.testing.assert_array_equal(asked, np.where(known, colours, dimmed))
    np.testing.assert_array_equal(before, np.broadcast_to(pair.palette[0], (*SIZE, 3)))
    np.testing.assert_array_equal(after, np.broadcast_to(pair.palette[2], (*SIZE, 3)))


def test_up_to_a_round(folder, pair, store, add_preview, add_round):
    add_preview("warmup", 0, 0)
    first, second = ask(slice(2, 6), slice(3, 9)), ask(slice(10, 12), slice(0, 4))
    add_round(1, {0: first})
    add_round(2, {0: second})
    arrays = strip_arrays(folder, pair, store, 0, up_to_round=1)
    for caption in ("inconsistency mask", "asked pixels"):
        np.testing.assert_array_equal(arrays[caption], first)
    labels = np.where(first, pair.pool.label(0), 255)
    np.testing.assert_array_equal(arrays["asked labels"], labels)
    assert (arrays["prediction after"] == 1).all()
    before = strip_arrays(folder, pair, store, 0, up_to_round=0)
    assert list(before) == ["image", "prediction before the rounds"]


def test_candidates_that_are_the_whole_image_have_no_panel(folder, pair, store, add_round):
    """Random and score-based methods choose among all pixels: there's nothing to show."""
    add_round(1, {0: np.ones(SIZE, bool)})
    assert len(panels(draw_strip(folder, pair, store, 0))) == 3


def test_a_round_not_yet_answered_is_not_shown(folder, pair, store, add_preview, add_round):
    add_round(1, {0: ask(slice(0, 3), slice(0, 3))})
    store.open_round(2, pair.pool.names)
    after = panels(draw_strip(folder, pair, store, 0))[-1]
    np.testing.assert_array_equal(after, np.broadcast_to(pair.palette[1], (*SIZE, 3)))


def test_scale(folder, pair, store, add_preview):
    add_preview("warmup", 2, 1)
    strip = draw_strip(folder, pair, store, 2, scale=3)
    assert strip.size == (2 * (3 * WIDTH + GAP) - GAP, 3 * HEIGHT + CAPTION)
    image, _ = panels(strip, scale=3)
    np.testing.assert_array_equal(image[::3, ::3], pair.pool.image(2))


def test_a_missing_preview_is_an_error_that_names_it(folder, pair, store, add_round):
    add_round(1, {0: ask(0, 0)})
    missing = folder.previews / "round_1_query" / "1.png"
    missing.unlink()
    with pytest.raises(ConfigError, match=r"round_1_query/1\.png is missing"):
        draw_strip(folder, pair, store, 1)
