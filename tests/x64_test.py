"""Another library may have switched JAX to 64 bits: the same results, of the same types."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition, losses, mixing, models, ops, pseudo_labels
from tests.slow import all_but

H, W, C = 8, 9, 3
SIZE = (H, W)


def _arrays():
    """What the calls below are given, all NumPy's."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, H, W, C)).astype(np.float32)
    odds = np.exp(logits[0])
    return {
        "logits": logits,
        "labels": rng.integers(0, C + 1, (2, H, W), np.int32),
        "score": logits[0, ..., 0],
        "available": rng.random(SIZE) < 0.8,
        "probabilities": odds / odds.sum(-1, keepdims=True),
        "image": rng.integers(0, 256, (H, W, 3), np.uint8),
        "maps": rng.normal(size=(1, H, W, 4)).astype(np.float32),
        "kernel": rng.normal(size=(3, 3, 4, 4)).astype(np.float32),
        "parts": (np.arange(H * W, dtype=np.int32) // W).reshape(SIZE),
        "candidates": rng.random((2, H, W, C)) < 0.5,
        "shares": np.full(C, 1 / C, np.float32),
        "counts": np.array([3, 1, 2]),
    }


def _key():
    return jax.random.key(0)


ACQUISITION = {
    "adjacent_superpixels": lambda a: acquisition.adjacent_superpixels(a["parts"], bound=H),
    "bald": lambda a: acquisition.bald(a["logits"]),
    "best_versus_second": lambda a: acquisition.best_versus_second(a["logits"]),
    "clear_of_asked": lambda a: acquisition.clear_of_asked(a["available"], 1),
    "data_uncertainty": lambda a: acquisition.data_uncertainty(a["logits"]),
    "discrepancy_map": lambda a: acquisition.discrepancy_map(*a["logits"]),
    "distribution_uncertainty": lambda a: acquisition.distribution_uncertainty(a["logits"]),
    "halo": lambda a: acquisition.halo(a["score"], a["logits"][0], 1),
    "image_entropy": lambda a: acquisition.image_entropy(a["logits"]),
    "image_inconsistency": lambda a: acquisition.image_inconsistency(*a["logits"]),
    "image_margin": lambda a: acquisition.image_margin(a["logits"]),
    "image_vector": lambda a: acquisition.image_vector(a["logits"]),
    "inconsistency_mask": lambda a: acquisition.inconsistency_mask(*a["logits"]),
    "least_confidence": lambda a: acquisition.least_confidence(a["logits"]),
    "margin": lambda a: acquisition.margin(a["logits"]),
    "merge_alike": lambda a: acquisition.merge_alike(a["parts"], a["logits"][0], bound=H),
    "pixbal": lambda a: acquisition.pixbal(a["logits"], a["shares"]),
    "prediction_change": lambda a: acquisition.prediction_change(*a["logits"]),
    "prediction_uncertainty": lambda a: acquisition.prediction_uncertainty(a["logits"], 1),
    "query": lambda a: acquisition.query(a["logits"], "ripu_ra", fraction=0.3),
    "random_score": lambda a: acquisition.random_score(_key(), SIZE),
    "region_impurity": lambda a: acquisition.region_impurity(a["logits"], 1),
    "ripu": lambda a: acquisition.ripu(a["logits"], 1),
    "select_core_set": lambda a: acquisition.select_core_set(
        a["logits"][0], a["available"], count=3
    ),
    "select_image_core_set": lambda a: acquisition.select_image_core_set(
        a["logits"][0, 0], a["available"][0], count=3
    ),
    "select_in_two_steps": lambda a: acquisition.select_in_two_steps(
        a["score"], -a["score"], a["available"], count=2, factor=2
    ),
    "select_inconsistent": lambda a: acquisition.select_inconsistent(
        a["available"], a["score"], a["available"], max_pixels=5
    ),
    "select_max_herding": lambda a: acquisition.select_max_herding(
        a["logits"][0], a["available"], count=3
    ),
    "select_points": lambda a: acquisition.select_points(a["score"], a["available"], count=30),
    "select_random_of_best": lambda a: acquisition.select_random_of_best(
        _key(), a["score"], a["available"], count=3
    ),
    "select_regions": lambda a: acquisition.select_regions(
        a["score"], a["available"], count=3, radius=1, suppression_radius=2
    ),
    "select_representative_points": lambda a: acquisition.select_representative_points(
        a["available"], a["probabilities"]
    ),
    "select_superpixels": lambda a: acquisition.select_superpixels(
        a["score"][:, 0], a["parts"], a["available"], count=2
    ),
    "softmax_entropy": lambda a: acquisition.softmax_entropy(a["logits"]),
    "superpixel_means": lambda a: acquisition.superpixel_means(a["score"], a["parts"], bound=H),
}
LOSSES = {
    "adversarial": lambda a: losses.adversarial(a["logits"], True),
    "bootstrapped_cross_entropy": lambda a: losses.bootstrapped_cross_entropy(
        a["logits"], a["labels"], trust=0.5
    ),
    "candidate_classes": lambda a: losses.candidate_classes(a["logits"], a["candidates"]),
    "charbonnier_entropy": lambda a: losses.charbonnier_entropy(a["logits"]),
    "classifier_discrepancy": lambda a: losses.classifier_discrepancy(*a["logits"]),
    "cross_entropy": lambda a: losses.cross_entropy(
        a["logits"], a["labels"], class_weights=a["shares"]
    ),
    "entropy": lambda a: losses.entropy(a["logits"]),
    "image_wise_max_squares": lambda a: losses.image_wise_max_squares(a["logits"]),
    "improbable_classes": lambda a: losses.improbable_classes(a["logits"], threshold=0.2),
    "label_boundary": lambda a: losses.label_boundary(a["labels"], C),
    "local_consistency": lambda a: losses.local_consistency(a["logits"], a["labels"]),
    "max_squares": lambda a: losses.max_squares(a["logits"]),
    "multi_label": lambda a: losses.multi_label(a["logits"], a["candidates"]),
    "negative_learning": lambda a: losses.negative_learning(a["logits"], threshold=0.2),
    "phase_consistency": lambda a: losses.phase_consistency(
        jnp.exp(a["logits"]), jnp.square(a["logits"])
    ),
    "pooled_logits": lambda a: losses.pooled_logits(a["logits"]),
    "prototypical_pixels": lambda a: losses.prototypical_pixels(
        a["logits"][0], a["candidates"][0], a["parts"], bound=H
    ),
    "soft_cross_entropy": lambda a: losses.soft_cross_entropy(a["logits"], a["candidates"] * 0.5),
    "uniform_divergence": lambda a: losses.uniform_divergence(a["logits"][0], a["available"]),
}
IMAGES = {
    "class_mix": lambda a: mixing.class_mix(
        _key(), a["image"], a["labels"][0], a["image"], a["labels"][1], C
    ),
    "color_jitter": lambda a: mixing.color_jitter(_key(), a["image"], 0.2, 1.0),
    "fitted": lambda a: mixing.fitted(_key(), a["image"], a["labels"][0], (6, 12)),
    "fourier_swap": lambda a: mixing.fourier_swap(a["image"], a["image"][::-1], 0.2),
    "gaussian_blur": lambda a: mixing.gaussian_blur(a["image"], 1.0, 2),
    "match_colours": lambda a: mixing.match_colours(a["image"], a["image"][:4]),
    "random_block_mask": lambda a: mixing.random_block_mask(_key(), SIZE, block=2, ratio=0.5),
    "random_texture": lambda a: mixing.random_texture(_key(), a["image"]),
    "class_balanced_labels": lambda a: pseudo_labels.class_balanced_labels(
        a["logits"], a["shares"]
    ),
    "class_balanced_thresholds": lambda a: pseudo_labels.class_balanced_thresholds(
        a["probabilities"].max(-1), a["labels"][0], C, 0.2
    ),
    "confidence_histogram": lambda a: pseudo_labels.confidence_histogram(
        a["probabilities"].max(-1), a["labels"][0], C
    ),
    "confident_labels": lambda a: pseudo_labels.confident_labels(a["logits"], 0.5),
    "instance_adaptive_thresholds": lambda a: pseudo_labels.instance_adaptive_thresholds(
        a["probabilities"].max(-1)[None], a["labels"][:1], a["shares"], portion=0.2
    ),
    "soft_class_balanced_labels": lambda a: pseudo_labels.soft_class_balanced_labels(
        a["logits"], a["shares"], 0.25
    ),
    "voted_labels": lambda a: pseudo_labels.voted_labels(
        a["logits"], a["labels"], a["shares"], radius=1
    ),
    "atrous_convolution": lambda a: ops.atrous_convolution(a["maps"], a["kernel"], 2),
    "connected_components": lambda a: ops.connected_components(a["labels"]),
    "convolution_3x3": lambda a: ops.convolution_3x3(a["maps"], a["kernel"]),
    "depthwise_convolution": lambda a: ops.depthwise_convolution(
        a["maps"], a["kernel"][:, :, :1], stride=2
    ),
    "interpolate": lambda a: ops.interpolate(
        a["maps"], ops.taps_align_corners(H, 5), ops.taps_align_corners(W, 12)
    ),
    "max_pool": lambda a: ops.max_pool(a["maps"]),
    "pointwise_convolution": lambda a: ops.pointwise_convolution(a["maps"], a["kernel"][:1, :1], 2),
    "resize_bilinear_align_corners": lambda a: ops.resize_bilinear_align_corners(
        a["maps"], (5, 12)
    ),
    "reverse_gradient": lambda a: ops.reverse_gradient(a["maps"], 0.5),
    "slic": lambda a: ops.slic(a["image"], size=4, compactness=10.0, iterations=2),
}
CALLS = {**ACQUISITION, **LOSSES, **IMAGES}
RANDOM = [
    *("random_score", "select_random_of_best", "class_mix", "color_jitter", "fitted"),
    *("random_block_mask", "random_texture"),
]
# They compute nothing on the device.
ON_THE_HOST = {
    *("best_images", "best_picks", "bind", "bind_ranking", "class_weights_from_answers"),
    *("class_weights_from_predictions", "histogram_thresholds", "method", "pixel_cap"),
    *("pixel_count", "point_count", "portable", "region_count", "region_parts", "register"),
    *("superpixel_bound", "taps_align_corners"),
}


def public_functions(module):
    names = getattr(module, "__all__", vars(module))
    found = [(name, getattr(module, name)) for name in names if not name.startswith("_")]
    package = f"{module.__name__}."
    return {
        name
        for name, each in found
        if callable(each)
        and not inspect.isclass(each)
        and f"{each.__module__}.".startswith(package)
    }


def types(call, arrays):
    shapes = jax.eval_shape(call, arrays)
    return jax.tree.map(lambda each: (each.shape, str(each.dtype)), shapes)


def test_networks_have_the_types_of_32_bits():
    def run(head, images):
        network = models.Segmenter(models.TwoLayers(output_stride=2), head)
        variables = models.init_variables(network, _key(), SIZE)
        pixels = models.normalize_images(images)
        return variables, network.apply(variables, pixels), models.denormalize_images(pixels)

    images = np.zeros((1, *SIZE, 3), np.uint8)
    for head in (models.Linear(C), models.Hyperbolic(C), models.DeepLabV2(C)):
        expected = types(functools.partial(run, head), images)
        with jax.enable_x64(True):
            assert types(functools.partial(run, head), images) == expected


def test_no_public_function_is_left_out():
    modules = (acquisition, losses, mixing, ops, pseudo_labels)
    public = set().union(*map(public_functions, modules))
    assert public - ON_THE_HOST == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_results_have_the_types_of_32_bits(name):
    expected = types(CALLS[name], _arrays())
    with jax.enable_x64(True):
        assert types(CALLS[name], _arrays()) == expected


@pytest.mark.parametrize("name", [*ACQUISITION, *LOSSES])
def test_scores_and_losses_of_64_bits_are_of_32(name):
    expected = types(CALLS[name], _arrays())
    wide = {
        key: each.astype(np.float64) if each.dtype == np.float32 else each
        for key, each in _arrays().items()
    }
    with jax.enable_x64(True):
        assert types(CALLS[name], wide) == expected


@pytest.mark.parametrize("name", all_but(["query"], [*RANDOM, "query", "slic"]))
def test_results_are_those_of_32_bits(name):
    expected = CALLS[name](_arrays())
    with jax.enable_x64(True):
        found = CALLS[name](_arrays())
    jax.tree.map(
        lambda each, value: np.testing.assert_allclose(each, value, rtol=1e-4, atol=1e-3),
        found,
        expected,
    )


@pytest.mark.parametrize(
    "name",
    all_but(
        ["spl", "ripu_ra", "superpixels", "random_images"],
        [n for n, m in acquisition.METHODS.items() if m.function],
    ),
)
def test_queries_have_the_types_of_32_bits(name):
    method = acquisition.method(name)
    given = {"own": {}, "regions": {"fraction": 0.3}, "cap": {"fraction": 0.3}}
    budget = acquisition.Budget(**given.get(method.budget, {"points": 3}))

    def ask(arrays):
        image = acquisition.PoolImage(
            logits=arrays["logits"][0],
            features=arrays["maps"][0],
            selector_logits=tuple(arrays["logits"]),
            available=arrays["available"],
            key=_key(),
            image=arrays["image"],
            first_logits=arrays["logits"][1],
            logit_samples=arrays["logits"],
            radii=arrays["score"],
        )
        return acquisition.bind(method, budget)(image)

    expected = types(ask, _arrays())
    with jax.enable_x64(True):
        assert types(ask, _arrays()) == expected
