"""Weight files: flat tables of named arrays as .pth, .safetensors or .npz.

Reading a file never runs code in it: PyTorch files are read with `weights_only=True`, NumPy's
without pickles.
"""

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

SUFFIXES = (".pth", ".pt", ".safetensors", ".npz")

# The tables of a checkpoint of RIPU's code.
_RIPU_TABLES = ("feature_extractor", "classifier")


class WeightsError(ValueError):
    """A weight file cannot be read or written, or does not fit the model."""


def _suffix(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise WeightsError(
            f"{path}: unknown kind of weight file {suffix!r}; valid: {', '.join(SUFFIXES)}."
        )
    return suffix


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads a flat table of named arrays.

    Args:
      path: a .pth, .pt (needs torch), .safetensors or .npz file.

    Returns:
      {name: floating or integer array}, without the leading "module." of data-parallel training.
      The two tables "feature_extractor" and "classifier" of RIPU's checkpoints become one, with
      the table's name in front: "classifier.conv2d_list.0.weight".

    Raises:
      WeightsError: when the file is missing, damaged, of an unknown kind or not such a table.
    """
    suffix = _suffix(path)
    if not os.path.isfile(path):
        raise WeightsError(
            f"{os.path.abspath(path)}: no such weight file; config.model.pretrained names it."
        )
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    tensors = readers.get(suffix, _read_torch)(path)
    for name, tensor in tensors.items():
        # Extension types such as bfloat16 are of kind "V". An .npz file forgets what they are.
        if tensor.dtype.kind not in "fiubV" or tensor.dtype.type is np.void:
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
            members = archive.zip.namelist()
            foreign = [name for name in members if not name.endswith(".npy")]
            if foreign:
                raise WeightsError(f"{path}: {foreign[0]!r} is not an array, a member *.npy.")
            return {name: archive[name] for name in archive.files}
    except WeightsError:
        raise
    except (
        ValueError,
        MemoryError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:  # of zip, of its compressions, of NumPy's header
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
    if isinstance(table, Mapping) and all(
        isinstance(table.get(part), Mapping) for part in _RIPU_TABLES
    ):
        table = {
            f"{part}.{str(name).removeprefix('module.')}": value
            for part in _RIPU_TABLES
            for name, value in table[part].items()
        }
    elif isinstance(table, Mapping) and isinstance(table.get("state_dict"), Mapping):
        table = table["state_dict"]
    if not isinstance(table, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in table.items()
    ):
        raise WeightsError(f"{path}: not a state dict, a table of named tensors.")
    return {name: _from_torch(path, name, value) for name, value in table.items()}


def _from_torch(path: str, name: str, tensor: Any) -> np.ndarray:
    """A tensor's numbers.

    Raises:
      WeightsError: it holds none, or not one for each place.
    """
    kinds = {
        "sparse": tensor.is_sparse or "sparse" in str(tensor.layout),
        "quantised": tensor.is_quantized,
        "without values (on the device meta)": tensor.is_meta,
        "of 8-bit floats": "float8" in str(tensor.dtype),
        "complex": tensor.is_complex(),
    }
    for kind, applies in kinds.items():
        if applies:
            raise WeightsError(
                f"{path}: the tensor {name!r} is {kind}; save a dense float32 tensor instead."
            )
    # A model's parameters need `detach`. Through float32: NumPy has no bfloat16.
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).resolve_neg().numpy()


def write_tensors(
    path: str, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a table of named arrays that `read_tensors` and PyTorch read.

    Args:
      path: a .safetensors, .npz, .pth or .pt file (the last two need torch); replaced if it exists.
      tensors: {name: array}. In a PyTorch file, names that all begin with "feature_extractor." or
        "classifier." become two tables of these names, as RIPU's code reads them.
      metadata: what a .safetensors file says beside them; the other kinds say nothing.

    Raises:
      WeightsError: for an unknown kind of file, a missing folder or one that can't be written to,
        or when torch is missing.
    """
    suffix = _suffix(path)
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise WeightsError(f"{path}: the folder {folder} does not exist; make it first.")
    partial = f"{path}.partial{suffix}"
    try:
        if suffix == ".npz":
            np.savez(partial, **tensors)
        elif suffix == ".safetensors":
            save_file(dict(tensors), partial, dict(metadata or {}))
        else:
            _write_torch(path, partial, tensors)
        os.replace(partial, path)
    except OSError as error:
        raise WeightsError(f"{path}: can't be written: {error.strerror or error}.") from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def _write_torch(path: str, partial: str, tensors: Mapping[str, np.ndarray]) -> None:
    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            f"{path}: writing a PyTorch file needs torch: pip install 'labor_jax[pretrained]', or "
            "write .safetensors or .npz."
        ) from error
    table = {name: torch.tensor(value) for name, value in tensors.items()}
    if all(name.partition(".")[0] in _RIPU_TABLES for name in table):
        table = {
            part: {
                name.removeprefix(f"{part}."): value
                for name, value in table.items()
                if name.startswith(f"{part}.")
            }
            for part in _RIPU_TABLES
        }
    torch.save(table, partial)
