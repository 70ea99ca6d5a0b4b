import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labor_jax.data import image_files
from labor_jax.data.base import DataError

_NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def _truncate(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "webp", "tif", "ppm"])
def test_a_file_cut_off_is_found_and_named(tmp_path, write_image, extension):
    good = write_image(tmp_path / f"good.{extension}", _NOISE)
    bad = write_image(tmp_path / f"bad.{extension}", _NOISE)
    assert image_files.check_images([good], "x") == [(40, 50)]
    _truncate(bad)
    with pytest.raises(DataError, match=rf"1 pool images cannot be read: .*bad\.{extension}"):
        image_files.check_images([good, bad], "pool images")


def test_a_complete_jpeg_with_bytes_behind_its_end_is_fine(tmp_path, write_image):
    path = write_image(tmp_path / "a.jpg", _NOISE)
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert image_files.check_images([path], "x") == [(40, 50)]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read: not an image of a known format"):
        image_files.check_images([path], "x")
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        image_files.read_image(path)


def test_many_bad_files_are_counted_and_the_first_listed(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    with pytest.raises(DataError, match=r"8 x cannot be read: .*0\.png.*no such file.*and 3 more"):
        image_files.check_images(paths, "x")


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for mode in ("L", "P", "LA", "RGBA", "1"):
        path = tmp_path / f"{mode}.png"
        Image.fromarray(grey).convert(mode).save(path)
        image_files.check_images([path], "x")
        image = image_files.read_image(path)
        assert image.shape == (3, 4, 3)
        assert image.dtype == np.uint8


def test_a_16_bit_image_is_refused(tmp_path, write_image):
    path = write_image(tmp_path / "deep.png", np.full((3, 4), 40_000, np.uint16))
    with pytest.raises(DataError, match=r"not 8-bit.*deep\.png \(mode I;16\).*Convert"):
        image_files.check_images([path], "x")


def test_label_values_come_back_as_they_are(tmp_path, write_image):
    values = np.array([[0, 1], [2, 255]], np.uint8)
    paths = [
        write_image(tmp_path / "8.png", values),
        write_image(tmp_path / "16.png", values.astype(np.uint16) * 100),
    ]
    indexed = Image.fromarray(values).convert("P")
    indexed.putpalette([9, 8, 7] * 256)
    paths.append(tmp_path / "indexed.png")
    indexed.save(paths[-1])
    assert image_files.check_labels(paths, "x") == [(2, 2)] * 3
    np.testing.assert_array_equal(image_files.read_label_values(paths[0]), values)
    np.testing.assert_array_equal(image_files.read_label_values(paths[1]), values * 100.0)
    np.testing.assert_array_equal(image_files.read_label_values(paths[2]), values)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_label_in_colours_is_refused(tmp_path, write_image, channels):
    path = write_image(tmp_path / "colours.png", np.zeros((3, 4, channels), np.uint8))
    with pytest.raises(DataError, match=r"not single-channel.*colours\.png \(mode RGBA?\).*Conv"):
        image_files.check_labels([path], "pool labels")
    with pytest.raises(DataError, match=r"colours\.png is no label map"):
        image_files.read_label_values(path)


def test_list_files_follows_links_without_running_in_circles(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.png").touch()
    (tmp_path / "a" / ".hidden.png").touch()
    (tmp_path / "a" / ".cache").mkdir()
    (tmp_path / "a" / ".cache" / "y.png").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.png").touch()
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "other")
    assert image_files.list_files(tmp_path / "a") == ["b/x.png", "linked/z.png"]


def test_in_threads_keeps_order_and_raises():
    assert image_files.in_threads(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    with pytest.raises(ZeroDivisionError):
        image_files.in_threads(lambda x: 1 // (x - 30), range(50))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_channel_of_a_16_bit_png_is_read_in_full(tmp_path, write_deep_png, channels):
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), np.uint16)
    path = write_deep_png(tmp_path / "label.png", values)
    assert image_files.check_labels([path], "x", channel=0) == [(5, 7)]
    for channel in range(channels):
        read = image_files.read_label_values(path, channel)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, values[..., channel])
    with pytest.raises(DataError, match=rf"label\.png has {channels} channels; number {channels}"):
        image_files.read_label_values(path, channels)


def test_a_label_with_a_channel_must_be_a_16_bit_png(tmp_path, write_image, write_deep_png):
    deep = write_deep_png(tmp_path / "deep.png", np.zeros((5, 7, 3), np.uint16))
    flat = write_image(tmp_path / "flat.png", np.zeros((5, 7, 3), np.uint8))
    with pytest.raises(DataError, match=r"1 x are not 16-bit PNGs: .*flat\.png"):
        image_files.check_labels([deep, flat], "x", channel=0)
    with pytest.raises(DataError, match=r"flat\.png is no 16-bit PNG"):
        image_files.read_label_values(flat, 0)
    deep.write_bytes(deep.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"deep\.png cannot be read"):
        image_files.read_label_values(deep, 0)
    with pytest.raises(DataError, match=r"1 x cannot be read: .*deep\.png"):
        image_files.check_labels([deep], "x", channel=0)


def test_files_in_memory(tmp_path, write_image):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = write_image(tmp_path / "label.png", label).read_bytes()
    name = tmp_path / "record 0"
    np.testing.assert_array_equal(image_files.read_label_values(name, content=content), label)
    np.testing.assert_array_equal(image_files.read_image(name, content)[..., 0], label)
    with pytest.raises(DataError, match="record 0 cannot be read"):
        image_files.read_image(name, content[:20])


def _pillow(path, *mode):
    with Image.open(path) as image:
        return np.asarray(image.convert(*mode) if mode else image)


@settings(deadline=None, max_examples=20)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
    transparent=st.booleans(),
    level=st.sampled_from([0, 1, 9]),
)
def test_pngs_are_what_pillow_reads(tmp_path_factory, height, width, seed, transparent, level):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path = tmp_path_factory.mktemp("png") / "a.png"
    options = {"compress_level": level, "gamma": 0.9}
    if transparent:
        options["transparency"] = tuple(pixels[0, 0].tolist())
    Image.fromarray(pixels).save(path, **options)
    np.testing.assert_array_equal(image_files.read_image(path), pixels)
    options.pop("transparency", None)
    Image.fromarray(pixels[..., 0]).save(path, **options)
    for found in (
        image_files.read_label_values(path),
        image_files.read_label_values(path, content=path.read_bytes()),
    ):
        np.testing.assert_array_equal(found, pixels[..., 0])
        assert found.dtype == np.uint8
    np.testing.assert_array_equal(image_files.read_image(path), _pillow(path, "RGB"))


def test_a_png_whose_bytes_changed_is_an_error_or_what_pillow_reads(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_NOISE[:8, :8]).save(path)
    content = path.read_bytes()
    wrong = 0
    for place in range(33, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found = image_files.read_image(path)
        except DataError as error:
            assert "a.png cannot be read" in str(error)
            wrong += 1
            continue
        np.testing.assert_array_equal(found, _pillow(path, "RGB"))
    assert wrong > len(content) / 2
