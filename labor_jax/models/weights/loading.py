"""Reads weights of any registered layout into a segmenter's variables, and writes them."""

import contextlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from labor_jax.models import registry
from labor_jax.models.building import init_variables
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights.files import SUFFIXES, WeightsError, read_tensors, write_tensors
from labor_jax.models.weights.layouts import IMAGENET_FILES, LAYOUTS, Layout, Path
from labor_jax.models.weights.matching import match_tensors

_ADVICE = (
    "Check the number of classes and config.model: backbone, head, head_channels, and that width "
    "and stem are the published 64 and 'imagenet'."
)


def load_weights(
    source: str | os.PathLike[str],
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Replaces a segmenter's variables by published weights.

    The tensors' names show a file's layout. A file of a whole model replaces backbone and head; a
    file of a backbone replaces the backbone alone. An auxiliary head keeps its variables.

    Args:
      source: a .pth, .pt, .safetensors or .npz file of a registered layout; or "imagenet", the
        weights of an installed package, for the backbones that have one.
      segmenter: from `build_segmenter`.
      variables: from `init_variables`, or their shapes for what the file replaces.
      classes: names of the segmenter's classes in label order, for files that tell theirs; empty
        for any.

    Returns:
      Variables of the same structure, float32.

    Raises:
      WeightsError: when the file is missing, unreadable or of an unknown kind or layout, when the
        segmenter computes another function than the file's network or has other classes, or when
        tensors are missing, unexpected, of a wrong shape or not finite. The message names the
        config field or the tensors.
    """
    path = _find_file(source, segmenter)
    tensors = read_tensors(path)
    layout = _recognise(path, tensors)
    problem = layout.misfit(segmenter, tensors.keys()) or layout.misfit_of_file(path, segmenter)
    if problem:
        raise WeightsError(f"{path} holds {layout.holds}; {problem}.")
    _check_classes(path, layout.classes_of_file(path), tuple(classes))
    flat = traverse_util.flatten_dict(variables)
    wanted = _of_parts(flat, layout)
    names = {variable: layout.tensor_name(segmenter, variable) for variable in wanted}
    loaded = match_tensors(
        tensors,
        wanted,
        names=names,
        layout=layout,
        problem=f"{path}, {layout.holds}, does not fit the model, whose backbone is "
        f"{registry.name_of(segmenter.backbone)!r}:",
        advice=_ADVICE,
    )
    loaded = layout.after_reading(path, tensors, names, loaded)
    return traverse_util.unflatten_dict({**flat, **loaded})


def installed_weights() -> tuple[str, ...]:
    """The backbones for which "imagenet" weights are installed, and PyTorch to read them.

    PyTorch itself is not imported, which would take seconds.
    """
    if importlib.util.find_spec("torch") is None:
        return ()
    installed = []
    for backbone, find in IMAGENET_FILES.items():
        with contextlib.suppress(WeightsError):
            find()
            installed.append(backbone)
    return tuple(installed)


def read_weights(source: str | os.PathLike[str], segmenter: Segmenter) -> dict[str, Any]:
    """Reads the weights of a whole model: `load_weights` without variables to replace.

    Args:
      source: see `load_weights`.
      segmenter: from `build_segmenter`, without an auxiliary head.

    Returns:
      The segmenter's variables, float32.

    Raises:
      WeightsError: see `load_weights`; or the file holds a backbone alone.
    """
    shapes = jax.eval_shape(lambda: init_variables(segmenter, jax.random.key(0), (64, 64)))
    variables = load_weights(source, segmenter, shapes)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(variables)):
        raise WeightsError(
            f"{source} holds a backbone alone; name the weights of a whole model, or use "
            "load_weights, which keeps the other variables."
        )
    return variables


def to_torch(
    segmenter: Segmenter, variables: Mapping[str, Any], layout: str
) -> dict[str, np.ndarray]:
    """Turns a segmenter's variables into PyTorch's named tensors, the inverse of `load_weights`.

    Layout "ripu" follows RIPU's code: the batch norm "frozen" becomes one without epsilon, which
    is added to the variances (MODEL.FREEZE_BN True). Otherwise every batch norm has a
    `num_batches_tracked`. No layout holds an auxiliary head.

    Args:
      segmenter: from `build_segmenter`.
      variables: the segmenter's.
      layout: name of a registered layout.

    Returns:
      {name: f32 array in PyTorch's layout, or in ours for the layout "labor_jax"}.

    Raises:
      ValueError: for an unknown layout, or one that holds another network than the segmenter.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; valid: {', '.join(LAYOUTS)}.")
    problem = LAYOUTS[layout].misfit(segmenter, None)
    if problem:
        raise ValueError(f"layout {layout!r} is of {LAYOUTS[layout].holds}; {problem}.")
    arrays = _of_parts(traverse_util.flatten_dict(variables), LAYOUTS[layout])
    return LAYOUTS[layout].to_tensors(
        segmenter, {path: np.asarray(value) for path, value in arrays.items()}
    )


def save_weights(
    path: str | os.PathLike[str],
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    layout: str = "ripu",
) -> None:
    """Writes a segmenter's variables in a published layout, for PyTorch and `load_weights`.

    Args:
      path: a .pth, .pt, .safetensors or .npz file; replaced if it exists. RIPU's code reads .pth,
        where the layout "ripu" becomes its two tables "feature_extractor" and "classifier". A
        .safetensors file of the layout "labor_jax" tells its network, which `load_weights` checks.
      segmenter: from `build_segmenter`.
      variables: the segmenter's.
      layout: see `to_torch`.

    Raises:
      ValueError: see `to_torch`.
      WeightsError: when the file cannot be written.
    """
    tensors = to_torch(segmenter, variables, layout)
    write_tensors(os.path.expanduser(path), tensors, LAYOUTS[layout].metadata(segmenter))


def _find_file(source: str | os.PathLike[str], segmenter: Segmenter) -> str:
    if os.fspath(source) != "imagenet":
        return os.path.expanduser(source)
    name = registry.name_of(segmenter.backbone)
    if name not in IMAGENET_FILES:
        raise WeightsError(
            "config.model.pretrained = 'imagenet' exists for "
            f"{', '.join(map(repr, IMAGENET_FILES))} only, not for {name!r}: give the path of a "
            f"weight file ({', '.join(SUFFIXES)})."
        )
    return IMAGENET_FILES[name]()


def _recognise(path: str, tensors: Mapping[str, np.ndarray]) -> Layout:
    for layout in LAYOUTS.values():
        if tensors and layout.recognises(tensors.keys()):
            return layout
    known = "; ".join(f"{name} ({layout.holds})" for name, layout in LAYOUTS.items())
    first = ", ".join(list(tensors)[:3]) or "none"
    raise WeightsError(
        f"{path}: the tensors' names are of no known layout (the first are: {first}). "
        f"Known layouts: {known}."
    )


def _check_classes(path: str, theirs: tuple[str, ...] | None, classes: tuple[str, ...]) -> None:
    """Raises WeightsError if a file's head tells other classes apart, or in another order."""
    if not theirs or not classes or theirs == classes:
        return
    if sorted(theirs) == sorted(classes):
        remedy = "Give them in the file's order."
    else:
        remedy = (
            "If they mean the same, give them the file's names and order; otherwise name other "
            "weights in config.model.pretrained."
        )
    raise WeightsError(
        f"{path} holds a model of the classes {', '.join(theirs)}, and not of "
        f"{', '.join(classes)}. {remedy}"
    )


def _of_parts(variables: Mapping[Path, Any], layout: Layout) -> dict[Path, Any]:
    return {path: value for path, value in variables.items() if path[1] in layout.parts}
