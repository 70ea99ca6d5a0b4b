"""GTAV, SYNTHIA, Cityscapes, ACDC and BDD100K, tiny, as their archives unpack."""

import struct
import types
import zlib

import ml_collections
import numpy as np
from PIL import Image

from labor_jax.data import base
from labor_jax.data.driving import DATASETS
from labor_jax.data.driving.acdc import CONDITIONS


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def write_deep_png(path, array):
    """Writes uint16[H, W] or [H, W, channels] as a PNG of as many 16-bit channels."""
    height, width, channels = np.atleast_3d(array).shape
    rows = array.astype(">u2").reshape(height, -1)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
        + chunk(b"IEND", b"")
    )
    return path


_SIZE = (6, 8)


def _write_pair(image_path, label_path, values, rng, write_label=write):
    """Writes a pair in which each of `values` is somewhere; returns the label."""
    write(image_path, rng.integers(0, 256, (*_SIZE, 3), np.uint8))
    label = rng.permutation(np.resize(values, _SIZE[0] * _SIZE[1])).reshape(_SIZE)
    write_label(label_path, label)
    return label


def _write_palette(path, label):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label.astype(np.uint8)).convert("P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.save(path)


def assert_same_split(found, expected):
    """Two splits have the same names, images and labels."""
    assert isinstance(found, base.Split)
    assert found.names == expected.names
    assert len(found) == len(expected)
    for i in range(len(expected)):
        assert found.size(i) == expected.size(i)
        np.testing.assert_array_equal(found.image(i), expected.image(i))
        np.testing.assert_array_equal(found.label(i), expected.label(i))
        assert found.label(i).dtype == np.uint8


def driving_data(tmp_path):
    """Writes the data sets.

    Returns:
      `root`, their folder; `config`, a `config.data`; `values`, what the label files hold, by data
      set and name.
    """
    rng = np.random.default_rng(0)
    values = {name: {} for name in DATASETS}

    def write_bytes(path, label):
        write(path, label.astype(np.uint8))

    def write_channels(path, label):
        instances = rng.integers(0, 65536, label.shape)
        channels = (label, instances) if path.stem.endswith("1") else (label, instances, instances)
        write_deep_png(path, np.stack(channels, -1).astype(np.uint16))

    for i in range(1, 4):
        root, file = tmp_path / "GTAV", f"{i:05d}.png"
        values["gtav"][f"{i:05d}"] = _write_pair(
            root / "images" / file, root / "labels" / file, np.arange(35), rng, _write_palette
        )
    for i in range(3):
        root, file = tmp_path / "SYNTHIA" / "RAND_CITYSCAPES", f"{i:07d}.png"
        values["synthia"][f"{i:07d}"] = _write_pair(
            root / "RGB" / file, root / "GT" / "LABELS" / file, np.arange(23), rng, write_channels
        )
        _write_palette(root / "GT" / "COLOR" / file, np.zeros(_SIZE))
    for split, city in (("train", "aachen"), ("train", "zurich"), ("val", "lindau")):
        root, stem = tmp_path / "Cityscapes", f"{city}_000000_000019"
        values["cityscapes"][f"{city}/{stem}"] = _write_pair(
            root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png",
            root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png",
            np.arange(34),
            rng,
            write_bytes,
        )
        for other in ("color.png", "instanceIds.png"):
            _write_palette(
                root / "gtFine" / split / city / f"{stem}_gtFine_{other}", np.zeros(_SIZE)
            )
        (root / "gtFine" / split / city / f"{stem}_gtFine_polygons.json").touch()
    for condition in ("fog", "night"):
        for split, sequence in (("train", "GOPR0475"), ("val", "GOPR0476")):
            root, stem = tmp_path / "ACDC", f"{sequence}_frame_000041"
            values["acdc"][f"{condition}/{split}/{sequence}/{stem}"] = _write_pair(
                root / "rgb_anon" / condition / split / sequence / f"{stem}_rgb_anon.png",
                root / "gt" / condition / split / sequence / f"{stem}_gt_labelIds.png",
                np.arange(34),
                rng,
                write_bytes,
            )
            folder = root / "rgb_anon" / condition / f"{split}_ref" / sequence
            write(folder / f"{stem}_rgb_ref_anon.png", np.zeros((*_SIZE, 3), np.uint8))
            folder = root / "gt" / condition / split / sequence
            _write_palette(folder / f"{stem}_gt_labelTrainIds.png", np.zeros(_SIZE))
    for split, stem in (("train", "0004a4c0-d4dff0ad"), ("val", "7d06fefd-f7be05a6")):
        root = tmp_path / "BDD100K" / "bdd100k"
        values["bdd100k"][stem] = _write_pair(
            root / "images" / "10k" / split / f"{stem}.jpg",
            root / "labels" / "sem_seg" / "masks" / split / f"{stem}.png",
            np.append(np.arange(19), 255),
            rng,
            write_bytes,
        )
    config = ml_collections.ConfigDict(
        {
            "root": str(tmp_path),
            "source_root": "",
            "target_root": "",
            "target": "cityscapes",
            "acdc_conditions": CONDITIONS,
            "num_classes": 16,
            "skip": (),
            "source_size": None,
            "target_size": None,
            "evaluation_size": None,
            "cache_bytes": 0,
            "verify": "headers",
        }
    )
    return types.SimpleNamespace(root=tmp_path, config=config, values=values)
