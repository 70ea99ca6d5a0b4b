"""What runs asked, from their label stores."""

import json
import math

import numpy as np
import pytest

from benchmarks import asked
from labor_jax.annotation import LabelStore
from tests.benchmarks.fakes import write_run

CLASSES = ("road", "sky", "tree")


def run_that_asked(workdir, answers, **summary):
    """A finished run whose only round asked all pixels that hold a label, of each image's map."""
    pixels = sum(int((labels != 9).sum()) for labels in answers) / len(answers)
    write_run(workdir, rounds=1, images=len(answers), pixels=pixels, **summary)
    path = workdir / "summary.json"
    described = json.loads(path.read_text())
    described["per_class_iou"] = dict.fromkeys(CLASSES, 0.5)
    path.write_text(json.dumps(described))
    with LabelStore(workdir / "labels.sqlite", classes=CLASSES) as store:
        store.open_round(1, [str(number) for number in range(len(answers))])
        store.ask_and_answer_many(
            1, [(str(number), labels != 9, labels, None) for number, labels in enumerate(answers)]
        )
    return workdir


def test_counts_classes_and_void(tmp_path):
    first = np.array([[0, 0, 9], [1, 9, 255]], np.uint8)  # 9: not asked
    second = np.array([[9, 9, 9], [1, 9, 9]], np.uint8)
    row = asked.read(run_that_asked(tmp_path / "a", [first, second], miou=0.25))
    assert (row.name, row.pixels_per_image, row.miou) == ("a", 2.5, 0.25)
    assert row.classes_per_image == 1.5
    assert row.effective_classes == pytest.approx(math.exp(math.log(2)))
    assert row.smallest_class == 0
    assert row.void_fraction == pytest.approx(1 / 5)
    assert "| a | 2 |" in asked.markdown([row])


def test_runs_without_labels_are_left_out(tmp_path):
    assert asked.read(write_run(tmp_path / "unfinished", finished=False)) is None
    assert asked.read(write_run(tmp_path / "start", rounds=0)) is None
