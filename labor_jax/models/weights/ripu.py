"""RIPU's models: "feature_extractor.backbone.*" and "classifier.*", of either DeepLab head.

RIPU's frozen batch norm adds no epsilon to the variance. On reading, scales are converted so that
our batch norm, which adds one, computes the same; on writing, epsilon is added to the variances.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from labor_jax.models import registry
from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights import deeplab_v2, torchvision
from labor_jax.models.weights.files import WeightsError
from labor_jax.models.weights.layouts import COUNTER, Layout, Path, leaf_name, register_layout


def _misfit(segmenter: Segmenter, names: Collection[str] | None) -> str | None:
    heads = ("deeplab_v2", "deeplab_v3plus")
    if names is not None:
        has_v3plus = any(name.startswith("classifier.parallel_branches.") for name in names)
        heads = ("deeplab_v3plus",) if has_v3plus else ("deeplab_v2",)
    problem = torchvision.resnet_misfit(segmenter, "torchvision")
    problem = problem or deeplab_v2.head_misfit(segmenter, *heads)
    if not problem and getattr(segmenter.head, "first_two_only", False):
        return "its head sums all rates: set config.model.first_two_only = False"
    return problem


def _tensor_name(segmenter: Segmenter, path: Path) -> str:
    _, part, *inside = path
    if part == "backbone":
        return f"feature_extractor.backbone.{torchvision.tensor_name(tuple(inside))}"
    if registry.name_of(segmenter.head) == "deeplab_v2":
        return f"classifier.{deeplab_v2.head_tensor_name(segmenter.head, tuple(inside))}"
    *modules, leaf = inside
    return f"classifier.{_v3plus_module(segmenter.head.rates, modules)}.{leaf_name(leaf)}"


def _v3plus_module(rates: tuple[int, ...], modules: list[str]) -> str:
    """RIPU's module of one of `DeepLabV3Plus`, such as ["aspp6", "pointwise", "bn"]."""
    outer, *inner = modules
    if outer == "logits":
        return "decoder.3"
    branches = {f"aspp{rate}": f"parallel_branches.{i}" for i, rate in enumerate((1, *rates))}
    separable = {
        ("depthwise",): "depthwise_conv",
        ("depthwise_bn",): "depthwise_bn",
        ("pointwise", "conv"): "pointwise_conv",
        ("pointwise", "bn"): "pointwise_bn",
    }
    joined = {**branches, "decoder1": "decoder.0", "decoder2": "decoder.1"}
    if outer in joined and outer != "aspp1":
        return f"{joined[outer]}.{separable[tuple(inner)]}"
    sequence = {**branches, "projection": "bottleneck", "pooling": "global_branch"}
    # The pooling itself is the first module of its branch.
    index = ["conv", "bn"].index(inner[0]) + (outer == "pooling")
    return f"{sequence.get(outer, outer)}.{index}"


def _add_epsilon(
    path: str,
    tensors: Mapping[str, np.ndarray],
    names: Mapping[Path, str],
    arrays: dict[Path, Any],
) -> dict[Path, Any]:
    """Converts the scales of batch norms without epsilon, which are those without a counter.

    Subtracting epsilon from the variances would do as well, but cancels where they are small: some
    of torchvision's are below 1e-40.
    """
    if any(name.endswith(COUNTER) for name in tensors):
        return arrays
    dead = [
        names[variable]
        for variable, array in arrays.items()
        if variable[-1] == "var" and not np.all(np.asarray(array) > 0)
    ]
    if dead:
        raise WeightsError(
            f"{path}: batch norm without epsilon (RIPU's frozen one, as there is no {COUNTER}) "
            f"needs variances above 0; not so in {', '.join(dead[:12])}."
        )
    converted = dict(arrays)
    for variable, scale in arrays.items():
        if variable[-1] == "scale":
            var = np.asarray(arrays["batch_stats", *variable[1:-1], "var"], np.float64)
            factor = np.sqrt((var + BatchNorm.epsilon) / var)
            converted[variable] = jnp.asarray(np.asarray(scale) * factor, jnp.float32)
    return converted


register_layout(
    "ripu",
    Layout(
        holds="a model of RIPU",
        parts=("backbone", "head"),
        recognises=lambda names: any(name.startswith("feature_extractor.") for name in names),
        misfit=_misfit,
        tensor_name=_tensor_name,
        is_unused=lambda name: name.endswith(COUNTER),
        after_reading=_add_epsilon,
        removes_epsilon=lambda segmenter: segmenter.backbone.batch_norm == "frozen",
    ),
)
