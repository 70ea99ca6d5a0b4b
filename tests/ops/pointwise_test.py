"""Tests of 1x1 convolutions: both forms against a NumPy loop, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.ops import pointwise_convolution
from labor_jax.ops.pointwise import matrix_product, strided_convolution


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_all_forms_agree_in_values_and_gradients(size, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    kernel = rng.normal(size=(1, 1, 3, 4)).astype(np.float32)
    expected = np.einsum("bhwc,cd->bhwd", x[:, ::stride, ::stride], kernel[0, 0])
    forms = (
        lambda x, kernel: pointwise_convolution(x, kernel, stride),
        lambda x, kernel: strided_convolution(x, kernel, stride),
        lambda x, kernel: matrix_product(x[:, ::stride, ::stride], kernel),
    )

    def total(x, kernel, form):
        return jnp.sum(jnp.sin(form(x, kernel)))

    gradients = []
    for form in forms:
        np.testing.assert_allclose(form(x, kernel), expected, atol=1e-5)
        gradients.append(jax.grad(total, (0, 1))(x, kernel, form))
    for ours in gradients[1:]:
        for each, reference in zip(ours, gradients[0], strict=True):
            np.testing.assert_allclose(each, reference, atol=1e-4)


def test_bfloat16_stays():
    x, kernel = jnp.ones((1, 4, 4, 8), jnp.bfloat16), jnp.ones((1, 1, 8, 2), jnp.bfloat16)
    assert pointwise_convolution(x, kernel, 2).dtype == jnp.bfloat16
