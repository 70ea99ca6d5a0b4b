"""Tests of the segmenter: building, whole and in halves, batch norm, memory."""

import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import models
from labor_jax.models.backbones import resnet
from labor_jax.ops import resize_bilinear_align_corners
from tests.lowered_programs import operations
from tests.slow import all_but

CLASSES = 5


def config(**fields):
    defaults = {
        "backbone": "resnet18",
        "width": 4,
        "stem": "small",
        "output_stride": 8,
        "batch_norm": "trained",
        "head": "deeplab_v2",
        "head_channels": 8,
        "dropout": 0.1,
        "dtype": "float32",
        "pretrained": "",
    }
    return SimpleNamespace(**{**defaults, **fields})


def built(**fields):
    segmenter = models.build_segmenter(config(**fields), CLASSES)
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    return segmenter, variables, jax.random.normal(jax.random.key(1), (2, 16, 24, 3))


def train(segmenter, variables, images, rngs=None):
    """Outputs and new batch statistics."""
    return segmenter.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])


def test_variables_have_linens_layout():
    def drawn(segmenter):
        key = jax.random.key(0)
        return jax.eval_shape(lambda: models.init_variables(segmenter, key, (16, 24)))

    variables = drawn(models.build_segmenter(config(head="deeplab_v3plus"), CLASSES))
    assert set(variables) == {"params", "batch_stats"}
    assert set(variables["params"]) == set(variables["batch_stats"]) == {"backbone", "head"}
    segmenter = models.build_segmenter(config(), CLASSES, auxiliary=True)
    variables = drawn(segmenter)
    assert set(variables["params"]) == {"backbone", "head", "auxiliary_head"}
    assert set(variables["batch_stats"]) == {"backbone"}
    assert segmenter.num_classes == CLASSES and segmenter.output_stride == 8


@pytest.mark.slow
def test_both_halves_make_the_whole():
    segmenter, variables, images = built(head="deeplab_v3plus")
    rngs = {"dropout": jax.random.key(2)}

    @jax.jit
    def halves(variables):
        features, backbone = segmenter.apply(
            variables, images, train=True, rngs=rngs, mutable=["batch_stats"], method="extract"
        )
        logits, head = segmenter.apply(
            variables,
            features,
            train=True,
            rngs=rngs,
            mutable=["batch_stats"],
            method="coarse_logits",
        )
        stats = {
            "backbone": backbone["batch_stats"]["backbone"],
            "head": head["batch_stats"]["head"],
        }
        return resize_bilinear_align_corners(logits, (16, 24)), stats

    outputs, updated = jax.jit(lambda v: train(segmenter, v, images, rngs))(variables)
    assert outputs.logits.shape == (2, 16, 24, CLASSES) and outputs.logits.dtype == jnp.float32
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        (outputs.logits, updated["batch_stats"]),
        halves(variables),
    )
    # Training moved every running statistic, and kept their structure.
    moved = jax.tree.map(
        lambda a, b: bool(np.any(a != b)), updated["batch_stats"], variables["batch_stats"]
    )
    assert all(jax.tree.leaves(moved)) and jax.tree.leaves(moved)


def test_a_model_evaluates_bytes_and_normalised_images_alike():
    segmenter, variables, _ = built(backbone="two_layers", output_stride=4)
    model = models.Model(variables, segmenter)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    outputs = jax.jit(lambda model, images: model(images))(model, images)
    again = jax.jit(segmenter.apply)(variables, models.normalize_images(images))
    np.testing.assert_allclose(outputs.logits, again.logits, atol=1e-5)
    assert outputs.features.names == ("stage1", "stage2") and outputs.auxiliary_logits is None


def test_the_auxiliary_head_reads_the_map_before_the_last():
    values = config(backbone="two_layers", output_stride=4)
    segmenter = models.build_segmenter(values, CLASSES, auxiliary=True)
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    images = jax.random.normal(jax.random.key(1), (2, 16, 24, 3))
    outputs = jax.jit(segmenter.apply)(variables, images)
    assert outputs.auxiliary_logits.shape == (2, 16, 24, CLASSES)
    head = models.Segmenter(segmenter.backbone, segmenter.auxiliary_head)
    parameters = {
        "backbone": variables["params"]["backbone"],
        "head": variables["params"]["auxiliary_head"],
    }
    coarse = head.apply(
        {"params": parameters}, outputs.features.up_to("stage1"), method="coarse_logits"
    )
    np.testing.assert_allclose(
        outputs.auxiliary_logits, resize_bilinear_align_corners(coarse, (16, 24)), atol=1e-5
    )


