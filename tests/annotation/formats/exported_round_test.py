"""Names of files and labels."""

import dataclasses

import pytest

from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
)
from tests.annotation.formats.exported_rounds import CLASSES, image_of, round_of

ROUND = round_of([image_of(["??", ".."], number=number) for number in (0, 3, 123456789)])


@pytest.mark.parametrize(
    "name",
    [
        "round2_000003.png",
        "images/round2_000003.png",
        "C:\\data\\round2_000003.png",
        "/data/upload/7/1a2b3c4d-round2_000003.png",  # Label Studio's own prefix
        "/data/local-files/?d=images/round2_000003.png",
        "round2_000003.jpg",
        "round2_000003",
    ],
)
def test_images_are_found_by_the_end_of_their_names(name):
    assert ROUND.identify(name, (2, 2)) == (3, ())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("round1_000003.png", "of round 1, not of round 2"),
        ("round2_000004.png", "not an image that the round asks"),
        ("round2_99999999999999999999.png", "not the name of an exported file"),
        ("background2_000003.png", "not the name of an exported file"),
        ("../../etc/passwd", "not the name of an exported file"),
        (None, "not the name of an exported file"),
        (["x"] * 99, "not the name of an exported file"),
    ],
)
def test_other_images_are_unknown(name, says):
    number, (problem,) = ROUND.identify(name, (2, 2))
    assert number is None
    assert says in problem.text and len(problem.text) < 150


def test_every_number_has_its_own_safe_file_name():
    names = [ROUND.file_name(number) for number in ROUND.names]
    assert names == ["round2_000000.png", "round2_000003.png", "round2_123456789.png"]
    for number, name in zip(ROUND.names, names, strict=True):
        assert ROUND.identify(name, None) == (number, ())


def test_another_size():
    number, (problem,) = ROUND.identify("round2_000003.png", (3, 2))
    assert (number, problem.text) == (3, "the image is 2x3 in the file and 2x2 in the run")


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((None, None), "the file gives the image no width and height; add them"),
        ((2, "2"), "the image's width in the file is '2', not a whole number"),
        ((None, 2), "the image's height in the file is None, not a whole number"),
        ((2, [2]), "the image's width in the file is [2], not a whole number"),
        ((2, 2.5), "the image's width in the file is 2.5, not a whole number"),
        ((2, 3.0), "the image is 3.0x2 in the file and 2x2 in the run"),
    ],
)
def test_a_size_that_is_none(size, says):
    number, (problem,) = ROUND.identify("round2_000003.png", size)
    assert (number, problem.text) == (3, says)


def test_void_and_asked_have_names_that_no_class_has():
    assert ROUND.label_names[VOID] == "void_"  # CLASSES has a "void" and an "asked"
    assert ROUND.label_names[UNANSWERED] == "asked_"
    assert [ROUND.label_named(name) for name in CLASSES] == list(range(len(CLASSES)))
    for name in ("Road", None, 3, ["road"]):
        with pytest.raises(ValueError, match="not one of the classes"):
            ROUND.label_named(name)


def test_a_fingerprint_is_part_of_the_name_and_compared():
    mine = dataclasses.replace(ROUND, fingerprints={3: "0123456789ab"})
    assert mine.file_name(3) == "round2_000003_0123456789ab.png"
    assert mine.identify("1a2b3c4d-round2_000003_0123456789ab.png", None) == (3, ())
    for name in ("round2_000003_ba9876543210.png", "round2_000003.png"):
        number, (problem,) = mine.identify(name, None)
        assert number is None and "is of another run" in problem.text
    # Names without one are still found where nothing is known of the run.
    assert ROUND.identify("round2_000003_0123456789ab.png", None) == (3, ())
