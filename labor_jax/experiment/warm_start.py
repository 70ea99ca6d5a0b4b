"""Where a run goes on from another run, and whether the two agree up to there.

The other run's last phase has to be one of this run's before its rounds: the warm-up, the
supervised phase alone, or joint training before its first query. What comes later may differ.
"""

import json
from typing import Any

from ml_collections import ConfigDict

from labor_jax import adaptation
from labor_jax.experiment.plan import Phase, before_rounds, plan
from labor_jax.experiment.workdir import (
    FREE_FIELDS,
    ConfigError,
    Workdir,
    differing_fields,
    effective_fields,
)


def own_phases(config: ConfigDict) -> tuple[Phase, ...]:
    """The phases that a run takes itself: those after its start.

    A run that is resumed no longer needs the other's folder. Without it, all that comes before the
    rounds counts as taken over.
    """
    phases = plan(config)
    if not config.warm_start:
        return phases
    names = [phase.name for phase in before_rounds(phases)]
    try:
        theirs = before_rounds(plan(Workdir.existing(config.warm_start).read_config()))
    except ConfigError:
        theirs = ()
    last = theirs[-1].name if theirs else ""
    return phases[names.index(last) + 1 if last in names else len(names) :]


def shared_phase(config: ConfigDict, their_config: ConfigDict) -> str:
    """The name of the phase after which a run of `config` can go on from one of `their_config`.

    Returns:
      The last of the other's phases before its rounds.

    Raises:
      ValueError: the message says why it can't, and is to follow the other's name and "which".
    """
    names, their_names = (
        [phase.name for phase in before_rounds(plan(each))] for each in (config, their_config)
    )
    if not their_names or their_names[-1] not in names:
        ends = f"ends its training in phase {their_names[-1]}" if their_names else "trains nothing"
        ours = ", ".join(names) or "none"
        raise ValueError(
            f"{ends} before any round, and this run has no such phase there (its phases before the "
            f"rounds: {ours})"
        )
    last = their_names[-1]
    differing = differences(config, their_config, last)
    if differing:
        raise ValueError(
            f"was configured differently up to the end of phase {last}: "
            + "; ".join(
                f"config.{name} is {theirs!r} there and {ours!r} here"
                for name, (theirs, ours) in differing.items()
            )
        )
    return last


def differences(
    config: ConfigDict, their_config: ConfigDict, last: str
) -> dict[str, tuple[Any, Any]]:
    """The fields, with the other's value and this one's, that matter up to the end of a phase.

    Args:
      config: this run's.
      their_config: the other's.
      last: the phase's name; both have it before their rounds.
    """
    theirs, ours = (_fields_up_to(each, last) for each in (their_config, config))
    return {
        name: values
        for name, values in differing_fields(theirs, ours).items()
        if name not in FREE_FIELDS and not _of_measuring(name)
    }


def shared_fields(their_config: ConfigDict) -> dict[str, Any]:
    """The fields, by dotted name, that a run takes over if it goes on from another's end.

    Of "joint.query_steps" that is the first alone.
    """
    phases = before_rounds(plan(their_config))
    if not phases:
        return {}
    fields = differing_fields({}, _fields_up_to(their_config, phases[-1].name))
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, (_, value) in fields.items()
        if name not in FREE_FIELDS and not _of_measuring(name)
    }


def measured_otherwise(config: ConfigDict, their_config: ConfigDict) -> list[str]:
    """The fields by which two runs measure mIoU in different ways."""
    theirs, ours = (json.loads(each.to_json()) for each in (their_config, config))
    whole = config.evaluation_window is None and their_config.evaluation_window is None
    return [
        name
        for name in differing_fields(theirs, ours)
        if _of_measuring(name) and not (whole and name == "evaluation_overlap")
    ]


def _of_measuring(name: str) -> bool:
    """Whether a field decides what mIoU is measured on, and how, and nothing else."""
    return name.startswith("data.evaluation.") or name in _OF_MEASURING


def _fields_up_to(config: ConfigDict, last: str) -> dict[str, Any]:
    """The fields that decide how a run comes to the end of a phase, as JSON has them.

    All but those of later phases: a field that a phase up to there might read is one that matters.
    """
    phases = before_rounds(plan(config))
    phases = phases[: [phase.name for phase in phases].index(last) + 1]
    later = set(_STAGED[_STAGED.index(phases[-1].section) + 1 :]) if not phases[-1].joint else set()
    effective = effective_fields(json.loads(config.to_json()))
    fields = {
        name: value
        for name, value in effective.items()
        if name not in _OF_THE_ROUNDS and name not in later
    }
    if "retraining" in fields:  # how many stages are to come changes none of those so far
        fields["retraining"] = {
            name: value for name, value in fields["retraining"].items() if name != "stages"
        }
    weighted = {name for phase in phases for name in effective[phase.section]["terms"]}
    used = adaptation.with_used(weighted)
    fields["terms"] = {name: own for name, own in fields["terms"].items() if name in used}
    if any(phase.joint for phase in phases):
        joint = effective["joint"]
        fields["joint"] = {**joint, "query_steps": joint["query_steps"][0]}
        settings = effective["terms"]
        if not any(
            getattr(adaptation.build(name, settings), "follows_steps", False)
            for name in used & adaptation.TERMS.keys()
        ):
            del fields["joint"]["steps"]
        # Of the rounds, training before the first query shares these.
        fields["round"] = {
            name: effective["round"][name] for name in ("terms", "running_statistics")
        }
        fields["protocol"] = config.protocol
    return fields


_STAGED = ("supervised", "warmup", "retraining")
"""The sections of the phases before the rounds, in order; joint training comes after them."""

_OF_MEASURING = (
    "data.evaluation_count",
    "data.evaluation_from_answers",
    "data.evaluation_size",
    "evaluation_flip",
    "evaluation_overlap",
    "evaluation_scales",
    "evaluation_window",
)

_OF_THE_ROUNDS = (
    "acquisition",
    "annotation",
    "annotator",
    "evaluation_batch_size",
    "joint",
    "method",
    "preview_images",
    "protocol",
    "round",
    "rounds",
    "selector",
)
