"""Acquisition: scores of pixels and the selection of pixels to ask.

Pure functions of arrays. Scores take any leading batch shape; selections take one image, and a
batch is their `jax.vmap`.
"""

from labor_jax.acquisition.budget import pixel_cap, pixel_count, point_count, region_count
from labor_jax.acquisition.core_set import select_core_set
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

__all__ = [
    "MaskSelection",
    "Selection",
    "discrepancy_map",
    "inconsistency_mask",
    "least_confidence",
    "margin",
    "pixel_cap",
    "pixel_count",
    "point_count",
    "prediction_uncertainty",
    "random_score",
    "region_count",
    "region_impurity",
    "ripu",
    "select_core_set",
    "select_inconsistent",
    "select_points",
    "select_regions",
    "select_representative_points",
    "softmax_entropy",
]
