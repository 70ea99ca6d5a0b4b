"""The metrics file: what a resumed run keeps of it, and that it is always JSON."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.training.metrics import MetricsFile, jsonable


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, steps, **options):
    file = MetricsFile(path, **options)
    for step in steps:
        file.write(step, "source", loss=float(step))
    file.close()


def test_a_line_is_a_json_object(path):
    file = MetricsFile(path)
    file.write(3, "warmup", loss=1.5, per_class_iou={"road": np.float64(0.5)})
    # Readable while the run goes on.
    assert records(path) == [
        {"step": 3, "phase": "warmup", "loss": 1.5, "per_class_iou": {"road": 0.5}}
    ]
    file.close()


def test_resuming_drops_the_steps_that_will_come_again(path):
    write(path, [2, 4, 6, 8])
    write(path, [5, 7], resume_step=4)
    assert [record["step"] for record in records(path)] == [2, 4, 5, 7]


def test_lines_are_on_the_disk_before_the_name_and_when_asked_for(path, monkeypatch):
    events, replace, sync = [], os.replace, os.fsync

    def recorded_replace(*names):
        events.append("replace")
        replace(*names)

    def recorded_sync(number):
        events.append(os.fstat(number).st_ino)
        sync(number)

    monkeypatch.setattr(os, "replace", recorded_replace)
    monkeypatch.setattr(os, "fsync", recorded_sync)
    write(path, [2, 4])
    events.clear()
    file = MetricsFile(path, resume_step=2)
    lines, folder = path.stat().st_ino, path.parent.stat().st_ino
    assert events[:3] == [lines, "replace", folder] and set(events[3:]) <= {folder}
    events.clear()
    file.write(5, "source")
    assert events == []  # a line alone isn't worth the wait
    file.sync()
    assert events == [lines]
    file.close()
    assert os.listdir(path.parent) == [path.name]


def test_starting_anew_drops_everything(path):
    write(path, [2, 4])
    write(path, [1])
    assert [record["step"] for record in records(path)] == [1]


@pytest.mark.parametrize("kept_characters", range(1, 20))
def test_resuming_drops_a_line_cut_off(path, kept_characters):
    write(path, [2, 4])
    text = path.read_text()
    path.write_text(text + text.splitlines()[0][:kept_characters])
    write(path, [5], resume_step=4)
    assert [record["step"] for record in records(path)] == [2, 4, 5]


def test_a_last_line_without_its_newline_is_kept_whole(path):
    write(path, [2, 4])
    path.write_text(path.read_text().rstrip("\n"))
    write(path, [5], resume_step=4)
    assert [record["step"] for record in records(path)] == [2, 4, 5]


def test_not_a_number_becomes_null(path):
    file = MetricsFile(path)
    file.write(1, "source", a=float("nan"), b=[np.inf, 1.0], c={"d": np.float32("nan")})
    file.close()
    line = path.read_text()
    assert "NaN" not in line and "Infinity" not in line
    assert records(path)[0] == {
        "step": 1,
        "phase": "source",
        "a": None,
        "b": [None, 1.0],
        "c": {"d": None},
    }


def test_jsonable_values():
    value = {
        "array": jnp.arange(3),
        "scalar": jnp.float32(2),
        "tuple": (1, True, None, "text"),
        "nested": [{"x": np.array([[1.0, np.nan]])}],
    }
    expected = {
        "array": [0, 1, 2],
        "scalar": 2.0,
        "tuple": [1, True, None, "text"],
        "nested": [{"x": [[1.0, None]]}],
    }
    assert jsonable(value) == expected
    assert json.loads(json.dumps(jsonable(value))) == expected
