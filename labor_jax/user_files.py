"""A user's own Python files: configs, and what they register with labor_jax."""

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load(path: str | Path) -> ModuleType:
    """Runs a Python file once and returns it as a module.

    Files beside it can be imported by it, as if Python had been started with it.

    Args:
      path: the file.

    Raises:
      FileNotFoundError: there is no such file.
      Exception: whatever the file itself raises.
    """
    return _load(Path(path).expanduser().resolve())


@functools.cache
def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_user"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
