"""Questions and answers: label store, oracle, labelling tool, exchange, cost of a round."""

from labor_jax.annotation.cost import Rates, Work, segments, work_of
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
    "Oracle",
    "Rates",
    "RoundStatistics",
    "SharedStore",
    "Work",
    "segments",
    "work_of",
]
