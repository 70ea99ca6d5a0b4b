"""Extending the package from outside: the text about it, and wrong extensions.

What a user registers wrongly is refused with one sentence, before anything is trained.
"""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import labor_jax
from labor_jax import acquisition, adaptation, data, models
from labor_jax.acquisition import registry as acquisition_registry
from labor_jax.adaptation import registry as term_registry
from labor_jax.data import registry as data_registry
from labor_jax.experiment.workdir import ConfigError
from labor_jax.models import registry as model_registry
from tests.conftest import ROOT
from tests.examples_test import EXTENSIONS
from tests.slow import all_but
from tests.tiny import tiny_config


@pytest.fixture(autouse=True)
def _keep_the_registries():
    registries = (
        acquisition_registry.METHODS,
        term_registry.TERMS,
        model_registry.BACKBONES,
        model_registry.HEADS,
        data_registry._PAIRS,
    )
    before = [dict(registry) for registry in registries]
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)


class Strided(nn.Module):
    """A backbone of one convolution."""

    width: int = 4
    output_stride: int = 4

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Conv(self.width, (3, 3), strides=self.output_stride)(images)
        return models.Features.of_stages([x], [self.output_stride])


class Dense(nn.Module):
    """A head of one layer."""

    num_classes: int

    @nn.compact
    def __call__(self, features, train=False):
        return nn.Dense(self.num_classes)(features[-1])


class Reads:
    """A term of nothing."""

    reads = ("target",)

    def loss(self, outputs, batch, memory):
        return adaptation.Term(jnp.float32(0), jnp.float32(0))


def score(logits):
    return logits[..., 0]


def load(config, roles):
    return None


REGISTER = {
    "acquisition": (acquisition.register, score, "entropy"),
    "term": (adaptation.register, Reads, "min_entropy"),
    "backbone": (models.register_backbone, Strided, "resnet18"),
    "head": (models.register_head, Dense, "linear"),
    "pair": (data.register_pair, load, "street"),
}


@pytest.mark.parametrize("kind", REGISTER)
def test_a_name_is_registered_once(kind):
    register, what, taken = REGISTER[kind]
    assert register("mine")(what) is what
    for name in ("mine", taken):
        with pytest.raises(
            ValueError, match=f"'{name}' is (already registered|registered already)"
        ):
            register(name)(what)


def refused(workdir, config, pair=None):
    """The sentence with which a run is refused; nothing of it is written."""
    with pytest.raises((ConfigError, data.DataError)) as found:
        labor_jax.run(config, workdir / "run", pair)
    assert not (workdir / "run").exists()
    return str(found.value)


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("acquisition.method", "spl, ppl"),
        ("model.backbone", "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, resnet18"),
        ("model.head", "deeplab_v2, deeplab_v3plus"),
        ("pair", "street, camvid"),
    ],
)
def test_an_unknown_name_lists_the_valid_ones(field, known, tmp_path):
    config = tiny_config()
    with config.unlocked():
        config.update_from_flattened_dict({field: "mine"})
    sentence = refused(tmp_path, config)
    assert "'mine'" in sentence and known in sentence


def test_an_unknown_term_lists_the_terms():
    with pytest.raises(AttributeError, match=r"config\.warmup\.terms are: adversarial, answers"):
        tiny_config().warmup.terms.mine = 1.0


def test_a_term_that_reads_a_view_that_nobody_makes(tmp_path):
    adaptation.register("mine")(type("Mine", (Reads,), {"reads": ("mixed",)}))
    config = tiny_config()
    config.round.terms.mine = 1.0
    assert "Term mine reads the view 'mixed'" in refused(tmp_path, config)


def test_a_term_that_returns_a_bare_loss():
    adaptation.register("mine")(
        type("Mine", (Reads,), {"loss": lambda self, outputs, batch, memory: jnp.float32(0)})
    )
    terms = adaptation_terms("mine")
    with pytest.raises(ValueError, match=r"term 'mine' returned .*return Term\(total, count\)"):
        terms.losses({}, {}, {"mine": {}})


def adaptation_terms(name):
    from labor_jax.training.terms import Terms

    return Terms({name: 1.0}, {name: adaptation.build(name, {})})


def test_a_backbone_without_output_stride():
    class NoStride(nn.Module):
        width: int = 4

    with pytest.raises(ValueError, match=r"'mine' \(NoStride\) has no field output_stride"):
        models.register_backbone("mine")(NoStride)


def test_a_backbone_that_is_a_function():
    with pytest.raises(ValueError, match=r"'mine' is <function .* derives from flax"):
        models.register_backbone("mine")(score)


