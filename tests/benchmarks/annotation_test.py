"""The load benchmark's own checks: it notices what is lost, doubled or wrong."""

import asyncio
import contextlib
import shutil
import sqlite3

import pytest

from benchmarks import annotation
from benchmarks.human_runs import write_run
from labor_jax.annotation import LabelStore
from labor_jax.data import street

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A small round that was labelled by a few, with the server killed in the middle."""
    workdir = tmp_path_factory.mktemp("load") / "run"
    write_run(workdir, images=12, kind="mask")
    record, _ = asyncio.run(
        annotation.load(workdir, annotators=4, think=0.0, kills=1, answers=12 * 15)
    )
    LabelStore(workdir / "labels.sqlite", classes=street.CLASSES).close()  # takes in the -wal file
    return workdir, record


def test_nothing_is_lost_when_the_server_is_killed(labelled):
    workdir, record = labelled
    assert record.repeated > 0  # it was killed under way
    assert len(record.acknowledged) > 100 and len(record.labels) == 12
    assert annotation.problems(workdir, record) == []


@pytest.mark.parametrize(
    "damage, problem",
    [
        ("DELETE FROM events WHERE id = 20", "1 answers are lost"),
        (
            "INSERT INTO events (round, image, opinion, annotator, time, kind, seconds, request) "
            "SELECT round, image, opinion, annotator, time, kind, seconds, 'x' FROM events "
            "WHERE kind = 'mark' LIMIT 1",
            "1 answers are never acknowledged",
        ),
        (
            "INSERT INTO events (round, image, opinion, annotator, time, kind, seconds) "
            "SELECT round, image, opinion, annotator, time, kind, seconds FROM events "
            "WHERE kind = 'submit' LIMIT 1",
            "1 images were answered more than once",
        ),
        ("DELETE FROM answers WHERE image = 'camera_00003'", "1 images have no answer"),
    ],
)
def test_damage_is_noticed(labelled, tmp_path, damage, problem):
    workdir, record = labelled
    path = shutil.copytree(workdir, tmp_path / "run") / "labels.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    assert any(problem in found for found in annotation.problems(path.parent, record))


def test_other_labels_than_told_are_noticed(labelled):
    workdir, record = labelled
    told = {item: dict(labels) for item, labels in record.labels.items()}
    pixel = next(iter(told["1-2-1"]))
    told["1-2-1"][pixel] = 254
    changed = annotation.Record()
    changed.acknowledged, changed.labels = record.acknowledged, told
    (found,) = annotation.problems(workdir, changed)
    assert found.startswith("1 labels of camera_00002 aren't")
