"""Random rounds that the tests of the formats share."""

import tempfile
import tracemalloc
from pathlib import Path

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np

from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedImage,
    ExportedRound,
)
from labor_jax.data.base import default_palette

# Names that a format could stumble over, and the two that it would like to use itself.
CLASSES = ("road", 'car "<b>" & co', "void", "öffentlich ☂", "asked")
NAMES = ("../../etc/passwd", "a/b c.png", "naïve ☃.jpg", "'; DROP TABLE queries; --")


def round_of(images, classes=CLASSES, round=2):
    """The round of these images."""
    numbers = [image.number for image in images]
    return ExportedRound(
        round,
        classes,
        default_palette(len(classes)),
        {number: f"{NAMES[number % len(NAMES)]}{number}" for number in numbers},
        {image.number: image.asked.shape for image in images},
    )


def image_of(rows, *, kind="mask", number=0):
    """An image drawn with a character a pixel: "." not asked, "?" asked, "v" void, digits."""
    drawn = np.array([list(row) for row in rows])
    labels = np.full(drawn.shape, UNANSWERED, np.uint8)
    labels[drawn == "v"] = VOID
    for label in range(10):
        labels[drawn == str(label)] = label
    return ExportedImage(number, kind, drawn != ".", labels)


# Both answers and open questions.
IMAGE = image_of(["0?v.", ".12."])
ROUND = round_of([IMAGE])


@st.composite
def random_images(draw, max_images=3, max_side=9):
    """Items of one kind, each with some pixels asked and some of them answered."""
    kind = draw(st.sampled_from(["points", "regions", "mask", "full"]))
    numbers = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=max_images, unique=True))
    images = []
    for number in numbers:
        size = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=max_side))
        states = draw(hnp.arrays(np.uint8, size, elements=st.integers(0, len(CLASSES) + 2)))
        asked = states > 0
        labels = np.where(asked, states - 1, UNANSWERED).astype(np.uint8)
        labels[labels == len(CLASSES)] = VOID
        labels[labels == len(CLASSES) + 1] = UNANSWERED
        images.append(ExportedImage(number, kind, asked, labels))
    return images


def round_trip(format, images, exported=None):
    """What a format reads from what it wrote, by the images' numbers."""
    exported = exported or round_of(images)
    with tempfile.TemporaryDirectory() as folder:
        format.write(Path(folder), exported, images)
        return {each.number: each for each in format.read(Path(folder), exported)}


def peak_of_memory(call):
    """The most bytes that a call holds at once."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# A file may name the whole of this image again and again.
LARGE_ROUND = ExportedRound(
    2, CLASSES, default_palette(len(CLASSES)), {0: "large"}, {0: (250, 400)}
)


def pasted(shapes, size):
    """The label map of shapes (label, pixels), and their area; each pixel is in one of them."""
    labels, covered = np.full(size, UNANSWERED, np.uint8), np.zeros(size, int)
    for label, pixels, *_ in shapes:
        covered.flat[pixels] += 1
        labels.flat[pixels] = label
    assert covered.max(initial=0) <= 1
    return labels, covered > 0
