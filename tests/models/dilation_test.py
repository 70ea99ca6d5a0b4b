"""Tests of how output strides turn into dilations."""

import pytest

from labor_jax.models.dilation import stage_strides, valid_output_strides


@pytest.mark.parametrize(
    ("output_stride", "strides", "dilations"),
    [
        (32, (1, 2, 2, 2), (1, 1, 1, 1)),
        (16, (1, 2, 2, 1), (1, 1, 1, 2)),
        (8, (1, 2, 1, 1), (1, 1, 2, 4)),
        (4, (1, 1, 1, 1), (1, 2, 4, 8)),
    ],
)
def test_strides_beyond_the_output_stride_become_dilations(output_stride, strides, dilations):
    assert stage_strides((1, 2, 2, 2), 4, output_stride) == (strides, dilations)


def test_invalid_output_stride_lists_the_valid_ones():
    assert valid_output_strides((1, 2, 2, 2), 4) == (4, 8, 16, 32)
    with pytest.raises(ValueError, match="output_stride is 6; valid: 4, 8, 16, 32"):
        stage_strides((1, 2, 2, 2), 4, 6)
