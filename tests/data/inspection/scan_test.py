import os

import numpy as np
import pytest
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.files import decoding
from labor_jax.data.inspection import scan
from tests.data.inspection import builders
from tests.driving import write, write_deep_png


def test_headers_are_read_and_exif_turns_the_size(tmp_path):
    write(tmp_path / "a" / "one.png", builders.photo())
    builders.write_turned(tmp_path / "a" / "two.jpg", builders.photo(), 6)
    write_deep_png(tmp_path / "three.png", np.ones((4, 5, 3), np.uint16))
    (tmp_path / "notes.txt").write_text("x")
    found = scan.scan(tmp_path)
    one, two, three = found.images
    assert (one.path, one.format, one.mode, one.size) == ("a/one.png", "PNG", "RGB", (24, 32))
    assert (two.format, two.size, two.unturned_size, two.label_size, two.orientation) == (
        *("JPEG", (32, 24), (24, 32), (24, 32)),
        6,
    )
    assert (three.mode, three.is_deep, three.folder, three.stem, three.extension) == (
        *("RGB", True, "", "three"),
        ".png",
    )
    assert not one.is_deep and not two.is_deep
    assert found.others == ("notes.txt",)
    assert not any(file.problem for file in found.images)


def test_pillow_turns_a_tiff_itself(tmp_path):
    path = tmp_path / "one.tif"
    builders.write_turned(path, builders.photo(), 6)
    (file,) = scan.scan(tmp_path).images
    assert (file.size, file.unturned_size, file.label_size) == ((32, 24), (24, 32), (32, 24))
    assert file.size == decoding.read_image(path).shape[:2]
    Image.fromarray(builders.bands([0, 1])).save(path, exif=builders.turning(6))
    assert scan.read_header(tmp_path, path.name).label_size == (
        decoding.read_label_values(path).shape
    )


def test_files_that_cannot_be_read_have_a_problem_and_stop_nothing(tmp_path):
    whole = write(tmp_path / "whole.png", builders.photo())
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-40])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    problems = {file.path: file.problem for file in scan.scan(tmp_path).images}
    assert problems.pop("whole.png") == ""
    assert problems["empty.png"] == scan.EMPTY
    assert problems["pipe.png"] == scan.NOT_REGULAR
    assert "truncated" in problems["cut.png"]
    assert "not an image" in problems["text.png"]
    assert "link to nothing" in problems["dangling.png"]


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path):
    try:
        with open(os.path.join(os.fsencode(tmp_path), b"\xff.png"), "wb"):
            pass
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (file,) = scan.scan(tmp_path).images
    assert file.problem == scan.NOT_UTF8


def test_a_missing_folder_or_a_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"There is no folder .*nothing"):
        scan.scan(tmp_path / "nothing")
    path = write(tmp_path / "one.png", builders.photo())
    with pytest.raises(DataError, match=r"one\.png is a file; name the folder"):
        scan.scan(path)
