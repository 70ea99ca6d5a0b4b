"""Tests of batch norm: values, running statistics, gradients, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from labor_jax.models import BatchNorm


def apply_norm(module, variables, x, train):
    return module.apply(variables, x, train, mutable=["batch_stats"])


def test_batch_norm_trains_with_batch_statistics_and_moves_running_ones():
    x = 10.0 + 2.0 * jax.random.normal(jax.random.key(0), (4, 6, 6, 3))
    module = BatchNorm()
    variables = module.init(jax.random.key(1), x, False)
    out, updated = apply_norm(module, variables, x, True)
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0.0, atol=0.02)
    np.testing.assert_allclose(out.std((0, 1, 2)), 1.0, atol=0.02)
    np.testing.assert_allclose(
        updated["batch_stats"]["mean"], 0.1 * np.mean(x, (0, 1, 2)), rtol=1e-4
    )
    _, unmoved = apply_norm(module, variables, x, False)
    jax.tree.map(np.testing.assert_array_equal, unmoved["batch_stats"], variables["batch_stats"])


def normalized_plainly(x, scale, bias, axis_name=None):
    """Batch norm by autodiff."""
    mean, square = jnp.mean(x, (0, 1, 2)), jnp.mean(x**2, (0, 1, 2))
    if axis_name:
        mean, square = jax.lax.pmean((mean, square), axis_name)
    return (x - mean) * (scale / jnp.sqrt(square - mean**2 + 1e-5)) + bias


def normalized(x, scale, bias, axis_name=None):
    module = BatchNorm(axis_name=axis_name)
    ones = jnp.ones(scale.shape)
    variables = {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": 0.3 * ones, "var": ones},
    }
    return module.apply(variables, x, train=True, mutable=["batch_stats"])[0]


def norm_arguments():
    keys = jax.random.split(jax.random.key(0), 3)
    x = 2 * jax.random.normal(keys[0], (2, 5, 6, 3)) + 1
    return x, jax.random.normal(keys[1], (3,)), jax.random.normal(keys[2], (3,))


def norm_gradients(normalize, axis_name=None):
    def total(*arguments):
        return jnp.sum(jnp.sin(normalize(*arguments, axis_name)))

    return jax.grad(total, (0, 1, 2))


@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.vmap, jax.checkpoint], ids=["plain", "vmap", "remat"]
)
def test_batch_norms_gradient_is_autodiffs(wrap):
    arguments = norm_arguments()
    if wrap is jax.vmap:
        arguments = jax.tree.map(lambda x: jnp.stack([x, 2 * x + 1]), arguments)
    ours = jax.jit(wrap(norm_gradients(normalized)))(*arguments)
    expected = jax.jit(wrap(norm_gradients(normalized_plainly)))(*arguments)
    for each, reference in zip(ours, expected, strict=True):
        np.testing.assert_allclose(each, reference, rtol=1e-4, atol=1e-4)


def test_batch_norms_gradient_of_bfloat16_is_taken_in_float32():
    x, scale, bias = norm_arguments()
    x = x.astype(jnp.bfloat16)
    ours = jax.jit(norm_gradients(normalized))(x, scale, bias)
    expected = jax.jit(norm_gradients(normalized_plainly))(x.astype(jnp.float32), scale, bias)
    assert ours[0].dtype == jnp.bfloat16
    np.testing.assert_allclose(ours[0].astype(jnp.float32), expected[0], rtol=0.02, atol=0.02)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("check_vma", [True, False])
def test_batch_norms_gradient_under_shard_map(check_vma):
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("batch"), PartitionSpec(), PartitionSpec()

    def sharded(normalize):
        return jax.jit(
            jax.shard_map(
                norm_gradients(normalize, "batch"),
                mesh=mesh,
                in_specs=spec,
                out_specs=spec,
                check_vma=check_vma,
            )
        )

    arguments = norm_arguments()
    for each, reference in zip(
        sharded(normalized)(*arguments), sharded(normalized_plainly)(*arguments), strict=True
    ):
        np.testing.assert_allclose(each, reference, rtol=1e-4, atol=1e-4)


def test_batch_norms_gradient_over_devices_is_that_of_the_whole_batch():
    x, scale, bias = norm_arguments()
    whole = jax.jit(norm_gradients(normalized))(x, scale, bias)
    # vmap's axis stands for the devices.
    each = jax.vmap(norm_gradients(normalized, "batch"), (0, None, None), axis_name="batch")
    parts = jax.jit(each)(x[:, None], scale, bias)
    np.testing.assert_allclose(parts[0][:, 0], whole[0], rtol=1e-4, atol=1e-4)
    for part, reference in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_allclose(part.sum(0), reference, rtol=1e-4, atol=1e-4)


def test_frozen_batch_norm_never_moves_and_has_zero_gradient():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    module = BatchNorm("frozen")
    variables = module.init(jax.random.key(1), x, False)
    variables["batch_stats"]["mean"] = jnp.full((3,), 0.5)

    def loss(params, x):
        out, updated = apply_norm(module, {**variables, "params": params}, x, True)
        return jnp.sum(out**2), (out, updated)

    (_, (out, updated)), gradients = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        variables["params"], x
    )
    np.testing.assert_allclose(out, (x - 0.5) / np.sqrt(1 + 1e-5), rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], variables["batch_stats"])
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradients[0]))
    assert np.all(np.isfinite(gradients[1])) and np.any(gradients[1])


def test_batch_norm_averages_over_the_device_axis():
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 2))
    module = BatchNorm(axis_name="batch")
    variables = module.init(jax.random.key(1), x, False)
    whole, whole_stats = apply_norm(BatchNorm(), variables, x, True)

    # `vmap` with a named axis stands for two devices with half of the batch each.
    halves, stats = jax.vmap(lambda x: apply_norm(module, variables, x, True), axis_name="batch")(
        x.reshape(2, 2, 3, 3, 2)
    )
    np.testing.assert_allclose(halves.reshape(x.shape), whole, atol=1e-5)
    jax.tree.map(
        lambda ours, one: np.testing.assert_allclose(ours, [one, one], atol=1e-6),
        stats,
        whole_stats,
    )

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.jit(
        jax.shard_map(
            lambda x: apply_norm(module, variables, x, True),
            mesh=mesh,
            in_specs=PartitionSpec("batch"),
            out_specs=(PartitionSpec("batch"), PartitionSpec()),
        )
    )
    np.testing.assert_allclose(sharded(x)[0], whole, atol=1e-5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="batch norm is 'freeze'; choose one of: trained, frozen"):
        BatchNorm("freeze").init(jax.random.key(0), jnp.ones((2, 1, 1, 3)), True)


def test_a_single_value_a_channel_cannot_be_normalised():
    pooled = jnp.ones((1, 1, 1, 3))
    module = BatchNorm()
    variables = module.init(jax.random.key(0), pooled, True)
    with pytest.raises(ValueError, match=r"one value a channel.*config\.per_device_batch_size"):
        apply_norm(module, variables, pooled, True)
    apply_norm(module, variables, pooled, False)
    apply_norm(BatchNorm("frozen"), variables, pooled, True)
    apply_norm(module, variables, jnp.ones((2, 1, 1, 3)), True)
    over_devices = jax.vmap(
        lambda x: apply_norm(BatchNorm(axis_name="batch"), variables, x, True)[0], axis_name="batch"
    )
    found = over_devices(jnp.stack([pooled, 3 * pooled]))
    np.testing.assert_allclose(found[:, 0, 0, 0, 0], [-1, 1], atol=1e-4)
