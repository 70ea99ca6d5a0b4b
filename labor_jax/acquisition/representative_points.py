"""LabOR's point selection: one representative pixel for each class that the model predicts."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition.argument_checks import check_mask
from labor_jax.acquisition.selection import Selection

DISTANCES = ("euclidean", "cosine")
"""Of a pixel to the mean of its class, for `select_representative_points`."""

# Distances that differ by less count as equal. In a group of two, both pixels are equally far from
# their mean; without a tolerance, rounding would choose between them.
_TIE = 1e-6


@functools.partial(jax.jit, static_argnames="distance")
def select_representative_points(
    mask: jax.Array, probabilities: jax.Array, *, distance: str = "euclidean"
) -> Selection:
    """LabOR's SelectPt (PPL): at most one point for each predicted class in the mask.

    Groups the masked pixels by predicted class. The prototype of a group is its mean probability
    vector, without pixels of NaN, which are asked only where a group has no others. Asks the pixel
    of each group whose vector is nearest to the prototype. Distances within 1e-6 of the smallest
    are ties, which go to the lowest column, then the lowest row.

    Reference: Shin et al., LabOR, ICCV 2021, arXiv 2108.05570, Algorithm 1. The paper does not say
    which distance it uses.

    Args:
      mask: bool[H, W], the pixels that may be asked: the inconsistency mask (LabOR Eq. 2) without
        the pixels asked in earlier rounds.
      probabilities: f32[H, W, C], the softmax of the model itself, not of the pixel selector's
        heads. Ties in the prediction go to the lowest class.
      distance: "euclidean", or "cosine" for the angle between two vectors.

    Returns:
      A `Selection` with a slot for each class: `centers[c]` is the point of class c, invalid where
      no masked pixel is predicted as c. `available` is the mask without the points.

    Raises:
      ValueError: If the shapes are not [H, W] and [H, W, C] of one image, the mask is not bool, or
        the distance is unknown.
    """
    _check(mask, probabilities, distance)
    height, _, num_classes = probabilities.shape
    probabilities = probabilities.astype(jnp.float32)
    predicted = jnp.argmax(probabilities, axis=-1).astype(jnp.int32)
    group = jnp.where(mask, predicted, num_classes)

    # A NaN times 0 is NaN, so it would spoil the means of all groups.
    sound = ~jnp.any(jnp.isnan(probabilities), axis=-1)
    prototypes = _group_means(
        jnp.where(sound[..., None], probabilities, 0.0), jnp.where(sound, group, num_classes)
    )
    distances = _distances(probabilities, prototypes, predicted, unit=distance == "cosine")
    smallest = jax.ops.segment_min(distances.ravel(), group.ravel(), num_classes + 1)
    tied = mask & (distances <= smallest[group] + _TIE)

    row = lax.broadcasted_iota(jnp.int32, mask.shape, 0)
    column = lax.broadcasted_iota(jnp.int32, mask.shape, 1)
    nowhere = jnp.int32(mask.size)
    order = jnp.where(tied, column * height + row, nowhere)
    place = jax.ops.segment_min(order.ravel(), group.ravel(), num_classes + 1)[:num_classes]
    valid = place < nowhere
    centers = jnp.stack([place % height, place // height], axis=-1)
    centers = jnp.where(valid[:, None], centers, -1)
    rows = jnp.where(valid, centers[:, 0], height)
    query = jnp.zeros(mask.shape, bool).at[rows, centers[:, 1]].set(True, mode="drop")
    return Selection(centers=centers, valid=valid, query=query, available=mask & ~query)


def _group_means(vectors: jax.Array, group: jax.Array) -> jax.Array:
    """Mean vector of each group, f32[C, C]; zero for an empty group."""
    labels = jnp.arange(vectors.shape[-1])

    # Row by row, so that the one-hot labels of the whole image are never in memory. Sums of short
    # sums also have smaller rounding errors than one long sum.
    def row_sums(row):
        row_vectors, row_group = row
        member = (row_group == labels[:, None]).astype(jnp.float32)
        sums = jnp.dot(member, row_vectors, precision=lax.Precision.HIGHEST)
        return sums, jnp.sum(member, axis=1)

    sums, sizes = lax.map(row_sums, (vectors, group))
    return jnp.sum(sums, axis=0) / jnp.maximum(jnp.sum(sizes, axis=0), 1.0)[:, None]


def _distances(
    vectors: jax.Array, prototypes: jax.Array, predicted: jax.Array, *, unit: bool
) -> jax.Array:
    """Distance of each pixel to its own class's prototype, f32[H, W].

    The distance is Euclidean. With `unit` the vectors are first scaled to length 1: the distance
    then orders pixels by their angle, and small angles keep the digits that `1 - cos` would lose.
    """
    if unit:
        prototypes = _unit(prototypes)

    # Subtract before squaring: the expanded square would cancel for pixels near their prototype.
    # Row by row, because the prototypes of all pixels would take as much memory as the
    # probabilities.
    def row_distances(row):
        row_vectors, row_predicted = row
        if unit:
            row_vectors = _unit(row_vectors)
        gap = row_vectors - prototypes[row_predicted]
        return jnp.sqrt(jnp.sum(gap * gap, axis=-1))

    distances = lax.map(row_distances, (vectors, predicted))
    # A group that contains a NaN still gets its point.
    return jnp.where(jnp.isnan(distances), jnp.inf, distances)


def _unit(vectors: jax.Array) -> jax.Array:
    norm = jnp.sqrt(jnp.sum(vectors * vectors, axis=-1, keepdims=True))
    return vectors / jnp.maximum(norm, jnp.finfo(jnp.float32).tiny)


def _check(mask: jax.Array, probabilities: jax.Array, distance: str) -> None:
    if distance not in DISTANCES:
        raise ValueError(f"distance is {distance!r}; choose one of: {', '.join(DISTANCES)}.")
    if probabilities.ndim != 3:
        raise ValueError(
            f"probabilities must be one image [H, W, C], got shape {probabilities.shape}; "
            "use jax.vmap for a batch"
        )
    check_mask("mask", mask, probabilities.shape[:2])
