"""The input of an acquisition method, `PoolImage`, and what becomes of its result."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

MASK = np.int32(-1)
"""`Query.picks` of a mask or a whole image: it has no single picks."""


class PoolImage(NamedTuple):
    """An image of the pool, as acquisition methods see it; H x W is the size of its label map.

    A method reads the fields that its function has as parameters; only those are computed.

    Attributes:
      logits: f32[H, W, C] of the model.
      features: f32[h, w, D], the last feature map of the backbone at its own resolution, or None.
      selector_logits: (f32[H, W, C], f32[H, W, C]) of the two heads of LabOR's pixel selector, or
        None.
      available: bool[H, W], the pixels not asked in earlier rounds.
      key: A JAX random key, different for each image and round, or None.
      image: uint8 or f32[H, W, 3], the image itself, RGB from 0 to 255, or None.
      first_logits: f32[H, W, C] of the model as it was before the first round, or None.
      logit_samples: f32[S, H, W, C] of the model with dropout, one for each of S passes, or None.
      radii: f32[H, W], hyperbolic radii of the model's pixels, or None; of the head "hyperbolic".
    """

    logits: jax.Array
    features: jax.Array | None
    selector_logits: tuple[jax.Array, jax.Array] | None
    available: jax.Array
    key: jax.Array | None
    image: jax.Array | None = None
    first_logits: jax.Array | None = None
    logit_samples: jax.Array | None = None
    radii: jax.Array | None = None


class ScoredPixels(NamedTuple):
    """What an acquisition function may return where a score alone is not enough.

    Attributes:
      score: f32[H, W].
      candidates: bool[H, W], the pixels to choose from; None for all. With `asks="mask"` all of
        them are asked or, under a cap, those of highest score.
      suppression_radius: Radius of the window that a pick makes unavailable, static; None for the
        usual one, which is 0 for points and twice the region's for regions, so that these don't
        overlap.
    """

    score: jax.Array
    candidates: jax.Array | None = None
    suppression_radius: int | None = None


class Ranking(NamedTuple):
    """What an image offers to a budget over the pool.

    Attributes:
      scores: f32[L] of its picks, never increasing as far as they are valid; for a mask f32[H, W].
      valid: bool[L]; for a mask bool[H, W], the pixels that may be asked.
      centers: i32[L, 2], (row, column) in pick order; None for a mask, or where `parts` say which
        pixels a pick asks.
      candidates: bool[H, W], see `Query`.
      guess: uint8[H, W], see `Query`.
      parts: i32[H, W], the number of the pick that would ask each pixel, -1 for none; None for
        points, regions and masks.
    """

    scores: jax.Array
    valid: jax.Array
    centers: jax.Array | None
    candidates: jax.Array
    guess: jax.Array | None = None
    parts: jax.Array | None = None


class Query(NamedTuple):
    """What is asked of an image.

    Attributes:
      pixels: bool[H, W], the asked pixels, all of them available.
      picks: i32[], the number of points, regions or superpixels asked, each one answer of the
        annotator; -1 for a mask or a whole image.
      candidates: bool[H, W], the pixels that the method chose from. For LabOR this is the
        inconsistency mask (Eq. 2).
      guess: uint8[H, W], the classes that the model predicts. `active.make_pool_query` adds them if
        `with_guess`; otherwise None.
      parts: i32[H, W], the number of the part that an asked pixel is of, -1 elsewhere. None: each
        connected piece is one.
      scores: f32[count], of the picks in their order, -inf where there is none; f32[1] of a whole
        image. None for picks that don't go by a score.
      vector: f32[D] of a whole image, where images are chosen that are unlike each other.
    """

    pixels: jax.Array
    picks: jax.Array
    candidates: jax.Array
    guess: jax.Array | None = None
    parts: jax.Array | None = None
    scores: jax.Array | None = None
    vector: jax.Array | None = None
