"""The registry of weight layouts: how published files name and store a network's tensors."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.segmenter import Segmenter

COUNTER = "num_batches_tracked"  # PyTorch's batch norm counts its steps; nothing here reads it

# A variable's path: its collection, then "backbone" or "head", modules, and the variable's name.
Path = tuple[str, ...]


def _as_they_are(path, tensors, names, arrays):
    return arrays


@dataclasses.dataclass(frozen=True)
class Layout:
    """How files of one kind name the tensors of a network.

    Attributes:
      holds: what such a file holds, for errors: "a model of RIPU".
      parts: of "backbone" and "head", those that are in such a file.
      recognises: whether a file with these tensor names is of this kind, and of no other.
      misfit: given a segmenter, and a file's tensor names or None when a file is to be written:
        why the segmenter is not the network that such a file holds, and what to set; None if it
        is.
      tensor_name: the name of a variable's tensor, by the segmenter and the variable's path.
      is_unused: whether a tensor of this name may be in a file without a variable for it.
      after_reading: turns arrays by variable path, as read, into variables. It is called with the
        file's path, its tensors and the tensor names by variable path as well, for errors.
      misfit_of_file: given a file's path and a segmenter, as `misfit`, of what only the file itself
        shows.
      classes_of_file: given a file's path, the names of its model's classes in label order; None if
        it doesn't tell.
      metadata: what a .safetensors file says of a segmenter, by entry.
      in_torch_layout: whether filters are [out, in, h, w] as PyTorch's; else they are as ours.
      removes_epsilon: whether, when written, batch norm of this segmenter becomes one without
        epsilon in the denominator.
    """

    holds: str
    parts: tuple[str, ...]
    recognises: Callable[[Collection[str]], bool]
    misfit: Callable[[Segmenter, Collection[str] | None], str | None]
    tensor_name: Callable[[Segmenter, Path], str]
    is_unused: Callable[[str], Any]
    after_reading: Callable[..., dict[Path, Any]] = _as_they_are
    misfit_of_file: Callable[[str, Segmenter], str | None] = lambda path, segmenter: None
    classes_of_file: Callable[[str], tuple[str, ...] | None] = lambda path: None
    metadata: Callable[[Segmenter], dict[str, str]] = lambda segmenter: {}
    in_torch_layout: bool = True
    removes_epsilon: Callable[[Segmenter], bool] = lambda segmenter: False

    def to_tensors(
        self, segmenter: Segmenter, arrays: Mapping[Path, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Names the arrays of variables and brings them into the file's layout."""
        tensors: dict[str, np.ndarray] = {}
        if not self.in_torch_layout:
            return {
                self.tensor_name(segmenter, path): np.ascontiguousarray(array)
                for path, array in arrays.items()
            }
        without_epsilon = self.removes_epsilon(segmenter)
        for path, array in arrays.items():
            name = self.tensor_name(segmenter, path)
            is_variance = path[-1] == "var"
            if is_variance and without_epsilon:
                array = array + np.float32(BatchNorm.epsilon)
            tensors[name] = to_torch_layout(path, array)
            if is_variance and not without_epsilon:
                tensors[name.replace("running_var", COUNTER)] = np.asarray(0, np.int64)
        return tensors

    def file_shape(self, path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in a file of a variable of a shape."""
        return torch_shape(path, shape) if self.in_torch_layout else shape

    def from_file(self, path: Path, tensor: np.ndarray, ndim: int) -> np.ndarray:
        """A file's tensor as a variable of `ndim` axes."""
        return from_torch_layout(path, tensor, ndim) if self.in_torch_layout else tensor


LAYOUTS: dict[str, Layout] = {}

# Backbone name to the function that finds the installed package's file of ImageNet weights.
IMAGENET_FILES: dict[str, Callable[[], str]] = {}


def register_layout(name: str, layout: Layout) -> None:
    """Registers a layout, which `load_weights` then recognises and `save_weights` writes.

    Raises:
      ValueError: the name is taken.
    """
    if name in LAYOUTS:
        raise ValueError(f"a weight layout named {name!r} is registered already.")
    LAYOUTS[name] = layout


_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def leaf_name(leaf: str) -> str:
    """PyTorch's name of a convolution's or batch norm's variable: "kernel" is "weight"."""
    return _LEAVES[leaf]


def to_torch_layout(path: Path, value: np.ndarray) -> np.ndarray:
    """A variable as PyTorch's tensor, contiguous.

    Filters [h, w, in, out] become [out, in, h, w], so depthwise [k, k, 1, C] become [C, 1, k, k].
    A matrix [in, out] becomes the 1x1 filter [out, in, 1, 1]. Vectors stay as they are.
    """
    if path[-1] == "kernel":
        value = value[None, None] if value.ndim == 2 else value
        value = np.transpose(value, (3, 2, 0, 1))
    return np.ascontiguousarray(value)


def from_torch_layout(path: Path, value: np.ndarray, ndim: int) -> np.ndarray:
    """The inverse of `to_torch_layout` for a variable of `ndim` axes."""
    if path[-1] != "kernel":
        return value
    value = np.transpose(value, (2, 3, 1, 0))
    return value[0, 0] if ndim == 2 else value


def torch_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `to_torch_layout` gives to a variable of a shape."""
    if path[-1] != "kernel":
        return shape
    height, width, inputs, outputs = shape if len(shape) == 4 else (1, 1, *shape)
    return (outputs, inputs, height, width)
