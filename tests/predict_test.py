"""`labor-jax predict`: what it reads, what it writes, and what it leaves alone."""

import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

import labor_jax
from labor_jax import experiment, output_files
from labor_jax.annotation.formats import coco, cvat
from labor_jax.annotation.formats.exported_round import ExportedRound
from labor_jax.batch_prediction import inputs
from labor_jax.batch_prediction.job import Job
from labor_jax.batch_prediction.outputs import Wanted
from labor_jax.data import DataError, class_table
from labor_jax.data.files import video
from labor_jax.output_files import OutputError, OutputFolder
from tests import fork_server
from tests.conftest import ROOT
from tests.tiny import tiny_config
from tests.videos import brightening, write_video

LABELS_ONLY = Wanted(overlays=False)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    experiment.run(tiny_config("source_only"), path)
    return path


@pytest.fixture(scope="module")
def model(workdir):
    return labor_jax.load(workdir)


def save_image(path, size, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def photos(tmp_path):
    save_image(tmp_path / "photos" / "a.png", (40, 50))
    save_image(tmp_path / "photos" / "deep" / "b.jpg", (32, 64), seed=1)
    return tmp_path / "photos"


def job(model, named, output, wanted=LABELS_ONLY, overwrite=False, **options):
    found = inputs.find([str(each) for each in named])
    folder = OutputFolder(output, inputs=found.protected, overwrite=overwrite)
    return Job(model, found, folder, wanted, **options)


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def predict(*arguments, folder=ROOT):
    return fork_server.run(
        ["-m", "labor_jax", "predict", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_command_predicts_and_goes_on(workdir, model, photos, tmp_path):
    arguments = ("--workdir", workdir, "--images", photos, "--output", tmp_path / "out")
    result = predict(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Predicted 2 images in") and "images/s)" in result.stdout
    written = content(tmp_path / "out")
    overlays = ["a_overlay.jpg", "deep/b_overlay.jpg"]
    assert sorted(written) == sorted(["a.png", "deep/b.png", "classes.csv", *overlays])
    table = class_table.read_file(tmp_path / "out" / "classes.csv")
    assert table.classes == model.classes and not table.void_colours
    assert table.numbers == {number: number for number in range(len(model.classes))}
    np.testing.assert_array_equal(table.colours, model.palette)
    (expected,) = model.predict([photos / "a.png"])
    with Image.open(tmp_path / "out" / "a.png") as label_map:
        assert label_map.mode == "P"
        np.testing.assert_array_equal(np.asarray(label_map), expected)
        np.testing.assert_array_equal(np.asarray(label_map.convert("RGB")), model.palette[expected])
    with Image.open(tmp_path / "out" / "a_overlay.jpg") as overlay:
        assert overlay.size == (50, 40)

    save_image(photos / "c.png", (20, 20))
    result = predict(*arguments)
    assert result.returncode == 0, result.stderr
    assert "Predicted 1 images" in result.stdout and "2 were predicted before" in result.stdout
    now = content(tmp_path / "out")
    assert {name: now[name] for name in written} == written and "c.png" in now


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_probabilities_are_those_of_the_model(model, photos, tmp_path, dtype):
    job(model, [photos], tmp_path / "out", Wanted(probabilities=dtype)).run()
    (expected,) = model.probabilities([photos / "deep" / "b.jpg"])
    with np.load(tmp_path / "out" / "deep" / "b_probabilities.npz") as arrays:
        assert arrays["probabilities"].dtype == dtype
        np.testing.assert_allclose(arrays["probabilities"], expected, atol=1e-3)
        assert tuple(arrays["classes"]) == model.classes
    with Image.open(tmp_path / "out" / "deep" / "b.png") as label_map:
        np.testing.assert_array_equal(np.asarray(label_map), expected.argmax(-1))


def test_nothing_of_the_users_is_overwritten(model, photos, tmp_path, caplog):
    (photos.parent / "link").symlink_to(photos)
    before = content(photos)
    for output in (photos, photos / "labels", photos.parent / "link"):
        with pytest.raises(OutputError, match="input folder"):
            job(model, [photos], output, overwrite=True)
    with pytest.raises(OutputError, match=r"a\.png is in the way"):
        job(model, [photos / "a.png"], photos, overwrite=True).run()
    save_image(tmp_path / "out" / "deep" / "b.png", (4, 4))
    mine = content(tmp_path / "out")
    with pytest.raises(OutputError, match=r"b\.png is in the way"):
        job(model, [photos], tmp_path / "out", overwrite=True).run()
    assert content(photos) == before and content(tmp_path / "out") == mine
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "classes.csv").write_text("mine")
    job(model, [photos], tmp_path / "other", overwrite=True).run()
    written = content(tmp_path / "other")
    assert written["classes.csv"] == b"mine" and "a.png" in written
    told = "other/classes.csv was there before and stays", f"from 0: {', '.join(model.classes)}."
    assert all(each in caplog.text for each in told)


def test_the_table_of_classes_comes_also_after_the_label_maps(model, photos, tmp_path, caplog):
    job(model, [photos], tmp_path / "out").run()
    expected = content(tmp_path / "out")
    (tmp_path / "out" / "classes.csv").unlink()
    job(model, [photos], tmp_path / "out").run()
    assert content(tmp_path / "out") == expected
    # The same table is in nobody's way.
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "classes.csv").write_bytes(expected["classes.csv"])
    job(model, [photos], tmp_path / "again").run()
    assert content(tmp_path / "again") == expected and "stays" not in caplog.text


def test_outputs_of_another_model_are_replaced_only_if_told_so(model, photos, tmp_path):
    job(model, [photos], tmp_path / "out").run()
    changed = dataclasses.replace(model, input_size=(16, 16))
    with pytest.raises(OutputError, match="--overwrite"):
        job(changed, [photos], tmp_path / "out").run()
    job(changed, [photos], tmp_path / "out", overwrite=True).run()
    (expected,) = changed.predict([photos / "a.png"])
    with Image.open(tmp_path / "out" / "a.png") as label_map:
        np.testing.assert_array_equal(np.asarray(label_map), expected)
    job(changed, [photos], tmp_path / "out").run()  # all is there


def test_damaged_images_are_named_and_the_others_predicted(model, photos, tmp_path):
    for name, keep in (("header.png", 100), ("middle.png", None)):
        save_image(photos / name, (60, 60))
        data = bytearray((photos / name).read_bytes())
        data[2000:2010] = bytes(10)
        (photos / name).write_bytes(data[:keep])
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(photos / "deep.png")
    (photos / "gone.png").symlink_to(photos / "nothing.png")
    named = [photos / "*.png", photos / "deep"]
    with pytest.raises(DataError, match="4 of 6 inputs can't be read") as raised:
        job(model, named, tmp_path / "out", annotations="coco").run()
    for name in ("header.png", "middle.png", "deep.png", "gone.png cannot be read: no such file"):
        assert name in str(raised.value)
    assert sorted(content(tmp_path / "out")) == [
        "a.png",
        "annotations.json",
        "classes.csv",
        "deep/b.png",
    ]
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["a.png", "deep/b.jpg"]


def test_an_overlay_is_as_large_as_its_format_can_be(model, tmp_path):
    save_image(tmp_path / "wide.png", (2, 66000))
    job(model, [tmp_path / "wide.png"], tmp_path / "out", Wanted()).run()
    with Image.open(tmp_path / "out" / "wide_overlay.jpg") as overlay:
        assert overlay.size == (65500, 2)
    with Image.open(tmp_path / "out" / "wide.png") as label_map:
        assert label_map.size == (66000, 2)


@pytest.mark.parametrize("format", ["coco", "cvat"])
def test_annotations_hold_the_label_maps(model, tmp_path, format):
    for number, size in enumerate(((20, 30), (16, 16))):
        save_image(tmp_path / "photos" / f"round1_{number}.png", size, seed=number)
    job(model, [tmp_path / "photos"], tmp_path / "out", annotations=format).run()
    exported = ExportedRound(
        1, model.classes, model.palette, {0: "a", 1: "b"}, {0: (20, 30), 1: (16, 16)}
    )
    name, reader = {"coco": ("annotations.json", coco), "cvat": ("annotations.xml", cvat)}[format]
    found = list(reader.read(tmp_path / "out" / name, exported))
    assert [image.number for image in found] == [0, 1]
    for image in found:
        assert not image.problems
        with Image.open(tmp_path / "out" / f"round1_{image.number}.png") as label_map:
            np.testing.assert_array_equal(image.labels, np.asarray(label_map))
    if format == "cvat":
        labels = json.loads((tmp_path / "out" / "labels.json").read_text())
        assert [label["name"] for label in labels] == list(model.classes)


def test_a_video_gets_label_maps_and_an_overlay(model, tmp_path):
    write_video(tmp_path / "drive.mp4", brightening(7))
    output = tmp_path / "out"
    whole = job(model, [tmp_path / "drive.mp4"], output, Wanted(), every="200ms")
    whole.run()
    times = ("0.000", "0.200", "0.400", "0.600")
    maps = [f"drive/drive_00000{time}.png" for time in times]
    assert sorted(content(output)) == sorted([*maps, "classes.csv", "drive_overlay.mp4"])
    frames = list(video.read_frames(tmp_path / "drive.mp4"))
    (expected,) = model.predict([frames[4].image()])
    with Image.open(output / maps[2]) as label_map:
        np.testing.assert_array_equal(np.asarray(label_map), expected)
    assert len(list(video.read_frames(output / "drive_overlay.mp4"))) == 4
    assert video.read_info(output / "drive_overlay.mp4").rate == 5

    # A run that was stopped goes on: the overlay is drawn from what is there.
    before = content(output)
    (output / "drive_overlay.mp4").unlink()
    (output / maps[3]).unlink()
    whole.run()
    assert content(output).keys() == before.keys()
    assert content(output)[maps[3]] == before[maps[3]]
    save_image(output / maps[0], (2, 2))
    with pytest.raises(OutputError, match="in the way"):
        whole.run()


def test_a_video_that_ends_early_is_named(model, tmp_path):
    write_video(tmp_path / "cut.mkv", brightening(30, size=(64, 128)))
    data = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[:200])
    save_image(tmp_path / "a.png", (20, 20))
    named = [tmp_path / "a.png", tmp_path / "cut.mkv"]
    with pytest.raises(DataError, match=r"1 of 2 inputs can't be read.*cut\.mkv"):
        job(model, named, tmp_path / "out").run()
    assert "a.png" in content(tmp_path / "out")


