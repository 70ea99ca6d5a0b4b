"""A term of a user's own in whole runs: its memory, player, view and pass live through a resume."""

import dataclasses
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax import adaptation, experiment
from labor_jax.adaptation import registry
from labor_jax.data import DataError
from labor_jax.experiment import phase_training
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training.checkpoints import CheckpointError, Checkpoints
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config


@dataclasses.dataclass(frozen=True)
class Teacher:
    """Consistency with a teacher on darker images; a player scales it, a pass counts the pool."""

    decay: float = 0.9

    reads = ("dark",)
    makes = {"dark": ("target",)}  # noqa: RUF012

    def players(self, setup):
        optimizer = optax.sgd(setup.schedule(0.1))
        return {"scale": adaptation.Player(lambda key: jax.random.uniform(key), optimizer)}

    def memory(self, model):
        return {"teacher": model, "pool": jnp.zeros((), jnp.int32), "certainty": jnp.zeros(())}

    def before_phase(self, passes, memory):
        def certainty(outputs):
            return jnp.max(jax.nn.softmax(outputs.logits), -1).mean((1, 2))

        found = list(passes.images("target", certainty))
        values = np.concatenate([rows for _, rows in found])
        numbers = np.concatenate([numbers for numbers, _ in found])
        assert sorted(numbers) == list(range(len(values)))
        return {
            **memory,
            "pool": jnp.int32(len(values)),
            "certainty": jnp.float32(values.mean()),
        }

    def views(self, key, batch, memory):
        image = batch["target"]["image"]
        label = jnp.argmax(memory["teacher"](image).logits, -1)
        return {"dark": {"image": image // 2, "label": label}}

    def loss(self, outputs, batch, memory):
        term = adaptation.labels.cross_entropy(outputs["dark"].logits, batch["dark"]["label"])
        return term._replace(total=memory["scale"] * memory["certainty"] * term.total)

    def player_losses(self, outputs, batch, memory):
        return {"scale": adaptation.Term.of_mean((memory["scale"] - 2.0) ** 2, 1.0)}

    def update(self, memory, model):
        teacher = optax.incremental_update(model, memory["teacher"], 1 - self.decay)
        return {**memory, "teacher": teacher}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "TERMS", dict(registry.TERMS))
    monkeypatch.setattr(adaptation, "TERMS", registry.TERMS)
    adaptation.register("teacher")(Teacher)


def config_of(method):
    config = tiny_config(method)
    config.warmup.terms.teacher = config.round.terms.teacher = 0.5
    config.terms.teacher.decay = 0.8
    return config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "phase", "taken"),
    [("random", "round_1/train", 3), ("active:random", "joint", 3)],
)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(method, phase, taken, tmp_path):
    summary = experiment.run(config_of(method), tmp_path / "whole")
    interrupt_training(config_of(method), tmp_path / "cut", phase, taken)
    assert comparable(experiment.run(config_of(method), tmp_path / "cut")) == comparable(summary)


@dataclasses.dataclass(frozen=True)
class ByImage:
    """Keeps a number for each pool image and the stage; checks what a phase says of itself."""

    reads = ("target",)

    def memory(self, model, setup):
        assert len(setup.classes) == setup.num_classes and setup.steps == 3
        return {"values": jnp.zeros(setup.num_images["target"]), "stage": jnp.float32(-1)}

    def before_phase(self, passes, memory):
        start = passes.first_model().variables["params"]["head"]["logits"]["kernel"]
        assert np.any(start)
        for numbers, _ in passes.images("target", lambda outputs: outputs.logits[:, 0, 0, 0]):
            memory = {**memory, "values": memory["values"].at[numbers].set(0.1 * (1 + numbers))}
        return {**memory, "stage": jnp.float32(passes.stage)}

    def loss(self, outputs, batch, memory):
        own = memory["values"][batch["target"]["index"]] + memory["stage"]
        losses = own * jnp.square(outputs["target"].logits).mean((1, 2, 3))
        return adaptation.Term(losses.sum(), jnp.float32(len(own)))


