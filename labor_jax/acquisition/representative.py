"""LabOR's point selection: one representative pixel for each class the model predicts."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition.checks import check_mask
from labor_jax.acquisition.selection import Selection

DISTANCES = ("euclidean", "cosine")

# Distances this close count as tied. The two pixels of a group of two are equally far from their
# mean; without this, rounding and not the order of ties would choose between them.
_TIE = 1e-6


@functools.partial(jax.jit, static_argnames="distance")
def select_representative_points(
    mask: jax.Array, probabilities: jax.Array, *, distance: str = "euclidean"
) -> Selection:
    """LabOR's SelectPt (PPL): at most one point for each predicted class in the mask.

    The masked pixels are grouped by predicted class. A group's prototype is its mean probability
    vector; the pixel of the group whose vector is nearest to it is asked. Distances within 1e-6
    of the smallest are ties, which go to the lowest column, then the lowest row. LabOR Algorithm 1;
    no source states the distance.

    Args:
      mask: bool[H, W], the pixels that may be asked: the inconsistency mask, LabOR Eq. 2, without
        the pixels asked before.
      probabilities: f32[H, W, C], the model's own softmax, not that of the pixel selector's
        classifiers. Ties in the prediction go to the lowest class.
      distance: "euclidean", or "cosine" for the angle between the vectors.

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

    prototypes = _group_means(probabilities, group)
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

    # Row by row: no one-hot image in memory, and sums of sums round less than one long sum.
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

    Euclidean. With `unit`, between vectors of length 1: that has the order of the angle, and keeps
    the digits that `1 - cos` loses for small angles.
    """
    if unit:
        prototypes = _unit(prototypes)

    # Differences first: the expanded square would cancel for pixels near their prototype. Row by
    # row, as the gathered prototypes of a whole image would be as large as its probabilities.
    def row_distances(row):
        row_vectors, row_predicted = row
        if unit:
            row_vectors = _unit(row_vectors)
        gap = row_vectors - prototypes[row_predicted]
        return jnp.sqrt(jnp.sum(gap * gap, axis=-1))

    distances = lax.map(row_distances, (vectors, predicted))
    # A group spoilt by a NaN still gets its point.
    return jnp.where(jnp.isnan(distances), jnp.inf, distances)


def _unit(vectors: jax.Array) -> jax.Array:
    norm = jnp.sqrt(jnp.sum(vectors * vectors, axis=-1, keepdims=True))
    return vectors / jnp.maximum(norm, jnp.finfo(jnp.float32).tiny)


def _check(mask: jax.Array, probabilities: jax.Array, distance: str) -> None:
    if distance not in DISTANCES:
        raise ValueError(f"unknown distance {distance!r}; valid: {', '.join(DISTANCES)}")
    if probabilities.ndim != 3:
        raise ValueError(
            f"probabilities must be one image [H, W, C], got shape {probabilities.shape}; "
            "use jax.vmap for a batch"
        )
    check_mask("mask", mask, probabilities.shape[:2])
