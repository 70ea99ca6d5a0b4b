"""Passes over the data: what is compiled for them, and how often."""

import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import adaptation, models
from labor_jax.adaptation import cbst
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.passes import Passes
from tests.adaptation import pool
from tests.tiny import tiny_config
from tests.training.every_term import assert_equal


def kept_in(built):
    """What `Session.once` does."""
    return lambda key, build: built[key] if key in built else built.setdefault(key, build())


def test_the_network_is_compiled_once_for_the_passes_of_all_stages(monkeypatch):
    components = components_lib.build(tiny_config("uda:cbst"))
    variables = components_lib.initial_variables(components)
    traced, built = [], {}
    call = models.Model.__call__

    def counted(model, images):
        traced.append(images.shape)
        return call(model, images)

    monkeypatch.setattr(models.Model, "__call__", counted)
    once = kept_in(built)

    def histograms(function, scale):
        own = {**variables, "params": {**variables["params"]}}
        own["params"]["head"] = {"logits": {**variables["params"]["head"]["logits"]}}
        own["params"]["head"]["logits"]["kernel"] *= scale
        passes = Passes(components, own, once=once)
        return sum(rows.sum(0) for _, rows in passes.images("target", function))

    num_classes = components.pair.num_classes
    first, second = (histograms(cbst.histogram_of(num_classes), scale) for scale in (1, 30))
    assert len(traced) == 1
    assert np.any(first != second)  # the second model's
    histograms(lambda outputs: jnp.ones((len(outputs.logits), 1)), 1)
    assert len(traced) == 2


def test_what_no_training_changes_is_found_once_a_run(monkeypatch):
    components, built = components_lib.build(tiny_config("uda:patch_adapt")), {}
    variables = components_lib.initial_variables(components)
    drawn, shown = [], []
    draw, images = components_lib.initial_variables, Passes.images
    monkeypatch.setattr(components_lib, "initial_variables", lambda c: drawn.append(c) or draw(c))
    monkeypatch.setattr(Passes, "images", lambda *a, **o: shown.append(a) or images(*a, **o))
    term = adaptation.build("patch_adapt", {"patch_adapt": {"clusters": 4, "patches": 2}})
    centres = []
    for _ in range(2):
        passes = Passes(components, variables, once=kept_in(built))
        memory = term.before_phase(passes, term.memory(None, pool.setup()))
        centres.append(np.asarray(memory["centres"]))
        assert_equal(passes.first_model().variables, variables)
    assert len(drawn) == len(shown) == 1
    assert np.isfinite(centres[0]).all()
    np.testing.assert_array_equal(*centres)


class Asked(Exception):  # noqa: N818, no error
    """A term asked for a pass."""


class Recorder:
    """Keeps the function of a pass, and ends it there."""

    stage, variables, function = 0, None, None

    def once(self, key, find):
        return find()

    def images(self, domain, function, *, with_labels=False):
        self.function = function
        raise Asked


@pytest.mark.parametrize(
    "name",
    [
        "class_balanced_labels",
        "densified_labels",
        "easy_pseudo_labels",
        "instance_adaptive_labels",
        "instance_matching",
        "median_labels",
        "patch_adapt",
    ],
)
def test_a_term_shows_each_stages_pass_an_equal_function(name):
    functions = []
    for _ in range(2):
        term = adaptation.build(name, {})
        memory = term.memory(pool.model(), pool.setup())
        memory["prototypes"] = np.zeros((pool.CLASSES, 2, 3))  # a player's
        recorder = Recorder()
        with pytest.raises(Asked):
            term.before_phase(recorder, memory)
        functions.append(recorder.function)
    assert functions[0] == functions[1]
