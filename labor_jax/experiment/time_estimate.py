"""How long a run takes: from the pace of a few steps to hours for all phases.

Phases differ: the first trains on source images alone, later ones on both domains, a query only
predicts. So time is counted in images: one that a step trains on counts 1.
"""

from collections.abc import Iterable

from labor_jax.active import strategies
from labor_jax.experiment.components import Components
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase

# Forward and backward pass take about three times as long as the forward pass alone.
_PREDICTED = 1 / 3


def images_per_step(components: Components, phase: Phase) -> int:
    """How many images a step of a training phase reads."""
    domains = KINDS[phase.kind].domains(components.config, phase)
    return sum(components.config[f"{domain}_batch_size"] for domain in domains)


def work(components: Components, phase: Phase) -> float:
    """The time of a whole phase, in images of training."""
    if phase.kind == "query":
        return _PREDICTED * _networks_asked(components, phase) * len(components.pair.pool)
    trained = phase.steps * images_per_step(components, phase)
    evaluation = components.pair.evaluation
    if KINDS[phase.kind].evaluates and evaluation is not None:
        trained += _PREDICTED * len(evaluation)
    return trained


def _networks_asked(components: Components, phase: Phase) -> int:
    """How many networks predict each image of the pool in a query."""
    of_round = strategies.of_round(components.config.acquisition, phase.round)
    method = strategies.method(of_round.method)
    if method.picked_by_annotator:
        return 0
    return 1 + sum(each in method.reads for each in ("selector_logits", "first_logits"))


def steps_after(components: Components, phases: Iterable[Phase], phase: Phase) -> int:
    """What comes after a training phase, in steps of that phase."""
    later = [work(components, each) for each in phases if each.first_step >= phase.last_step]
    return round(sum(later) / images_per_step(components, phase))


def seconds_left(
    components: Components, phases: Iterable[Phase], phase: Phase, taken: int, pace: float
) -> float:
    """How long the run still takes, without compiling and without waiting for people.

    Args:
      components: the run's.
      phases: all of the run's.
      phase: the training phase that is under way.
      taken: steps of it that are done.
      pace: seconds that one of its steps takes.
    """
    rest = work(components, phase) / images_per_step(components, phase) - taken
    return pace * (rest + steps_after(components, phases, phase))


def in_words(seconds: float) -> str:
    """A duration as people say it: "about 1 h 20 min", "less than a minute"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes >= 600:
        return f"about {round(minutes / 60)} h"
    hours, rest = divmod(minutes, 60)
    return "about " + " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (rest, "min")) if n)
