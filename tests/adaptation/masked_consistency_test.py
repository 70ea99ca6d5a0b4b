"""MIC's masked view."""

import numpy as np
import pytest

from labor_jax import models
from tests.adaptation.teacher_terms import domain, first_state, made_views, terms


@pytest.mark.parametrize(("block", "ratio", "side"), [(4, 0.7, 4), (0, 0.3, 1), (8, 0.0, 8)])
def test_whole_blocks_are_the_mean_colour_and_labels_stay(block, ratio, side):
    batch = {"target": domain(1, count=60, answered=0.1)}
    settings = {"block": block, "ratio": ratio, "jitter": 0.0, "blur": 0.0}
    loss = terms({"masked_consistency": 1.0}, masked_consistency=settings)
    state = first_state(loss)
    views = made_views(loss, batch, state.memory)
    hidden = np.all(views["masked"]["image"] == 0, -1)
    blocks = hidden[:, ::side, ::side]
    np.testing.assert_array_equal(hidden, blocks.repeat(side, 1).repeat(side, 2))
    assert abs(blocks.mean() - ratio) < 0.05
    np.testing.assert_allclose(
        views["masked"]["image"][~hidden],
        np.asarray(models.normalize_images(batch["target"]["image"]))[~hidden],
        atol=1e-5,
    )
    for name in ("label", "weight"):
        np.testing.assert_array_equal(views["masked"][name], views["taught"][name])
    if ratio:
        assert len({each.tobytes() for each in blocks}) > 50  # an image each has its own
