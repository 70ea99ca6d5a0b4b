"""The command as a user types it, on a run that waits."""

import contextlib
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair
from labor_jax.experiment.workdir import Workdir
from tests import fork_server
from tests.conftest import ROOT
from tests.tiny import tiny_config


def exchange(*arguments):
    return fork_server.run(["-m", "labor_jax.exchange", *arguments], cwd=ROOT)


@pytest.fixture(scope="module")
def pair():
    return load_pair("street", tiny_config("ppl").data)


@pytest.fixture
def waiting(tmp_path, pair):
    """A run whose process is alive and whose first round asks the corners of each image."""
    with (
        contextlib.closing(Workdir.open(tmp_path / "run", tiny_config("ppl"))) as folder,
        LabelStore(folder.labels, classes=pair.classes) as store,
    ):
        store.open_round(1, pair.pool.names)
        for number, name in enumerate(pair.pool.names):
            query = np.zeros(pair.pool.size(number), bool)
            query[::31, ::63] = True
            store.ask(name, 1, query, kind="points")
        yield folder.path, store


def test_a_round_goes_out_and_comes_back(waiting, pair, tmp_path):
    workdir, store = waiting
    result = exchange("--workdir", workdir, "--export", "cvat", "--output", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"Wrote the 4 images of round 1 to {tmp_path / 'out'}\n"
    (file,) = (tmp_path / "out" / "images").glob("round1_000002_*.png")
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), pair.pool.image(2))

    # Points that were asked are points in CVAT, and a person gives each a class.
    path = tmp_path / "out" / "annotations.xml"
    document = ElementTree.parse(path)
    images = document.getroot().findall("image")
    for image in images:
        for point, label in zip(image, ("road", "sky", "car", "void"), strict=True):
            assert (point.tag, point.get("label")) == ("points", "asked")
            point.set("label", label)
    images[3][0].set("label", "asked")
    images[2][0].set("label", "tarmac")
    document.write(path, encoding="utf-8")

    arguments = ("--workdir", workdir, "--import", "cvat", "--input", tmp_path / "out")
    result = exchange(*arguments)
    assert result.returncode == 1
    assert "'tarmac' is not one of the classes" in result.stderr
    assert (
        "asked pixels are not answered (2 pixels), in 2 images: annotations.xml:" in result.stderr
    )
    assert "nothing was imported" in result.stderr and "Traceback" not in result.stderr
    assert result.stdout.startswith("Round 1, 4 images: 0 imported, 0 stored before, 0 without")
    assert len(store.pending(1)) == 4

    result = exchange(*arguments, "--skip-invalid")
    assert result.returncode == 1 and "the rest was imported" in result.stderr
    assert store.pending(1) == list(pair.pool.names[2:])
    classes = pair.classes
    expected = [classes.index("road"), classes.index("sky"), classes.index("car"), 255]
    labels = store.labels(pair.pool.names[0])
    assert labels[::31, ::63].ravel().tolist() == expected

    images[3][0].set("label", "road")
    images[2][0].set("label", "road")
    document.write(path, encoding="utf-8")
    result = exchange(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Round 1, 4 images: 2 imported, 2 stored before, 0 without answers\n"
    assert store.round_complete(1)


def test_the_export_of_another_round_is_one_line_and_a_hint(waiting, pair, tmp_path):
    workdir, store = waiting
    arguments = ("--workdir", workdir, "--export", "coco", "--output", tmp_path / "out")
    assert exchange(*arguments, "--no-images").returncode == 0
    store.open_round(2, pair.pool.names)
    for number, name in enumerate(pair.pool.names):
        query = np.zeros(pair.pool.size(number), bool)
        query[5, 5] = True
        store.ask(name, 2, query)
    result = exchange("--workdir", workdir, "--import", "coco", "--input", tmp_path / "out")
    assert result.returncode == 1
    cause, hint = result.stderr.splitlines()
    assert cause.startswith("is of round 1, not of round 2, in 4 images: annotations.json: image 1")
    assert hint.endswith(
        "looks like an export of round 1, not of round 2, so nothing was imported. Give --round 1"
    )


def test_images_can_be_left_out(waiting, tmp_path):
    workdir, _ = waiting
    arguments = ("--workdir", workdir, "--export", "png", "--output", tmp_path / "out")
    result = exchange(*arguments, "--no-images", "--round", 1)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "asked",
        "labels",
        "manifest.json",
    }
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["images"]) == 4


def test_an_export_goes_to_a_folder_of_its_own(waiting, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.png").write_text("mine")
    arguments = ("--workdir", waiting[0], "--export", "png", "--output", tmp_path / "out")
    result = exchange(*arguments)
    assert result.returncode == 1 and "isn't an empty folder" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--export", "coco", "--import", "coco"), "either --export or --import"),
        (("--import", "coco", "--input", "/nowhere"), "/nowhere can't be read"),
        (("--import", "coco", "--input", ".", "--unclear", "void"), "round 1 asks points"),
    ],
)
def test_mistakes_end_in_a_sentence(waiting, arguments, says):
    result = exchange("--workdir", waiting[0], *arguments)
    assert result.returncode == 1
    assert says in result.stderr and "Traceback" not in result.stderr


def test_a_run_that_asked_nothing_yet(tmp_path):
    folder = Workdir.open(tmp_path / "run", tiny_config("ppl"))
    folder.close()
    result = exchange("--workdir", folder.path, "--export", "png", "--output", tmp_path / "out")
    assert result.returncode == 1 and "has asked nothing yet" in result.stderr
