"""Which form of an operation runs: the one for CPUs, or the one for everything else."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Hashable, Iterator
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


def choose(
    *operands: jax.Array,
    cpu: Callable[..., Any],
    default: Callable[..., Any],
    **options: Hashable,
) -> Any:
    """Applies `cpu` on CPUs and `default` elsewhere, chosen when the program is lowered.

    Within `portable` it applies `default`. Layers of the same shapes and options are traced once if
    both are functions of a module; a lambda is another function at each call.

    Args:
      *operands: the arrays.
      cpu: called with the operands, and with the options by name.
      default: likewise; its results have the same shapes and dtypes.
      **options: settings of the layer, such as its stride.

    Returns:
      What the chosen function returns.
    """
    if is_portable():
        return default(*operands, **options)
    return _choose(operands, cpu, default, tuple(options.items()))


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _choose(operands, cpu, default, options):
    return jax.lax.platform_dependent(
        *operands,
        cpu=functools.partial(cpu, **dict(options)),
        default=functools.partial(default, **dict(options)),
    )
