"""The loop on a step that a person can follow."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax.training import loop
from labor_jax.training.state import create_state
from labor_jax.training.terms import Player


def adding(state, batch):
    return state + batch, {"loss": jnp.float32(batch), "total": jnp.float32(state + batch)}


class Recorder:
    def __init__(self):
        self.logged, self.seconds, self.saved, self.unlogged, self.paces = [], [], [], {}, []

    def log(self, taken, means, seconds):
        self.logged.append((taken, means))
        self.seconds.append(seconds)

    def save(self, taken, state, unlogged):
        self.saved.append((taken, float(state)))
        self.unlogged[taken] = unlogged

    def run(
        self,
        step=adding,
        state=0.0,
        batches=None,
        start=0,
        stop=7,
        log=3,
        checkpoint=2,
        unlogged=(),
    ):
        return loop.train(
            step,
            state,
            batches if batches is not None else map(float, range(start, 100)),
            name="source",
            start=start,
            stop=stop,
            steps_after=0,
            log_every=log,
            on_log=self.log,
            checkpoint_every=checkpoint,
            on_checkpoint=self.save,
            on_pace=lambda taken, seconds: self.paces.append((taken, seconds)),
            unlogged=unlogged,
        )


def test_takes_every_step_on_its_batch():
    assert Recorder().run() == sum(range(7))


def test_logs_means_since_the_last_log_and_at_the_end():
    recorder = Recorder()
    recorder.run()
    assert [taken for taken, _ in recorder.logged] == [3, 6, 7]
    assert [means["loss"] for _, means in recorder.logged] == [1.0, 4.0, 6.0]
    totals = np.cumsum(range(7))
    expected = [totals[:3].mean(), totals[3:6].mean(), totals[6]]
    np.testing.assert_allclose([means["total"] for _, means in recorder.logged], expected)


def test_checkpoints_the_state_on_the_way_and_leaves_the_end_to_the_phase():
    recorder = Recorder()
    recorder.run(stop=6)
    assert recorder.saved == [(2, 0.0 + 1), (4, 0.0 + 1 + 2 + 3)]


def test_resumes_from_a_start_with_the_same_cadence():
    whole, resumed = Recorder(), Recorder()
    end = whole.run()
    state = dict(whole.saved)[4]
    assert resumed.run(state=state, start=4, unlogged=whole.unlogged[4]) == end
    assert resumed.saved == whole.saved[2:]
    # The means of step 6 are over step 4 too, which was taken and not logged before the checkpoint.
    assert resumed.logged == whole.logged[1:]


def test_the_time_of_a_step_leaves_out_compiling_and_checkpoints(monkeypatch):
    clock = types.SimpleNamespace(now=50.0)
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: clock.now))

    def step(state, batch):
        clock.now += 1000.0 if batch == 4 else 2.0  # the first compiles
        return adding(state, batch)

    class Slow(Recorder):
        def save(self, *arguments):
            clock.now += 100.0
            super().save(*arguments)

    recorder = Slow()
    recorder.run(step=step, start=4, stop=13, log=3, checkpoint=4)
    assert [taken for taken, _ in recorder.saved] == [8, 12]
    # On a device, the first step goes on when its call returns, so it counts; this one has ended.
    assert recorder.seconds == [2.0 / 2, 2.0, 2.0, 2.0]


def test_the_first_step_alone_has_no_time():
    recorder = Recorder()
    recorder.run(start=5, stop=8, log=3)
    assert recorder.seconds[0] is None and recorder.seconds[1] > 0


@pytest.mark.parametrize(("start", "stop", "taken"), [(0, 20, [7]), (5, 20, [12]), (5, 11, [])])
def test_tells_its_pace_once(start, stop, taken):
    recorder = Recorder()
    recorder.run(start=start, stop=stop)
    assert [number for number, _ in recorder.paces] == taken
    assert all(0 < seconds < 60 for _, seconds in recorder.paces)


def test_nothing_left_to_do():
    recorder = Recorder()
    assert recorder.run(state=5.0, start=7) == 5.0
    assert not recorder.logged and not recorder.saved


def test_reads_no_more_batches_than_steps():
    batches = map(float, range(100))
    Recorder().run(batches=batches, stop=7)
    assert next(batches) == 7.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_ends_the_run(bad):
    def step(state, batch):
        return state, {"loss": jnp.float32(1.0), "target": jnp.float32(bad if batch == 4 else 1.0)}

    recorder = Recorder()
    with pytest.raises(loop.DivergedError, match=r"target stopped .* phase source .* step 6"):
        recorder.run(step=step)
    # The checkpoint of step 6 would be of a broken model.
    assert [taken for taken, _ in recorder.logged] == [3]
    assert [taken for taken, _ in recorder.saved] == [2, 4]


def test_weights_that_are_not_finite_are_never_saved():
    def step(state, batch):  # the loss is of the state before the step, as in training
        return state + (np.nan if batch == 3 else 1.0), {"loss": jnp.float32(state)}

    recorder = Recorder()
    with pytest.raises(loop.DivergedError, match=r"weights stopped .* phase source .* step 4"):
        recorder.run(step=step, log=100)
    assert [taken for taken, _ in recorder.saved] == [2]


def test_a_player_that_is_not_finite_is_never_saved():
    def memory(player):  # a term may keep what is infinite
        return {"term": {"player": jnp.float32(player), "bound": jnp.float32(np.inf)}}

    def step(state, batch):  # the network's weights and the losses stay finite
        spoilt = memory(np.nan if batch == 3 else 1.0)
        return state.replace(memory=spoilt), {"loss": jnp.float32(1.0)}

    first = create_state(
        {"params": jnp.zeros(2)},
        optax.sgd(0.1),
        jax.random.key(0),
        memory=memory(1.0),
        players={"term": {"player": Player(init=jnp.zeros, optimizer=optax.sgd(0.1))}},
    )
    recorder, saved = Recorder(), []
    recorder.save = lambda taken, state, unlogged: saved.append(taken)
    with pytest.raises(loop.DivergedError, match=r"weights stopped .* phase source .* step 4"):
        recorder.run(step=step, state=first, log=100)
    assert saved == [2]


def test_a_last_step_that_diverges_ends_the_run():
    def step(state, batch):
        return state * (np.inf if batch == 6 else 1.0), {"loss": jnp.float32(1.0)}

    with pytest.raises(loop.DivergedError, match=r"weights stopped .* step 7"):
        Recorder().run(step=step, state=1.0, checkpoint=100)
