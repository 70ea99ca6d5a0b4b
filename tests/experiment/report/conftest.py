"""A run's results without the run, and what a report is made of."""

import json

import numpy as np
import pytest
from PIL import Image

from labor_jax.experiment.previews import uncertainty_path
from labor_jax.experiment.report import run_files
from tests.evaluation.scenes import SIZE


@pytest.fixture
def summary():
    return {
        "method": "spl",
        "pair": "street",
        "seed": 3,
        "source_only_miou": 0.25,
        "warmup_miou": 0.3125,
        "rounds": [
            {
                "round": 1,
                "miou": 0.5,
                "labelled_fraction": 0.0107,
                "pixels_per_image": 87.6,
                "annotation_seconds": 5400.0,
            },
            {
                "round": 2,
                "miou": 0.625,
                "labelled_fraction": 0.022,
                "pixels_per_image": 180.2,
                "annotation_seconds": 36000.0,
            },
        ],
        "subset_miou": {},
        "per_class_iou": {"road": 0.75, "car <b>": 0.5, "sky & co": 0.625, "never": None},
    }


@pytest.fixture
def run(folder, pair, store, summary):
    return run_files.gather(folder, summary, pair, store)


@pytest.fixture
def finished(folder, pair, store, add_round, add_preview, summary):
    """Files of a run of two rounds, as this version writes them."""
    add_preview("warmup", 0, 0)
    first, second = np.zeros((2, *SIZE), bool)
    first[:3], second[5:7, 2:9] = True, True
    add_round(1, {0: first})
    add_round(2, {0: second, 1: first})
    Image.fromarray(np.full(SIZE, 64, np.uint8)).save(
        uncertainty_path(folder.previews, "round_2/train", 0)
    )
    iou = summary["per_class_iou"]
    for entry in summary["rounds"]:
        entry.update(per_class_iou=iou, clicks=7 * entry["round"], wall_seconds=60.0)
    confusion = [[70, 20, 10, 0], [30, 60, 10, 0], [5, 15, 80, 0], [0, 0, 0, 0]]
    summary.update(
        final_miou=0.625,
        confusion=confusion,
        miou_error=0.012,
        device="1 CPU, float32",
        wall_seconds=120.0,
        versions={"labor_jax": "9.9"},
    )
    lines = [
        {"step": step, "phase": "round_1/train", "loss": 1 / step, "learning_rate": 0.1}
        for step in (20, 40)
    ]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 6')
    return summary