def test_many_sizes_are_told(model, tmp_path, caplog):
    assert model.network_size is None
    for side in range(9):
        save_image(tmp_path / "photos" / f"{side}.png", (20 + side, 24))
    job(model, [tmp_path / "photos"], tmp_path / "out").run()
    assert "The images have 9 sizes" in caplog.text and "--size=" in caplog.text
    caplog.clear()
    resized = dataclasses.replace(model, input_size=(24, 24))
    job(resized, [tmp_path / "photos"], tmp_path / "resized").run()
    assert "sizes" not in caplog.text
    for side in range(9):
        with Image.open(tmp_path / "resized" / f"{side}.png") as label_map:
            assert label_map.size == (24, 20 + side)


def test_inputs_keep_their_subfolders_and_tell_names_apart(tmp_path):
    for file in ("one/images/a.png", "one/images/a.jpg", "two/images/a.png", "two/images/B.PNG"):
        save_image(tmp_path / file, (2, 2))
    found = inputs.find([str(tmp_path / "one" / "images"), str(tmp_path / "two" / "*" / "*")])
    assert [image.name for image in found.images] == [
        "one/images/a.jpg",
        "one/images/a.png",
        "two/images/B",
        "two/images/a",
    ]
    twice = inputs.find([str(tmp_path / "two" / "images")] * 2)
    assert [image.file for image in twice.images] == ["B.PNG", "a.png"]


