"""The package's own layout: a whole model, its arrays as they are, and which network it is.

A tensor's name is its variable's path: "params/backbone/conv1/kernel", a filter [h, w, in, out].
A .safetensors file also says which network it is of, in its metadata; one of `labor-jax export` the
names of its classes, too.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from safetensors import SafetensorError, safe_open

from labor_jax.models import registry
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights.files import WeightsError
from labor_jax.models.weights.layouts import Layout, Path, register_layout

NETWORK = "network"
"""The entry of a .safetensors file's metadata that holds `describe`, as JSON."""

CLASSES = "classes"
"""The entry that holds the names of the classes in label order, as JSON."""

_COLLECTIONS = ("params/", "batch_stats/")

# How a network is trained and computed, and what the arrays' shapes show.
_FREE_FIELDS = {
    "axis_name",
    "batch_norm",
    "dropout",
    "dtype",
    "name",
    "num_classes",
    "parent",
    "remat",
}


def describe(segmenter: Segmenter) -> dict[str, dict[str, Any]]:
    """What a network computes, as JSON values: for backbone and head, its name and its fields."""
    described = {}
    for part in ("backbone", "head"):
        module = getattr(segmenter, part)
        fields = {
            field.name: getattr(module, field.name)
            for field in dataclasses.fields(module)
            if field.name not in _FREE_FIELDS
        }
        # A field that JSON doesn't have, such as a function, is not compared.
        fields = {name: value for name, value in fields.items() if _is_plain(value)}
        described[part] = {part: registry.name_of(module), **fields}
    return json.loads(json.dumps(described))


def metadata(segmenter: Segmenter) -> dict[str, str]:
    """What a .safetensors file says of its network, by entry."""
    return {NETWORK: json.dumps(describe(segmenter))}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@contextlib.contextmanager
def _metadata_of(path: str) -> Iterator[dict[str, str]]:
    """A file's metadata, none of most; an error of the block says that they are damaged."""
    try:
        if not path.lower().endswith(".safetensors"):
            yield {}
            return
        with safe_open(path, framework="numpy") as file:
            yield file.metadata() or {}
    except (SafetensorError, AttributeError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata are damaged: {error}") from error


def _classes_of_file(path: str) -> tuple[str, ...] | None:
    with _metadata_of(path) as entries:
        return tuple(map(str, json.loads(entries[CLASSES]))) if CLASSES in entries else None


def _misfit_of_file(path: str, segmenter: Segmenter) -> str | None:
    with _metadata_of(path) as entries:
        described = json.loads(entries.get(NETWORK, "{}"))
        differing = [
            (name, theirs, ours[name])
            for part, ours in describe(segmenter).items()
            for name, theirs in described.get(part, {}).items()
            if name in ours and theirs != ours[name]
        ]
    if not differing:
        return None
    listed = ", ".join(f"{name} = {theirs!r} and not {ours!r}" for name, theirs, ours in differing)
    return f"its network has {listed}: set that in config.model"


def _tensor_name(segmenter: Segmenter, path: Path) -> str:
    del segmenter
    return "/".join(path)


register_layout(
    "labor_jax",
    Layout(
        holds="a model of labor_jax",
        parts=("backbone", "head"),
        recognises=lambda names: all(name.startswith(_COLLECTIONS) for name in names),
        misfit=lambda segmenter, names: None,
        tensor_name=_tensor_name,
        is_unused=lambda name: name.split("/")[1:2] == ["auxiliary_head"],
        misfit_of_file=_misfit_of_file,
        classes_of_file=_classes_of_file,
        metadata=metadata,
        in_torch_layout=False,
    ),
)
