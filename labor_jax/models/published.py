"""Whole published segmentation models into ours and back: RIPU, AdaptSegNet, ADVENT.

Released weights fit the published networks only: ResNet-101 of width 64 with the stem "imagenet"
at output stride 8, a head of four rates or of 512 channels. What a file cannot show stays with
the segmenter: its output stride, rates and `first_two_only`.

| layout        | names                                      | the segmenter that it needs       |
|---------------|--------------------------------------------|-----------------------------------|
| "ripu"        | feature_extractor.backbone.*, classifier.* | variant "torchvision", any head   |
| "adaptsegnet" | conv1.* to layer4.*, layer5.*              | variant "caffe", "deeplab_v2",    |
|               |                                            | `first_two_only`                  |
| "advent"      | conv1.* to layer4.*, layer6.*              | variant "caffe", "deeplab_v2"     |

The models of two levels of AdaptSegNet and ADVENT have layer5.* (auxiliary) and layer6.*, so that
a person has to know whose they are. The auxiliary classifier has no part in the prediction and is
not loaded: a segmenter that has one keeps its own variables of it.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from labor_jax.models.deeplab import DeepLabV2, DeepLabV3Plus
from labor_jax.models.layers import BatchNorm
from labor_jax.models.pretrained import (
    backbone_from_tensors,
    flatten,
    leaf_name,
    match_tensors,
    tensor_name,
    to_torch_layout,
    weights_path,
)
from labor_jax.models.resnet import ResNet
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weight_files import WeightsError, read_tensors, write_tensors

LAYOUTS = ("ripu", "adaptsegnet", "advent")

_COUNTER = "num_batches_tracked"
_ADVICE = (
    "Check the number of classes and config.model: backbone, head, head_channels, and that width "
    "and stem are the published 64 and 'imagenet'."
)


def load_model(
    path_or_name: str | os.PathLike[str], segmenter: Segmenter, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Replaces a segmenter's variables by published weights, whose layout the names tell.

    A file of a whole model (see the table above) replaces backbone and classifier. A file of a
    backbone (torchvision's, EfficientNet-Lite0's, or the `Scale.*` that AdaptSegNet and ADVENT
    start from, whose classifier is of other classes) replaces the backbone alone.

    RIPU's frozen batch norm adds no epsilon to the variance; its scales are converted so that
    ours, which does, computes the same. They then hold for the batch norm "frozen".

    Args:
      path_or_name: a .pth, .pt, .safetensors or .npz file, or "imagenet", see `load_backbone`.
      segmenter: from `build_segmenter`.
      variables: from `init_variables`.

    Returns:
      Variables of the same structure, float32.

    Raises:
      WeightsError: when the file is missing, unreadable or of an unknown kind, when the segmenter
        computes something else than the file's network, or when tensors are missing, unexpected,
        of a wrong shape or not finite; the message names the config field or the tensors.
    """
    backbone = _backbone_name(segmenter)
    path = weights_path(path_or_name, backbone)
    tensors = read_tensors(path)
    if any(name.startswith("feature_extractor.") for name in tensors):
        return _load_ripu(path, tensors, segmenter, variables)
    if tensors and all(name.startswith("Scale.") for name in tensors):
        _check_variant(path, "a backbone of Caffe's DeepLab", "caffe", segmenter)
        tensors = {
            name.removeprefix("Scale."): tensor
            for name, tensor in tensors.items()
            if not name.startswith("Scale.layer5.")
        }
    elif any(name.startswith(("layer5.", "layer6.")) for name in tensors):
        return _load_caffe(path, tensors, segmenter, variables)
    elif isinstance(segmenter.backbone, ResNet):
        _check_variant(path, "a torchvision backbone", "torchvision", segmenter)
    loaded = backbone_from_tensors(path, tensors, backbone, variables["backbone"])
    return {**variables, "backbone": loaded}


