"""The same step gives the same numbers however many devices share a batch, and under pmap."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from labor_jax import models
from labor_jax.training import mesh as mesh_lib
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import PLAYERS, WEIGHTS, first_state, louder, make_step, terms

ROOT = Path(__file__).resolve().parents[2]
DEVICES = 8
# Counts that the batch gives and the outputs give, players, and memory that is measured.
FEW = (
    "source_labels",
    "answers",
    "auxiliary_source_labels",
    "negative_learning",
    "adversarial",
    "patch_adapt",
)


def everything(names):
    """A step with these terms and trained batch norm, its first state and two batches."""
    segmenter = tiny_segmenter(axis_name="batch", auxiliary=True)
    optimizer = optax.sgd(0.1, momentum=0.9)
    loss = terms({name: WEIGHTS[name] for name in names})
    drawn = louder(models.init_variables(segmenter, jax.random.key(0), (32, 32)))
    state = first_state(loss, drawn, optimizer, seed=1)
    step = make_step(loss, segmenter, optimizer, axis_name="batch")
    return step, state, [batch(seed) for seed in range(2)]


def batch(seed):
    rng = np.random.default_rng(seed)

    def domain():
        labels = rng.integers(0, 5, (DEVICES, 8, 8), np.int32).repeat(4, 1).repeat(4, 2)
        for i in range(DEVICES):  # from all to next to none of an image counts
            labels[i][rng.random((32, 32)) < i / (DEVICES - 1)] = 255
        images = rng.integers(0, 256, (DEVICES, 32, 32, 3), np.uint8)
        images[: DEVICES // 2] //= 4  # devices see images of different statistics
        return {"image": images, "label": labels}

    target = domain()
    target["label"][3] = 255
    return {"source": domain(), "target": target}


def under_shard_map(devices, names):
    step, state, batches = everything(names)
    mesh = mesh_lib.device_mesh(devices)
    compiled = mesh_lib.data_parallel(step, mesh, batched_arguments=(1,), donate=True)
    state, metrics = mesh_lib.replicate(state, mesh), []
    for each in mesh_lib.prefetch_to_devices(batches, mesh):
        state, values = compiled(state, each)
        metrics.append(values)
    return flat((metrics, state.variables, state.memory))


def under_pmap(devices, names):
    step, state, batches = everything(names)
    compiled = jax.pmap(step, axis_name="batch", devices=devices)
    count = len(devices)
    state, metrics = jax.tree.map(lambda x: jnp.stack([x] * count), state), []
    for each in batches:
        per_device = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), each)
        state, values = compiled(state, per_device)
        metrics.append(values)
    result = (metrics, state.variables, state.memory)
    return flat(jax.tree.map(lambda x: x[-1], result))


def flat(tree):
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


@pytest.fixture(
    scope="module",
    params=[FEW, pytest.param(tuple(WEIGHTS), marks=pytest.mark.slow)],
    ids=["few_terms", "all_terms"],
)
def names(request):
    """Of the terms."""
    return request.param


@pytest.fixture(scope="module")
def on_one_device(names):
    return under_shard_map(jax.devices()[:1], names)


@pytest.fixture(scope="module")
def on_eight_devices(names, tmp_path_factory):
    return in_a_process_with_eight_devices("shard_map", names, tmp_path_factory)


def in_a_process_with_eight_devices(name, names, tmp_path_factory):
    path = tmp_path_factory.mktemp("devices") / "values"
    subprocess.run(
        [sys.executable, __file__, name, str(path), *names],
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} "
            f"--xla_force_host_platform_device_count={DEVICES}",
        },
    )
    return dict(np.load(f"{path}.npz")), Path(f"{path}_error.txt").read_text()


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_eight_devices_as_one(on_one_device, on_eight_devices):
    assert_same(on_eight_devices[0], on_one_device)


@pytest.mark.slow
def test_pmap_on_eight_devices(on_one_device, names, tmp_path_factory):
    found, _ = in_a_process_with_eight_devices("pmap", names, tmp_path_factory)
    assert_same(found, on_one_device)


def test_the_numbers_compared_are_worth_comparing(on_one_device, names):
    _, state, _ = everything(names)
    first = "[0][0]['{}']"
    players = [f"{term}_{player}" for term in names for player in PLAYERS.get(term, ())]
    for name in (*names, *players):
        assert abs(on_one_device[first.format(name)]) > 1e-3, name
    before = flat(([], state.variables, state.memory))
    fixed = {name for name in before if name.endswith(("['steps']", "['centres']"))}
    assert len(fixed) == len({"clan", "patch_adapt"} & set(names))
    for name, value in before.items():
        if "['labeller']" in name:  # frozen
            np.testing.assert_array_equal(on_one_device[name], value)
            continue
        if name in fixed:
            continue
        assert np.abs(on_one_device[name] - value).max() > 1e-4, name


def test_data_parallel_map_keeps_the_batch():
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    function = mesh_lib.data_parallel_map(
        lambda scale, x: {"scaled": scale * x}, mesh, batched_arguments=(1,)
    )
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(function(2.0, x)["scaled"], 2 * x)


def test_a_batch_that_does_not_divide_is_an_error_with_both_numbers(on_eight_devices):
    _, error = on_eight_devices
    for words in ("batch of 6 images", "over 8 devices", "multiple"):
        assert words in error


def test_shard_batch_splits_the_leading_dimension():
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    array = np.arange(12).reshape(4, 3)
    sharded = mesh_lib.shard_batch({"x": array}, mesh)["x"]
    np.testing.assert_array_equal(sharded, array)
    assert sharded.sharding.spec == PartitionSpec("batch")


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_prefetch_keeps_the_order_and_yields_everything(depth, count):
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    batches = ({"x": np.full(1, i)} for i in range(count))
    yielded = [int(b["x"][0]) for b in mesh_lib.prefetch_to_devices(batches, mesh, depth=depth)]
    assert yielded == list(range(count))


def test_prefetch_reads_ahead():
    read = []
    batches = (read.append(i) or {"x": np.full(1, i)} for i in range(5))
    prefetched = mesh_lib.prefetch_to_devices(batches, mesh_lib.device_mesh(), depth=3)
    next(prefetched)
    assert read == [0, 1, 2]


def _batches(source, target):
    return {"source_batch_size": source, "target_batch_size": target}


def test_all_devices_serve_batches_that_fit_them():
    assert mesh_lib.devices_for(_batches(4, 6)) == jax.devices()
    assert mesh_lib.devices_for({}) == jax.devices()


@pytest.mark.parametrize(("sizes", "used"), [((4, 6), 2), ((8, 16), 8), ((3, 4), 1), ((24, 12), 6)])
def test_a_process_uses_the_devices_that_its_batches_divide_over(monkeypatch, sizes, used, caplog):
    batches = _batches(*sizes)
    fields = f"config.source_batch_size = {sizes[0]} and config.target_batch_size = {sizes[1]}"
    monkeypatch.setattr(jax, "devices", lambda: list(range(8)))
    assert mesh_lib.devices_for(batches) == list(range(used))
    told = f"Using {used} of 8 devices: the batches of {fields} divide over no more."
    assert caplog.messages == [told] * (used < 8)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    if used == 8:
        assert mesh_lib.devices_for(batches) == list(range(8))
    else:  # a device without work would leave its process out
        with pytest.raises(ValueError, match=f"of {fields} do not divide over the 8 devices"):
            mesh_lib.devices_for(batches)


def test_devices_may_be_chosen():
    assert mesh_lib.devices_for(_batches(4, 6), list("abc")) == ["a", "b"]
    with pytest.raises(ValueError, match="at least one"):
        mesh_lib.devices_for(_batches(4, 4), [])


def main(name, path, *names):
    devices = jax.devices()
    assert len(devices) == DEVICES
    run = {"shard_map": under_shard_map, "pmap": under_pmap}[name]
    np.savez(f"{path}.npz", **run(devices, names))
    try:
        mesh_lib.shard_batch({"image": np.zeros((6, 2, 2, 3))}, mesh_lib.device_mesh())
    except ValueError as error:
        Path(f"{path}_error.txt").write_text(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
