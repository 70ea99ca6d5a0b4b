"""How many steps each phase takes, by the numbers of images.

Short schedules cost more than anything else here. With every label of CamVid's 62 pool images, the
pair `camvid` ends at 36.0% mIoU after rounds of 80 steps and at 43.7% after rounds of 360.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ml_collections import ConfigDict

from labor_jax.data.own_data.facts import Choice, Facts


def _bounded(steps: float, least: int, most: int) -> int:
    """Steps as a multiple of ten between two bounds."""
    return round(min(max(steps, least), most) / 10) * 10


def choose(config: ConfigDict, facts: Facts, first_query: int | None = None) -> Iterator[Choice]:
    """Chooses the steps of all phases; under "joint", of joint training too.

    Args:
      config: see `labor_jax.config`.
      facts: see `Facts`.
      first_query: the step of joint training's first query, if that is settled.
    """
    from labor_jax import adaptation  # its modules import labor_jax.data

    source, pool = facts.count("source"), facts.count("pool")
    source_passes = source / config.source_batch_size  # steps that see each image once
    pool_passes = pool / config.target_batch_size
    supervised = _bounded(10 * source_passes, 400, 3000)
    before = config.supervised.steps or supervised
    # A warm-up is a fifth of it, a method of adaptation that is all of a run as long.
    alone = config.rounds == 0 and adaptation.is_method(config.method)
    adapting = before if alone else _bounded(before / 5, 100, 400)
    moved = round(config.retraining.share * adapting)
    # A method that moves none has no retraining, or wrote its steps down by itself.
    stage = -(-(moved or adapting) // max(config.retraining.stages, 1))
    yield Choice(
        {
            "supervised.steps": supervised,
            "warmup.steps": adapting - moved,
            "retraining.steps": stage,
        },
        f"{source:,} images of the source",
    )
    # Answers are paid for: all of them are seen, however many there are.
    training = _bounded(30 * pool_passes, 300, max(1000, round(2 * pool_passes)))
    yield Choice(
        {"round.steps": training, "selector.steps": _bounded(2 * pool_passes, 20, 200)},
        f"{pool:,} images of the pool",
    )
    if config.protocol == "joint":
        training = config.round.steps or training
        # A method without source data trains a source model for the steps before the first query,
        # and without any source it begins with the query.
        first = supervised if config.supervised.steps == 0 and source else 0
        yield from _joint(config, first, training, first_query)


def _joint(
    config: ConfigDict, first: int, training: int, first_query: int | None
) -> Iterator[Choice]:
    """Joint training as long as three rounds; the queries in its first half, as in RIPU.

    It ends where a schedule that is set does.
    """
    joint, rounds = config.joint, max(config.rounds, 1)
    most = joint.schedule_steps or math.inf
    fields = {}
    if joint.query_steps is not None:
        asked = max(tuple(joint.query_steps)[:rounds], default=0)
        fields["joint.steps"] = steps = joint.steps or min(asked + training, most)
    else:
        first = first if first_query is None else first_query
        length = first + 3 * training
        fields["joint.steps"] = steps = joint.steps or min(length, most)
        start = first * steps // length if first_query is None else first_query
        interval = max(1, (steps - start) // (rounds + 4))
        fields["joint.query_steps"] = tuple(start + i * interval for i in range(rounds))
    fields["joint.schedule_steps"] = steps + steps // 20
    yield Choice(fields, "joint training, as long as three staged rounds")
