"""The benchmark of methods' steps: which phases it times, and next to what."""

import pytest

from benchmarks import adaptation_step
from benchmarks.adaptation_step import Measured
from labor_jax.adaptation import registry
from tests.tiny import tiny_config


@pytest.fixture
def tiny(monkeypatch):
    """Tiny configs, and a method of two phases: entropy, then two stages with a discriminator."""
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))

    @registry.register_method("two_phases")
    def two_phases(config):
        config.warmup.terms.min_entropy = 0.1
        registry.retrain(config, stages=2, share=0.5)
        config.retraining.terms.adversarial = 1e-3

    monkeypatch.setattr("labor_jax.adaptation.METHODS", registry.METHODS)
    monkeypatch.setattr(
        adaptation_step.config_argument,
        "load",
        lambda argument: tiny_config(argument.split(",")[0].removesuffix(":street")),
    )


@pytest.mark.slow
def test_the_whole_command_times_each_phase_with_losses_of_its_own(tiny, capsys):
    arguments = ["--methods", "two_phases", "--rounds", "2", "--steps", "1"]
    assert adaptation_step.main([*arguments, "--", "--config.source_batch_size=4"]) == 0
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    assert [row[:3] for row in rows[2:]] == [
        ["two_phases", "warmup", "no"],
        ["two_phases", "retraining", "yes"],
    ]
    for row in rows[2:]:
        assert all(float(cell) >= 0 for cell in row[3:])
    # What memory XLA plans for these two is its own matter, but it isn't the same.
    assert rows[3][6] != rows[2][6]


@pytest.mark.slow
def test_plain_training_sees_each_domain_once_and_learns_its_labels():
    config = tiny_config("source_only")
    step = adaptation_step.plain_step(config)
    weights = {name: weight for name, weight in config.warmup.terms.items() if weight}
    assert weights == {"source_labels": 1.0, "answers": 1.0}
    assert set(step._batch) == {"source", "target"}
    assert (step._batch["target"]["label"] == 255).all()
    assert (step._batch["source"]["label"] != 255).any()
    assert step.seconds(1) > 0 and not step.has_players


def test_the_ratio_is_that_of_the_fastest_rounds():
    measured = Measured("a", "warmup", False, [3.0, 1.0, 9.0], [2.0, 0.5, 4.0], 3 * 2**20, 2**21)
    last = adaptation_step.markdown([measured]).splitlines()[-1]
    assert last == "| a | warmup | no | 3 | 2.00 | 3 | 1.50 |"
    unknown = adaptation_step.markdown([measured._replace(bytes=None)]).splitlines()[-1]
    assert unknown.endswith("| 2.00 | - | - |")
