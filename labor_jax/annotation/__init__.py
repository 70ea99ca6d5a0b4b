"""Questions and answers: label store, oracle, labelling tool, exchange, cost of a round."""

from labor_jax.annotation.cost import (
    MeasuredCost,
    RoundCost,
    annotation_seconds,
    cost_so_far,
    measured_cost,
    round_cost,
    segments,
)
from labor_jax.annotation.label_store import (
    LabelStore,
    LabelStoreError,
    RoundStatistics,
    SharedStore,
)
from labor_jax.annotation.oracle import Oracle

__all__ = [
    "LabelStore",
    "LabelStoreError",
    "MeasuredCost",
    "Oracle",
    "RoundCost",
    "RoundStatistics",
    "SharedStore",
    "annotation_seconds",
    "cost_so_far",
    "measured_cost",
    "round_cost",
    "segments",
]
