import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding

_NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def _truncate(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for mode in ("L", "P", "LA", "RGBA", "1"):
        path = tmp_path / f"{mode}.png"
        Image.fromarray(grey).convert(mode).save(path)
        checks.check_images([path], "x")
        image = decoding.read_image(path)
        assert image.shape == (3, 4, 3)
        assert image.dtype == np.uint8


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
    assert [header.size for header in checks.check_labels(paths, "x")] == [(2, 2)] * 3
    np.testing.assert_array_equal(decoding.read_label_values(paths[0]), values)
    np.testing.assert_array_equal(decoding.read_label_values(paths[1]), values * 100.0)
    np.testing.assert_array_equal(decoding.read_label_values(paths[2]), values)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_channel_of_a_16_bit_png_is_read_in_full(tmp_path, write_deep_png, channels):
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), np.uint16)
    path = write_deep_png(tmp_path / "label.png", values)
    assert checks.check_labels([path], "x", channel=0)[0].size == (5, 7)
    for channel in range(channels):
        read = decoding.read_label_values(path, channel)
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, values[..., channel])
    with pytest.raises(DataError, match=rf"label\.png has {channels} channels; number {channels}"):
        decoding.read_label_values(path, channels)


def test_files_in_memory(tmp_path, write_image):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = write_image(tmp_path / "label.png", label).read_bytes()
    name = tmp_path / "record 0"
    np.testing.assert_array_equal(decoding.read_label_values(name, content=content), label)
    np.testing.assert_array_equal(decoding.read_image(name, content)[..., 0], label)
    with pytest.raises(DataError, match="record 0 cannot be read"):
        decoding.read_image(name, content[:20])


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
    np.testing.assert_array_equal(decoding.read_image(path), pixels)
    options.pop("transparency", None)
    Image.fromarray(pixels[..., 0]).save(path, **options)
    for found in (
        decoding.read_label_values(path),
        decoding.read_label_values(path, content=path.read_bytes()),
    ):
        np.testing.assert_array_equal(found, pixels[..., 0])
        assert found.dtype == np.uint8
    np.testing.assert_array_equal(decoding.read_image(path), _pillow(path, "RGB"))


def test_a_png_whose_bytes_changed_is_an_error_or_what_pillow_reads(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_NOISE[:8, :8]).save(path)
    content = path.read_bytes()
    wrong = 0
    for place in range(33, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found = decoding.read_image(path)
        except DataError as error:
            assert "a.png cannot be read" in str(error)
            wrong += 1
            continue
        np.testing.assert_array_equal(found, _pillow(path, "RGB"))
    assert wrong > len(content) / 2
