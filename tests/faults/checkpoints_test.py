"""Flipped bits in a checkpoint: the state comes back as it was saved, or that of the one before."""

import contextlib
import shutil

import jax
import numpy as np
import pytest

from labor_jax.training import checkpoints as checkpoints_lib
from labor_jax.training.checkpoints import Checkpoints

# Orbax abandons the other reads of a checkpoint when one fails; Python reports that.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

FLIPS = 40


def state(number):
    draws = np.random.default_rng(number)
    return {
        "kernel": jax.numpy.asarray(draws.normal(size=(50, 40)), np.float32),
        "half": jax.numpy.asarray(draws.normal(size=300), jax.numpy.bfloat16),
        "step": jax.numpy.int32(number),
    }


def template(_):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state(0)
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "checkpoints"
    with contextlib.closing(Checkpoints(path)) as checkpoints:
        for step in (10, 20):
            progress = {"phase": "warmup", "taken": step, "results": {"miou": {"warmup": 0.25}}}
            checkpoints.save(step, state(step), progress, miou=step / 100)
    return path


def test_no_flipped_bit_restores_as_another_state(two, tmp_path):
    files = sorted(file for file in (two / "20").rglob("*") if file.is_file())
    sizes = np.array([file.stat().st_size for file in files])
    draws = np.random.default_rng(0)
    fell_back = 0
    for flip in range(FLIPS):
        copy = shutil.copytree(two, tmp_path / str(flip))
        # Every file has its turn; large ones hold the arrays.
        number = (
            flip % len(files)
            if flip < FLIPS // 2
            else draws.choice(len(files), p=sizes / sizes.sum())
        )
        if not sizes[number]:
            continue
        damaged = copy / files[number].relative_to(two)
        content = bytearray(damaged.read_bytes())
        content[draws.integers(len(content))] ^= 1 << draws.integers(8)
        damaged.write_bytes(content)
        with contextlib.closing(Checkpoints(copy)) as checkpoints:
            step, restored, progress = checkpoints.restore_latest(template)
        assert progress["taken"] == step
        jax.tree.map(np.testing.assert_array_equal, restored, state(step))
        fell_back += step == 10
    assert fell_back > FLIPS // 4


def test_a_changed_miou_does_not_change_the_best(two, tmp_path, caplog):
    copy = shutil.copytree(two, tmp_path / "copy")
    file = copy / "10" / "metrics" / "metrics"
    file.write_text(file.read_text().replace("0.1", "0.9"))
    with contextlib.closing(Checkpoints(copy)) as checkpoints:
        assert checkpoints.restore_best(template)[0] == 20
    assert f"{file} is damaged" in caplog.text


def test_the_progress_is_read_without_orbax(two, tmp_path):
    assert checkpoints_lib.read_progress(two)["taken"] == 20
    copy = shutil.copytree(two, tmp_path / "copy")
    record = copy / "20" / "progress" / "metadata"
    record.write_text(record.read_text().replace("warmup", "warmuq", 1))
    assert checkpoints_lib.read_progress(copy)["taken"] == 10
    assert checkpoints_lib.read_progress(tmp_path / "nothing") is None
