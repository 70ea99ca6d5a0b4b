"""Traces of training steps, which show where their time goes: `--profile`."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from labor_jax.experiment.plan import Phase
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training import processes

logger = logging.getLogger(__name__)

# The first step compiles, and the second may do so again.
_SETTLED = 3


class Profile(NamedTuple):
    """The steps to trace.

    Attributes:
      phase: a phase's name; None for all that train.
      first: the first step, 1 being the phase's first.
      last: the last step.
    """

    phase: str | None
    first: int
    last: int


def parse(text: str) -> Profile:
    """The steps that `--profile` names.

    Args:
      text: "10" are ten steps, "20-24" the steps 20 to 24, of each training phase; "warmup:10" are
        steps of one phase.

    Raises:
      ConfigError: it is none of these.
    """
    found = re.fullmatch(r"(?:([^:]+):)?([0-9]+)(?:-([0-9]+))?", text)
    if found:
        phase, first, last = found[1], int(found[2]), int(found[3] or 0)
        if not found[3]:
            first, last = _SETTLED, _SETTLED + first - 1
        if 1 <= first <= last:
            return Profile(phase, first, last)
    raise ConfigError(
        f"--profile is {text!r}. Give a number of steps, as in 10, or the first and the last of "
        "them, as in 20-24; warmup:10 is for one phase."
    )


def check(profile: Profile, phases: Sequence[Phase]) -> None:
    """Checks that a run takes one of these steps.

    Raises:
      ConfigError: it doesn't; the message lists its phases.
    """
    training = [phase for phase in phases if phase.kind != "query"]
    if not any(_covers(profile, phase) for phase in training):
        listed = ", ".join(f"{phase.name} ({phase.steps} steps)" for phase in training)
        raise ConfigError(
            f"--profile asks for step {profile.first}"
            f"{f' of phase {profile.phase!r}' if profile.phase else ''}, which this run doesn't "
            f"take. Its training phases are: {listed or 'none'}."
        )


def _covers(profile: Profile, phase: Phase) -> bool:
    return profile.phase in (None, phase.name) and profile.first <= phase.steps


@contextlib.contextmanager
def traced(
    step: Callable[[Any, Any], Any], phase: Phase, start: int, profile: Profile | None, folder: Path
) -> Iterator[Callable[[Any, Any], Any]]:
    """Traces some of the calls of a phase's step.

    The host waits for the device before the first and after the last of them.

    Args:
      step: `(state, batch) -> (state, metrics)`.
      phase: the phase.
      start: steps of it that were taken before.
      profile: the steps to trace; None for none.
      folder: a folder of the phase's name in it gets the trace, written by the first process.

    Yields:
      The step to take instead.
    """
    if profile is None or not _covers(profile, phase) or not processes.is_first():
        yield step
        return
    folder = folder / phase.name.replace("/", "_")
    last = min(profile.last, phase.steps)
    taken, tracing = start, False

    def stop() -> None:
        nonlocal tracing
        tracing = False
        jax.profiler.stop_trace()
        written = max(folder.rglob("perfetto_trace.json.gz"), key=lambda path: path.stat().st_mtime)
        logger.info(
            "A trace of steps %d to %d of %s is in %s. To look at it, open https://ui.perfetto.dev "
            "and drop that file on the page; or pip install xprof, and xprof --logdir %s",
            max(profile.first, start + 1),
            taken,
            phase.name,
            written,
            folder,
        )

    def step_or_trace(state: Any, batch: Any) -> Any:
        nonlocal taken, tracing
        taken += 1
        if not profile.first <= taken <= last:
            return step(state, batch)
        if not tracing:
            jax.block_until_ready(state)
            jax.profiler.start_trace(folder, create_perfetto_trace=True)
            tracing = True
        with jax.profiler.StepTraceAnnotation("train", step_num=taken):
            result = step(state, batch)
        if taken == last:
            jax.block_until_ready(result)
            stop()
        return result

    try:
        yield step_or_trace
    finally:
        if tracing:
            stop()
