"""Tests of registering a backbone and a head of one's own."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from labor_jax import models
from labor_jax.models import registry
from labor_jax.models.weights import native


class OneLayer(nn.Module):
    """Only the fields that it needs."""

    width: int = 3
    output_stride: int = 4
    kernel: int = 3

    @nn.compact
    def __call__(self, images, train=False):
        size = (self.kernel, self.kernel)
        x = nn.Conv(self.width, size, strides=self.output_stride, name="conv")(images)
        return models.Features((x,), ("only",), (self.output_stride,))


class Pooling(nn.Module):
    num_classes: int
    pools_image = True

    @nn.compact
    def __call__(self, features, train=False):
        return nn.Dense(self.num_classes)(features[-1] - features.mean(-1))


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "BACKBONES", dict(registry.BACKBONES))
    monkeypatch.setattr(registry, "HEADS", dict(registry.HEADS))
    models.register_backbone("one_layer")(OneLayer)
    models.register_backbone("one_large_layer")(functools.partial(OneLayer, kernel=5))
    models.register_head("pooling")(Pooling)


def config(**fields):
    defaults = {
        "backbone": "one_layer",
        "width": 6,
        "output_stride": 8,
        "kernel": 7,
        "batch_norm": "trained",
        "head": "pooling",
        "dropout": None,
        "dtype": "float32",
    }
    return SimpleNamespace(**{**defaults, **fields})


def test_fields_get_the_configs_values(registered):
    segmenter = models.build_segmenter(config(), 5)
    assert segmenter.backbone == OneLayer(width=6, output_stride=8, kernel=7)
    assert segmenter.head == Pooling(5) and segmenter.pools_image
    default = models.build_segmenter(config(width=None), 5)
    assert default.backbone.width == 3
    # What is fixed by the registration is not the config's to change.
    large = models.build_segmenter(config(backbone="one_large_layer"), 5)
    assert large.backbone.kernel == 5
    assert registry.name_of(large.backbone) == "one_large_layer"
    assert registry.name_of(large.head) == "pooling"
    assert registry.name_of(nn.Dense(3)) == "Dense"


def test_a_registration_of_a_packaged_class_takes_no_other_name(registered):
    models.register_backbone("mine")(functools.partial(models.ResNet, layout="resnet18"))
    models.register_backbone("my_small")(
        functools.partial(models.ResNet, layout="resnet18", stem="small")
    )
    fields = {"variant": "torchvision", "width": 4, "stem": "small", "head": "linear"}
    for name in ("resnet18", "mine", "my_small"):
        segmenter = models.build_segmenter(config(backbone=name, **fields), 3)
        assert registry.name_of(segmenter.backbone) == name
        assert native.describe(segmenter)["backbone"]["backbone"] == name
    for stem in ("imagenet", "small"):
        assert registry.name_of(models.ResNet("resnet18", stem=stem)) == "resnet18"
    assert registry.is_packaged("backbone", "resnet18") and registry.is_packaged("head", "linear")
    assert not registry.is_packaged("backbone", "mine")
    assert not registry.is_packaged("backbone", "linear")


def test_a_registered_network_runs_and_masks(registered):
    segmenter = models.build_segmenter(config(), 5)
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    assert set(variables) == {"params"}
    outputs = segmenter.apply(variables, jnp.ones((2, 16, 24, 3)))
    assert outputs.logits.shape == (2, 16, 24, 5)
    assert all(jax.tree.leaves(models.trainable_mask(segmenter, variables["params"], {})))


class NormalisingHead(nn.Module):
    num_classes: int
    batch_norm: str = "trained"

    @nn.compact
    def __call__(self, features, train=False):
        x = models.BatchNorm(self.batch_norm, name="bn")(features[-1], train)
        return nn.Dense(self.num_classes, name="logits")(nn.LayerNorm(name="ln")(x))


def test_each_part_freezes_its_own_batch_norms_and_nothing_else(registered):
    models.register_head("normalising")(NormalisingHead)
    segmenter = models.build_segmenter(config(head="normalising", batch_norm="frozen"), 5)
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    mask = models.trainable_mask(segmenter, variables["params"], variables["batch_stats"])
    assert mask["backbone"] == {"conv": {"kernel": True, "bias": True}}
    assert mask["head"] == {
        "bn": {"scale": False, "bias": False},
        "ln": {"scale": True, "bias": True},
        "logits": {"kernel": True, "bias": True},
    }


class Unsure(Pooling):
    def check(self):
        assert self.num_classes > 9


def test_a_module_that_cannot_be_built_is_named(registered):
    needs = functools.partial(OneLayer, missing=1)
    models.register_backbone("needs")(needs)
    with pytest.raises(ValueError, match=r"^The backbone 'needs' fails: TypeError: .*'missing'"):
        models.build_segmenter(config(backbone="needs"), 5)
    models.register_head("unsure")(Unsure)
    with pytest.raises(ValueError, match=r"^The head 'unsure' fails: AssertionError"):
        models.build_segmenter(config(head="unsure"), 5)


def test_a_taken_name_is_an_error():
    with pytest.raises(ValueError, match="a backbone named 'resnet18' is registered already"):
        models.register_backbone("resnet18")(OneLayer)
    with pytest.raises(ValueError, match="a head named 'linear' is registered already"):
        models.register_head("linear")(Pooling)
