"""Tests of the segmenter: building, taking apart and putting together."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import models

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


def test_taking_apart_and_composing_equals_apply():
    segmenter, variables, images = built(head="deeplab_v3plus")
    rngs = {"dropout": jax.random.key(2)}

    @jax.jit
    def whole(variables):
        return models.apply(segmenter, variables, images, train=True, rngs=rngs)

    @jax.jit
    def parts(variables):
        features, backbone = models.extract(
            segmenter, variables["backbone"], images, train=True, rngs=rngs
        )
        logits, classifier = models.classify(
            segmenter, variables["classifier"], features, (16, 24), train=True, rngs=rngs
        )
        return logits, {"backbone": backbone, "classifier": classifier}

    logits, stats = whole(variables)
    assert logits.shape == (2, 16, 24, CLASSES) and logits.dtype == jnp.float32
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), (logits, stats), parts(variables)
    )
    # Training moved every running statistic, and kept their structure.
    for part in ("backbone", "classifier"):
        moved = jax.tree.map(
            lambda a, b: bool(np.any(a != b)), stats[part], variables[part]["batch_stats"]
        )
        assert all(jax.tree.leaves(moved)) and jax.tree.leaves(moved)


def test_evaluation_is_deterministic_and_moves_nothing():
    segmenter, variables, images = built()
    apply = jax.jit(
        lambda variables, size: models.apply(segmenter, variables, images, size=size),
        static_argnums=1,
    )
    logits, stats = apply(variables, None)
    for part in ("backbone", "classifier"):
        jax.tree.map(np.testing.assert_array_equal, stats[part], variables[part]["batch_stats"])
    assert stats["classifier"] == {}
    larger, _ = apply(variables, (31, 47))
    assert larger.shape == (2, 31, 47, CLASSES)
    # Aligned corners: whatever the size, the corners are the same.
    np.testing.assert_allclose(larger[:, [0, -1], -1], logits[:, [0, -1], -1], atol=1e-6)


def test_frozen_batch_norm_moves_neither_statistics_nor_affine():
    segmenter, variables, images = built(batch_norm="frozen", dropout=0.0)
    params = {part: variables[part]["params"] for part in variables}

    @jax.jit
    def gradients(params):
        def loss(params):
            merged = {part: {**variables[part], "params": params[part]} for part in params}
            logits, stats = models.apply(segmenter, merged, images, train=True)
            return jnp.sum(logits**2), stats

        return jax.grad(loss, has_aux=True)(params)

    gradient, stats = gradients(params)
    jax.tree.map(
        np.testing.assert_array_equal, stats["backbone"], variables["backbone"]["batch_stats"]
    )
    mask = models.trainable_mask(segmenter, params)
    assert jax.tree.structure(mask) == jax.tree.structure(params)
    moved = jax.tree.map(lambda leaf: bool(np.any(leaf)), gradient)
    assert moved == mask
    assert mask["classifier"]["rate6"] == {"kernel": True, "bias": True}
    assert mask["backbone"]["bn1"] == {"scale": False, "bias": False}
    trained = models.build_segmenter(config(), CLASSES)
    assert all(jax.tree.leaves(models.trainable_mask(trained, params)))


def test_initialisation_follows_the_key_and_not_the_image_size():
    segmenter = models.build_segmenter(config(), CLASSES)
    draws = [
        models.init_variables(segmenter, jax.random.key(seed), size)
        for seed, size in ((0, (16, 24)), (0, (32, 32)), (1, (16, 24)))
    ]
    jax.tree.map(np.testing.assert_array_equal, draws[0], draws[1])
    kernels = [draw["backbone"]["params"]["conv1"]["kernel"] for draw in draws]
    assert np.any(kernels[0] != kernels[2])
    assert {leaf.dtype for leaf in jax.tree.leaves(draws[0])} == {jnp.dtype("float32")}


@pytest.mark.parametrize("backbone", models.BACKBONES)
@pytest.mark.parametrize("head", ["deeplab_v2", "deeplab_v3plus"])
def test_every_pair_of_parts_fits(backbone, head):
    segmenter = models.build_segmenter(
        config(backbone=backbone, head=head, dtype="bfloat16"), CLASSES
    )
    assert hash(segmenter) == hash(
        models.build_segmenter(config(backbone=backbone, head=head, dtype="bfloat16"), CLASSES)
    )
    images = jax.ShapeDtypeStruct((1, 33, 40, 3), jnp.float32)

    def run(key, images):
        variables = models.init_variables(segmenter, key, (33, 40))
        return models.apply(segmenter, variables, images, train=True, rngs={"dropout": key})[0]

    logits = jax.eval_shape(run, jax.random.key(0), images)
    assert logits.shape == (1, 33, 40, CLASSES) and logits.dtype == jnp.float32


def test_published_networks_fields_may_be_absent():
    plain = models.build_segmenter(config(), CLASSES)
    assert plain == models.build_segmenter(
        config(variant="torchvision", first_two_only=False), CLASSES
    )
    published = models.build_segmenter(config(variant="caffe", first_two_only=True), CLASSES)
    assert published.backbone.variant == "caffe" and published.classifier.first_two_only


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "vgg16"}, r"backbone is 'vgg16'; valid: resnet18, .*efficientnet_lite0"),
        ({"head": "fcn"}, r"head is 'fcn'; valid: deeplab_v2, deeplab_v3plus"),
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
            assert built.classifier.dropout == expected


def test_one_class_is_no_segmentation():
    with pytest.raises(ValueError, match="num_classes is 1"):
        models.build_segmenter(config(), 1)


# Sixteen blocks of batch norm over a handful of pixels would blow rounding errors up.
@pytest.mark.parametrize(
    ("backbone", "batch_norm"), [("resnet18", "trained"), ("efficientnet_lite0", "frozen")]
)
def test_remat_keeps_less_for_the_gradient_and_changes_nothing(backbone, batch_norm):
    images = jax.random.normal(jax.random.key(1), (2, 16, 24, 3))

    def built_with(remat):
        segmenter = models.build_segmenter(
            config(backbone=backbone, batch_norm=batch_norm, remat=remat, dropout=0.0), CLASSES
        )

        def loss(variables, images):
            logits, statistics = models.apply(segmenter, variables, images, train=True)
            return jnp.mean(logits**2), statistics

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
