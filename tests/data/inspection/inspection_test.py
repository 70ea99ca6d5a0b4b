import os
import shutil

import numpy as np
import pytest
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding
from labor_jax.data.inspection import description
from labor_jax.data.inspection.inspection import inspect
from tests.data.inspection import builders
from tests.driving import write, write_deep_png


def told(root, **options):
    """The problems and the remarks, as two texts."""
    inspection = inspect(root, **options)
    return "\n".join(inspection.problems), "\n".join(inspection.remarks)


def described(root, **options):
    """The description in one line."""
    return " ".join(description.describe(inspect(root, **options)).split())


def test_a_usable_folder_has_no_problems(tmp_path):
    builders.write_roles(tmp_path, [0, 1, 2, 255])
    inspection = inspect(tmp_path)
    assert not inspection.problems and not inspection.remarks
    assert {role: one.photos.folder for role, one in inspection.roles.items()} == {
        "source": "source/images",
        "pool": "pool/images",
        "evaluation": "evaluation/images",
    }
    assert inspection.coding.title == "class numbers 0 to 2, 255 void"
    text = described(tmp_path)
    assert "source/images: 3 photos" in text
    assert "each has a label in source/labels, named {stem}.png" in text
    assert "all 24x32 (height x width)" in text
    assert "0: 25.0% in 3, 1: 25.0% in 3, 2: 25.0% in 3, 255 void: 25.0% in 3" in text


def test_sizes_modes_and_turns_are_described(tmp_path):
    for i, orientation in enumerate((1, 6, 6, 3)):
        builders.write_turned(tmp_path / f"photos/{i}.jpg", builders.photo(i), orientation)
    write(tmp_path / "photos" / "grey.png", builders.photo()[..., 0])
    text = described(tmp_path)
    assert "photos: 5 photos" in text
    assert "4 JPEG, 1 PNG; 4 RGB, 1 grey" in text
    assert "commonest 24x32 (3), 32x24 (2); 3 landscape, 2 portrait" in text
    assert "2 turned by 90° clockwise, 1 turned by 180°, which is applied" in text


@pytest.mark.parametrize(
    ("extension", "told"), [("tif", "which is applied"), ("png", "which is not applied to labels")]
)
def test_turns_of_labels_are_described(tmp_path, extension, told):
    builders.write_photos(tmp_path / "images", 3)
    for i in range(3):
        builders.write_turned(tmp_path / f"labels/{i:04}.{extension}", builders.bands([0, 1]), 3)
    assert f"3 turned by 180°, {told} coding" in described(tmp_path)


