"""Checkpoints: what is kept, what comes back, and what damage and kills can't do."""

import contextlib
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from labor_jax.training.checkpoints import CheckpointError, Checkpoints, read_best
from tests.slow import all_but

ROOT = Path(__file__).resolve().parents[2]

# Orbax abandons the other reads of a checkpoint when one fails; Python reports that.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected():
    yield
    gc.collect()


def state(number):
    return {
        "params": {"kernel": jnp.full((30, 40), number, jnp.float32), "step": jnp.int32(number)},
        "classifiers": (
            {"bias": jnp.arange(5.0) * number},
            {"bias": jnp.arange(5.0) + number},
        ),
        "discriminator": None,
        "key": jax.random.key_data(jax.random.key(number)),
        "half": jnp.full(3, number, jnp.bfloat16),
    }


def progress(number):
    return {"phase": f"round_{number}/train", "taken": number, "results": {"miou": [0.5, None]}}


def template(_):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state(0)
    )


@contextlib.contextmanager
def opened(path, **options):
    with contextlib.closing(Checkpoints(path, **options)) as checkpoints:
        yield checkpoints


def save_all(path, miou_of):
    """Saves a checkpoint for each item, a step number and its mIoU or None."""
    with opened(path) as checkpoints:
        for step, miou in miou_of.items():
            checkpoints.save(step, state(step), progress(step), miou=miou)


def assert_is(found, number):
    step, restored, restored_progress = found
    assert step == number
    expected = state(number)
    assert jax.tree.structure(restored) == jax.tree.structure(expected)
    for actual, leaf in zip(jax.tree.leaves(restored), jax.tree.leaves(expected), strict=True):
        assert actual.dtype == leaf.dtype
        np.testing.assert_array_equal(actual, leaf)
    assert restored_progress == progress(number)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder of the checkpoints 10, 20 and 30, of which 30 has the best mIoU."""
    path = tmp_path_factory.mktemp("three") / "checkpoints"
    save_all(path, {10: 0.2, 20: None, 30: 0.4})
    return path


@pytest.fixture
def copy(three, tmp_path):
    shutil.copytree(three, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def test_saves_and_restores_trees_with_tuples_and_none(tmp_path):
    save_all(tmp_path / "checkpoints", {7: None})
    with opened(tmp_path / "checkpoints") as checkpoints:
        assert_is(checkpoints.restore_latest(template), 7)


def test_an_empty_folder_has_none(tmp_path):
    with opened(tmp_path / "new" / "folder") as checkpoints:
        assert checkpoints.steps() == []
        assert checkpoints.restore_latest(template) is None
        assert checkpoints.restore_best(template) is None


def test_the_template_is_made_from_the_progress(three):
    def of_progress(found):
        assert found == progress(30)
        return template(found)

    with opened(three) as checkpoints:
        assert_is(checkpoints.restore_latest(of_progress), 30)


def test_keeps_the_last_two_and_the_best(tmp_path):
    path = tmp_path / "checkpoints"
    save_all(path, {10: None, 20: 0.5, 30: 0.3, 40: None, 50: 0.4, 60: None})
    with opened(path) as checkpoints:
        assert checkpoints.steps() == [20, 50, 60]
        assert_is(checkpoints.restore_latest(template), 60)
        assert_is(checkpoints.restore_best(template), 20)
        checkpoints.save(70, state(70), progress(70), miou=0.9)
        checkpoints.wait()
        assert checkpoints.steps() == [60, 70]
        assert_is(checkpoints.restore_best(template), 70)


def test_without_any_miou_none_is_the_best(tmp_path):
    save_all(tmp_path, {1: None, 2: None})
    with (
        opened(tmp_path, read_only=True) as checkpoints,
        pytest.raises(CheckpointError, match=r"none has an mIoU.*Use the last one"),
    ):
        checkpoints.restore_best(template)


def test_reading_says_nothing(tmp_path, caplog):
    save_all(tmp_path, {1: 0.5})
    caplog.clear()
    with opened(tmp_path, read_only=True) as checkpoints:
        assert_is(checkpoints.restore_latest(template), 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_of_two_with_the_best_miou_the_last_is_kept(tmp_path):
    save_all(tmp_path, {1: 0.5, 2: 0.5, 3: 0.4, 4: None})
    with opened(tmp_path) as checkpoints:
        assert checkpoints.steps() == [2, 3, 4]
        assert_is(checkpoints.restore_best(template), 2)


def test_the_best_is_read_without_its_arrays(tmp_path):
    assert read_best(tmp_path) is None
    save_all(tmp_path, {1: 0.5, 2: 0.5, 3: 0.4, 4: None})
    assert read_best(tmp_path) == (progress(2), 0.5)
    (tmp_path / "2" / "progress" / "metadata").write_text("{")
    assert read_best(tmp_path) == (progress(3), 0.4)


def test_a_step_saved_already_is_left_as_it_is(copy):
    with opened(copy) as checkpoints:
        checkpoints.save(30, state(1), progress(1))
        checkpoints.wait()
        assert_is(checkpoints.restore_latest(template), 30)


def test_the_state_may_change_once_save_returns(tmp_path):
    with opened(tmp_path) as checkpoints:
        values = state(5)
        checkpoints.save(5, values, progress(5))
        jax.tree.map(lambda leaf: leaf.delete(), values)  # as donation does
        checkpoints.wait()
        assert_is(checkpoints.restore_latest(template), 5)


def empty(path):
    os.truncate(path, 0)


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def zero(path):
    """What a file system may leave of a file after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", all_but([halve, remove], [empty, halve, zero, remove]))
