"""Runs of pixels against plain lists of pixels."""

import base64

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import pixel_runs

queries = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7)).filter(np.any)


def expanded(flat):
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [pixel for start, length in pairs for pixel in range(start, start + length)]


@hypothesis.given(queries, st.data())
def test_runs_are_the_pixels(query, data):
    asked = pixel_runs.asked_runs(query)
    pixels = np.flatnonzero(query).tolist()
    flat = pixel_runs.to_list(asked)
    assert expanded(flat) == pixels and asked.pixels == len(pixels)
    starts = flat[::2]
    assert all(not query.flat[start - 1] for start in starts if start)  # as long as they can be

    labels = data.draw(
        hnp.arrays(np.uint8, len(pixels), elements=st.sampled_from([0, 3, 254, 255]))
    )
    told = pixel_runs.label_runs(asked, labels)
    assert [label for label, _ in told] == sorted(set(labels.tolist()) - {254})
    for label, where in told:
        assert expanded(where) == [
            pixel for pixel, own in zip(pixels, labels, strict=True) if own == label
        ]
        ranks = pixel_runs.positions(pixel_runs.to_ranks(asked, where))
        np.testing.assert_array_equal(ranks, np.flatnonzero(labels == label))

    parts = np.unique(labels, return_inverse=True)[1]
    told = [expanded(where) for where in pixel_runs.part_runs(asked, parts)]
    assert told == [np.array(pixels)[parts == part].tolist() for part in range(parts.max() + 1)]


@hypothesis.given(queries, st.lists(st.integers(-2, 60), max_size=8))
def test_only_ascending_runs_of_asked_pixels_are_taken(query, flat):
    asked = pixel_runs.asked_runs(query)
    valid = len(flat) > 0 and len(flat) % 2 == 0 and all(length > 0 for length in flat[1::2])
    if valid:
        pixels = expanded(flat)
        valid = pixels == sorted(set(pixels)) and set(pixels) <= set(np.flatnonzero(query).tolist())
    if valid:
        ranks = pixel_runs.positions(pixel_runs.to_ranks(asked, flat))
        np.testing.assert_array_equal(np.flatnonzero(query)[ranks], expanded(flat))
    else:
        with pytest.raises(ValueError, match="pixels"):
            pixel_runs.to_ranks(asked, flat)


@pytest.mark.parametrize(
    "flat, message",
    [
        (None, "flat list"),
        ([0], "flat list"),
        ([], "empty list"),
        ([0, 1.0], "whole numbers"),
        ([True, True], "whole numbers"),
        (["0", "1"], "whole numbers"),
        ([[0, 1]], "flat list"),
        ([0, 10**30], "too large for any image"),
        ([0, 2**63 - 1], "not all asked"),
        ([2**63 - 1, 2**63 - 1], "not all asked"),
        ([2, 1, 0, 1], "ascending"),
        ([0, 2, 1, 1], "without overlap"),
    ],
)
def test_what_is_no_list_of_runs_is_told(flat, message):
    with pytest.raises(ValueError, match=message):
        pixel_runs.to_ranks(pixel_runs.asked_runs(np.ones((2, 3), bool)), flat)


@hypothesis.given(queries, st.data())
def test_bits_name_the_pixels_that_runs_name(query, data):
    asked = pixel_runs.asked_runs(query)
    chosen = data.draw(hnp.arrays(bool, asked.pixels).filter(np.any))
    text = base64.b64encode(np.packbits(chosen, bitorder="little")).decode()
    ranks = pixel_runs.positions(pixel_runs.to_ranks(asked, text))
    np.testing.assert_array_equal(ranks, np.flatnonzero(chosen))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "one bit for each of the 12"),
        ("/w==", "one bit for each of the 12"),
        ("//8=", "one bit for each of the 12"),  # more than 12 set bits
        ("////", "one bit for each of the 12"),
        ("AAA=", "no set bit"),
        ("0,1", "neither a list of runs nor bits"),
        ("ééé", "neither a list of runs nor bits"),
        ("\ud800", "neither a list of runs nor bits"),
    ],
)
def test_what_are_no_bits_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        pixel_runs.to_ranks(pixel_runs.asked_runs(np.ones((3, 4), bool)), text)
