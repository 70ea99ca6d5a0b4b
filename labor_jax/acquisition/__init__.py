"""Acquisition: scores of pixels, selection of the pixels to ask, and the methods built from them.

Pure functions of arrays that need nothing but NumPy and JAX. Scores take any leading batch shape.
Selections take one image; use `jax.vmap` for a batch. `query` runs a method on a batch of logits,
and `register` adds a method of your own. A batch that is sharded over devices is scored and
selected inside `jax.shard_map`.
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
from labor_jax.acquisition.dirichlet import (
    data_uncertainty,
    distribution_uncertainty,
    select_in_two_steps,
)
from labor_jax.acquisition.image_scores import (
    best_images,
    image_entropy,
    image_inconsistency,
    image_margin,
    image_vector,
    select_image_core_set,
)
from labor_jax.acquisition.logits_query import query
from labor_jax.acquisition.max_herding import select_max_herding
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
from labor_jax.acquisition.random_of_best import select_random_of_best
from labor_jax.acquisition.registry import METHODS, Method, method, register
from labor_jax.acquisition.representative_points import DISTANCES, select_representative_points
from labor_jax.acquisition.scores import (
    bald,
    best_versus_second,
    discrepancy_map,
    halo,
    inconsistency_mask,
    least_confidence,
    margin,
    pixbal,
    prediction_change,
    prediction_uncertainty,
    random_score,
    region_impurity,
    ripu,
    softmax_entropy,
)
from labor_jax.acquisition.selection import (
    MaskSelection,
    ScoredSelection,
    Selection,
    clear_of_asked,
    select_inconsistent,
    select_points,
    select_regions,
)
from labor_jax.acquisition.strategy import Strategy, bind
from labor_jax.acquisition.superpixels import (
    adjacent_superpixels,
    merge_alike,
    select_superpixels,
    superpixel_means,
)

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
    "ScoredSelection",
    "Selection",
    "Strategy",
    "adjacent_superpixels",
    "bald",
    "best_images",
    "best_picks",
    "best_versus_second",
    "bind",
    "bind_ranking",
    "class_weights_from_answers",
    "class_weights_from_predictions",
    "clear_of_asked",
    "data_uncertainty",
    "discrepancy_map",
    "distribution_uncertainty",
    "halo",
    "image_entropy",
    "image_inconsistency",
    "image_margin",
    "image_vector",
    "inconsistency_mask",
    "least_confidence",
    "margin",
    "merge_alike",
    "method",
    "pixbal",
    "pixel_cap",
    "pixel_count",
    "point_count",
    "prediction_change",
    "prediction_uncertainty",
    "query",
    "random_score",
    "region_count",
    "region_impurity",
    "region_parts",
    "register",
    "ripu",
    "select_core_set",
    "select_image_core_set",
    "select_in_two_steps",
    "select_inconsistent",
    "select_max_herding",
    "select_points",
    "select_random_of_best",
    "select_regions",
    "select_representative_points",
    "select_superpixels",
    "softmax_entropy",
    "superpixel_means",
]
