"""Asking for labels and keeping them: the label store, the oracle, the cost of a round."""

from labor_jax.annotation.cost import (
    MeasuredCost,
    RoundCost,
    annotation_seconds,
    cost_so_far,
    measured_cost,
    round_cost,
    segments,
)
from labor_jax.annotation.database import LabelStoreError
from labor_jax.annotation.oracle import Oracle
from labor_jax.annotation.store import LabelStore, RoundStatistics

__all__ = [
    "LabelStore",
    "LabelStoreError",
    "MeasuredCost",
    "Oracle",
    "RoundCost",
    "RoundStatistics",
    "annotation_seconds",
    "cost_so_far",
    "measured_cost",
    "round_cost",
    "segments",
]
