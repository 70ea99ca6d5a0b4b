"""Label maps from before the run: whose they are, and what their palettes say."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation.existing_labels import pool_round
from labor_jax.annotation.formats import label_maps
from labor_jax.data import Pair
from labor_jax.data.base import default_palette

NAMES = ("photo", "photo.png")
LABELS = np.array([[0, 1, 2, 255], [2, 1, 1, 0]], np.uint8)


class Pool:
    names = NAMES

    def __len__(self):
        return len(NAMES)

    def size(self, i):
        return LABELS.shape


PAIR = Pair("mine", ("road", "sky", "car"), default_palette(3), None, Pool(), None)


def read(folder):
    return list(label_maps.read(folder, pool_round(PAIR)))


def paint(folder, values, palette):
    """Saves a label map of 255 where nothing is labelled, and else these numbers."""
    image = Image.fromarray(np.where(LABELS == 255, 255, values).astype(np.uint8))
    image.putpalette(np.resize(palette, (256, 3)).astype(np.uint8).tobytes())
    image.save(folder / "photo.png")


def test_a_label_map_goes_to_the_photo_that_it_is_named_after(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "photo.png.png")
    (imported,) = read(tmp_path)
    assert NAMES[imported.number] == "photo.png" and not imported.problems


def test_hidden_files_are_not_read(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "photo.png")
    for name in (".DS_Store", "._photo.png"):
        (tmp_path / name).write_bytes(b"Mac OS X")
    (imported,) = read(tmp_path)
    assert imported.where == "photo.png"


def test_a_reordered_palette_is_refused(tmp_path):
    order = np.array([2, 0, 1])  # the class of each number, by its colour
    paint(tmp_path, np.argsort(order)[np.minimum(LABELS, 2)], PAIR.palette[order])
    (imported,) = read(tmp_path)
    first, *others = imported.problems
    assert first.text.startswith(
        "the value 0 is 'road', and its colour in the palette that of 'car': a program may have"
    )
    assert "as grey numbers" in first.text and first.pixels == 2 and len(others) == 2


@pytest.mark.parametrize(
    "palette",
    [
        PAIR.palette,
        np.arange(768).reshape(256, 3) % 251,
        np.append([(0, 0, 0)], default_palette(255), axis=0),  # VOC's: ours is this without black
    ],
)
def test_other_palettes_say_nothing(tmp_path, palette):
    paint(tmp_path, LABELS, palette)
    (imported,) = read(tmp_path)
    assert not imported.problems
    np.testing.assert_array_equal(imported.labels, LABELS)


VOC = np.append([(0, 0, 0)], default_palette(255), axis=0)
PADDED = np.where(np.arange(256)[:, None] < 21, VOC, 0)  # as DeepLab's repositories save it
WHITE_IGNORED = np.append(VOC[:255], [(255, 255, 255)], axis=0)
COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)


def save(folder, values, palette):
    image = Image.fromarray(np.asarray(values, np.uint8))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    image.save(folder / "photo.png")


@pytest.mark.parametrize(
    ("values", "palette", "classes"),
    [
        ([1, 2, 2, 1], PADDED, None),
        ([1, 2, 255, 1], WHITE_IGNORED, None),
        ([1, 2, 2, 1], np.append([(0, 0, 0)], COLOURS, axis=0), COLOURS),  # black comes first
        ([0, 2, 2, 0], COLOURS[[0, 2, 1]], COLOURS),  # a tool's own colours, one of them unused
    ],
)
def test_a_tools_palette_that_shares_colours_says_nothing(tmp_path, values, palette, classes):
    save(tmp_path, [values] * 2, palette)
    pair = PAIR if classes is None else dataclasses.replace(PAIR, palette=classes)
    (imported,) = label_maps.read(tmp_path, pool_round(pair))
    assert not imported.problems
    np.testing.assert_array_equal(imported.labels, [values] * 2)


@pytest.mark.parametrize("padding", [0, 254])
def test_a_palette_of_the_used_colours_alone_is_refused(tmp_path, padding):
    save(tmp_path, [[0, 1, 1, 0]] * 2, np.pad(PAIR.palette[[0, 2]], ((0, padding), (0, 0))))
    (imported,) = read(tmp_path)
    (problem,) = imported.problems
    assert problem.pixels == 4
    assert "the value 1 is 'sky', and its colour in the palette that of 'car'" in problem.text


@pytest.mark.parametrize("order", [(0, 2, 255), (255, 0, 2)])
def test_a_palette_of_the_used_colours_is_refused_also_with_unlabelled_pixels(tmp_path, order):
    image = Image.fromarray(np.array([[0, 2, 2, 255]] * 2, np.uint8))
    palette = np.full((256, 3), 255, np.uint8)
    palette[:3] = PAIR.palette
    image.putpalette(palette.tobytes())
    image.remap_palette(order).save(tmp_path / "photo.png")
    (imported,) = read(tmp_path)
    assert imported.problems and "may have reordered the palette" in imported.problems[0].text


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (224, 224, 192)])
@pytest.mark.parametrize("order", [(0, 1, 255), (0, 255)])
def test_unlabelled_pixels_that_a_packed_palette_makes_a_class_are_refused(tmp_path, colour, order):
    values = np.resize(np.array(order, np.uint8), LABELS.shape)
    image = Image.fromarray(values)
    palette = np.full((256, 3), colour, np.uint8)
    palette[:3] = PAIR.palette
    image.putpalette(palette.tobytes())
    image.remap_palette(order).save(tmp_path / "photo.png")
    (imported,) = read(tmp_path)
    (problem,) = imported.problems
    assert "no class's, but as that of pixels without a label" in problem.text
    assert problem.pixels == np.count_nonzero(values == 255)


@pytest.mark.parametrize(
    ("palette", "classes"),
    [
        ([(0, 0, 0), (255, 255, 255)], [(0, 0, 0), *COLOURS[:2]]),  # a mask's
        ([(0, 0, 0), *COLOURS[1:]], COLOURS),  # black is the background's
        ([*COLOURS[:2], (60, 40, 222)], COLOURS),  # an older colour of a class
        ([*COLOURS[:2], (255, 255, 255)], [*COLOURS[:2], (255, 255, 255)]),  # a white class
        (VOC[:3], VOC[[0, 1, 5]]),
        (np.repeat(np.arange(3), 3).reshape(3, 3), [(0, 0, 0), (1, 1, 1), (9, 9, 9)]),  # grey
    ],
)
def test_palettes_of_tools_and_masks_stay_readable(tmp_path, palette, classes):
    values = np.resize(np.arange(len(palette)), LABELS.shape)
    save(tmp_path, values, palette)
    pair = dataclasses.replace(PAIR, palette=np.array(classes, np.uint8))
    (imported,) = label_maps.read(tmp_path, pool_round(pair))
    assert not imported.problems
    np.testing.assert_array_equal(imported.labels, values)
