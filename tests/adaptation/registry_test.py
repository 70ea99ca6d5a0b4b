"""What can be registered as a term, and what a config then holds of it."""

import dataclasses

import numpy as np
import pytest

import labor_jax
from labor_jax import adaptation
from labor_jax.adaptation import registry


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "TERMS", dict(registry.TERMS))
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))


class Plain:
    reads = ("target",)

    def loss(self, outputs, batch, memory):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class WithSettings(Plain):
    rate: float = 0.5
    kind: str = "soft"


def test_a_registered_term_is_built_from_its_section():
    assert registry.register("mine")(WithSettings) is WithSettings
    assert adaptation.settings("mine") == {"rate": 0.5, "kind": "soft"}
    assert adaptation.build("mine", {"mine": {"rate": 2.0}}) == WithSettings(rate=2.0)
    assert adaptation.build("mine", {}) == WithSettings()


def test_a_plain_class_has_no_settings():
    registry.register("plain")(Plain)
    assert adaptation.settings("plain") == {}
    assert isinstance(adaptation.build("plain", {}), Plain)


def test_a_taken_name_is_an_error():
    with pytest.raises(ValueError, match="'min_entropy' is registered already"):
        registry.register("min_entropy")(Plain)


@pytest.mark.parametrize(
    "name",
    ["my-term", "loss", "step", "time", "learning_rate", "per_class_iou", "miou_night", None],
)
def test_a_name_must_fit_configs_and_metrics(name):
    with pytest.raises(ValueError, match=f"{name!r} can't name a term"):
        registry.register(name)


def test_a_setting_needs_a_default():
    @dataclasses.dataclass(frozen=True)
    class Fields(Plain):
        rate: float

    with pytest.raises(ValueError, match="'fields' has no default of rate"):
        registry.register("fields")(Fields)


def test_a_field_that_the_term_sets_itself_is_no_setting():
    @dataclasses.dataclass
    class Caches(Plain):
        rate: float = 0.5
        cache: dict = dataclasses.field(init=False)

    registry.register("caches")(Caches)
    assert registry.settings("caches") == {"rate": 0.5}
    assert registry.build("caches", {}).rate == 0.5


def test_a_parameter_of_a_plain_class_needs_a_default():
    class Takes(Plain):
        def __init__(self, scale, *others, rate=1.0, **more):
            """Never called."""

    with pytest.raises(ValueError, match=r"'takes' has no default of scale\.$"):
        registry.register("takes")(Takes)


def test_a_default_must_fit_a_config():
    @dataclasses.dataclass(frozen=True)
    class Weighted(Plain):
        weights: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(3))

    says = "the setting 'weights' of the term 'weighted' is of type ndarray, which a config can't"
    with pytest.raises(ValueError, match=says):
        registry.register("weighted")(Weighted)
    assert "weighted" not in registry.TERMS


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TypeError("too large\nadvice"), "TypeError: too large"),
        (AssertionError("not positive"), "AssertionError: not positive"),
        (AssertionError(), "AssertionError"),
        (ValueError("too large"), "too large"),
    ],
)
def test_any_error_of_a_terms_own_check_names_its_settings(error, says):
    @dataclasses.dataclass(frozen=True)
    class Checked(Plain):
        scale: float = 1.0

        def __post_init__(self):
            raise error

    registry.register("checked")(Checked)
    with pytest.raises(ValueError, match=rf"^config\.terms\.checked: {says}$"):
        adaptation.build("checked", {})


@pytest.mark.parametrize("joined", ["mine", "advent+mine"])
def test_an_error_in_a_method_names_it(joined, monkeypatch):
    monkeypatch.setattr(adaptation, "METHODS", registry.METHODS)

    @registry.register_method("mine")
    def mine(config):
        config.warmup.terms.nothing = 0.5

    says = "^the method of adaptation 'mine' fails: .*Unknown field config.warmup.terms.nothing"
    with pytest.raises(ValueError, match=says):
        labor_jax.get_config(f"uda:{joined}")


