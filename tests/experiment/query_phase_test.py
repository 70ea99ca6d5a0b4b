"""The query phase asks as the config says."""

import contextlib
import dataclasses
import types

import jax
import numpy as np

from labor_jax import models
from labor_jax.annotation import SharedStore
from labor_jax.data import load_pair
from labor_jax.experiment import components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import query
from labor_jax.experiment.plan import plan
from labor_jax.experiment.previews import Previews
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter


def test_windows_of_the_config_are_the_pools_too(tmp_path):
    """And mirror images and scales are not. A pixel of this network sees one around it."""
    config = tiny_config("active:entropy")
    pair = load_pair("street", config.data)
    segmenter = tiny_segmenter(pair.num_classes, batch_norm="frozen")
    model = models.init_variables(segmenter, jax.random.key(0), (16, 16))

    def asked(folder, **evaluation):
        config.update({f"evaluation_{name}": value for name, value in evaluation.items()})
        built = dataclasses.replace(components.build(config, pair), frozen_segmenter=segmenter)
        folder.mkdir()
        previews = Previews(folder, pair.pool, segmenter, built.mesh, size=None, count=0)
        store = SharedStore(folder / "labels.sqlite", classes=pair.classes)
        with contextlib.closing(store):
            (phase,) = (each for each in plan(config) if each.name == "round_1/query")
            session = types.SimpleNamespace(
                components=built,
                config=config,
                store=store,
                previews=previews,
                once=lambda key, build: build(),
                keep_labels=lambda: None,
            )
            query.run(session, phase, Handover(model=model, players={}), None, None)
            return np.stack([store.reader.asked(name) for name in pair.pool.names])

    whole = asked(tmp_path / "whole")
    assert whole.any((1, 2)).all()
    windows = {"window": (16, 18), "flip": True, "scales": (0.5, 1.0)}
    np.testing.assert_array_equal(asked(tmp_path / "shared", overlap=8, **windows), whole)
    # Without the shared context the seams would show.
    assert (asked(tmp_path / "apart", overlap=0, **windows) != whole).any()
