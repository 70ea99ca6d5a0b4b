"""From images to label maps: mirror images, several scales, windows of large images."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax import models
from labor_jax.ops import Taps, interpolate, resize_bilinear_align_corners, taps_align_corners

_STRIP_BYTES = 2**26  # of the full-resolution logits of all images of a device, at any time


@dataclasses.dataclass(frozen=True)
class Inference:
    """How a prediction is made.

    Attributes:
      flip: whether to predict the mirror image too.
      scales: factors on the images' height and width. The prediction is the class of the largest
        mean softmax over scales and mirror images.
      window: (height, width) in pixels of the windows that the network sees one at a time, see
        `models.windowed_outputs`; None for whole images.
      overlap: least number of pixels that neighbouring windows share.
    """

    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    window: tuple[int, int] | None = None
    overlap: int = 0


PLAIN = Inference()
"""One pass over whole images at their own size."""


def predict_classes(
    segmenter: models.Segmenter,
    variables: Mapping[str, Any],
    images: jax.Array,
    size: tuple[int, int],
    inference: Inference,
) -> jax.Array:
    """Predicts the class of each pixel.

    Args:
      segmenter: the network.
      variables: the network's.
      images: [B, h, w, 3], see `coarse_logits`.
      size: (H, W) of the prediction.
      inference: how the prediction is made.

    Returns:
      int32[B, H, W].
    """
    return upsampled_classes(
        coarse_logits(segmenter, variables, images, inference), size, inference
    )


def upsampled_classes_and_uncertainty(
    coarse: Sequence[jax.Array], size: tuple[int, int], inference: Inference
) -> jax.Array:
    """The class of each pixel and how unsure it is, from `coarse_logits`; see `upsampled_classes`.

    Returns:
      uint8[B, H, W, 2]: classes, and the entropy of the classes' probabilities from 0 to 255, which
      is all classes alike.
    """
    views = len(_with_mirrored(coarse, inference))

    def classes_and_uncertainty(scores):
        probabilities = jax.nn.softmax(scores) if views == 1 else scores / views
        entropy = jax.scipy.special.entr(probabilities).sum(-1) / math.log(scores.shape[-1])
        rounded = jnp.round(255 * jnp.clip(entropy, 0, 1))
        return jnp.stack([jnp.argmax(scores, -1), rounded], -1).astype(jnp.uint8)

    return _in_each_strip(classes_and_uncertainty, coarse, size, inference)


def coarse_logits(
    segmenter: models.Segmenter,
    variables: Mapping[str, Any],
    images: jax.Array,
    inference: Inference,
) -> list[jax.Array]:
    """Applies the network to each scale and mirror image.

    Args:
      segmenter: the network.
      variables: the network's.
      images: [B, h, w, 3], uint8 or normalised floating. Scales other than 1 resize them
        bilinearly, with aligned corners, to the nearest whole number of pixels.
      inference: how predictions are made.

    Returns:
      f32[B, h', w', C] for each scale, followed by its mirror image's if `inference.flip`.
    """
    images = models.network_input(images)

    def logits(images):
        return models.windowed_logits(
            segmenter, variables, images, window=inference.window, overlap=inference.overlap
        )

    return [
        logits(each[:, :, ::-1] if mirrored else each)
        for each in (_rescaled(images, scale) for scale in inference.scales)
        for mirrored in _mirrored(inference)
    ]


def upsampled_classes(
    coarse: Sequence[jax.Array], size: tuple[int, int], inference: Inference
) -> jax.Array:
    """The class of each pixel, from `coarse_logits`.

    Logits are upsampled in strips of rows, so all of them never exist at full resolution at once.

    Args:
      coarse: from `coarse_logits`.
      size: (H, W) of the prediction.
      inference: how it is made.

    Returns:
      int32[B, H, W].
    """

    def classes(scores):
        return jnp.argmax(scores, -1).astype(jnp.int32)

    return _in_each_strip(classes, coarse, size, inference)


def _in_each_strip(
    of_scores: Callable[[jax.Array], jax.Array],
    coarse: Sequence[jax.Array],
    size: tuple[int, int],
    inference: Inference,
) -> jax.Array:
    """What a function of scores returns at full resolution, computed in strips of rows.

    Args:
      of_scores: of f32[B, rows, W, C], the logits of a single view, or else the sum of all views'
        probabilities.
      coarse: from `coarse_logits`.
      size: (H, W) of the result.
      inference: how it is made.
    """
    views = _with_mirrored(coarse, inference)
    height, width = size
    batch_size, _, _, num_classes = coarse[0].shape
    row_bytes = batch_size * width * num_classes * 4
    strips = -(-height * row_bytes // _STRIP_BYTES)
    rows = -(-height // strips)
    row_taps = [
        Taps(
            *(_in_strips(each, strips, rows) for each in taps_align_corners(view.shape[1], height))
        )
        for view, _ in views
    ]

    def strip(row_taps):
        scores = 0.0
        for (view, mirrored), taps in zip(views, row_taps, strict=True):
            logits = interpolate(view, taps, taps_align_corners(view.shape[2], width))
            if len(views) == 1:
                return of_scores(logits)
            scores += _probabilities(logits, mirrored)
        return of_scores(scores)

    if strips == 1:
        return strip([Taps(*(each[0] for each in taps)) for taps in row_taps])
    found = jax.lax.map(strip, row_taps)  # [strips, B, rows, W, ...]
    found = jnp.moveaxis(found, 0, 1)
    return found.reshape(batch_size, -1, width, *found.shape[4:])[:, :height]


def upsampled_probabilities(
    coarse: Sequence[jax.Array], size: tuple[int, int], inference: Inference
) -> jax.Array:
    """The probabilities of each pixel's classes, f32[B, H, W, C]; see `upsampled_classes`."""
    views = _with_mirrored(coarse, inference)
    total = sum(
        _probabilities(resize_bilinear_align_corners(view, size), mirrored)
        for view, mirrored in views
    )
    return total / len(views)


def _mirrored(inference: Inference) -> tuple[bool, ...]:
    return (False, True) if inference.flip else (False,)


def _with_mirrored(coarse, inference) -> list[tuple[jax.Array, bool]]:
    """Each array of `coarse_logits`, and whether it is of a mirror image."""
    mirrored = _mirrored(inference) * len(inference.scales)
    return list(zip(coarse, mirrored, strict=True))


def _probabilities(logits, mirrored):
    return jax.nn.softmax(logits)[:, :, ::-1] if mirrored else jax.nn.softmax(logits)


def _rescaled(images, scale):
    size = tuple(max(1, round(side * scale)) for side in images.shape[1:3])
    return resize_bilinear_align_corners(images, size)


def _in_strips(values: np.ndarray, strips: int, rows: int) -> np.ndarray:
    """Reshapes [H] to [strips, rows]; repeats the last value to fill the last strip."""
    return np.pad(values, (0, strips * rows - len(values)), mode="edge").reshape(strips, rows)
