"""A data pair's classes and colours in a JSON file, for whoever reads a run without its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from labor_jax.data import base


def describe(pair: base.Pair) -> dict[str, Any]:
    """Returns what `read` needs, as JSON values: name, classes, palette and subsets of classes."""
    return {
        "name": pair.name,
        "classes": list(pair.classes),
        "palette": np.asarray(pair.palette).tolist(),
        "class_subsets": {name: list(subset) for name, subset in pair.class_subsets.items()},
    }


def read(path: Path) -> base.Pair:
    """Reads a described pair.

    Returns:
      The pair without its splits: each is None.

    Raises:
      DataError: the file is missing, or it is damaged.
    """
    try:
        described = json.loads(path.read_text())
        return base.Pair(
            name=described["name"],
            classes=tuple(described["classes"]),
            palette=np.array(described["palette"], np.uint8),
            class_subsets={
                name: tuple(subset) for name, subset in described["class_subsets"].items()
            },
            **dict.fromkeys(base.ROLES),
        )
    except FileNotFoundError as error:
        raise base.DataError(
            f"There is no {path}, which tells the classes of the run's data. The same command that "
            "started the run writes it."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise base.DataError(
            f"{path} is damaged ({error}). Delete it; the command that started the run writes it "
            "again."
        ) from error
