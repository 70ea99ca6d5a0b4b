import numpy as np
import pytest

from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding

_NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def _sizes(headers):
    return [header.size for header in headers]


def _truncate(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "webp", "tif", "ppm"])
def test_a_file_cut_off_is_found_and_named(tmp_path, write_image, extension):
    good = write_image(tmp_path / f"good.{extension}", _NOISE)
    bad = write_image(tmp_path / f"bad.{extension}", _NOISE)
    assert _sizes(checks.check_images([good], "x")) == [(40, 50)]
    _truncate(bad)
    with pytest.raises(
        DataError, match=rf"1 pool images cannot be read: .*bad\.{extension}"
    ) as told:
        checks.check_images([good, bad], "pool images")
    assert ".." not in str(told.value)


def test_a_complete_jpeg_with_bytes_behind_its_end_is_fine(tmp_path, write_image):
    path = write_image(tmp_path / "a.jpg", _NOISE)
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert _sizes(checks.check_images([path], "x")) == [(40, 50)]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(
        DataError,
        match=r"a\.png cannot be read: (not an image of a known format|the file is empty)",
    ):
        checks.check_images([path], "x")
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        decoding.read_image(path)


def test_many_bad_files_are_counted_and_the_first_listed(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    with pytest.raises(DataError, match=r"8 x cannot be read: .*0\.png.*no such file.*and 3 more"):
        checks.check_images(paths, "x")


def test_a_16_bit_image_is_refused(tmp_path, write_image):
    path = write_image(tmp_path / "deep.png", np.full((3, 4), 40_000, np.uint16))
    with pytest.raises(DataError, match=r"not 8-bit.*deep\.png \(mode I;16\).*Convert"):
        checks.check_images([path], "x")


def test_an_image_of_too_many_pixels_is_no_damaged_one(tmp_path, write_image, monkeypatch):
    path = write_image(tmp_path / "panorama.png", _NOISE)
    monkeypatch.setattr(decoding.Image, "MAX_IMAGE_PIXELS", 999)  # twice as many are an error
    with pytest.raises(DataError, match=r"1 x have more than 179.*panorama\.png\. Cut them into"):
        checks.check_images([path], "x")
    with pytest.raises(DataError, match=r"panorama\.png has more than 179.*: cut it into tiles"):
        decoding.image_size(path)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_label_in_colours_is_refused(tmp_path, write_image, channels):
    path = write_image(tmp_path / "colours.png", np.zeros((3, 4, channels), np.uint8))
    with pytest.raises(DataError, match=r"1 pool labels are in colours.*\(mode RGBA?\).*palette"):
        checks.check_labels([path], "pool labels")
    with pytest.raises(DataError, match=r"colours\.png is no label map: it is in colours.*palette"):
        decoding.read_label_values(path)


def test_a_label_with_a_channel_must_be_a_16_bit_png(tmp_path, write_image, write_deep_png):
    deep = write_deep_png(tmp_path / "deep.png", np.zeros((5, 7, 3), np.uint16))
    flat = write_image(tmp_path / "flat.png", np.zeros((5, 7, 3), np.uint8))
    with pytest.raises(DataError, match=r"1 x are not 16-bit PNGs: .*flat\.png"):
        checks.check_labels([deep, flat], "x", channel=0)
    with pytest.raises(DataError, match=r"flat\.png is not a 16-bit PNG"):
        decoding.read_label_values(flat, 0)
    deep.write_bytes(deep.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"deep\.png cannot be read"):
        decoding.read_label_values(deep, 0)
    with pytest.raises(DataError, match=r"1 x cannot be read: .*deep\.png"):
        checks.check_labels([deep], "x", channel=0)
