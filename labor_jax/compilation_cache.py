"""Compiled programs kept on disk, so that the next run of the same config need not compile them."""

import hashlib
import logging
import os
import platform
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from labor_jax import file_errors

logger = logging.getLogger(__name__)

_ours: str | None = None  # the folder that `enable` chose last in this process


def enable(path: str) -> None:
    """Keeps the programs that JAX compiles from now on, and uses those that are kept.

    A folder that the user chose, by $JAX_COMPILATION_CACHE_DIR or in `jax.config`, stays.

    Args:
      path: the folder, `config.compilation_cache`; made if absent. "~" is the home folder, and
        $XDG_CACHE_HOME, if set, takes the place of "~/.cache". Empty: keep none.
    """
    global _ours
    if jax.config.jax_compilation_cache_dir != _ours:  # the user's
        return
    chosen = _made(folder(path)) if path else None
    if chosen == _ours:
        return
    # Even the smallest programs: a run has dozens, and reading one is faster than compiling it.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_compilation_cache_dir", chosen)
    _ours = chosen
    compilation_cache.reset_cache()  # JAX may have compiled before, and then looks no more


def _made(path: Path) -> str | None:
    """Makes the folder; None, with a warning, if it can't be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.warning(
            "Compiled programs can't be kept: %s Set config.compilation_cache to another folder, "
            'or to "" to keep none.',
            file_errors.describe(error) or error,
        )
        return None
    return str(path)


def folder(path: str) -> Path:
    """Returns the folder of this machine's programs in that of `config.compilation_cache`.

    JAX's own keys don't tell CPUs apart, and a program for one may use instructions that another
    one lacks. So each kind of CPU has a subfolder.
    """
    cache_home = os.environ.get("XDG_CACHE_HOME")
    if cache_home and path.startswith("~/.cache/"):
        chosen = Path(cache_home) / path.removeprefix("~/.cache/")
    else:
        chosen = Path(path).expanduser()
    instructions = hashlib.sha256(_instruction_sets().encode()).hexdigest()[:12]
    return chosen / f"{platform.machine()}-{instructions}"


def _instruction_sets() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