def returns(value):
    """A backbone that returns what a function makes of the images."""

    class Odd(Strided):
        def __call__(self, images, train=False):
            return value(images)

    return Odd


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda x: x, "returned float32[2, 64, 64, 3]; return models.Features"),
        (lambda x: models.Features.of_stages([x], [4]), "a map float32[2, 64, 64, 3] of stride 4"),
        (lambda x: models.Features.of_stages([x[:, ::2, ::2]], [2]), "a last map of stride 2"),
        (lambda x: models.Features.of_stages([], []), "returned 0 maps"),
        (lambda x: x @ x, "fails: "),
    ],
)
def test_a_backbone_that_returns_something_else(value, sentence, tmp_path):
    models.register_backbone("mine")(returns(value))
    config = tiny_config()
    config.model.backbone = "mine"
    found = refused(tmp_path, config)
    assert "The backbone 'mine'" in found and sentence in found


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda x: x, "returned float32[2, 16, 16, 4]; return logits f32[2, h, w, 19]"),
        (lambda x: x.mean((1, 2)), "returned float32[2, 4]; return logits"),
        (lambda x: (x, x), "returned tuple; return logits"),
        (lambda x: x + jnp.ones(7), "fails: "),
    ],
)
def test_a_head_of_a_wrong_shape(value, sentence, tmp_path):
    class Odd(Dense):
        def __call__(self, features, train=False):
            return value(features[-1])

    models.register_head("mine")(Odd)
    config = tiny_config()
    config.model.head = "mine"
    found = refused(tmp_path, config)
    assert "The head 'mine'" in found and sentence in found


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda logits: logits, "returned float32[32, 64, 19]"),
        (lambda logits: logits.argmax(-1), "returned int32[32, 64]"),
        (lambda logits: logits + jnp.ones(7), "fails on an image of 32x64 pixels"),
        (lambda logits: logits.mean(), "returned float32[]"),
    ],
)
def test_a_score_of_a_wrong_shape(function, sentence, tmp_path):
    acquisition.register("mine")(function)
    found = refused(tmp_path, tiny_config("active:mine"))
    assert "method 'mine'" in found and sentence in found


def small_pair(**splits):
    images = np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 32, 32), np.uint8)
    pair = data.pair_from_arrays("mine", ("a", "b"), source=images, pool=images, evaluation=images)
    return dataclasses.replace(pair, **splits)


@pytest.mark.parametrize(
    ("loaded", "sentence"),
    [
        (lambda: None, "returned NoneType; it must return a labor_jax.data.Pair"),
        (lambda: small_pair(source=None), "returned NoneType as the split 'source'"),
        (lambda: small_pair(pool=None), "returned NoneType as the split 'pool'"),
        (lambda: small_pair(pool=[1, 2]), "returned list as the split 'pool'"),
        (lambda: small_pair(evaluation=5), "returned int as the split 'evaluation'"),
    ],
)
def test_a_loader_that_returns_nonsense(loaded, sentence, tmp_path):
    data.register_pair("mine")(lambda config, roles: loaded())
    config = labor_jax.get_config("random", "mine")
    found = refused(tmp_path, config)
    assert "the data pair 'mine'" in found and sentence in found


def test_a_loader_may_return_no_evaluation_split():
    data.register_pair("mine")(lambda config, roles: small_pair(evaluation=None))
    config = labor_jax.get_config("random", "mine")
    assert data.load_pair("mine", config.data).evaluation is None


@pytest.mark.parametrize("kind", all_but(["term"], ["acquisition", "term"]))
def test_a_run_resumes_although_something_was_registered_in_between(kind, tmp_path):
    def scaled(logits, scale=2.0):
        return scale * logits[..., 0]

    before = labor_jax.run(tiny_config("source_only"), tmp_path)
    register, what, _ = REGISTER[kind]
    register("mine")(scaled if kind == "acquisition" else what)
    assert labor_jax.run(tiny_config("source_only"), tmp_path) == before


CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extend.md").read_text(), re.DOTALL)


def file_of(block):
    found = re.match(r"# (\S+\.py)\n", block)
    return found and found[1]


def test_the_text_shows_every_example_as_it_is():
    quoted = {file_of(block): block.partition("\n")[2] for block in CODE if file_of(block)}
    assert sorted(quoted) == sorted(f"examples/{path.name}" for path in EXTENSIONS)
    for name, block in quoted.items():
        assert block in (ROOT / name).read_text()


def test_the_other_code_of_the_text_registers_terms_that_train(tmp_path):
    before = set(adaptation.TERMS)
    for block in CODE:
        if not file_of(block):
            exec(compile(block, "docs/extend.md", "exec"), {"__name__": "extend"})
    added = set(adaptation.TERMS) - before
    assert added == {"my_min_entropy", "pixel_adversarial", "balanced_source_labels"}
    config = tiny_config("warmup")
    for name in added:
        config.warmup.terms[name] = 0.5
    summary = labor_jax.run(config, tmp_path)
    assert 0 <= summary["final_miou"] <= 1
