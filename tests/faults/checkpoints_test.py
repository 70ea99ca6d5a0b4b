"""Flipped bits in a checkpoint: the state comes back as it was saved, or that of the one before."""

import contextlib
import re
import shutil

import jax
import numpy as np
import pytest

from labor_jax.training import checkpoints as checkpoints_lib
from labor_jax.training.checkpoints import CheckpointError, Checkpoints

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


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"miou": 0.1', '"miou": 0.9'),
        lambda text: text.replace('"miou": 0.1', '"miou": 0.'),
        lambda text: text[:20],
    ],
)
def test_a_damaged_miou_does_not_change_the_best(two, tmp_path, damage):
    copy = shutil.copytree(two, tmp_path / "copy")
    record = copy / "10" / "progress" / "metadata"
    before = record.read_text()
    record.write_text(damage(before))
    assert record.read_text() != before
    for read_only in (True, False):
        with contextlib.closing(Checkpoints(copy, read_only=read_only)) as checkpoints:
            assert checkpoints.restore_best(template)[0] == 20
            assert checkpoints.restore_latest(template)[0] == 20


def test_a_leftover_file_of_metrics_counts_for_nothing(two, tmp_path):
    copy = shutil.copytree(two, tmp_path / "copy")  # as earlier versions left it
    for step, text in ((10, '{"miou": 0.9}'), (20, '{"miou": 0.')):
        (copy / str(step) / "metrics").mkdir()
        (copy / str(step) / "metrics" / "metrics").write_text(text)
    with contextlib.closing(Checkpoints(copy, read_only=True)) as checkpoints:
        assert checkpoints.restore_best(template)[0] == 20


def contents(path):
    """What lies in a folder, by name."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path): file.read_bytes() for file in files}


def test_what_cannot_be_read_is_renamed_and_not_deleted(two, tmp_path):
    copy = shutil.copytree(two, tmp_path / "copy")
    record = copy / "20" / "progress" / "metadata"
    record.write_text(record.read_text().replace("warmup", "warmuq", 1))
    damaged = contents(copy / "20")
    with contextlib.closing(Checkpoints(copy)) as checkpoints:
        assert checkpoints.restore_latest(template, set_damaged_aside=True)[0] == 10
        assert checkpoints.steps() == [10]
    assert contents(copy / "20.damaged_1") == damaged


def larger(shapes):
    half = shapes["half"]
    return {**shapes, "half": jax.ShapeDtypeStruct((400,), half.dtype, sharding=half.sharding)}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (larger, "half is bfloat16[300] in it and bfloat16[400] here"),
        (lambda shapes: {"half": shapes["half"]}, "kernel is float32[50, 40] in it and missing"),
        (
            lambda shapes: {**shapes, "new": shapes["half"]},
            "new is missing in it and bfloat16[300]",
        ),
    ],
)
def test_a_whole_checkpoint_of_other_arrays_is_named_and_left_as_it_is(
    two, tmp_path, changed, says
):
    copy = shutil.copytree(two, tmp_path / "copy")
    with (
        contextlib.closing(Checkpoints(copy)) as checkpoints,
        pytest.raises(CheckpointError, match=re.escape(f"{copy / '20'} was saved by")) as caught,
    ):
        checkpoints.restore_latest(
            lambda progress: changed(template(progress)), set_damaged_aside=True
        )
    assert says in str(caught.value)
    assert contents(copy) == contents(two)


def test_the_progress_is_read_without_orbax(two, tmp_path):
    assert checkpoints_lib.read_progress(two)["taken"] == 20
    copy = shutil.copytree(two, tmp_path / "copy")
    record = copy / "20" / "progress" / "metadata"
    record.write_text(record.read_text().replace("warmup", "warmuq", 1))
    assert checkpoints_lib.read_progress(copy)["taken"] == 10
    assert checkpoints_lib.read_progress(tmp_path / "nothing") is None
