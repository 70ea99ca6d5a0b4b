import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition, pseudo_labels
from labor_jax.acquisition import loop_carry
from tests.slow import all_but


@pytest.mark.parametrize("data", [[1, 2], [[np.nan]], [np.inf]], ids=str)
def test_initial_value_does_not_depend_on_the_data(data):
    value = jnp.asarray([[-1, 7]], jnp.int32)
    found = loop_carry.initial_carry(value, jnp.asarray(data))
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


FREE = np.ones((4, 4), bool)
SUPERPIXELS = np.repeat(np.arange(2, dtype=np.int32), 8).reshape(4, 4)
VALUES = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("select", "constant"),
    [
        (lambda values, free: acquisition.select_core_set(values, free, count=2), FREE),
        (lambda values, free: acquisition.select_max_herding(values, free, count=2), FREE),
        (
            lambda values, free: acquisition.select_image_core_set(values[0], free, count=2),
            FREE[0],
        ),
        (lambda values, each: acquisition.merge_alike(each, values, bound=2), SUPERPIXELS),
        (
            lambda values, theta: pseudo_labels.instance_adaptive_thresholds(
                jax.nn.sigmoid(values), jnp.zeros(values.shape, jnp.int32), theta, portion=0.5
            ),
            np.full(2, 0.9, np.float32),
        ),
    ],
    ids=["core_set", "max_herding", "image_core_set", "merge_alike", "adaptive_thresholds"],
)
@pytest.mark.parametrize("varying", all_but([0], [0, 1]))
def test_one_of_two_inputs_varies_over_the_mesh(select, constant, varying):
    inputs = [VALUES[0], jnp.asarray(constant)]

    def mapped(batch):
        given = [*inputs]
        given[varying] = batch[0]
        return jax.tree.map(lambda each: each[None], select(*given))

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("batch")
    sharded = jax.jit(jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec))
    found = jax.tree.map(lambda each: each[0], sharded(inputs[varying][None]))
    jax.tree.map(np.testing.assert_array_equal, found, select(*inputs))
