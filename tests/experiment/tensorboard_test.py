"""What TensorBoard is given of a run: what its files hold, once."""

import sys

import numpy as np
import pytest

from labor_jax import experiment
from labor_jax.experiment import tensorboard
from labor_jax.experiment.plan import plan
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training.metrics import MetricsFile
from tests.runs import Writer
from tests.tiny import tiny_config

PHASES = plan(tiny_config("spl"))
SUPERVISED, _, _, QUERY = PHASES[:4]


@pytest.fixture
def metrics(folder):
    file = MetricsFile(folder.metrics)
    yield file
    file.close()


def board(folder, pair, writer):
    return tensorboard.Board(folder, pair, PHASES, writer, numbers=(0, 2))


def test_numbers_have_headings():
    line = {"step": 5, "time": 1e9, "loss": 0.5, "learning_rate": 0.1, "images_per_second": 4.0}
    assert tensorboard.scalars({**line, "phase": "round_1/train"}) == {
        "training/loss": 0.5,
        "training/learning_rate": 0.1,
        "training/images_per_second": 4.0,
    }
    assert tensorboard.scalars({"step": 6, "phase": "round_1/selector", "loss": 2.0}) == {
        "selector/loss": 2.0
    }
    measured = {"miou": 0.5, "miou_16": None, "per_class_iou": {"road": 0.75, "train": None}}
    assert tensorboard.scalars({"step": 7, "phase": "warmup", **measured}) == {
        "evaluation/miou": 0.5,
        "iou/road": 0.75,
    }


def test_each_line_is_shown_once(folder, pair, metrics):
    writer = Writer()
    shown = board(folder, pair, writer)
    metrics.write(2, "supervised", loss=1.0)
    shown.update(0)
    shown.update(0)
    metrics.write(4, "supervised", loss=0.5)
    metrics.write(4, "supervised", miou=0.25)
    shown.update(0)
    assert writer.scalars == [
        (2, {"training/loss": 1.0}),
        (4, {"training/loss": 0.5}),
        (4, {"evaluation/miou": 0.25}),
    ]
    assert writer.flushed == 3

    resumed = Writer()
    board(folder, pair, resumed).update(0)
    assert resumed.scalars == writer.scalars


def test_pictures_are_shown_when_their_phase_is_over(folder, pair, metrics, add_preview):
    writer = Writer()
    shown = board(folder, pair, writer)
    mask = np.zeros(pair.pool.size(2), np.uint8)
    mask[:3] = 1
    add_preview("supervised", 0, 1)
    add_preview("supervised", 1, 1)  # of an image that has no preview otherwise
    add_preview(QUERY.name, 2, mask)
    shown.update(SUPERVISED.last_step - 1)
    assert not writer.images
    shown.update(SUPERVISED.last_step)
    shown.update(QUERY.last_step)
    (first, predictions), (second, queries) = writer.images
    assert (first, second) == (SUPERVISED.last_step, QUERY.last_step)

    (picture,) = predictions[f"predictions/{pair.pool.names[0]}"]
    image = pair.pool.image(0)
    height, width = image.shape[:2]
    assert predictions.keys() == {f"predictions/{pair.pool.names[0]}"}
    assert picture.dtype == np.uint8 and picture.shape == (height, 2 * width, 3)
    assert (picture[:, :width] == image).all()
    assert (picture[:, width:] == pair.palette[1]).all()

    (picture,) = queries[f"queries/{pair.pool.names[2]}"]
    image = pair.pool.image(2)
    assert (picture[:3, width:] == image[:3]).all()
    assert (picture[3:, width:] == image[3:] // 3).all()


@pytest.mark.parametrize("damage", ["cut", "another size"])
def test_a_damaged_picture_is_left_out(damage, folder, pair, metrics, add_preview, caplog):
    add_preview("supervised", 0, 1)
    path = folder.previews / "supervised" / "0.png"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    else:
        tensorboard.Image.fromarray(np.zeros((3, 5), np.uint8)).save(path)
    writer = Writer()
    board(folder, pair, writer).update(SUPERVISED.last_step)
    assert not writer.images
    assert f"TensorBoard leaves out {path}" in caplog.text


def test_a_run_ends_before_it_starts_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ConfigError, match=r"pip install 'labor_jax\[tensorboard\]'"):
        experiment.run(tiny_config("spl"), tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_reads_what_was_written(folder, pair, metrics, add_preview):
    pytest.importorskip("tensorflow")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    tensorboard.check_installed()
    metrics.write(2, "supervised", loss=1.5)
    add_preview("supervised", 0, 1)
    for _ in range(2):  # a run, and what resumes it
        writer = tensorboard.open_writer(folder)
        board(folder, pair, writer).update(SUPERVISED.last_step)
        writer.close()
    found = accumulator.EventAccumulator(str(folder.tensorboard))
    found.Reload()
    (loss,) = found.Tensors("training/loss")
    assert loss.step == 2 and tensor_util.make_ndarray(loss.tensor_proto) == 1.5
    (picture,) = found.Tensors(f"predictions/{pair.pool.names[0]}")
    assert picture.step == SUPERVISED.last_step
    width, height, encoded = picture.tensor_proto.string_val
    assert (int(width), int(height)) == (2 * pair.pool.size(0)[1], pair.pool.size(0)[0])
    assert encoded.startswith(b"\x89PNG")