def test_what_is_not_used_is_not_computed():
    values = config(backbone="two_layers", output_stride=4)
    images = jax.ShapeDtypeStruct((2, 16, 24, 3), "float32")

    def flops(auxiliary):
        segmenter = models.build_segmenter(values, CLASSES, auxiliary=auxiliary)
        variables = jax.eval_shape(
            lambda key: models.init_variables(segmenter, key, (16, 24)), jax.random.key(0)
        )
        predict = jax.jit(lambda variables, images: segmenter.apply(variables, images).logits)
        return predict.lower(variables, images).compile().cost_analysis()["flops"]

    assert flops(auxiliary=True) == flops(auxiliary=False)


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_xlas_convolutions_and_pooling(platform):
    """None of the products of shifted or transformed images that stand for them on CPUs."""
    values = config(head="deeplab_v3plus", width=64, stem="imagenet")
    segmenter = models.build_segmenter(values, CLASSES, auxiliary=True)
    shapes = jax.eval_shape(
        lambda key: models.init_variables(segmenter, key, (64, 96)), jax.random.key(0)
    )

    def gradient(variables, images):
        def loss(params):
            outputs = segmenter.apply({**variables, "params": params}, images)
            return jnp.sum(outputs.logits**2) + jnp.sum(outputs.auxiliary_logits**2)

        return jax.grad(loss)(variables["params"])

    images = jax.ShapeDtypeStruct((2, 64, 96, 3), "float32")
    traced = jax.jit(gradient).trace(shapes, images)
    counts = operations(traced.lower(lowering_platforms=(platform,)))
    # 18 of the backbone, 6 and 4 of the heads; forward and two gradients, less that of the images.
    assert counts["convolution"] == (18 + 6 + 4) * 3 - 1
    assert counts["select_and_scatter"] == 1  # the gradient of the stem's pooling


def test_frozen_batch_norm_moves_neither_statistics_nor_affine(monkeypatch):
    # The other blocks of a stage are the same, and take long to compile. No other test has a width
    # of 5, so that none finds this network's program.
    monkeypatch.setitem(resnet.LAYOUTS, "resnet18", (False, (1, 1, 1, 1)))
    segmenter, variables, images = built(batch_norm="frozen", dropout=0.0, width=5)

    @jax.jit
    def gradients(params):
        def loss(params):
            outputs, updated = train(segmenter, {**variables, "params": params}, images)
            return jnp.sum(outputs.logits**2), updated

        return jax.grad(loss, has_aux=True)(params)

    params, statistics = variables["params"], variables["batch_stats"]
    gradient, updated = gradients(params)
    jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], statistics)
    mask = models.trainable_mask(segmenter, params, statistics)
    assert jax.tree.structure(mask) == jax.tree.structure(params)
    assert jax.tree.map(lambda leaf: bool(np.any(leaf)), gradient) == mask
    assert mask["head"]["rate6"] == {"kernel": True, "bias": True}
    assert mask["backbone"]["bn1"] == {"scale": False, "bias": False}
    trained = models.build_segmenter(config(batch_norm="frozen"), CLASSES, batch_norm="trained")
    assert trained == models.build_segmenter(config(), CLASSES)
    assert all(jax.tree.leaves(models.trainable_mask(trained, params, statistics)))


def test_every_parameter_of_a_network_without_batch_norm_is_trainable():
    params = {"scale": jnp.ones(2), "bias": jnp.ones(2)}
    assert models.trainable_mask(models.Linear(3), params, {}) == {"scale": True, "bias": True}


def test_initialisation_follows_the_key_and_not_the_image_size():
    segmenter = models.build_segmenter(config(), CLASSES)
    draws = [
        models.init_variables(segmenter, jax.random.key(seed), size)
        for seed, size in ((0, (16, 24)), (0, (32, 32)), (1, (16, 24)))
    ]
    jax.tree.map(np.testing.assert_array_equal, draws[0], draws[1])
    kernels = [draw["params"]["backbone"]["conv1"]["kernel"] for draw in draws]
    assert np.any(kernels[0] != kernels[2])
    assert {leaf.dtype for leaf in jax.tree.leaves(draws[0])} == {jnp.dtype("float32")}


# ResNets 34 and 101 are 18 and 50 with more blocks.
UNLIKE = sorted(set(models.BACKBONES) - {"resnet34", "resnet101"})


