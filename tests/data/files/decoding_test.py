import os
import struct
import types
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding
from tests import fork_server

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


def test_a_label_files_header_alone_tells_its_depth(tmp_path, write_image):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = write_image(tmp_path / "label.png", noise)
    with Image.open(path) as image:
        before, read = image.fp.tell(), []
        file = image.fp
        image.fp = types.SimpleNamespace(
            seek=file.seek, tell=file.tell, read=lambda *size: read.append(size) or file.read(*size)
        )
        assert decoding.label_fault(image, "auto") is None
        assert file.tell() == before and read == [(26,)]
        image.fp = file


def _write_deep_tiff(path, values):
    """Writes uint16[H, W, 3] as a plain TIFF, which Pillow can't."""
    height, width, _ = values.shape
    content = values.astype("<u2").tobytes()
    #       size                      bits (see the end) plain     RGB       first byte
    tags = [(256, width), (257, height), (258, 3, 134), (259, 1), (262, 2), (273, 140)]
    tags += [(277, 3), (278, height), (279, len(content)), (284, 1)]
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, *([1] if len(rest) == 1 else []), *rest)
        for tag, *rest in tags
    )
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<3H", 16, 16, 16) + content
    )
    return path


@pytest.mark.parametrize("coding", ["auto", "colours"])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_are_refused_unless_8_bits_hold_them(
    tmp_path, write_deep_png, coding, channels
):
    values = np.arange(5 * 7 * channels, dtype=np.uint16).reshape(5, 7, channels)
    if channels > 2 or coding == "colours":
        path = write_deep_png(tmp_path / "same.png", values * 257)
        checks.check_labels([path], "x", coding=coding)
        read = decoding.read_label_values(path, coding=coding)
        np.testing.assert_array_equal(read[..., 0], values[..., 0])
    paths = [write_deep_png(tmp_path / "low.png", values)]
    if channels == 3:
        paths.append(_write_deep_tiff(tmp_path / "low.tif", values))
    for path in paths:
        with pytest.raises(DataError, match=rf"{path.name} is no label map: it is in colours of 1"):
            decoding.read_label_values(path, coding=coding)
        with pytest.raises(DataError, match=r"1 x are in colours of 16 bits.*a PNG of that chann"):
            checks.check_labels([path], "x", coding=coding)


def test_an_image_of_half_the_largest_size_gives_no_warning(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (30000, 3000)).save(path)
    program = f"""
import pathlib
from labor_jax.data.files import decoding
print(decoding.image_size(pathlib.Path({str(path)!r})))
"""
    result = fork_server.run(["-c", program])
    assert (result.stdout, result.stderr) == ("(3000, 30000)\n", "")


def test_files_in_memory(tmp_path, write_image):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = write_image(tmp_path / "label.png", label).read_bytes()
    name = tmp_path / "record 0"
    np.testing.assert_array_equal(decoding.read_label_values(name, content=content), label)
    np.testing.assert_array_equal(decoding.read_image(name, content)[..., 0], label)
    with pytest.raises(DataError, match="record 0 cannot be read"):
        decoding.read_image(name, content[:20])


