"""How a wanted output stride turns the strides of a network's stages into dilations."""

from collections.abc import Sequence


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
