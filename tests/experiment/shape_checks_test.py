"""What methods and terms need is traced before anything is trained."""

import dataclasses

import jax.numpy as jnp
import pytest

from labor_jax import acquisition, adaptation, experiment, losses
from labor_jax.adaptation import registry
from labor_jax.experiment import components, shape_checks
from labor_jax.experiment.workdir import ConfigError
from tests.slow import all_but
from tests.tiny import tiny_config


def check(method, **fields):
    config = tiny_config(f"active:{method}")
    config.model.head = "hyperbolic" if method == "halo" else "linear"
    config.model.dropout = 0.5
    config.update_from_flattened_dict(fields)
    shape_checks.check_shapes(components.build(config))


@pytest.mark.parametrize(
    "method", all_but(("spl", "ripu_ra", "halo", "bald", "core_set"), acquisition.METHODS)
)
def test_every_method_gets_what_it_reads(method):
    check(method)


@pytest.mark.parametrize(
    ("method", "fields", "says"),
    [
        ("halo", {"model.head": "linear"}, "set config.model.head to 'hyperbolic'"),
        ("bald", {"model.dropout": 0.0}, "set config.model.dropout above 0"),
        ("bald", {"acquisition.samples": 0}, "config.acquisition.samples is 0"),
        ("superpixels", {"acquisition.superpixel_size": 1}, "size must be from 2 to 256, got 1"),
        ("pixel_pick", {"acquisition.uncertain_share": 2.0}, "share must be above 0"),
        ("ppl", {"acquisition.distance": "taxicab"}, "'taxicab'; choose one of: euclidean, cosine"),
    ],
)
def test_what_does_not_fit_is_named(method, fields, says):
    with pytest.raises(ValueError) as raised:
        check(method, **fields)
    assert says in str(raised.value)


class Sizes:
    """A pool of images that nobody may read."""

    names = ("middle", "large", "small")

    def __len__(self):
        return 3

    def size(self, i):
        return ((64, 128), (1080, 1920), (40, 50))[i]


@pytest.mark.parametrize(
    ("method", "fields", "says"),
    [
        (
            "superpixels",
            {"acquisition.superpixel_size": 4},
            "fails on an image of 1080x1920 pixels: 129600 superpixels may occur",
        ),
        ("of_a_window", {"acquisition.points": 5}, "fails on an image of 40x50 pixels: too small"),
    ],
)
def test_the_largest_and_the_smallest_image_of_the_pool_are_checked(
    method, fields, says, monkeypatch
):
    def of_a_window(logits):
        if len(logits) < 60:
            raise ValueError("too small")
        return logits[..., 0]

    entry = acquisition.Method("of_a_window", of_a_window, parameters=("logits",))
    monkeypatch.setitem(acquisition.METHODS, "of_a_window", entry)
    config = tiny_config("active:superpixels")
    config.acquisition.method = method
    config.update_from_flattened_dict(fields)
    built = components.build(config)
    built = dataclasses.replace(built, pair=dataclasses.replace(built.pair, pool=Sizes()))
    with pytest.raises(ValueError, match=says):
        shape_checks.check_shapes(built)


@pytest.mark.parametrize(
    ("method", "field", "value", "says"),
    [
        ("sim", "instance_matching.things", ("nothing",), "things names nothing"),
        ("patch_adapt", "patch_adapt.clusters", 2.5, "'patch_adapt' fails: TypeError"),
    ],
)
def test_a_term_that_fails_does_so_before_the_first_step(method, field, value, says, tmp_path):
    config = tiny_config(f"uda:{method}")
    with config.terms.ignore_type():
        config.terms.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError, match=says):
        experiment.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def entropy(logits):
    return adaptation.Term.of_mean(losses.entropy(logits), logits[..., 0].size)


class Own:
    """A term that is right; each test has one thing wrong."""

    reads = ("own",)
    makes = {"own": ("target",)}  # noqa: RUF012

    def memory(self, model):
        return {"seen": jnp.zeros(())}

    def update(self, memory, model):
        return {"seen": memory["seen"] + 1}

    def views(self, key, batch, memory):
        return {"own": batch["target"]}

    def loss(self, outputs, batch, memory):
        return entropy(outputs["own"].logits)


