import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data.base import DataError
from labor_jax.data.class_table import ClassTable
from labor_jax.data.label_map import LabelMap

_PATH = pathlib.Path("labels/a.png")
_TABLE = ClassTable(
    ("road", "sky"), ((128, 64, 128), (70, 130, 180)), void_colours=((0, 0, 0), (1, 1, 1))
)


def _slowly(pixels, table, entries, other):
    """The label map of a colour image, a pixel at a time."""
    known = dict.fromkeys(table.void_colours, 255)
    known |= {colour: number for number, colour in enumerate(table.colours)} | entries
    label = np.zeros(pixels.shape[:2], np.uint8)
    for place in np.ndindex(label.shape):
        colour = tuple(pixels[place][:3].tolist())
        transparent = pixels.shape[2] == 4 and pixels[place][3] == 0
        label[place] = 255 if transparent else known.get(colour, other)
    return label


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**16),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    channels=st.sampled_from([3, 4]),
)
def test_colours_are_mapped_as_a_pixel_at_a_time(seed, height, width, channels):
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 3, (6, 3)) * 90
    colours = tuple(tuple(colour) for colour in np.unique(colours, axis=0).tolist())
    table = ClassTable(tuple("abcdef"[: len(colours) - 1]), colours[1:], void_colours=colours[:1])
    extra = {(7, 7, 7): 255, (8, 8, 8): 0}
    drawn = np.array([*colours, *extra, (9, 9, 9)], np.uint8)
    pixels = drawn[rng.integers(0, len(drawn), (height, width))]
    if channels == 4:
        opacity = rng.choice(np.array([0, 1, 128, 255], np.uint8), (height, width, 1))
        opacity[0, 0] = 1
        pixels = np.concatenate([pixels, opacity], -1)
    entries = "#070707:void, #080808:a, other:0"
    label = LabelMap(entries, max(1, len(table.classes)), "f", table=table)(pixels, _PATH)
    np.testing.assert_array_equal(label, _slowly(pixels, table, extra, 0))
    assert label.dtype == np.uint8


def test_an_unknown_colour_is_named_with_count_file_and_nearest_class():
    pixels = np.array([[(128, 64, 128), (127, 64, 128), (127, 64, 128), (2, 1, 0)]], np.uint8)
    with pytest.raises(DataError) as error:
        LabelMap("", 2, "f", table=_TABLE)(pixels, _PATH)
    message = str(error.value)
    assert message.startswith("labels/a.png: 2 colours of no class: #7f4080 = RGB (127, 64, 128)")
    assert "in 2 pixels, nearest is #804080 of road" in message
    assert "#020100 = RGB (2, 1, 0) in 1 pixel, nearest is #010101 of void" in message
    assert "data.label_map (#7f4080:void; other:void" in message


def test_many_unknown_colours_are_told_to_be_blends():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    with pytest.raises(DataError, match=r"81 colours of no class: .* and 80 more\. So many come"):
        LabelMap("", 2, "f", table=_TABLE)(pixels, _PATH)


def test_entries_move_a_colour_to_another_class():
    pixels = np.array([[(128, 64, 128), (0, 0, 0), (5, 5, 5)]], np.uint8)
    label_map = LabelMap("#804080:sky, #000000:road, #050505:void", 2, "f", table=_TABLE)
    np.testing.assert_array_equal(label_map(pixels, _PATH), [[1, 0, 255]])
    np.testing.assert_array_equal(label_map(np.array([[0, 1, 255]]), _PATH), [[0, 1, 255]])


def test_a_file_without_any_opacity_says_nothing():
    with pytest.raises(DataError, match=r"a\.png is transparent everywhere"):
        LabelMap("", 2, "f", table=_TABLE)(np.zeros((2, 2, 4), np.uint8), _PATH)


def test_classes_that_share_a_colour():
    table = ClassTable(("a", "b", "c"), ((1, 1, 1), (2, 2, 2), (1, 1, 1)))
    with pytest.raises(ValueError, match=r"classes share one: #010101 \(a and c\)"):
        LabelMap("", 3, "f", table=table).colours.check("data.palette")
    LabelMap("#010101:c", 3, "f", table=table).colours.check("data.palette")


def test_the_key_changes_with_colours_and_coding():
    maps = [
        LabelMap("", 2, "f"),
        LabelMap("", 2, "f", table=_TABLE),
        LabelMap("", 2, "f", table=_TABLE, coding="colours"),
        LabelMap("#050505:void", 2, "f", table=_TABLE),
        LabelMap("other:void", 2, "f", table=_TABLE),
    ]
    assert len({label_map.key() for label_map in maps}) == len(maps)
    assert maps[1].key() == LabelMap("", 2, "f", table=_TABLE).key()
