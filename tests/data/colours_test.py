import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labor_jax.data import colours

_CHANNEL = st.integers(0, 255)


@pytest.mark.parametrize(
    "given_", ["#804080", " #804080", "128 64 128", "128,64,128", "(128, 64, 128)", [128, 64, 128]]
)
def test_ways_to_write_a_colour(given_):
    assert colours.parse(given_) == (128, 64, 128)


@pytest.mark.parametrize(
    "given_",
    ["804080", "#80408", "red", "1 2", "1 2 256", "128", "0", (1, 2), (0.5, 1.0, 0.0), 7, None],
)
def test_what_is_no_colour(given_):
    with pytest.raises(ValueError, match="is no colour"):
        colours.parse(given_)


def test_lists():
    expected = ((128, 64, 128), (70, 130, 180))
    for listed in ("#804080,#4682b4", "128 64 128, 70 130 180", list(map(list, expected))):
        assert colours.parse_list(listed) == expected
    assert colours.parse_list("") == colours.parse_list(()) == ()


@given(st.tuples(_CHANNEL, _CHANNEL, _CHANNEL))
def test_a_colour_comes_back_from_its_text_and_its_key(colour):
    assert colours.parse(colours.text(colour)) == colour
    assert colours.of_key(colours.key(colour)) == colour


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([3, 4]), st.integers(0, 99))
def test_keys_of_an_image_are_those_of_its_colours(height, width, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    keys = colours.keys(pixels[::-1])
    for row, column in np.ndindex(height, width):
        assert keys[row, column] == colours.key(pixels[::-1][row, column, :3].tolist())
