"""Rewrites a traced function with fewer kinds of primitives, for converters that know only those.

Functions within functions are spelt out, and what only matters for gradients or for the order of
computation is left out.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend import core

# Primitives that apply another function, by the parameter that holds it.
_CALLS = {
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
_IDENTITIES = ("optimization_barrier", "stop_gradient", "copy", "copy_p")


def spelt_out(function: Callable[..., Any], *shapes: jax.ShapeDtypeStruct) -> Callable[..., Any]:
    """Traces a function and returns it with fewer kinds of primitives.

    Args:
      function: from arrays to one array or a tree of them.
      shapes: of its arguments; sizes may be symbolic.

    Returns:
      A function of the same arguments that returns a list of the arrays.
    """
    traced = jax.make_jaxpr(function)(*shapes)
    return lambda *arguments: _apply(traced.jaxpr, traced.consts, arguments)


def _apply(jaxpr: Any, constants: Any, arguments: Any) -> list[Any]:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

    def read(variable):
        return variable.val if isinstance(variable, core.Literal) else values[variable]

    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        name = equation.primitive.name
        if name in _IDENTITIES:
            outputs = inputs
        elif name in _CALLS:
            called = equation.params[_CALLS[name]]
            outputs = _apply(
                getattr(called, "jaxpr", called), getattr(called, "consts", ()), inputs
            )
        elif name in _REWRITTEN and _REWRITTEN[name].applies(**equation.params):
            outputs = [_REWRITTEN[name].apply(*inputs, **equation.params)]
        else:
            outputs = equation.primitive.bind(*inputs, **equation.params)
            if not equation.primitive.multiple_results:
                outputs = [outputs]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


class _Rewriting(NamedTuple):
    """How a primitive is written by others.

    Attributes:
      applies: whether it can be, by the primitive's parameters.
      apply: does it, given the primitive's inputs and parameters.
    """

    applies: Callable[..., bool]
    apply: Callable[..., jax.Array]


def _max_over_taps(
    values: jax.Array, *, window_dimensions, window_strides, padding, **unused_ones
) -> jax.Array:
    """A maximum over windows as the maximum of shifted values.

    Converters take a window over four axes for a pooling of four, which no runtime has.
    """
    low = lax.full((), -float("inf"), values.dtype)
    values = _joined_padding(values, low, [(*pads, 0) for pads in padding])
    views = []
    for tap in itertools.product(*map(range, window_dimensions)):
        ends = zip(values.shape, window_dimensions, tap, strict=True)
        stops = [size - taps + 1 + start for size, taps, start in ends]
        views.append(lax.slice(values, tap, stops, window_strides))
    return functools.reduce(lax.max, views)


def _joined_padding(values: jax.Array, filler: jax.Array, padding_config) -> jax.Array:
    """Padding by concatenation: converters can't pad arrays whose batch is a symbol."""
    for axis, (before, after, _) in enumerate(padding_config):

        def filled(count, values=values, axis=axis):
            shape = (*values.shape[:axis], int(count), *values.shape[axis + 1 :])
            return [lax.broadcast(filler, shape)] if count else []

        parts = [*filled(before), values, *filled(after)]
        values = lax.concatenate(parts, axis) if len(parts) > 1 else values
    return values


def _is_dense(*, base_dilation, window_dilation, **unused) -> bool:
    return all(dilation == 1 for dilation in (*base_dilation, *window_dilation))


def _only_adds(*, padding_config) -> bool:
    return all(min(before, after) >= 0 == between for before, after, between in padding_config)


_REWRITTEN = {
    "pad": _Rewriting(_only_adds, _joined_padding),
    "reduce_window_max": _Rewriting(_is_dense, _max_over_taps),
}
