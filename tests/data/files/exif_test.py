import pathlib

import numpy as np
import pytest
from PIL import Image

from labor_jax.data.files import checks, decoding
from labor_jax.data.inspection import scan

# How each orientation shows an image, by hand: rows and columns of the stored pixels.
_SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
_PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def _exif(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def _write(path, orientation, **options):
    Image.fromarray(_PIXELS).save(path, exif=_exif(orientation), **options)
    return path


@pytest.mark.parametrize("orientation", _SHOWN)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_images_are_read_as_they_are_shown(tmp_path, name, orientation):
    options = {"a.webp": {"lossless": True}, "a.jpg": {"quality": 100, "subsampling": 0}}
    path = _write(tmp_path / name, orientation, **options.get(name, {}))
    plain = tmp_path / f"plain_{name}"
    Image.fromarray(_PIXELS).save(plain, **options.get(name, {}))
    expected = _SHOWN[orientation](decoding.read_image(plain))
    np.testing.assert_array_equal(decoding.read_image(path), expected)
    np.testing.assert_array_equal(decoding.read_image(path, path.read_bytes()), expected)
    (header,) = checks.check_images([path], "x")
    assert header.size == decoding.image_size(path) == expected.shape[:2]
    assert header.orientation == orientation


def test_a_png_whose_exif_data_come_after_the_pixels(tmp_path):
    path = _write(tmp_path / "a.png", 6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    chunk, rest = content[start:end], content[:start] + content[end:]
    last = rest.index(b"IEND") - 4
    path.write_bytes(rest[:last] + chunk + rest[last:])
    np.testing.assert_array_equal(decoding.read_image(path), _SHOWN[6](_PIXELS))
    assert checks.check_images([path], "x")[0][:2] == ((6, 4), 6)


def test_damaged_exif_data_do_not_matter(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(_PIXELS).save(path, exif=b"Exif\0\0II*\0garbage")
    assert decoding.read_image(path).shape == (4, 6, 3)
    assert checks.check_images([path], "x")[0][:2] == ((4, 6), 1)
    _write(path, 77)
    assert checks.check_images([path], "x")[0][:2] == ((4, 6), 1)


def test_labels_are_read_as_they_are_stored(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS[..., 0]).save(path, exif=_exif(6))
    np.testing.assert_array_equal(decoding.read_label_values(path), _PIXELS[..., 0])
    assert checks.check_labels([path], "x")[0].size == (4, 6)


@pytest.mark.parametrize("orientation", _SHOWN)
def test_labels_in_tiffs_are_turned_as_their_format_says(tmp_path, orientation):
    path = tmp_path / "a.tif"
    Image.fromarray(_PIXELS[..., 0]).save(path, exif=_exif(orientation))
    expected = _SHOWN[orientation](_PIXELS[..., 0])
    np.testing.assert_array_equal(decoding.read_label_values(path), expected)
    assert checks.check_labels([path], "x")[0].size == expected.shape
    assert scan.read_header(tmp_path, "a.tif").label_size == expected.shape


def test_headers_of_pngs_are_read_without_their_pixels(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).save(path)

    def load(self):
        raise AssertionError(f"{pathlib.Path(self.filename).name} was decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert checks.check_images([path], "x")[0].size == (4, 6)