def _write_grey_png(path, values, bits):
    """Writes a grey PNG of less than 8 bits a pixel, which Pillow can't."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    height, width = values.shape
    expanded = (values[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(expanded.reshape(height, -1).astype(np.uint8), axis=1)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_labels_of_few_bits_are_the_numbers_that_they_hold(tmp_path, bits):
    values = (np.arange(21).reshape(3, 7) % 2**bits).astype(np.uint8)
    path = _write_grey_png(tmp_path / "a.png", values, bits)
    np.testing.assert_array_equal(decoding.read_label_values(path), values)
    np.testing.assert_array_equal(decoding.read_label_values(path, coding="auto"), values)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_tiffs_of_few_bits_are_the_numbers_that_they_hold(tmp_path, bits):
    values = (np.arange(24).reshape(3, 8) % 2**bits).astype(np.uint8)
    pixels = np.packbits(((values[..., None] >> np.arange(bits)[::-1]) & 1).ravel()).tobytes()
    # Width, height, bits, no compression, black is 0, offset, channels, rows of a strip, bytes.
    tags = {256: 8, 257: 3, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 3, 279: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path = tmp_path / "a.tif"
    path.write_bytes(
        b"II*\0"
        + struct.pack("<I", 8 + len(pixels))
        + pixels
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )
    np.testing.assert_array_equal(decoding.read_label_values(path), values)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_indices_of_few_bits(tmp_path, bits):
    values = (np.arange(21).reshape(3, 7) % 2**bits).astype(np.uint8)
    image = Image.fromarray(values).convert("P")
    image.putpalette([9, 8, 7] * 2**bits)
    image.save(tmp_path / "a.png", bits=bits)
    for coding in ("numbers", "auto"):
        np.testing.assert_array_equal(
            decoding.read_label_values(tmp_path / "a.png", coding=coding), values
        )


def test_colours_of_labels(tmp_path, write_image):
    pixels = _NOISE[:5, :7]
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    rgb, rgba = write_image(tmp_path / "rgb.png", pixels), write_image(tmp_path / "a.png", opaque)
    for coding in ("auto", "colours"):
        np.testing.assert_array_equal(decoding.read_label_values(rgb, coding=coding), pixels)
        np.testing.assert_array_equal(decoding.read_label_values(rgba, coding=coding), opaque)
    indexed = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    indexed.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    indexed.save(tmp_path / "p.png")
    colours = np.arange(1, 10).reshape(1, 3, 3)
    read = decoding.read_label_values
    np.testing.assert_array_equal(read(tmp_path / "p.png", coding="colours"), colours)
    np.testing.assert_array_equal(read(tmp_path / "p.png", coding="auto"), [[0, 1, 2]])
    indexed.save(tmp_path / "p.png", transparency=1)
    found = read(tmp_path / "p.png", coding="colours")
    np.testing.assert_array_equal(found[..., :3], colours)
    np.testing.assert_array_equal(found[..., 3], [[255, 0, 255]])
    grey = write_image(tmp_path / "l.png", np.array([[3, 200]], np.uint8))
    np.testing.assert_array_equal(read(grey, coding="colours"), [[(3, 3, 3), (200, 200, 200)]])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("a.webp", {}),
        ("a.webp", {"exif": b"Exif\0\0"}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)
def test_labels_compressed_with_loss_are_refused(tmp_path, write_image, name, options):
    path = write_image(tmp_path / name, _NOISE, **options)
    for coding in ("numbers", "auto", "colours"):
        with pytest.raises(DataError, match=rf"{name} is no label map: .* with loss .*as PNG"):
            decoding.read_label_values(path, coding=coding)
    with pytest.raises(DataError, match=rf"1 x were compressed with loss.*{name}.*as PNG"):
        checks.check_labels([path], "x", coding="auto")


def test_lossless_webp_labels_are_read(tmp_path, write_image):
    path = write_image(tmp_path / "a.webp", _NOISE, lossless=True)
    np.testing.assert_array_equal(decoding.read_label_values(path, coding="auto"), _NOISE)
    checks.check_labels([path], "x", coding="auto")


def test_a_pgm_of_another_largest_value_is_refused(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n2 1\n255\n\x01\x02")
    np.testing.assert_array_equal(decoding.read_label_values(path), [[1, 2]])
    path.write_bytes(b"P5\n2 1\n15\n\x01\x02")
    with pytest.raises(DataError, match=r"a\.pgm is no label map: .*largest value.*PNG"):
        decoding.read_label_values(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "a.png"
    os.mkfifo(path)
    for read in (decoding.read_image, decoding.read_label_values, decoding.image_size):
        with pytest.raises(DataError, match=r"a\.png cannot be read: it is no file"):
            read(path)
    with pytest.raises(DataError, match=r"a\.png cannot be read: it is no file"):
        checks.check_images([path], "x")


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