def test_a_name_is_no_other_inputs_nor_that_of_a_videos_frame(tmp_path):
    for file in ("a.png.jpg", "a.png", "a.bmp", "b/b_000001.500.jpg", "c/b_000001.500.jpg"):
        save_image(tmp_path / file, (2, 2))
    for file in ("B.mp4", "c.mp4", "c.avi", "c.mp4.mkv"):
        (tmp_path / file).touch()
    named = (tmp_path, tmp_path / "*.mp4", tmp_path / "*.avi", tmp_path / "*.mkv")
    found = inputs.find(list(map(str, named)))
    images = ["a.bmp", "a.png", "a.png.jpg", "b/b_000001.500", "c/b_000001.500"]
    assert [image.name for image in found.images] == images
    assert [each.name for each in found.videos] == ["B.mp4", "c.avi", "c.mp4", "c.mp4.mkv"]


def test_frames_of_two_videos_and_images_stay_apart(model, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "drive.mp4", brightening(2))
    save_image(tmp_path / "one" / "drive" / "drive_000000.000.jpg", (20, 30))
    named = [tmp_path / "one", tmp_path / "one" / "drive.mp4", tmp_path / "two" / "drive.mp4"]
    job(model, named, tmp_path / "out", annotations="coco").run()
    frames = [
        f"{video}/drive_00000{time}"
        for video in ("one/drive.mp4", "two/drive")
        for time in ("0.000", "0.100")
    ]
    image = "one/drive/drive_000000.000"
    maps = {name for name in content(tmp_path / "out") if name.endswith(".png")}
    assert maps == {f"{name}.png" for name in (image, *frames)}
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    named = [each["file_name"] for each in document["images"]]
    assert named == [f"{name}.jpg" for name in (image, *frames)]
    with Image.open(tmp_path / "out" / f"{image}.png") as label_map:
        assert label_map.size == (30, 20)  # the image's


