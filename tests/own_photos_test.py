"""From photos to a trained, exported model, as somebody does it who installed the wheel."""

import csv
import io
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from labor_jax.annotation import LabelStore
from labor_jax.data.pairs import camvid
from tests.annotate_test import served_by, step, take
from tests.conftest import ROOT

CAMVID = Path(os.environ.get("LABOR_JAX_CAMVID") or ROOT / "../shared/data/camvid")

# What the drawn scenes hold, and how bright each of it is: it can be told by its look.
SKY, BUILDING, ROAD, CAR = 0, 1, 3, 8
BRIGHTNESS = {SKY: 220, BUILDING: 150, ROAD: 80, CAR: 10}
IMAGES = 6

TINY = {
    "data.long_side": 32,
    "model.backbone": "two_layers",
    "model.pretrained": "",
    "model.width": 4,
    "model.output_stride": 4,
    "model.head": "linear",
    "terms.adversarial.width": 4,
    "source_batch_size": 2,
    "target_batch_size": 2,
    "evaluation_batch_size": 2,
    "supervised.steps": 2,
    "warmup.steps": 2,
    "selector.steps": 2,
    "round.steps": 2,
    "rounds": 1,
    "preview_images": 1,
}


def scene():
    """A label map of a scene that no turn or mirror image leaves as it is: uint8[32, 48]."""
    label = np.full((32, 48), SKY, np.uint8)
    label[8:16] = BUILDING
    label[16:] = ROAD
    label[24:, 8:24] = CAR
    return label


def looks(photo):
    """What a person sees in a photo: uint8[H, W], the class of each pixel."""
    brightness = np.asarray(photo.convert("L"), int)[..., None]
    nearest = np.abs(brightness - list(BRIGHTNESS.values())).argmin(-1)
    return np.array(list(BRIGHTNESS), np.uint8)[nearest]


def shown(path):
    """A photo as a viewer shows it."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder laid out as CamVid's, with drawn scenes."""
    root = tmp_path_factory.mktemp("camvid")
    brightness = np.zeros(256, np.uint8)
    brightness[list(BRIGHTNESS)] = list(BRIGHTNESS.values())
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    for drive in ("0006R0", "0001TP"):
        for number in range(IMAGES):
            name = f"{drive}_{number}"
            grey = Image.fromarray(brightness[scene()]).convert("RGB")
            grey.save(root / "images" / "train" / f"{name}.jpg", quality=95)
            Image.fromarray(scene()).save(root / "labels" / "train" / f"{name}.png")
    return root


class Person:
    """Somebody with an empty folder, the installed package and the example.

    Attributes:
      home: the folder that all commands run in.
    """

    def __init__(self, home, installed):
        self.home, self._installed = home, installed
        shutil.copy(ROOT / "examples" / "own_photos.py", home)

    def make_folder(self, camvid_root, images, check=True):
        options = ("--camvid", camvid_root, "--output", "mydata", "--images", images)
        return self._installed.python("own_photos.py", *options, cwd=self.home, check=check)

    def labor_jax(self, *arguments, check=True):
        return self._installed.labor_jax(*arguments, cwd=self.home, check=check)

    def start(self, *arguments):
        return self._installed.start_labor_jax(*arguments, cwd=self.home)


@pytest.fixture(scope="module")
def person(tmp_path_factory, installed):
    return Person(tmp_path_factory.mktemp("home"), installed)


@pytest.fixture(scope="module")
def made(person, drawn):
    """What the example printed when it had made the folder."""
    return person.make_folder(drawn, IMAGES).stdout


@pytest.fixture(scope="module")
def command(made):
    """The run that the example advises, made tiny: its arguments."""
    (line,) = re.findall(r"^labor-jax (run .*)$", made, re.MULTILINE)
    return [*line.split(), *(f"--config.{field}={value}" for field, value in TINY.items())]


@pytest.fixture(scope="module")
def waiting(person, command):
    """What the run printed when it had asked."""
    return person.labor_jax(*command)


@pytest.fixture(scope="module")
def answered(person, waiting):
    """Answers all questions over HTTP, as the photos look; returns the names of what was asked."""
    names = []
    with served_by(person.start("annotate", "--workdir", "runs/mine", "--port=0")) as served:
        process, _, client = served
        while item := take(client):
            photo = Image.open(io.BytesIO(client.get(item["image"]).content))
            assert (photo.height, photo.width) == (item["height"], item["width"])
            classes = looks(photo).reshape(-1)
            asked = zip(item["asked"][::2], item["asked"][1::2], strict=True)
            pixels = [pixel for start, count in asked for pixel in range(start, start + count)]
            for label in np.unique(classes[pixels]).tolist():
                runs = [n for pixel in pixels if classes[pixel] == label for n in (pixel, 1)]
                step(client, item, "marks", f"{item['id']}/{label}", label=label, pixels=runs)
            step(client, item, "submit", f"{item['id']}/submit")
            names.append(item["name"])
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    return names


@pytest.fixture(scope="module")
def finished(person, command, answered):
    """What the same command printed when all was answered."""
    return person.labor_jax(*command).stdout


def pool_photos(person):
    return {path.stem: path for path in sorted((person.home / "mydata/pool/images").iterdir())}


