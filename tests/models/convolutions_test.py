"""Tests of the convolution modules."""

import jax
import numpy as np
import pytest

from labor_jax.models.convolutions import PointwiseConv


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_equals_convolution(stride):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    module = PointwiseConv(4, stride)
    variables = module.init(jax.random.key(1), x)
    expected = jax.lax.conv_general_dilated(
        x,
        variables["params"]["kernel"],
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)
