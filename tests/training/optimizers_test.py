"""The optimisers against NumPy twins of their textbook rules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from labor_jax.training import optimizers


def config(**fields):
    defaults = {
        "name": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.01,
        "head_multiplier": 10.0,
        "power": 0.9,
        "clip_norm": 0.0,
    }
    return ConfigDict({**defaults, **fields})


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "backbone": {"kernel": rng.normal(size=(3, 2)), "scale": rng.normal(size=2)},
        "head": {"kernel": rng.normal(size=(2, 4))},
    }


def rate(step, learning_rate, steps, power=0.9):
    return learning_rate * (1 - step / steps) ** power


def run(settings, steps=6, learning_rate=0.05, decay_mask=None, gradient_scale=1.0):
    """The parameters after each of `steps` steps on fixed random gradients, and the gradients."""
    optimizer = optimizers.segmentation_optimizer(
        settings, learning_rate=learning_rate, steps=steps, decay_mask=decay_mask
    )
    params = jax.tree.map(jnp.float32, parameters())
    state = optimizer.init(params)
    trajectory, gradients = [params], []
    for step in range(steps):
        gradient = jax.tree.map(lambda x: gradient_scale * jnp.float32(x), parameters(1 + step))
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        trajectory.append(params)
        gradients.append(gradient)
    return trajectory, gradients


def assert_close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), actual, expected
    )


def torch_sgd_twin(gradients, learning_rate, *, momentum, decay, multiplier):
    """torch.optim.SGD's documented rule, with the poly schedule: one pass over each tensor."""
    params = parameters()
    buffers = jax.tree.map(np.zeros_like, params)
    for step, gradient in enumerate(gradients):
        for module, tensors in params.items():
            lr = rate(step, learning_rate, len(gradients)) * (multiplier if module == "head" else 1)
            for name, value in tensors.items():
                g = np.asarray(gradient[module][name], np.float64) + decay * value
                buffers[module][name] = momentum * buffers[module][name] + g
                tensors[name] = value - lr * buffers[module][name]
    return params


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_is_pytorchs(momentum, decay):
    trajectory, gradients = run(config(momentum=momentum, weight_decay=decay))
    expected = torch_sgd_twin(gradients, 0.05, momentum=momentum, decay=decay, multiplier=10.0)
    assert_close(trajectory[-1], expected)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adams_moments_gather_the_decay_and_adamws_do_not(name):
    trajectory, gradients = run(config(name=name, weight_decay=0.1), steps=5)
    params = parameters()
    first = jax.tree.map(np.zeros_like, params)
    second = jax.tree.map(np.zeros_like, params)
    for step, gradient in enumerate(gradients):
        for module in params:
            lr = rate(step, 0.05, 5) * (10 if module == "head" else 1)
            for key, value in params[module].items():
                g = np.asarray(gradient[module][key], np.float64)
                g = g + 0.1 * value if name == "adam" else g
                first[module][key] = 0.9 * first[module][key] + 0.1 * g
                second[module][key] = 0.999 * second[module][key] + 0.001 * g**2
                mean = first[module][key] / (1 - 0.9 ** (step + 1))
                spread = np.sqrt(second[module][key] / (1 - 0.999 ** (step + 1))) + 1e-8
                decay = 0.1 * value if name == "adamw" else 0.0
                params[module][key] = value - lr * (mean / spread + decay)
    # A gradient near 0 is divided by its own size, which rounding then dominates.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-5), trajectory[-1], params)


def test_polynomial_schedule():
    schedule = optimizers.polynomial_schedule(0.02, 100, 0.9)
    for step in (0, 1, 50, 99):
        np.testing.assert_allclose(schedule(step), rate(step, 0.02, 100), rtol=1e-5)
    assert schedule(100) == 0 and schedule(150) == 0
    np.testing.assert_allclose(optimizers.polynomial_schedule(1.0, 4, 1.0)(1), 0.75)


def test_the_head_learns_at_a_multiple():
    settings = {"momentum": 0.0, "weight_decay": 0.0}
    one, _ = run(config(head_multiplier=1.0, **settings), steps=1)
    ten, _ = run(config(head_multiplier=10.0, **settings), steps=1)
    moved = lambda trajectory, module: jax.tree.map(  # noqa: E731
        lambda a, b: np.asarray(a - b), trajectory[1][module], trajectory[0][module]
    )
    assert_close(moved(ten, "backbone"), moved(one, "backbone"))
    assert_close(moved(ten, "head"), jax.tree.map(lambda x: 10 * x, moved(one, "head")))


def test_whatever_is_not_the_backbone_learns_at_the_heads_multiple():
    settings = config(head_multiplier=10.0, momentum=0.0, weight_decay=0.0)
    optimizer = optimizers.segmentation_optimizer(settings, learning_rate=0.1, steps=2)
    params = {module: jnp.ones(()) for module in ("auxiliary_head", "backbone", "head")}
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert_close(updates, {"auxiliary_head": -1.0, "backbone": -0.1, "head": -1.0})


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_decay_applies_where_the_mask_says(name):
    def mask(params):
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    trajectory, _ = run(
        config(name=name, weight_decay=0.1),
        decay_mask=mask,
        gradient_scale=0.0,
        steps=3,
        learning_rate=1e-3,  # Adam's steps, of the decay alone, are as long as the rate
    )
    before, after = trajectory[0], trajectory[-1]
    np.testing.assert_array_equal(after["backbone"]["scale"], before["backbone"]["scale"])
    for module in ("backbone", "head"):
        shrunk = np.abs(after[module]["kernel"]) < np.abs(before[module]["kernel"])
        assert shrunk.all()


def test_a_large_gradient_is_clipped_by_its_norm_over_the_whole_network():
    settings = {"momentum": 0.0, "weight_decay": 0.0, "head_multiplier": 1.0}
    clipped, gradients = run(config(clip_norm=0.5, **settings), steps=1, gradient_scale=7.0)
    free, _ = run(config(**settings), steps=1, gradient_scale=7.0)
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in jax.tree.leaves(gradients[0])))
    assert norm > 0.5
    expected = jax.tree.map(lambda a, b: a + (b - a) * 0.5 / norm, free[0], free[1])
    assert_close(clipped[1], expected)


def test_a_small_gradient_is_not_clipped():
    assert_close(run(config(clip_norm=1e3))[0][-1], run(config())[0][-1])


def test_an_unknown_name_is_an_error_with_the_valid_ones():
    with pytest.raises(ValueError, match=r"config\.optimizer\.name is 'lion'.*sgd, adam, adamw"):
        optimizers.segmentation_optimizer(config(name="lion"), learning_rate=0.1, steps=2)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_a_frozen_submodule_does_not_move(name):
    optimizer = optimizers.segmentation_optimizer(
        config(name=name, weight_decay=0.1), learning_rate=0.1, steps=2, frozen=("head",)
    )
    params = jax.tree.map(jnp.float32, parameters())
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert not np.any(updates["head"]["kernel"])
    assert np.all(updates["backbone"]["kernel"] != 0)


@pytest.mark.parametrize("step", [0, 1, 5, 7, 9])
def test_the_rate_on_the_host_is_the_schedules(step):
    scheduled = optimizers.polynomial_schedule(0.05, 7, 0.9)(step)
    assert optimizers.polynomial_rate(0.05, 7, 0.9, step) == pytest.approx(float(scheduled))
