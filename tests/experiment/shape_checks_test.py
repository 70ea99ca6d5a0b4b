"""What terms keep and the players that they bring are traced before anything is trained."""

import pytest

from labor_jax import experiment
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config


@pytest.mark.parametrize(
    ("method", "field", "value", "says"),
    [
        ("mic", "feature_distance.things", ("nothing",), r"things \(nothing\) names no class"),
        ("sim", "instance_matching.things", ("nothing",), "things names nothing"),
        ("patch_adapt", "patch_adapt.clusters", 2.5, r"config\.warmup\.terms.* fail: TypeError"),
    ],
)
def test_a_term_that_fails_does_so_before_the_first_step(method, field, value, says, tmp_path):
    config = tiny_config(f"uda:{method}")
    with config.terms.ignore_type():
        config.terms.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError, match=says):
        experiment.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
