"""Which steps are traced, and that the trace holds these."""

import gzip
import json
import logging

import jax
import jax.numpy as jnp
import pytest

from labor_jax.experiment import profiling
from labor_jax.experiment.plan import Phase
from labor_jax.experiment.profiling import Profile
from labor_jax.experiment.workdir import ConfigError

PHASES = (
    Phase("supervised", "train_model", "supervised", 0, 30),
    Phase("warmup", "train_model", "warmup", 0, 8, first_step=30),
    Phase("round_1/query", "query", "", 1, 100, first_step=38),
)


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("10", Profile(None, 3, 12)),
        ("20-24", Profile(None, 20, 24)),
        ("7-7", Profile(None, 7, 7)),
        ("warmup:1", Profile("warmup", 3, 3)),
        ("round_1/train:2-4", Profile("round_1/train", 2, 4)),
    ],
)
def test_reads_steps(text, profile):
    assert profiling.parse(text) == profile


@pytest.mark.parametrize("text", ["", "0", "0-3", "5-4", "ten", "-3", "3-", ":3", "a:b:3", "1.5"])
def test_says_how_steps_are_written(text):
    with pytest.raises(ConfigError, match=r"--profile is .*as in 10, .*as in 20-24; warmup:10"):
        profiling.parse(text)


def test_steps_that_some_phase_takes_are_fine():
    for profile in (Profile(None, 30, 99), Profile("warmup", 8, 8)):
        profiling.check(profile, PHASES)


@pytest.mark.parametrize("profile", [Profile(None, 31, 99), Profile("warmup", 9, 9)])
def test_steps_that_no_phase_takes_are_refused(profile):
    with pytest.raises(ConfigError, match=r"supervised \(30 steps\), warmup \(8 steps\)\.$"):
        profiling.check(profile, PHASES)


def test_a_phase_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="of phase 'round_1/query', which this run doesn't take"):
        profiling.check(Profile("round_1/query", 1, 2), PHASES)


@jax.jit
def adding(state, batch):
    return state + batch, {"loss": state}


def take(folder, steps, start=0, phase=PHASES[1], profile=None):
    state = jnp.float32(0)
    with profiling.traced(adding, phase, start, profile, folder) as step:
        for batch in range(start, start + steps):
            state, _ = step(state, jnp.float32(batch))
    return float(state)


def traced_steps(folder):
    (path,) = folder.rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return [int(each["args"]["step_num"]) for each in events if each.get("name") == "train"]


@pytest.mark.parametrize(
    ("profile", "start", "taken", "steps"),
    [
        (Profile("warmup", 2, 3), 0, 8, [2, 3]),
        (Profile(None, 7, 12), 0, 8, [7, 8]),  # the phase is over
        (Profile(None, 2, 6), 4, 1, [5]),  # resumed, and interrupted after one
    ],
)
def test_traces_the_steps(profile, start, taken, steps, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger=profiling.logger.name):
        state = take(tmp_path, taken, start, profile=profile)
    assert state == sum(range(start, start + taken))
    assert traced_steps(tmp_path / "warmup") == steps
    assert f"steps {steps[0]} to {steps[-1]} of warmup is in {tmp_path / 'warmup'}" in caplog.text
    assert "https://ui.perfetto.dev" in caplog.text


@pytest.mark.parametrize("profile", [None, Profile("supervised", 1, 3), Profile(None, 9, 20)])
def test_other_phases_are_not_traced(profile, tmp_path):
    assert take(tmp_path, 8, profile=profile) == sum(range(8))
    assert not list(tmp_path.iterdir())
