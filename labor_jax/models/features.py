"""What a backbone hands to a head, and how output strides turn into dilations."""

from collections.abc import Sequence
from typing import NamedTuple

import jax

from labor_jax.models.layers import Taps


class Window(NamedTuple):
    """What a head needs to know of the whole image where features are those of a window of it.

    Attributes:
      pooled: f32[B, 1, 1, C2], the mean of the whole image's `high`.
      rows: between which of the window's rows of `high` each of its rows of `low` lies in the
        whole image.
      columns: the same of columns.
    """

    pooled: jax.Array
    rows: Taps
    columns: Taps


class Features(NamedTuple):
    """A backbone's output.

    Attributes:
      low: [B, h1, w1, C1], fine features of the first stage.
      high: [B, h2, w2, C2], the last stage at the output stride.
      window: None for features of a whole image.
      middle: [B, h3, w3, C3], the stage before the last, for an auxiliary classifier; None of a
        backbone that cannot have one.
    """

    low: jax.Array
    high: jax.Array
    window: Window | None = None
    middle: jax.Array | None = None


def valid_output_strides(native: Sequence[int], entry_stride: int) -> tuple[int, ...]:
    """The output strides that `stage_strides` can reach, ascending."""
    valid = [entry_stride]
    for stride in native:
        if stride > 1:
            valid.append(valid[-1] * stride)
    return tuple(valid)


def stage_strides(
    native: Sequence[int], entry_stride: int, output_stride: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Replaces strides beyond `output_stride` by dilation (DeepLab, arXiv 1606.00915).

    Args:
      native: each stage's stride in the classification network.
      entry_stride: stride of the features that enter the first stage.
      output_stride: stride wanted after the last stage.

    Returns:
      Each stage's stride, and the dilation of its convolutions after the strided one.

    Raises:
      ValueError: when no choice of strides gives `output_stride`.
    """
    valid = valid_output_strides(native, entry_stride)
    if output_stride not in valid:
        raise ValueError(f"output_stride is {output_stride}; valid: {', '.join(map(str, valid))}.")
    strides, dilations = [], []
    current, dilation = entry_stride, 1
    for stride in native:
        if current * stride <= output_stride:
            current *= stride
            strides.append(stride)
        else:
            dilation *= stride
            strides.append(1)
        dilations.append(dilation)
    return tuple(strides), tuple(dilations)