def test_the_folder_is_as_people_have_it(person, made):
    root = person.home / "mydata"
    with (root / "classes.csv").open() as file:
        table = list(csv.DictReader(file))
    colours = {int(row["number"]): row["colour"] for row in table}
    assert [row["name"] for row in table] == [*camvid.CLASSES, "void"]
    assert [row["name"] for row in table if row["void"] == "yes"] == ["void"]

    photos = pool_photos(person)
    assert len(photos) == len(list((root / "source/labels").iterdir())) == IMAGES
    assert not (root / "pool/labels").exists()
    with Image.open(root / "source/labels/0006R0_0.png") as label:
        assert label.mode == "RGB"
        assert "#{:02x}{:02x}{:02x}".format(*label.getpixel((10, 30))) == colours[CAR]

    stored = [Image.open(path) for path in photos.values()]
    turns = [image.getexif().get(0x0112, 1) for image in stored]
    assert {1, 3, 6} <= set(turns)
    sizes = {shown(path).size for path in photos.values()}
    assert {(48, 32), (64, 42), (24, 32)} == sizes  # two of them sideways, one upright

    for path in (root / "labelled_before").iterdir():
        with Image.open(path) as label:
            at_car = np.asarray(label)[looks(shown(photos[path.stem])) == CAR]
        assert {"#{:02x}{:02x}{:02x}".format(*pixel) for pixel in at_car} == {colours[CAR]}


def test_it_does_not_write_into_a_folder_that_exists(person, drawn, made):
    again = person.make_folder(drawn, IMAGES, check=False)
    assert again.returncode == 2 and "mydata exists already" in again.stderr


def test_it_says_where_camvid_should_be(person, tmp_path, made):
    shutil.copy(ROOT / "examples" / "own_photos.py", tmp_path)
    missing = Person(tmp_path, person._installed).make_folder(tmp_path / "none", 1, check=False)
    assert missing.returncode == 2 and "Traceback" not in missing.stderr
    assert "--camvid" in missing.stderr and "none" in missing.stderr


def test_check_finds_what_the_folder_holds(person, made):
    printed = " ".join(person.labor_jax("check", "mydata").stdout.split())
    assert "turned by 90°" in printed and "turned by 180°" in printed
    assert f"{IMAGES // 2} have a label in labelled_before" in printed
    assert "--config.data.classes=classes.csv" in printed
    assert "--config.annotator=human" in printed
    assert "--config.annotation.existing_labels=" in printed


def test_the_run_asks_with_no_labels_of_the_pool(person, waiting):
    assert f"images of {Path('mydata/labelled_before')}" in waiting.stderr
    assert "There are no labels to measure on" in waiting.stderr
    assert "Rerun this command once everything is answered." in waiting.stdout


@pytest.mark.slow
def test_what_a_person_saw_is_what_is_learnt(person, answered, finished):
    photos = pool_photos(person)
    before = {path.stem for path in (person.home / "mydata/labelled_before").iterdir()}
    assert set(answered) == set(photos) - before  # wholly labelled images ask nothing
    store_path = person.home / "runs/mine/labels.sqlite"
    with LabelStore(store_path, classes=camvid.CLASSES, read_only=True) as store:
        for name, path in photos.items():
            labels, truth = store.labels(name), looks(shown(path))
            asked = store.asked(name)
            assert labels.shape == truth.shape and asked.any()
            np.testing.assert_array_equal(labels[asked], truth[asked])
            assert asked.all() == (name in before)


def test_the_same_command_ends_with_a_table(person, finished):
    summary = json.loads((person.home / "runs/mine/summary.json").read_text())
    assert summary["final_miou"] is None and len(summary["rounds"]) == 1
    assert "\N{EN DASH}" in finished and "Traceback" not in finished
    assert (person.home / "runs/mine/report.html").is_file()


def test_the_model_predicts_photos_as_they_are_shown(person, finished):
    options = ("--workdir", "runs/mine", "--images", "mydata/pool/images", "--output", "predicted")
    person.labor_jax("predict", *options)
    for name, path in pool_photos(person).items():
        with Image.open(person.home / "predicted" / f"{name}.png") as label_map:
            assert label_map.size == shown(path).size
            assert np.asarray(label_map).max() < len(camvid.CLASSES)


def test_the_model_leaves_the_package(person, finished):
    person.labor_jax("export", "--workdir", "runs/mine", "--to", "safetensors", "--output", "model")
    files = {path.name for path in (person.home / "model").iterdir()}
    assert {"README.md", "model.json", "classes.csv"} <= files
    assert any(name.endswith(".safetensors") for name in files)
    with (person.home / "model/classes.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)][:1] == ["sky"]


def test_the_folder_of_camvid_itself(person, tmp_path):
    if not (CAMVID / "images").is_dir():
        pytest.skip(f"CamVid is not at {CAMVID}; set LABOR_JAX_CAMVID to its folder")
    shutil.copy(ROOT / "examples" / "own_photos.py", tmp_path)
    someone = Person(tmp_path, person._installed)
    printed = someone.make_folder(CAMVID.resolve(), 10).stdout
    assert "labels of 5 of these photos" in printed
    assert "would stop a run" not in someone.labor_jax("check", "mydata").stdout
