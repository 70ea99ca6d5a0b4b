"""Windows against whole images: equal wherever the receptive field lies in a window."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.models.windows import plan_windows


class LocalBackbone(nn.Module):
    """Strides 2 and 4; a feature sees 7 pixels around it."""

    padding: Any = "SAME"
    output_stride: int = 4

    @nn.compact
    def __call__(self, images, train=False):
        first = nn.relu(nn.Conv(6, (3, 3), strides=2, padding=self.padding)(images))
        second = nn.relu(nn.Conv(8, (3, 3), strides=2, padding=1)(first))
        return models.Features.of_stages((first, second), (2, 4))


HEADS = {
    "deeplab_v2": models.DeepLabV2(5, rates=(1, 2)),  # a logit sees 11 pixels around it
    # Pixels: 16 of pyramid and projection, 4 each of upsampling and decoder, 3 of the backbone.
    "deeplab_v3plus": models.DeepLabV3Plus(
        5, head_channels=8, rates=(2, 3), shortcut_channels=4, dropout=0.0, batch_norm="frozen"
    ),
}


@functools.cache
def local(head, padding="SAME"):
    segmenter = models.Segmenter(LocalBackbone(padding), HEADS[head])
    return segmenter, models.init_variables(segmenter, jax.random.key(0), (16, 16))


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def coarse(segmenter, variables, images, window=None, overlap=0):
    if window:
        return models.windowed_logits(segmenter, variables, images, window=window, overlap=overlap)
    features = segmenter.apply(variables, images, method="extract")
    return segmenter.apply(variables, features, method="coarse_logits")


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def outputs(segmenter, variables, images, window=None, overlap=0):
    """Logits of the head and the backbone's last features."""

    def head(features):
        logits = segmenter.apply(variables, features, method="coarse_logits")
        return {"logits": logits, "features": features[-1]}

    return models.windowed_outputs(
        lambda images: segmenter.apply(variables, images, method="extract"),
        head,
        images,
        output_stride=segmenter.output_stride,
        pools_image=segmenter.pools_image,
        window=window,
        overlap=overlap,
    )


def noise(*size):
    return jax.random.normal(jax.random.key(1), (2, *size, 3))


@pytest.mark.parametrize(
    ("head", "size", "window", "padding"),
    [
        # Sizes that strides round, windows that must shrink.
        ("deeplab_v2", (97, 158), (80, 84), "SAME"),
        pytest.param("deeplab_v3plus", (97, 158), (80, 84), "SAME", marks=pytest.mark.slow),
        ("deeplab_v2", (120, 64), (62, 64), 1),  # one axis whole
    ],
)
def test_windows_equal_the_whole_image(head, size, window, padding):
    segmenter, variables = local(head, padding)
    images = noise(*size)
    whole, parts, apart = (
        outputs(segmenter, variables, images, *each) for each in ((), (window, 56), (window, 0))
    )
    for name, expected in whole.items():
        found = parts[name]
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))
    # Without the shared context the seams would show.
    logits = whole["logits"]
    assert np.abs(apart["logits"] - logits).max() > 1e-2 * np.abs(logits).max()


def test_a_window_as_large_as_the_image_is_the_image():
    segmenter, variables = local("deeplab_v2")
    images = noise(24, 40)
    np.testing.assert_array_equal(
        coarse(segmenter, variables, images, (30, 40), 8), coarse(segmenter, variables, images)
    )


@pytest.mark.slow
def test_a_real_network_in_windows_larger_than_its_receptive_field():
    """450 pixels around a logit; Caffe's pooling gives even sizes a row and a column more."""
    config = ConfigDict(
        {
            "backbone": "resnet18",
            "width": 2,
            "stem": "imagenet",
            "variant": "caffe",
            "output_stride": 8,
            "batch_norm": "frozen",
            "head": "deeplab_v2",
            "dropout": 0.0,
            "dtype": "float32",
        }
    )
    segmenter = models.build_segmenter(config, 5)
    variables = models.init_variables(segmenter, jax.random.key(0), (64, 64))
    images = noise(24, 1500)[:1]
    expected, found = (
        coarse(segmenter, variables, images, *each) for each in ((), ((24, 1210), 1000))
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 400),
    window=st.integers(1, 200),
    overlap=st.integers(0, 100),
    stride=st.sampled_from([1, 2, 8]),
)
def test_windows_cover_an_axis_and_share_what_is_asked(length, window, overlap, stride):
    if window < length and window - (window - length) % stride - overlap < stride:
        with pytest.raises(ValueError, match=f"Windows of {window} pixels can't share {overlap}"):
            plan_windows(length, window, overlap, stride)
        return
    size, starts = plan_windows(length, window, overlap, stride)
    assert window - stride < size <= window or size == length <= window
    assert starts[0] == 0 and starts[-1] + size == length
    assert (starts % stride == 0).all() and (length - size) % stride == 0
    assert (np.diff(starts) > 0).all() and (np.diff(starts) <= size - overlap).all()


def test_windows_too_small_for_their_overlap():
    segmenter, variables = local("deeplab_v2")
    with pytest.raises(ValueError, match=r"Windows of 16 pixels .* at least 21"):
        coarse(segmenter, variables, noise(40, 16), (16, 16), 13)


def test_memory_is_that_of_a_window():
    """What the compiler allots for the intermediate results of one window and of four times it."""
    segmenter, variables = local("deeplab_v2")

    def temporary(width, *window):
        images = jax.ShapeDtypeStruct((1, 256, width, 3), "float32")
        compiled = coarse.lower(segmenter, variables, images, *window).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    whole, windows = temporary(2048), temporary(2048, (256, 256), 64)
    assert windows < whole / 3
