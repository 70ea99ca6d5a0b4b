"""Finds the tensor of every variable, by name and shape."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from labor_jax.models.weights.files import WeightsError
from labor_jax.models.weights.layouts import Layout, Path

_LISTED = 12  # tensors of each kind that an error names; the rest are counted


def match_tensors(
    tensors: Mapping[str, np.ndarray],
    variables: Mapping[Path, Any],
    *,
    names: Mapping[Path, str],
    layout: Layout,
    problem: str,
    advice: str,
) -> dict[Path, Any]:
    """Finds the tensor of every variable.

    Args:
      tensors: a file's.
      variables: by path, anything with a shape.
      names: by path, the name of the variable's tensor.
      layout: the file's.
      problem: first line of an error.
      advice: last line of an error.

    Returns:
      By path, f32 arrays in our layout.

    Raises:
      WeightsError: names the tensors that are missing, unexpected, of a wrong shape or not finite.
    """
    problems: dict[str, list[str]] = {"missing": [], "wrong shape": [], "not finite": []}
    loaded = {}
    for path, value in variables.items():
        name = names[path]
        if name not in tensors:
            problems["missing"].append(name)
            continue
        with np.errstate(over="ignore"):  # what float32 can't hold is not finite
            tensor = np.asarray(tensors[name], np.float32)
        shape = layout.file_shape(path, np.shape(value))
        if tensor.shape != shape:
            problems["wrong shape"].append(f"{name} (model {shape}, file {tensor.shape})")
        elif not np.all(np.isfinite(tensor)):
            problems["not finite"].append(name)
        else:
            array = layout.from_file(path, tensor, np.ndim(value))
            loaded[path] = jnp.asarray(array, jnp.float32)
    expected = set(names.values())
    problems["unexpected"] = [
        name for name in tensors if name not in expected and not layout.is_unused(name)
    ]
    if any(problems.values()):
        lines = [problem]
        for kind, found in problems.items():
            if found:
                more = f", and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
                lines.append(f"  {len(found)} {kind}: {', '.join(found[:_LISTED])}{more}")
        raise WeightsError("\n".join([*lines, advice]))
    return loaded