def test_every_kind_of_bad_file_is_listed(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    images = tmp_path / "pool" / "images"
    (images / "empty.png").touch()
    (images / "text.png").write_text("no image")
    os.mkfifo(images / "pipe.png")
    problems, _ = told(tmp_path)
    assert "1 file is empty (0 bytes): pool/images/empty.png. Copy" in problems
    assert "1 file is not regular (pipes, sockets or devices): pool/images/pipe.png" in problems
    assert "pool/images/text.png (cannot be read: not an image of a known format)" in problems


def test_a_photo_of_too_many_pixels(tmp_path, monkeypatch):
    builders.write_photos(tmp_path / "photos")
    builders.write_photos(tmp_path / "photos", 1, "panorama.png", size=(60, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # twice as many are an error
    assert told(tmp_path)[0] == (
        "1 file has more than 179 million pixels, the most that can be read: photos/panorama.png. "
        "Cut them into tiles, or shrink them."
    )


def test_photos_without_label_and_labels_without_photo(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    os.remove(tmp_path / "source/images/0000.png")
    os.remove(tmp_path / "source/labels/0001.png")
    problems, _ = told(tmp_path)
    assert "1 photo in source/images has no label in source/labels: source/images/0001" in problems
    assert "1 label in source/labels has no photo in source/images: source/labels/0000" in problems


def test_sizes_that_differ(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    builders.write_labels(tmp_path / "source/labels", [0, 1], 1, size=(12, 16))
    problems, _ = told(tmp_path)
    assert "source/images/0000.png is 24x32, source/labels/0000.png is 12x16" in problems


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_a_label_that_misses_the_photos_turn(tmp_path, extension):
    builders.write_roles(tmp_path, [0, 1])
    os.remove(tmp_path / "source/images/0000.png")
    builders.write_turned(tmp_path / f"source/images/0000.{extension}", builders.photo(), 6)
    problems, _ = told(tmp_path)
    assert "1 label in source/labels fits the photo as it is stored, not as its EXIF" in problems
    builders.write_labels(tmp_path / "source/labels", [0, 1], 1, size=(32, 24))
    assert told(tmp_path) == ("", "")


def test_duplicates_and_leaks(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    shutil.copy(tmp_path / "source/images/0000.png", tmp_path / "pool/images/again.png")
    problems, remarks = told(tmp_path)
    assert not problems
    assert "pool/images/again.png = source/images/0000.png" in remarks
    shutil.copy(tmp_path / "evaluation/images/0001.png", tmp_path / "pool/images/leak.png")
    problems, _ = told(tmp_path)
    assert "1 photo is both in the pool" in problems
    assert "pool/images/leak.png = evaluation/images/0001.png" in problems
    for i in range(9):
        shutil.copy(tmp_path / "source/images/0000.png", tmp_path / f"pool/images/again_{i}.png")
    assert "pool/images/again.png = pool/images/again_0.png = 9 more" in told(tmp_path)[1]


def test_photos_that_share_a_name_and_deep_photos(tmp_path):
    builders.write_photos(tmp_path / "photos")
    write(tmp_path / "photos/0000.jpg", builders.photo())
    write(tmp_path / "photos/deep.png", builders.photo()[..., 0].astype("uint16"))
    problems, _ = told(tmp_path)
    assert "1 name in photos belongs to several photos: photos/0000.jpg and" in problems
    assert "1 photo in photos is not in 8-bit colour or grey: photos/deep.png (I;16)" in problems


def test_16_bit_colour_is_as_good_as_for_a_run(tmp_path):
    path = write_deep_png(tmp_path / "photos/deep.png", np.full((4, 5, 3), 0x1234, np.uint16))
    assert told(tmp_path) == ("", "") and "all 16-bit RGB" in described(tmp_path)
    (header,) = checks.check_images([path], "photos")
    assert header.size == (4, 5) and (decoding.read_image(path) == 0x12).all()


def test_other_files_are_told(tmp_path):
    builders.write_photos(tmp_path / "photos")
    for name in ("a.heic", "b.mp4", "notes.txt"):
        (tmp_path / name).touch()
    _, remarks = told(tmp_path)
    assert "1 .heic (a.heic). Convert them" in remarks
    assert "1 .mp4 (b.mp4). Take frames" in remarks
    assert "Other files: 1 .txt." in remarks


def test_an_empty_folder(tmp_path):
    problems, _ = told(tmp_path)
    assert "is empty. Runs read .jpg" in problems
    with pytest.raises(DataError, match="There is no folder"):
        inspect(tmp_path / "missing")


def test_pixels_of_a_sample_only_are_read(tmp_path):
    builders.write_photos(tmp_path / "images", 9)
    builders.write_labels(tmp_path / "labels", [0, 1], 9)
    inspection = inspect(tmp_path, 4)
    assert inspection.labels[0].contents.num_files == 4
    text = described(tmp_path, num_samples=4)
    assert "in how many of 4 files, evenly chosen from 9: 0: 50.0% in 4" in text


def test_labels_alone(tmp_path):
    builders.write_labels(tmp_path / "masks", [0, 255])
    inspection = inspect(tmp_path)
    assert not inspection.problems and not inspection.roles
    assert "binary" in inspection.coding.title
    assert "3 labels, taken for no photos" in described(tmp_path)


def test_smeared_labels_are_described_by_their_main_colours(tmp_path):
    builders.write_photos(tmp_path / "images", 1, size=(480, 640))
    builders.smooth_label().save(builders.made(tmp_path / "labels") / "0000.png")
    problems, _ = told(tmp_path)
    assert "labels: labels have smeared edges" in problems
    text = described(tmp_path)
    assert "colours of Cityscapes; 3 main colours and" in text
    assert "#804080: 57.7% in 1" in text
