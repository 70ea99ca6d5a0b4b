import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.acquisition import loop_carry


@pytest.mark.parametrize("data", [[1, 2], [[np.nan]], [np.inf]], ids=str)
def test_initial_value_does_not_depend_on_the_data(data):
    value = jnp.asarray([[-1, 7]], jnp.int32)
    found = loop_carry.initial_carry(value, jnp.asarray(data))
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)
