"""The label store: every query and every answer of a run, in one SQLite file."""

from labor_jax.annotation.label_store.database import LabelStoreError
from labor_jax.annotation.label_store.existing import EXISTING_ROUND
from labor_jax.annotation.label_store.reader import asks_anything
from labor_jax.annotation.label_store.shared_store import SharedStore
from labor_jax.annotation.label_store.statistics import RoundStatistics
from labor_jax.annotation.label_store.store import LabelStore

__all__ = [
    "EXISTING_ROUND",
    "LabelStore",
    "LabelStoreError",
    "RoundStatistics",
    "SharedStore",
    "asks_anything",
]