def test_what_is_left_out_is_told(photos, caplog):
    for file in ("a.heic", "b.AVIF", "c.heic", "notes.txt", "d.mov"):
        (photos / file).touch()
    assert len(inputs.find([str(photos)]).images) == 2
    assert "Not read: 2 .heic, 1 .avif (a.heic, b.AVIF, c.heic). Convert them" in caplog.text
    assert f"Not read: 1 .mov (d.mov). Name videos themselves: --images '{photos}/*.mov'" in (
        caplog.text
    )
    caplog.clear()
    (photos / "empty").mkdir()
    found = inputs.find([str(photos / "*")])
    assert [image.file for image in found.images] == ["a.png"] and len(found.videos) == 1
    assert f"matches them as folders: {photos / 'deep'}. To predict" in caplog.text
    caplog.clear()
    assert len(inputs.find([str(photos / "**")]).images) == 2
    assert "folders" not in caplog.text


def test_folders_of_no_concern_beside_photos_are_not_told_of(photos, monkeypatch, caplog):
    (photos / "deep" / "b.jpg").rename(photos / "b.jpg")
    save_image(photos / "predicted" / "a.png", (4, 4))
    (photos / "predicted" / output_files.LISTED).touch()
    (photos / "deep" / ".trash").mkdir()
    save_image(photos / "deep" / ".trash" / "c.png", (4, 4))
    (photos / "lost+found").mkdir()
    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(inputs.find([str(photos / "*")]).images) == 2
    assert not caplog.text


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nope", "there is no such folder or file"),
        ("empty", "the folder is empty"),
        ("texts", "none of its 1 files is an image"),
        ("clips", "holds no images, but 1 videos. Name them"),
        ("phone", "Not read: 1 .heic (IMG_1.HEIC). Convert them to JPEG"),
        ("photos/d*", "no file matches, but folders do: photos/deep. Name them"),
        ("texts/notes.txt", "neither an image"),
        ("photos/*.gif", "no file matches"),
        ("texts/*", "neither an image"),
    ],
)
def test_what_cannot_be_predicted_is_said(photos, named, says, monkeypatch):
    monkeypatch.chdir(photos.parent)
    for file in ("texts/notes.txt", "clips/a.mp4", "phone/IMG_1.HEIC"):
        (photos.parent / file).parent.mkdir()
        (photos.parent / file).touch()
    (photos.parent / "empty").mkdir()
    with pytest.raises(DataError) as raised:
        inputs.find([named])
    assert says in str(raised.value) and f"--images {named}" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--images=/nope",), "--images /nope: there is no such folder"),
        (("--images=photos", "other"), "'other' belongs to no flag; quote a glob"),
        (("--images=photos", "--size=360"), "--size is '360'; give HEIGHT,WIDTH"),
        (("--images=photos", "--size="), "--size is ''; give HEIGHT,WIDTH"),
        (("--images=photos", "--every=x"), "--every: 'x' is neither"),
        (("--images=photos", "--nolabel_maps", "--annotations=coco"), "leave out --nolabel_maps"),
        (("--images=photos", "--output=photos"), "is the input folder photos"),
    ],
)
def test_mistakes_end_in_a_sentence(workdir, photos, arguments, says):
    result = predict("--workdir", workdir, "--output=out", *arguments, folder=photos.parent)
    assert result.returncode == 1
    assert says in result.stderr and "Traceback" not in result.stderr, result.stderr
    assert not (photos.parent / "out").exists()
