"""Tests of the residual networks, against a plain PyTorch twin where torch is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import Linear, ResNet, Segmenter, load_weights, to_torch
from labor_jax.models.backbones.resnet import LAYOUTS
from tests.slow import all_but

IMAGES = (2, 33, 47, 3)


def random_variables(module, images, seed=0):
    """Variables with every leaf drawn at random, so that no batch norm is the identity."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name == "kernel":
            return rng.normal(size=leaf.shape, scale=(2 / np.prod(leaf.shape[:3])) ** 0.5)
        if name in ("var", "scale"):
            return rng.uniform(0.5, 1.0, leaf.shape)
        return rng.normal(size=leaf.shape, scale=0.1)

    drawn = jax.tree_util.tree_map_with_path(draw, shapes)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), drawn)


def of_segmenter(backbone, variables):
    """A segmenter with the backbone, and variables of the backbone alone."""
    return Segmenter(backbone, Linear(5)), {
        collection: {"backbone": tree} for collection, tree in variables.items()
    }


def torch_twin(layout, width, dilate):
    """torchvision's ResNet, written out; `dilate` says which of stages 2 to 4 keep their size."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    bottleneck, blocks = LAYOUTS[layout]
    expansion = 4 if bottleneck else 1

    class Block(nn.Module):
        def __init__(self, inputs, planes, stride, first_dilation, dilation):
            super().__init__()

            def conv(a, b, k, s=1, d=1):
                return nn.Conv2d(a, b, k, s, d * (k // 2), d, bias=False)

            outputs = planes * expansion
            if bottleneck:
                sizes = [(inputs, planes, 1), (planes, planes, 3, stride, first_dilation)]
                sizes.append((planes, outputs, 1))
            else:
                sizes = [(inputs, planes, 3, stride, first_dilation)]
                sizes.append((planes, planes, 3, 1, dilation))
            for i, size in enumerate(sizes, 1):
                setattr(self, f"conv{i}", conv(*size))
                setattr(self, f"bn{i}", nn.BatchNorm2d(size[1]))
            self.count = len(sizes)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            y = x
            for i in range(1, self.count + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = torch.relu(y) if i < self.count else y
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class Twin(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            inputs, dilation = width, 1
            for stage in range(4):
                before, stride = dilation, 1 if stage == 0 else 2
                if stage > 0 and dilate[stage - 1]:
                    dilation, stride = dilation * 2, 1
                layers = []
                for index in range(blocks[stage]):
                    first = index == 0
                    layers.append(
                        Block(
                            inputs,
                            width * 2**stage,
                            stride if first else 1,
                            before if first else dilation,
                            dilation,
                        )
                    )
                    inputs = width * 2**stage * expansion
                setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            maps = [self.layer1(nn.functional.max_pool2d(x, 3, 2, 1))]
            for layer in (self.layer2, self.layer3, self.layer4):
                maps.append(layer(maps[-1]))
            return maps

    return Twin()


@pytest.mark.parametrize(
    ("layout", "output_stride", "dilate"),
    [
        pytest.param("resnet18", 8, (False, True, True), marks=pytest.mark.slow),
        ("resnet50", 16, (False, False, True)),
        pytest.param("resnet18", 32, (False, False, False), marks=pytest.mark.slow),
    ],
)
def test_equals_torch(layout, output_stride, dilate):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(1).normal(size=IMAGES).astype(np.float32)
    module = ResNet(layout, width=8, output_stride=output_stride)
    variables = random_variables(module, images)
    features = jax.jit(module.apply)(variables, images)

    twin = torch_twin(layout, 8, dilate).eval()
    tensors = to_torch(*of_segmenter(module, variables), "torchvision")
    twin.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    with torch.no_grad():
        expected = twin(torch.tensor(images).permute(0, 3, 1, 2))
    for ours, theirs in zip(features.maps, expected, strict=True):
        theirs = theirs.permute(0, 2, 3, 1).numpy()
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("layout", ["resnet18", "resnet50"])
@pytest.mark.parametrize(
    ("stem", "output_stride", "first_stride"),
    [("imagenet", 8, 4), ("imagenet", 16, 4), ("small", 4, 2), ("small", 8, 2)],
)
def test_strides_and_channels(layout, stem, output_stride, first_stride):
    module = ResNet(layout, width=4, stem=stem, output_stride=output_stride)
    images = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    features, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    expansion = 4 if LAYOUTS[layout][0] else 1
    assert features.names == ("stage1", "stage2", "stage3", "stage4")
    for stage, stride in enumerate(features.strides):
        assert stride == min(first_stride * 2**stage, output_stride)
        channels = 4 * 2**stage * expansion
        assert features[stage].shape == (1, 64 // stride, 96 // stride, channels)


@pytest.mark.parametrize(
    ("height", "first", "last"), all_but([(60, 16, 8)], [(64, 17, 9), (60, 16, 8), (33, 9, 5)])
)
def test_caffe_pooling_adds_a_row_to_an_even_size(height, first, last):
    """Of n rows 3x3/2 pooling with PyTorch's ceil_mode makes n / 2 + 1."""
    module = ResNet("resnet50", width=4, variant="caffe")
    images = jax.ShapeDtypeStruct((1, height, height, 3), jnp.float32)
    features, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    assert features[0].shape == (1, first, first, 16)
    assert features[-1].shape == (1, last, last, 128)
    ordinary = jax.eval_shape(ResNet("resnet50", width=4).init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, ordinary)