def to_torch(
    segmenter: Segmenter, variables: Mapping[str, Any], layout: str
) -> dict[str, np.ndarray]:
    """Turns a segmenter's variables into PyTorch's named tensors, the inverse of `load_model`.

    Layout "ripu" follows RIPU's code: the batch norm "frozen" becomes one without epsilon, which
    is added to the variances (MODEL.FREEZE_BN True); else `num_batches_tracked` is there. The
    other layouts are of the models of one level, without the auxiliary classifier.

    Args:
      segmenter: from `build_segmenter`.
      variables: of both parts.
      layout: one of `LAYOUTS`.

    Returns:
      {name: f32 array in PyTorch's layout}.

    Raises:
      ValueError: for an unknown layout, or one that holds another network than the segmenter.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; valid: {', '.join(LAYOUTS)}.")
    _check_layout(segmenter, layout)
    tensors: dict[str, np.ndarray] = {}
    for part in ("backbone", "classifier"):
        arrays = {path: np.asarray(value) for path, value in flatten(variables[part]).items()}
        frozen = layout == "ripu" and segmenter.backbone.batch_norm == "frozen"
        for path, array in arrays.items():
            name = _name(segmenter, layout, part, path)
            if path[-1] == "var" and frozen:
                array = array + np.float32(BatchNorm.epsilon)
            tensors[name] = to_torch_layout(path, array)
            if path[-1] == "var" and not frozen:
                tensors[name.replace("running_var", _COUNTER)] = np.asarray(0, np.int64)
    return tensors


def save_model(
    path: str | os.PathLike[str],
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    layout: str = "ripu",
) -> None:
    """Writes a segmenter's variables in a published layout, for PyTorch and `load_model`.

    Args:
      path: a .pth, .pt, .safetensors or .npz file; replaced if there. RIPU's code reads .pth,
        where the layout "ripu" becomes its two tables "feature_extractor" and "classifier".
      segmenter: from `build_segmenter`.
      variables: of both parts.
      layout: see `to_torch`.

    Raises:
      ValueError: see `to_torch`.
      WeightsError: when the file cannot be written.
    """
    write_tensors(os.fspath(path), to_torch(segmenter, variables, layout))


def _load_ripu(path, tensors, segmenter, variables):
    has_v3plus = any(name.startswith("classifier.parallel_branches.") for name in tensors)
    head = "deeplab_v3plus" if has_v3plus else "deeplab_v2"
    _check_variant(path, "a model of RIPU", "torchvision", segmenter)
    _check_head(path, "a model of RIPU", head, segmenter)
    if isinstance(segmenter.classifier, DeepLabV2) and segmenter.classifier.first_two_only:
        raise WeightsError(
            f"{path} holds a model of RIPU, whose head sums all rates: set "
            "config.model.first_two_only = False."
        )
    loaded = _match(path, tensors, segmenter, variables, "ripu", lambda name: False)
    # RIPU's frozen batch norm is a module of its own, with neither epsilon nor counter.
    if not any(name.endswith(_COUNTER) for name in tensors):
        for part, arrays in loaded.items():
            dead = [
                _name(segmenter, "ripu", part, variable)
                for variable, array in arrays.items()
                if variable[-1] == "var" and not np.all(np.asarray(array) > 0)
            ]
            if dead:
                raise WeightsError(
                    f"{path}: batch norm without epsilon (RIPU's frozen one, as there is no "
                    f"{_COUNTER}) needs variances above 0; not so in {', '.join(dead[:12])}."
                )
            loaded[part] = _scaled_for_epsilon(arrays)
    return {**variables, **_unflatten(loaded)}


def _load_caffe(path, tensors, segmenter, variables):
    two_levels = any(name.startswith("layer6.") for name in tensors)
    holds = "a DeepLab of AdaptSegNet's or ADVENT's kind"
    _check_variant(path, holds, "caffe", segmenter)
    _check_head(path, holds, "deeplab_v2", segmenter)
    layout = "advent" if two_levels else "adaptsegnet"
    auxiliary = "layer5." if two_levels else "layer6."
    loaded = _match(
        path, tensors, segmenter, variables, layout, lambda name: name.startswith(auxiliary)
    )
    return {**variables, **_unflatten(loaded)}


def _match(path, tensors, segmenter, variables, layout, is_unused):
    """{part: {path: array}} of both parts."""
    expected = {
        (part, *variable): value
        for part in ("backbone", "classifier")
        for variable, value in flatten(variables[part]).items()
    }
    loaded = match_tensors(
        tensors,
        expected,
        name=lambda variable: _name(segmenter, layout, variable[0], variable[1:]),
        is_unused=lambda name: name.endswith(_COUNTER) or is_unused(name),
        problem=f"{path} does not fit the model:",
        advice=_ADVICE,
    )
    parts: dict[str, dict] = {"backbone": {}, "classifier": {}}
    for (part, *variable), array in loaded.items():
        parts[part][tuple(variable)] = array
    return parts


def _unflatten(parts):
    # A part without batch norm has no flat "batch_stats" to come back from.
    return {
        part: {"batch_stats": {}, **traverse_util.unflatten_dict(arrays)}
        for part, arrays in parts.items()
    }


def _scaled_for_epsilon(arrays):
    """Scales of batch norms without epsilon, for the same function with ours.

    The variances less epsilon would do as well, but cancel where they are small: some of
    torchvision's are below 1e-40.
    """
    scaled = dict(arrays)
    for path, scale in arrays.items():
        if path[-1] == "scale":
            var = np.asarray(arrays["batch_stats", *path[1:-1], "var"], np.float64)
            factor = np.sqrt((var + BatchNorm.epsilon) / var)
            scaled[path] = jnp.asarray(np.asarray(scale) * factor, jnp.float32)
    return scaled


def _name(segmenter: Segmenter, layout: str, part: str, path: tuple[str, ...]) -> str:
    """The tensor of a variable; `path` starts with its collection."""
    path = path[1:]
    if part == "backbone":
        prefix = "feature_extractor.backbone." if layout == "ripu" else ""
        return prefix + tensor_name(_backbone_name(segmenter), path)
    *modules, leaf = path
    if isinstance(segmenter.classifier, DeepLabV2):
        rates = segmenter.classifier.rates
        index = rates.index(int(re.fullmatch(r"rate(\d+)", modules[0])[1]))
        module = f"conv2d_list.{index}"
    else:
        module = _ripu_v3plus_module(segmenter.classifier.rates, modules)
    table = {"ripu": "classifier", "adaptsegnet": "layer5", "advent": "layer6"}[layout]
    return f"{table}.{module}.{leaf_name(leaf)}"


def _ripu_v3plus_module(rates: tuple[int, ...], modules: list[str]) -> str:
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


def _backbone_name(segmenter: Segmenter) -> str:
    if isinstance(segmenter.backbone, ResNet):
        return segmenter.backbone.layout
    return "efficientnet_lite0"


def _head_name(segmenter: Segmenter) -> str:
    return "deeplab_v3plus" if isinstance(segmenter.classifier, DeepLabV3Plus) else "deeplab_v2"


def _check_variant(path: str, holds: str, variant: str, segmenter: Segmenter) -> None:
    if not isinstance(segmenter.backbone, ResNet):
        raise WeightsError(
            f"{path} holds {holds}, a ResNet: config.model.backbone is "
            f"{_backbone_name(segmenter)!r}; set the file's ('resnet101' in published models)."
        )
    if segmenter.backbone.variant != variant:
        raise WeightsError(
            f"{path} holds {holds}; the shapes fit, but config.model.variant = "
            f"{segmenter.backbone.variant!r} computes another network: set {variant!r}."
        )


def _check_head(path: str, holds: str, head: str, segmenter: Segmenter) -> None:
    if _head_name(segmenter) != head:
        raise WeightsError(
            f"{path} holds {holds} with the head {head!r}: config.model.head is "
            f"{_head_name(segmenter)!r}."
        )


def _check_layout(segmenter: Segmenter, layout: str) -> None:
    """Raises where the layout's network is not the segmenter's."""
    variant = "torchvision" if layout == "ripu" else "caffe"
    if not isinstance(segmenter.backbone, ResNet) or segmenter.backbone.variant != variant:
        raise ValueError(f"layout {layout!r} holds a ResNet of config.model.variant {variant!r}.")
    if layout != "ripu" and _head_name(segmenter) != "deeplab_v2":
        raise ValueError(f"layout {layout!r} holds config.model.head 'deeplab_v2' only.")
    first_two_only = getattr(segmenter.classifier, "first_two_only", False)
    if first_two_only != (layout == "adaptsegnet"):
        raise ValueError(
            f"layout {layout!r} needs config.model.first_two_only = {layout == 'adaptsegnet'}: "
            "only AdaptSegNet's code sums the first two rates alone."
        )
