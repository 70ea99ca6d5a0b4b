"""Active domain-adaptive semantic segmentation in JAX.

Train on labelled source images, adapt to unlabelled target images, and ask a person to label only
the pixels that matter.

    config = labor_jax.get_config("spl", "camvid")
    summary = labor_jax.run(config, "runs/x")
    model = labor_jax.load("runs/x")

The subpackages are imported when they are first used; `import labor_jax` alone doesn't import JAX.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "acquisition",
    "adaptation",
    "data",
    "get_config",
    "load",
    "losses",
    "mixing",
    "models",
    "pseudo_labels",
    "run",
]

_FUNCTIONS = {
    "get_config": "labor_jax.config",
    "load": "labor_jax.prediction",
    "run": "labor_jax.experiment",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in __all__:
        return importlib.import_module(f"labor_jax.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