def test_any_damaged_file_costs_at_most_one_checkpoint(three, tmp_path, damage, caplog):
    files = [path.relative_to(three) for path in (three / "30").rglob("*") if path.is_file()]
    assert len(files) > 5
    fell_back = 0
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(three, copy)
        damage(copy / file)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "labor_jax"), opened(copy) as checkpoints:
            found = checkpoints.restore_latest(template)
        warnings = [r.getMessage() for r in caplog.records if r.name.startswith("labor_jax")]
        if found[0] == 30:
            assert not warnings, file
        else:
            fell_back += 1
            assert len(warnings) == 1 and str(copy / "30") in warnings[0], file
        assert_is(found, found[0])
        assert found[0] in (20, 30), file
    assert fell_back >= 2


def contents(path):
    """What lies in a folder, by name."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path): file.read_bytes() for file in files}


def damage_state(path):
    for file in (path / "state").rglob("*"):
        if file.is_file():
            empty(file)


def test_a_damaged_best_falls_back_to_the_last(tmp_path):
    path = tmp_path / "checkpoints"
    save_all(path, {10: 0.9, 20: None, 30: None})
    damage_state(path / "10")
    with opened(path) as checkpoints:
        assert_is(checkpoints.restore_best(template), 30)


def test_all_damaged_is_an_error(copy):
    for step in (10, 20, 30):
        damage_state(copy / str(step)) if (copy / str(step)).exists() else None
    with (
        opened(copy) as checkpoints,
        pytest.raises(CheckpointError, match=r"None of the checkpoints in .*30, 20") as caught,
    ):
        checkpoints.restore_latest(template)
    assert str(copy) in str(caught.value)


def test_steps_set_aside_can_be_saved_again(copy):
    for number in (1, 2):
        damage_state(copy / "30")
        with opened(copy) as checkpoints:
            assert_is(checkpoints.restore_latest(template, set_damaged_aside=True), 20)
            assert checkpoints.steps() == [20]
            checkpoints.save(30, state(30), progress(30), miou=0.4)
        assert (copy / f"30.damaged_{number}").is_dir()
    with opened(copy) as checkpoints:
        assert_is(checkpoints.restore_latest(template), 30)
        assert_is(checkpoints.restore_best(template), 30)


def test_damaged_ones_are_kept_unless_told(copy):
    damage_state(copy / "30")
    with opened(copy) as checkpoints:
        assert_is(checkpoints.restore_latest(template), 20)
        assert 30 in checkpoints.steps()


def test_a_lack_of_memory_says_nothing_about_the_checkpoint(copy, monkeypatch):
    def lacking(*args, **options):
        raise MemoryError

    before = contents(copy)
    with opened(copy) as checkpoints:
        monkeypatch.setattr(checkpoints._manager, "restore", lacking)
        with pytest.raises(MemoryError):
            checkpoints.restore_latest(template, set_damaged_aside=True)
    assert contents(copy) == before


class Kept(struct.PyTreeNode):
    model: dict
    rest: Any


def test_a_part_is_read_whatever_the_rest_is(tmp_path):
    kept = Kept(model=state(1)["params"], rest=(jnp.ones(3), None))
    with opened(tmp_path) as checkpoints:
        checkpoints.save(1, {"kept": kept}, progress(1), miou=0.5)
    shapes = {"kept": {"model": template(None)["params"]}}
    for which in ("restore_latest", "restore_best"):
        with opened(tmp_path, read_only=True) as checkpoints:
            step, tree, _ = getattr(checkpoints, which)(lambda _: shapes, part=True)
        assert step == 1
        jax.tree.map(np.testing.assert_array_equal, tree, {"kept": {"model": kept.model}})
    shapes["kept"]["model"]["bias"] = shapes["kept"]["model"]["kernel"]
    with (
        opened(tmp_path, read_only=True) as checkpoints,
        pytest.raises(CheckpointError, match=r"kept\.model\.bias is missing in it"),
    ):
        checkpoints.restore_latest(lambda _: shapes, part=True)


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "checkpoints"
    script = f"""
        import os, signal
        import jax.numpy as jnp
        from labor_jax.training.checkpoints import Checkpoints

        checkpoints = Checkpoints({str(path)!r})
        checkpoints.save(1, {{"x": jnp.full((1000, 1000), 1.0)}}, {{"phase": "source"}}, miou=0.1)
        checkpoints.wait()
        checkpoints.save(2, {{"x": jnp.full((1000, 1000), 2.0)}}, {{"phase": "source"}}, miou=0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shape = {"x": jax.ShapeDtypeStruct((1000, 1000), jnp.float32, sharding=sharding)}
    with opened(path) as checkpoints:
        steps = checkpoints.steps()
        assert steps in ([1], [1, 2])
        step, restored, found = checkpoints.restore_latest(lambda _: shape, set_damaged_aside=True)
        assert step == steps[-1] and found == {"phase": "source"}
        np.testing.assert_array_equal(restored["x"], float(step))
        # The run goes on and saves the step that was lost.
        checkpoints.save(2, {"x": jnp.full((1000, 1000), 2.0)}, {"phase": "source"}, miou=0.2)
        checkpoints.wait()
        assert checkpoints.steps() == [1, 2]
