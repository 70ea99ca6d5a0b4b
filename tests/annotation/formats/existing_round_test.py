"""How files name the pool's images."""

import unicodedata

import pytest

from labor_jax.annotation.formats.existing_round import ExistingRound
from labor_jax.data.base import default_palette

SIZE = (6, 8)


def round_of(*names, **more):
    names = dict(enumerate(names))
    sizes = dict.fromkeys(names, SIZE)
    return ExistingRound(
        0, ("road",), default_palette(1), names, sizes, read_label=lambda file: None, **more
    )


def test_a_name_may_write_an_accent_in_another_way():
    one, other = (unicodedata.normalize(form, "B\u00e4ume/\u00fc") for form in ("NFC", "NFD"))
    existing = round_of(other, "b/x", "b/y")
    for name in (one, "\u00fc"):  # with its folder and without
        assert existing.identify(f"{name}.jpg", SIZE) == (0, ())
    number, (problem,) = round_of(other, one).identify(f"{one}.jpg", SIZE)
    assert number is None and "may be any of 2 images" in problem.text


# Of photo.jpg, photo.png.jpg, p_left.jpg and p_left_left.jpg.
ALIKE = round_of("photo", "photo.png", "p", "p_left", image_suffix="_left")


@pytest.mark.parametrize("number", ALIKE.names)
def test_an_images_own_name_may_end_as_a_files_does(number):
    assert ALIKE.identify(ALIKE.names[number], SIZE, is_file=False) == (number, ())


@pytest.mark.parametrize(
    ("file", "number"),
    [("photo.png", 0), ("a/photo.png.jpg", 1), ("p_left.jpg", 2), ("p_left_left.jpg", 3)],
)
def test_the_name_of_a_file_is_that_of_its_image(file, number):
    assert ALIKE.identify(file, SIZE) == (number, ())


def test_either_name_is_taken_for_the_other_if_no_image_has_it():
    assert round_of("photo").identify("photo.jpg", SIZE, is_file=False) == (0, ())
    assert round_of("photo.png").identify("photo.png", SIZE) == (0, ())
