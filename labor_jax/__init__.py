"""Active domain-adaptive semantic segmentation in JAX.

Train on labelled source images, adapt to unlabelled target images, and ask a person to label only
the pixels that matter.

    config = labor_jax.get_config("spl", "camvid")
    summary = labor_jax.run(config, "runs/x")
    model = labor_jax.load("runs/x")

The subpackages are imported when they are first used; `import labor_jax` alone doesn't import JAX.
"""

import importlib
import os
import sys
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036, pip may have been told not to check it
    # This file must stay readable for older Pythons, down to 3.8.
    _message = (
        "labor_jax needs Python 3.11 or newer; this is Python {}.{}. Install a newer one.".format(
            *sys.version_info[:2]
        )
    )
    if sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0]).startswith("labor-jax"):
        sys.exit(_message)  # a command: no traceback
    raise ImportError(_message)

__version__ = "0.1.0"

__all__ = [
    "acquisition",
    "adaptation",
    "data",
    "deployment",
    "get_config",
    "load",
    "losses",
    "mixing",
    "models",
    "notebook",
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
