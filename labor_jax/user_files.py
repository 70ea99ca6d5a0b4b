"""A user's own Python files: configs, and what they register with labor_jax."""

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load(path: str | Path) -> ModuleType:
    """Runs a Python file once and returns it as a module.

    Files beside it can be imported by it, as if Python had been started with it. A file that one of
    them has imported isn't run again.

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
    imported = _imported(path)
    if imported is not None:
        return imported
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = path.stem if _names(path.stem, path) else f"{path.stem}_of_user"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imported(path: Path) -> ModuleType | None:
    """The module that Python's own import has made of a file."""
    for module in list(sys.modules.values()):
        # Of the module's dict, as asking a lazy module may import it.
        file = getattr(module, "__dict__", {}).get("__file__")
        if file and Path(file).name == path.name and Path(file).resolve() == path:
            return module
    return None


def _names(name: str, path: Path) -> bool:
    """Whether a file can have a module's name: no other module has it or would be found by it."""
    if name in sys.modules or "." in name:  # of a name with dots, Python would import the first
        return False
    spec = importlib.util.find_spec(name)
    return spec is None or (spec.origin is not None and Path(spec.origin).resolve() == path)