def test_a_default_may_be_made():
    @dataclasses.dataclass(frozen=True)
    class Steps(Plain):
        steps: tuple = dataclasses.field(default_factory=lambda: (1, 2))

    registry.register("steps")(Steps)
    assert adaptation.settings("steps") == {"steps": (1, 2)}


def test_a_term_needs_reads_and_loss():
    with pytest.raises(ValueError, match="'empty' has no reads and no loss"):
        registry.register("empty")(type("Empty", (), {}))


def test_an_unknown_term_lists_those_there_are():
    with pytest.raises(ValueError, match=r"no term 'magic'; choose one of: .*min_entropy.*own has"):
        adaptation.build("magic", {})


def test_a_method_can_be_registered_once():
    @registry.register_method("mine")
    def mine(config):
        config.warmup.terms.min_entropy = 0.5

    assert registry.METHODS["mine"] is mine
    with pytest.raises(ValueError, match="'mine' is registered already"):
        registry.register_method("mine")(mine)
    for name in ("my-method", None):
        with pytest.raises(ValueError, match=f"{name!r} can't name a method"):
            registry.register_method(name)


def test_joined_methods_are_one_if_each_is():
    assert adaptation.is_method("fda") and adaptation.is_method("fda+cbst")
    assert not any(adaptation.is_method(name) for name in ("spl", "fda+spl", "fda+", ""))


@pytest.mark.parametrize(("stages", "share", "left"), [(1, 1.0, 0), (3, 1.0, 0), (2, 0.25, 75)])
def test_retraining_takes_steps_of_the_warmup(stages, share, left):
    config = labor_jax.get_config("warmup")
    config.warmup.update(steps=100, learning_rate=0.5)
    adaptation.retrain(config, stages=stages, share=share)
    retraining = config.retraining
    assert config.warmup.steps == left and retraining.learning_rate == 0.5
    assert 0 <= retraining.steps * stages + left - 100 < stages == retraining.stages


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        *((name, "width", 0) for name in ("adversarial", "clan", "intra_domain_adversarial")),
        *((name, "width", 0) for name in ("class_adversarial", "conditional_prior")),
        ("adversarial", "learning_rate", -1.0),
        ("class_adversarial", "learning_rate", 0.0),
        ("conditional_prior", "learning_rate", 0.0),
        ("patch_adapt", "classifier_learning_rate", 0.0),
        *((name, "discriminator_width", 0) for name in ("phase_translation", "cycle_translation")),
        ("cycle_translation", "blocks", -1),
        ("instance_adaptive_labels", "gamma", -1.0),
        ("self_training", "threshold", 2.0),
        ("self_training", "portion", 2.0),
        *(("negative_learning", "threshold", value) for value in (-1.0, 0.0, 2.0)),
        *(("clan", f"{name}_weight", -1.0) for name in ("adversarial", "discrepancy")),
        *(("clan", f"{name}_weight", -1.0) for name in ("global", "local")),
        *(("patch_adapt", f"{name}_weight", -1.0) for name in ("classification", "adversarial")),
        *(("cycle_translation", f"{name}_weight", -1.0) for name in ("cycle", "perceptual")),
        ("phase_translation", "phase_weight", -1.0),
        ("regularized_labels", "divergence_weight", -1.0),
        ("instance_adaptive_labels", "smoothing", -1.0),
        ("instance_adaptive_labels", "smoothing", float("nan")),
        ("adversarial", "learning_rate", float("nan")),
        *((name, "portion", 0.8) for name in ("class_balanced_labels", "self_training")),
        *((name, "start", 1.0) for name in ("mean_teacher", "conditional_prior")),
        *((name, "blur", 100) for name in ("mean_teacher", "class_mix", "masked_consistency")),
    ],
)
def test_senseless_settings_are_errors(name, field, value):
    with pytest.raises(ValueError, match=rf"config\.terms\.{name}: {field} is {value}"):
        adaptation.build(name, {name: {field: value}})