@pytest.mark.slow
def test_a_stage_of_retraining_resumes_with_what_it_keeps_of_each_image(tmp_path, monkeypatch):
    adaptation.register("by_image")(ByImage)

    def config():
        config = tiny_config("warmup")
        config.warmup.steps = 0
        config.retraining.update(stages=2, steps=3)
        config.retraining.terms.update(by_image=1.0, source_labels=1.0)
        return config

    summary = experiment.run(config(), tmp_path / "whole")
    assert summary["retraining_miou"] == summary["final_miou"]
    interrupt_training(config(), tmp_path / "cut", "retraining_2", 3)
    with monkeypatch.context() as patch:
        before = ByImage.memory

        def memory(self, model, setup):
            return {**before(self, model, setup), "stage": jnp.zeros(2)}

        patch.setattr(ByImage, "memory", memory)
        changed = r"memory\.by_image\.stage is float32\[\] in it and float32\[2\] here"
        with pytest.raises(CheckpointError, match=changed):
            experiment.run(config(), tmp_path / "cut")
    assert comparable(experiment.run(config(), tmp_path / "cut")) == comparable(summary)


@pytest.mark.slow
def test_a_discriminator_goes_on_from_the_warm_up_through_the_rounds(tmp_path, monkeypatch):
    train, kept = phase_training.train, {}

    def recorded(session, phase, training, begin, *arguments, **more):
        first = begin(jax.random.key(0)).memory
        last = train(session, phase, training, begin, *arguments, **more)
        kept[phase.name] = [
            jax.device_get(each.get("adversarial")) for each in (first, dict(last.memory))
        ]
        return last

    monkeypatch.setattr(phase_training, "train", recorded)
    config = tiny_config("ppl")
    config.round.terms.adversarial = 1e-3
    experiment.run(config, tmp_path)
    ends = [kept[name] for name in ("warmup", "round_1/train", "round_2/train")]
    for (first, last), (following, _) in itertools.pairwise(ends):
        jax.tree.map(np.testing.assert_array_equal, following, last)
        assert any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), first, last)))
    assert kept["supervised"] == kept["round_1/selector"] == [None, None]


def memory_at_the_end(workdir, config):
    """What the last checkpoint of joint training holds of the term, and its players so far."""
    built = experiment.components.build(config)
    phases = experiment.plan.plan(config)
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    _, tree, _ = checkpoints.restore_latest(
        lambda progress: experiment.restore.checkpoint_template(built, phases, progress)
    )
    checkpoints.close()
    return tree["handover"]


@pytest.mark.slow
def test_checkpoints_hold_memory_and_players(tmp_path):
    config = config_of("active:random")
    experiment.run(config, tmp_path)
    handover = memory_at_the_end(tmp_path, config)
    kept = handover.ongoing.memory["teacher"]
    assert kept["pool"] == config.data.pool_count and 0 < kept["certainty"] < 1
    np.testing.assert_array_equal(kept["scale"], handover.players["teacher"]["scale"])
    student = handover.model["params"]["head"]["logits"]["kernel"]
    teacher = kept["teacher"].variables["params"]["head"]["logits"]["kernel"]
    assert np.any(student != teacher) and np.abs(student - teacher).max() < 0.5


@pytest.mark.slow
def test_a_weight_of_zero_is_as_if_the_term_did_not_exist(tmp_path):
    config = tiny_config("warmup")
    assert config.warmup.terms.teacher == 0
    with_it = experiment.run(config, tmp_path)
    del registry.TERMS["teacher"]
    assert experiment.run(tiny_config("warmup"), tmp_path) == with_it


def test_before_phase_may_not_change_the_memorys_structure(tmp_path, monkeypatch):
    monkeypatch.setattr(Teacher, "before_phase", lambda self, passes, memory: {**memory, "new": 1})
    with pytest.raises(ValueError, match="before_phase of the term 'teacher' returned memory of"):
        experiment.run(config_of("warmup"), tmp_path)


def test_an_error_of_before_phase_names_the_term_and_its_line(tmp_path, monkeypatch):
    def before_phase(self, passes, memory):
        list(passes.images("target", lambda outputs: outputs.logits[:, 0, 0, 99, 0]))

    monkeypatch.setattr(Teacher, "before_phase", before_phase)
    says = r"^config\.warmup\.terms: before_phase of the term 'teacher' fails: IndexError: Too many"
    with pytest.raises(ConfigError, match=says) as raised:
        experiment.run(config_of("warmup"), tmp_path)
    assert re.search(r"at .*terms_run_test\.py, line \d+: list\(", raised.value.__notes__[0])
    assert isinstance(raised.value.__cause__.__cause__, IndexError)


def test_an_image_that_before_phase_cannot_read_is_not_the_terms_fault(tmp_path, monkeypatch):
    def before_phase(self, passes, memory):
        raise DataError("photo.jpg cannot be read")

    monkeypatch.setattr(Teacher, "before_phase", before_phase)
    with pytest.raises(DataError, match=r"^photo\.jpg cannot be read$"):
        experiment.run(config_of("warmup"), tmp_path)
