"""Tests of the two-layer backbone."""

import jax
import jax.numpy as jnp
import pytest

from labor_jax.models import TwoLayers


@pytest.mark.parametrize("output_stride", [2, 4])
def test_strides_channels_and_dtype(output_stride):
    module = TwoLayers(width=6, output_stride=output_stride, dtype=jnp.bfloat16)
    images = jax.ShapeDtypeStruct((2, 9, 16, 3), jnp.float32)
    features, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    assert features.strides == (2, output_stride)
    assert features["stage1"].shape == (2, 5, 8, 6)
    assert features[-1].shape == (2, -(-9 // output_stride), 16 // output_stride, 6)
    assert features[-1].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert set(variables["batch_stats"]) == {"bn1"}


def test_a_stride_it_cannot_have_is_an_error():
    with pytest.raises(ValueError, match=r"config\.model\.output_stride is 8; valid: 2, 4"):
        TwoLayers(output_stride=8).check()