@pytest.mark.parametrize(
    ("layout", "millions"),
    [("resnet18", 11.18), ("resnet34", 21.28), ("resnet50", 23.51), ("resnet101", 42.50)],
)
def test_published_sizes(layout, millions):
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(ResNet(layout).init, jax.random.key(0), images)
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
    assert count / 1e6 == pytest.approx(millions, abs=0.006)


def test_dilation_computes_the_native_features_on_a_denser_grid():
    """Every fourth pixel at output stride 4 is the native network's at stride 16."""
    images = np.random.default_rng(2).normal(size=(1, 48, 64, 3)).astype(np.float32)
    native = ResNet("resnet18", width=4, stem="small", output_stride=16)
    dense = ResNet("resnet18", width=4, stem="small", output_stride=4)
    variables = random_variables(native, images)
    expected = jax.jit(native.apply)(variables, images)
    features = jax.jit(dense.apply)(variables, images)
    np.testing.assert_allclose(features[-1][:, ::4, ::4], expected[-1], atol=1e-4)
    np.testing.assert_allclose(features[0], expected[0], atol=1e-5)


def test_bfloat16_keeps_float32_parameters():
    module = ResNet("resnet18", width=4, dtype=jnp.bfloat16)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    features, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    assert features[-1].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_impossible_output_stride_is_an_error():
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    with pytest.raises(ValueError, match="output_stride is 12; valid: 4, 8, 16, 32"):
        jax.eval_shape(ResNet("resnet18", output_stride=12).init, jax.random.key(0), images)


def test_torch_file_round_trip(tmp_path):
    torch = pytest.importorskip("torch")
    module = ResNet("resnet18", width=4)
    variables = random_variables(module, jnp.zeros((1, 32, 32, 3)))
    twin = torch_twin("resnet18", 4, (False, True, True))
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    segmenter, variables = of_segmenter(module, variables)
    loaded = load_weights(tmp_path / "weights.pth", segmenter, variables)
    np.testing.assert_array_equal(
        loaded["params"]["backbone"]["layer2_0"]["downsample_conv"]["kernel"][0, 0],
        twin.layer2[0].downsample[0].weight.detach().numpy()[:, :, 0, 0].T,
    )
    assert jax.tree.structure(loaded) == jax.tree.structure(variables)
