"""Which image a label's name stands for."""

import unicodedata

import pytest

from labor_jax.data.files import names


@pytest.mark.parametrize(
    ("path", "pattern", "stem"),
    [
        ("a/b.png", "{stem}.png", "a/b"),
        ("a/b.PNG", "{stem}.png", "a/b"),
        ("b_mask.png", "{stem}_mask.png", "b"),
        ("b_MASK.png", "{stem}_mask.png", None),
        ("x_b.png", "x_{stem}.png", "b"),
        ("_mask.png", "{stem}_mask.png", None),
        ("b.jpg", "{stem}.png", None),
    ],
)
def test_the_pattern_is_taken_off(path, pattern, stem):
    assert names.stem_of(path, pattern) == stem


def test_names_that_look_the_same_stand_for_one_image():
    path = "Bäume/Öl_mask.png"
    for form in ("NFC", "NFD"):
        found = names.stem_of(unicodedata.normalize(form, path), "{stem}_mask.png")
        assert found == unicodedata.normalize("NFC", "Bäume/Öl")
