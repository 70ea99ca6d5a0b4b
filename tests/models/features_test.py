"""Tests of finding feature maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import Features, Window


def features():
    sizes = ((16, 24), (8, 12), (8, 12))
    maps = [jax.random.normal(jax.random.key(i), (2, *size, 3)) for i, size in enumerate(sizes)]
    return Features.of_stages(maps, (2, 4, 4), first=2)


def test_maps_are_found_by_index_name_and_stride():
    found = features()
    assert found.names == ("stage2", "stage3", "stage4")
    assert found[-1] is found["stage4"] is found.at_stride(4) is found.maps[2]
    assert found[0] is found["stage2"] is found.at_stride(2)
    assert found.up_to(-2).names == ("stage2", "stage3")
    assert found.up_to("stage3")[-1] is found.maps[1]


def test_an_unknown_map_lists_the_known():
    found = features()
    with pytest.raises(KeyError, match="no feature map 'stage9'; valid: stage2, stage3, stage4"):
        found["stage9"]
    with pytest.raises(KeyError, match=r"no feature map has stride 8; valid: 2, 4\."):
        found.at_stride(8)
    with pytest.raises(IndexError, match="there are 3"):
        found[3]
    with pytest.raises(IndexError, match="there are 3"):
        found[-4]


def test_features_pass_through_jit_and_keep_their_names():
    doubled = jax.jit(lambda x: jax.tree.map(lambda leaf: 2 * leaf, x))(features())
    assert doubled.names == ("stage2", "stage3", "stage4") and doubled.strides == (2, 4, 4)
    np.testing.assert_array_equal(doubled["stage3"], 2 * features()["stage3"])


def window_of(found, row, column, size, means):
    """The features of a window, cut out of a whole image's at a position of the last map."""
    cuts = [(2 * row, 2 * column, 2 * size), (row, column, size), (row, column, size)]
    maps = tuple(
        each[:, top : top + side, left : left + side]
        for each, (top, left, side) in zip(found.maps, cuts, strict=True)
    )
    offsets = tuple(jnp.asarray(cut[:2], jnp.int32) for cut in cuts)
    sizes = tuple(each.shape[1:3] for each in found.maps)
    return found.replace(maps=maps, window=Window(offsets, means, sizes))


def test_a_window_resizes_and_averages_as_the_whole_image():
    found = features()
    whole = found.resize(found[-1], -1, 0)
    assert whole.shape == (2, 16, 24, 3)
    means = tuple(jnp.mean(each, (1, 2), keepdims=True) for each in found.maps)
    window = window_of(found, 2, 3, 5, means)
    resized = window.resize(window[-1], "stage4", "stage2")
    # Its first and last rows and columns may lie between positions that only the image has.
    np.testing.assert_allclose(resized[:, 1:-1, 1:-1], whole[:, 5:13, 7:15], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(window.mean(-1), found.mean(-1), rtol=1e-5)
    np.testing.assert_array_equal(window.up_to(-2).mean("stage3"), means[1])


def test_a_mean_that_was_not_computed_names_the_attribute():
    window = window_of(features(), 0, 0, 4, None)
    with pytest.raises(ValueError, match="pools_image = True"):
        window.mean(-1)