def with_own(monkeypatch, **wrong):
    """A config whose rounds have the term `own` with attributes in place of its own."""
    monkeypatch.setattr(registry, "TERMS", dict(registry.TERMS))
    monkeypatch.setattr(adaptation, "TERMS", registry.TERMS)
    adaptation.register("own")(type("Wrong", (Own,), wrong))
    config = tiny_config("random")
    config.round.terms.own = 1.0
    return config


def test_a_term_that_is_right_passes(monkeypatch):
    shape_checks.check_shapes(components.build(with_own(monkeypatch)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"loss": lambda self, outputs, batch, memory: jnp.mean(outputs["own"].logits)},
            r"loss of the term 'own' returned an array float32\[\]; return Term\(total, count\)",
        ),
        (
            {"loss": lambda self, outputs, batch, memory: adaptation.Term(jnp.int32(1), 1)},
            r"loss of the term 'own' returned Term\(an array int32\[\], a value of type int\)",
        ),
        (
            {"loss": lambda self, outputs, batch, memory: entropy(outputs["mine"].logits)},
            "loss of the term 'own' fails: KeyError: 'mine'",
        ),
        (
            {"views": lambda self, key, batch, memory: {"mine": batch["target"]}},
            "views of the term 'own' fails: it returned mine, but its makes names own",
        ),
        (
            {"views": lambda self, key, batch, memory: {"own": {}}},
            "views of the term 'own' fails: the view 'own' is read",
        ),
        (
            {"update": lambda self, memory, model: {"seen": jnp.zeros(2)}},
            "update of the term 'own' returned memory of another structure",
        ),
        (
            {"memory": lambda self, model: {}},
            "update of the term 'own' fails: KeyError: 'seen'",
        ),
    ],
)
def test_what_a_term_does_in_a_step_is_tried_before_anything_is_trained(wrong, says, monkeypatch):
    with pytest.raises(ValueError, match=rf"^config\.round\.terms: {says}"):
        shape_checks.check_shapes(components.build(with_own(monkeypatch, **wrong)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reads": "target"}, r"reads of the term 'own' is 'target'; write .* \('target',\)"),
        ({"uses": "mean_teacher"}, r"uses of the term 'own' is 'mean_teacher'"),
        ({"makes": ("own",)}, r"makes of the term 'own' is \('own',\); it maps each view"),
        ({"makes": {"own": ("targets",)}}, "tuple of the domains it is made of"),
        ({"images_of": ("own",)}, r"images_of of the term 'own' is \('own',\); it maps views"),
        ({"smallest_image": "8"}, "smallest_image of the term 'own' is '8'; it is a whole number"),
        ({"uses": ("own",)}, "Terms use one another in a circle: own, which uses own"),
        ({"reads": property(lambda self: 1 / 0)}, "The term 'own' fails: ZeroDivisionError"),
    ],
)
def test_what_a_term_names_has_a_form(wrong, says, monkeypatch):
    with pytest.raises(ValueError, match=says):
        components.build(with_own(monkeypatch, **wrong))


@pytest.mark.parametrize("term", ["min_entropy", "class_mix", "adversarial", "clan"])
def test_a_term_that_does_not_fit_the_selector_is_named(term):
    config = tiny_config("spl")
    config.selector.terms[term] = 1.0
    says = rf"^config\.selector\.terms: .*'{term}'.*The selector's network has two heads"
    with pytest.raises(ValueError, match=says):
        shape_checks.check_shapes(components.build(config))


def test_terms_see_what_batches_hold_of_the_target():
    config = tiny_config("active:multi_hot")
    config.round.terms.update(candidate_classes=1.0, prototypical_pixels=1.0, class_mix=1.0)
    config.gradient_accumulation = 2
    shape_checks.check_shapes(components.build(config))