@pytest.mark.parametrize(
    ("backbone", "head"),
    all_but(
        [("resnet18", "deeplab_v3plus"), *(("two_layers", head) for head in models.HEADS)],
        [*itertools.product(UNLIKE, models.HEADS)],
    ),
)
def test_every_head_fits_every_backbone(backbone, head):
    values = config(backbone=backbone, head=head, dtype="bfloat16", output_stride=4)
    segmenter, again = (models.build_segmenter(values, CLASSES, auxiliary=True) for _ in range(2))
    assert segmenter == again and hash(segmenter) == hash(again)
    images = jax.ShapeDtypeStruct((2, 33, 40, 3), jnp.float32)

    def run(key, images):
        variables = models.init_variables(segmenter, key, (33, 40))
        return train(segmenter, variables, images, {"dropout": key})[0]

    outputs = jax.eval_shape(run, jax.random.key(0), images)
    for logits in (outputs.logits, outputs.auxiliary_logits):
        assert logits.shape == (2, 33, 40, CLASSES) and logits.dtype == jnp.float32
    assert outputs.features[-1].dtype == jnp.bfloat16


def test_published_networks_fields_may_be_absent():
    plain = models.build_segmenter(config(), CLASSES)
    assert plain == models.build_segmenter(
        config(variant="torchvision", first_two_only=False), CLASSES
    )
    published = models.build_segmenter(config(variant="caffe", first_two_only=True), CLASSES)
    assert published.backbone.variant == "caffe" and published.head.first_two_only


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "vgg16"}, r"backbone is 'vgg16'; valid: .*resnet18, .*two_layers"),
        ({"head": "fcn"}, r"head is 'fcn'; valid: deeplab_v2, deeplab_v3plus, hyperbolic, linear"),
        ({"batch_norm": "sync"}, r"batch_norm is 'sync'; valid: trained, frozen"),
        ({"stem": "tiny"}, r"stem is 'tiny'; valid: imagenet, small"),
        ({"variant": "keras"}, r"variant is 'keras'; valid: torchvision, caffe"),
        ({"output_stride": 32}, r"output_stride is 32; valid: 2, 4, 8, 16"),
        (
            {"output_stride": 2, "backbone": "efficientnet_lite0"},
            r"output_stride is 2; valid: 4, 8, 16, 32",
        ),
        ({"dtype": "float64"}, r"dtype is 'float64'; valid: float32, bfloat16"),
        ({"dtype": "half-ish"}, r"dtype is 'half-ish'; valid: float32, bfloat16"),
        ({"dropout": 1.0}, r"dropout is 1\.0"),
        ({"width": 0}, r"width is 0"),
        ({"head_channels": 0, "head": "deeplab_v3plus"}, r"head_channels is 0"),
    ],
)
def test_invalid_fields_name_the_valid_values(fields, message):
    with pytest.raises(ValueError, match=message):
        models.build_segmenter(config(**fields), CLASSES)


def test_heads_drop_what_the_published_ones_do_unless_told():
    for head, published in (("deeplab_v2", 0.0), ("deeplab_v3plus", 0.1)):
        for told, expected in ((None, published), (0.3, 0.3)):
            built = models.build_segmenter(config(head=head, dropout=told), CLASSES)
            assert built.head.dropout == expected


def test_one_class_is_no_segmentation():
    with pytest.raises(ValueError, match="num_classes is 1"):
        models.build_segmenter(config(), 1)


# Sixteen blocks of batch norm over a handful of pixels would blow rounding errors up.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "batch_norm"),
    [
        ("resnet18", "trained"),
        ("efficientnet_lite0", "frozen"),
    ],
)
def test_remat_keeps_less_for_the_gradient_and_changes_nothing(backbone, batch_norm):
    images = jax.random.normal(jax.random.key(1), (2, 16, 24, 3))

    def built_with(remat):
        segmenter = models.build_segmenter(
            config(backbone=backbone, batch_norm=batch_norm, remat=remat, dropout=0.0), CLASSES
        )

        def loss(variables, images):
            outputs, updated = train(segmenter, variables, images)
            return jnp.mean(outputs.logits**2), updated

        return loss, models.init_variables(segmenter, jax.random.key(0), (16, 24))

    def kept(loss, variables):
        """Bytes that the forward pass of large images keeps for the backward pass."""
        large = jax.ShapeDtypeStruct((2, 256, 256, 3), "float32")
        backward = jax.eval_shape(
            lambda v, x: jax.vjp(lambda v: loss(v, x), v, has_aux=True)[1], variables, large
        )
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(backward))

    (plain, variables), (remat, same) = built_with(False), built_with(True)
    jax.tree.map(np.testing.assert_array_equal, variables, same)
    if backbone == "resnet18":  # the other takes long to compile, and is wrapped the same way
        gradients = [jax.jit(jax.grad(loss, has_aux=True)) for loss in (plain, remat)]
        expected, found = (gradient(variables, images) for gradient in gradients)
        for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert kept(remat, variables) < 0.6 * kept(plain, variables)
