"""Which form of an operation is traced."""

import jax
import jax.numpy as jnp
import pytest

from labor_jax import ops
from labor_jax.ops import platforms

OPERATIONS = {
    "atrous": lambda x: ops.atrous_convolution(x, jnp.ones((3, 3, 64, 2)), 2),
    "depthwise": lambda x: ops.depthwise_convolution(x, jnp.ones((3, 3, 1, 64))),
    "max_pool": ops.max_pool,
    "winograd": lambda x: ops.convolution_3x3(x, jnp.ones((3, 3, 64, 64))),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_portable_programs_have_no_choice_by_platform(name):
    shape = jax.ShapeDtypeStruct((1, 32, 32, 64), jnp.float32)

    def traced():
        return str(jax.make_jaxpr(lambda x: OPERATIONS[name](x))(shape))

    assert "platform_index" in traced()
    with ops.portable():
        assert "platform_index" not in traced()
    assert "platform_index" in traced()


def test_an_error_ends_it():
    with pytest.raises(KeyError), ops.portable():
        raise KeyError
    assert not platforms.is_portable()
