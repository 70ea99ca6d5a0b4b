"""Acquisition: scores of pixels, selection of the pixels to ask, and the methods built from them.

Pure functions of arrays that need nothing but NumPy and JAX. Scores take any leading batch shape.
Selections take one image; use `jax.vmap` for a batch. `query` runs a method on a batch of logits,
and `register` adds a method of your own.
"""

from labor_jax.acquisition import methods as _built_in_methods  # noqa: F401, registers them
from labor_jax.acquisition.budget import (
    Budget,
    PoolLimit,
    Price,
    pixel_cap,
    pixel_count,
    point_count,
    region_count,
)
from labor_jax.acquisition.class_weights import (
    class_weights_from_answers,
    class_weights_from_predictions,
)
from labor_jax.acquisition.core_set import select_core_set
from labor_jax.acquisition.logits_query import query
from labor_jax.acquisition.pool_image import MASK, PoolImage, Query, Ranking, ScoredPixels
from labor_jax.acquisition.pool_order import (
    Listed,
    PoolOrder,
    PoolPicks,
    best_picks,
    region_parts,
)
from labor_jax.acquisition.pool_pixels import PoolPixels
from labor_jax.acquisition.pool_ranking import Ranker, bind_ranking
from labor_jax.acquisition.registry import METHODS, Method, method, register
from labor_jax.acquisition.representative_points import DISTANCES, select_representative_points
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
    clear_of_asked,
    select_inconsistent,
    select_points,
    select_regions,
)
from labor_jax.acquisition.strategy import Strategy, bind

__all__ = [
    "DISTANCES",
    "MASK",
    "METHODS",
    "Budget",
    "Listed",
    "MaskSelection",
    "Method",
    "PoolImage",
    "PoolLimit",
    "PoolOrder",
    "PoolPicks",
    "PoolPixels",
    "Price",
    "Query",
    "Ranker",
    "Ranking",
    "ScoredPixels",
    "Selection",
    "Strategy",
    "best_picks",
    "bind",
    "bind_ranking",
    "class_weights_from_answers",
    "class_weights_from_predictions",
    "clear_of_asked",
    "discrepancy_map",
    "inconsistency_mask",
    "least_confidence",
    "margin",
    "method",
    "pixel_cap",
    "pixel_count",
    "point_count",
    "prediction_uncertainty",
    "query",
    "random_score",
    "region_count",
    "region_impurity",
    "region_parts",
    "register",
    "ripu",
    "select_core_set",
    "select_inconsistent",
    "select_points",
    "select_regions",
    "select_representative_points",
    "softmax_entropy",
]
