"""Which form of an operation runs: the one for CPUs, or the one for everything else."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax

_portable = contextvars.ContextVar("portable", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Within it, what is traced has the form for accelerators only, which runs everywhere.

    Converters to other formats don't know choices by platform, and other compilers have fast
    convolutions of their own. What `jax.jit` has traced before keeps its forms, so trace a new
    function.
    """
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_portable() -> bool:
    """Whether this is within `portable`."""
    return _portable.get()


def choose(*operands: jax.Array, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """Applies `cpu` on CPUs and `default` elsewhere, chosen when the program is lowered.

    Within `portable` it applies `default`.
    """
    if is_portable():
        return default(*operands)
    return jax.lax.platform_dependent(*operands, cpu=cpu, default=default)
