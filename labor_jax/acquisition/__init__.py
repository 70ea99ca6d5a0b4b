"""Acquisition: scores of pixels and the selection of pixels to ask.

Pure functions of arrays. Scores take any leading batch shape; selections take one image, and a
batch is their `jax.vmap`.
"""

from labor_jax.acquisition.representative import select_representative_points
from labor_jax.acquisition.scores import (
    discrepancy_map,
    inconsistency_mask,
    least_confidence,
    margin,
    prediction_uncertainty,
    random_score,
    region_impurity,
    ripu,
    softmax_entropy,
)
from labor_jax.acquisition.selection import (
    MaskSelection,
    Selection,
    select_inconsistent,
    select_points,
    select_regions,
)
from labor_jax.acquisition.strategies import (
    STRATEGIES,
    Predictions,
    Settings,
    acquire,
    point_count,
    region_count,
)

__all__ = [
    "STRATEGIES",
    "MaskSelection",
    "Predictions",
    "Selection",
    "Settings",
    "acquire",
    "discrepancy_map",
    "inconsistency_mask",
    "least_confidence",
    "margin",
    "point_count",
    "prediction_uncertainty",
    "random_score",
    "region_count",
    "region_impurity",
    "ripu",
    "select_inconsistent",
    "select_points",
    "select_regions",
    "select_representative_points",
    "softmax_entropy",
]
