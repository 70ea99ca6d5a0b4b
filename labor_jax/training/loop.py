"""The training loop: batches in, state out, with progress, logs and checkpoints on the way."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from labor_jax.training import processes
from labor_jax.training.state import TrainState

Metrics = dict[str, float]
"""The metrics of a step, by name."""

# Steps after which the pace is measured; the first compiles.
_PACE_FROM, _PACE_TO = 2, 7


class DivergedError(RuntimeError):
    """A loss or a weight stopped being a finite number."""


def train(
    step: Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]],
    state: Any,
    batches: Iterable[Any],
    *,
    name: str,
    start: int,
    stop: int,
    steps_after: int,
    log_every: int,
    on_log: Callable[[int, Metrics, float | None], None],
    checkpoint_every: int,
    on_checkpoint: Callable[[int, Any, list[Metrics]], None],
    on_pace: Callable[[int, float], None] | None = None,
    unlogged: Sequence[Metrics] = (),
) -> Any:
    """Takes the steps `start` to `stop` of a phase.

    The host waits for the device only when it logs, so reading and computing overlap, and twice at
    the start if `on_pace` is given. The progress bar says "compiling…" until the first step is on
    its way.

    Args:
      step: `(state, batch) -> (state, metrics)`, compiled; it may donate the state.
      state: the state before step `start`.
      batches: device batches, from that of step `start` on.
      name: the phase's, for the progress bar and errors.
      start: steps already taken.
      stop: how many steps the phase has.
      steps_after: steps of the phases that follow, for the time that is left in total.
      log_every: steps between two calls of `on_log`.
      on_log: gets the steps taken, the metrics' means since the last call, and how many seconds a
        step has taken since then, compiling and checkpoints left out; None after the first step,
        of which compiling leaves too little to time.
      checkpoint_every: steps between two calls of `on_checkpoint`.
      on_checkpoint: gets the steps taken; the state, which it must copy before it returns; and the
        metrics of the steps that are not logged yet.
      on_pace: gets, once and early, the steps taken and how many seconds one takes; never in a
        phase of fewer than seven steps to take.
      unlogged: what `on_checkpoint` got last before step `start`, so that the next means are over
        the same steps.

    Returns:
      The state after step `stop`.

    Raises:
      DivergedError: a metric, or a weight of a state to save or return (of the network or a
        player), is NaN or infinite.
    """
    waiting, taken, paced_from = list(unlogged), start, 0.0
    timed_from, timed = 0.0, start  # when the steps since the last log began, and after which step
    bar = progress_bar(total=stop, initial=start, desc=f"{name}: compiling…", unit="step")
    with bar:
        for taken, batch in zip(range(start + 1, stop + 1), batches, strict=False):
            state, metrics = step(state, batch)
            waiting.append(metrics)
            if taken == start + 1:
                bar.set_description(name, refresh=False)
                bar.unpause()  # the rate leaves compilation out
                timed_from = time.perf_counter()
            bar.update()
            if on_pace is not None and taken - start in (_PACE_FROM, _PACE_TO):
                jax.block_until_ready(metrics)
                now = time.perf_counter()
                if taken - start == _PACE_TO:
                    with tqdm.external_write_mode(file=sys.stderr):  # it may print a line
                        on_pace(taken, (now - paced_from) / (_PACE_TO - _PACE_FROM))
                paced_from = now
            if taken % log_every == 0 or taken == stop:
                means = _means(_on_host(waiting))
                waiting = []
                _check_finite(means, name, taken)
                bar.set_postfix_str(_postfix(bar, means["loss"], steps_after), refresh=False)
                now = time.perf_counter()
                on_log(
                    taken,
                    means,
                    (now - timed_from) / (taken - timed) if taken > start + 1 else None,
                )
                timed_from, timed = now, taken
            if taken % checkpoint_every == 0 and taken != stop:
                waiting = _on_host(waiting)  # the steps so far are done; what follows is not timed
                saved_from = time.perf_counter()
                _check_state(state, name, taken)
                if waiting:
                    _check_finite(_means(waiting), name, taken)
                on_checkpoint(taken, state, list(waiting))
                timed_from += time.perf_counter() - saved_from
    if taken != stop:
        raise ValueError(f"The batches of phase {name} ended after step {taken} of {stop}.")
    _check_state(state, name, taken)
    return state


def _postfix(bar: tqdm, loss: float, steps_after: int) -> str:
    """The loss, and about how long all phases' steps take from here at this phase's rate."""
    rate = bar.format_dict["rate"]
    if not rate:
        return f"loss {loss:.3f}"
    left = tqdm.format_interval((bar.total - bar.n + steps_after) / rate)
    return f"loss {loss:.3f}, about {left} left in total"


def progress_bar(iterable=None, **options) -> tqdm:
    """A progress bar with rate and time left; without a terminal, a line every half minute.

    Of several processes only the first shows it.
    """
    options.setdefault("disable", not processes.is_first())
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(iterable, dynamic_ncols=True, mininterval=interval, maxinterval=interval, **options)


def _on_host(metrics: list[Any]) -> list[Metrics]:
    return [
        {name: float(value) for name, value in each.items()} for each in jax.device_get(metrics)
    ]


def _means(metrics: list[Metrics]) -> Metrics:
    return {name: float(np.mean([each[name] for each in metrics])) for name in metrics[0]}


def _check_finite(means: Metrics, name: str, taken: int) -> None:
    bad = [metric for metric, value in means.items() if not np.isfinite(value)]
    if bad:
        raise _diverged(", ".join(bad), name, taken)


def _check_state(state: Any, name: str, taken: int) -> None:
    """Raises unless what the state trains is finite: the losses tell of the step before alone.

    That is the network's variables and the players' parameters; any other state counts as a whole.
    """
    trained = (state.variables, state.players) if isinstance(state, TrainState) else state
    if not _all_finite(trained):
        raise _diverged("The weights", name, taken)


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _diverged(what: str, name: str, taken: int) -> DivergedError:
    return DivergedError(
        f"{what} stopped being finite in phase {name} at or shortly before step {taken}. Lower the "
        "phase's learning rate (or set config.optimizer.clip_norm) and start in a new workdir."
    )
