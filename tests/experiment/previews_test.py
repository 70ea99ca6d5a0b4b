"""Which previews are written, where, and what is in them."""

import jax
import numpy as np
import pytest
from PIL import Image

from labor_jax import models
from labor_jax.experiment.previews import Previews, preview_numbers, preview_path
from labor_jax.training import mesh as mesh_lib
from tests.evaluation.scenes import CLASSES, Scenes
from tests.tiny_model import tiny_segmenter


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(10, 3, (0, 4, 9)), (5, 5, (0, 1, 2, 3, 4)), (2, 4, (0, 1)), (7, 1, (0,)), (7, 0, ())],
)
def test_numbers_are_spread_evenly(total, count, expected):
    assert preview_numbers(total, count) == expected


def test_files(tmp_path):
    split, segmenter = Scenes([(12, 16)] * 3, readable_labels=False), tiny_segmenter(len(CLASSES))
    model = models.init_variables(segmenter, jax.random.key(0), (12, 16))
    previews = Previews(
        tmp_path, split, segmenter, mesh_lib.device_mesh(jax.devices()[:1]), size=None, count=2
    )
    assert previews.numbers == (0, 2)
    previews.write_predictions("round_1/train", model)
    masks = np.arange(3)[:, None, None] * np.ones((12, 16), int) % 2 == 0
    previews.write_candidates("round_1/query", [0, 1, 2], masks)
    previews.write_candidates("round_2/query", [1], masks[1:2])
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert files == [
        "round_1_query/0.png",
        "round_1_query/2.png",
        "round_1_train/0.png",
        "round_1_train/0_uncertainty.png",
        "round_1_train/2.png",
        "round_1_train/2_uncertainty.png",
    ]
    for number in (0, 2):
        logits = models.Model(model, segmenter)(split.image(number)[None]).logits
        with Image.open(preview_path(tmp_path, "round_1/train", number)) as image:
            np.testing.assert_array_equal(np.asarray(image), np.argmax(logits[0], -1))
        with Image.open(preview_path(tmp_path, "round_1/query", number)) as image:
            np.testing.assert_array_equal(np.asarray(image), masks[number])
