"""A small data set of folders, and splits in memory."""

import types

import ml_collections
import numpy as np
import pytest
from ml_collections.config_dict import FieldReference

from labor_jax.data.base import DataError
from labor_jax.data.pairs import folders as folders_pair
from tests.driving import driving_data, write
from tests.driving import write_deep_png as _write_deep_png


@pytest.fixture
def write_image():
    """Writes an array as an image file and returns the path."""
    return write


@pytest.fixture
def write_deep_png():
    """Writes a uint16 array as a 16-bit PNG and returns the path."""
    return _write_deep_png


@pytest.fixture
def driving(tmp_path):
    """The data sets, see `driving_data`."""
    return driving_data(tmp_path)


@pytest.fixture
def tree(tmp_path):
    """Three roles of three 6x8 images with classes 0 to 2, their config, and `fails`."""
    rng = np.random.default_rng(0)
    for role in ("source", "pool", "evaluation"):
        for i in range(3):
            write(
                tmp_path / role / "images" / "drive" / f"{role}_{i}.png",
                rng.integers(0, 256, (6, 8, 3), np.uint8),
            )
            label = rng.integers(0, 3, (6, 8)).astype(np.uint8)
            label[0, 0] = 255
            write(tmp_path / role / "labels" / "drive" / f"{role}_{i}.png", label)
    config = ml_collections.ConfigDict(
        {
            "root": str(tmp_path),
            "source_size": None,
            "target_size": None,
            "evaluation_size": None,
            "cache_bytes": 0,
            "verify": "headers",
            "classes": FieldReference(("road", "car", "sky"), field_type=object),
            "palette": FieldReference((), field_type=object),
            "label_map": "",
            "label_coding": "auto",
            **{
                role: {
                    "images": f"{role}/images",
                    "labels": f"{role}/labels",
                    "pattern": ("*",),
                    "image_suffix": "",
                    "label_pattern": "{stem}.png",
                    "label_map": "",
                    "label_coding": "",
                    "classes": FieldReference((), field_type=object),
                }
                for role in ("source", "pool", "evaluation")
            },
        }
    )

    def fails(*parts):
        """Loading fails with a DataError that holds all parts."""
        with pytest.raises(DataError) as error:
            folders_pair.load(config)
        for part in parts:
            assert part in str(error.value)

    return types.SimpleNamespace(root=tmp_path, config=config, fails=fails)


class ArraySplit:
    """A split of arrays in memory that counts how often each image and label was read."""

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels
        self.names = tuple(f"image_{i}" for i in range(len(images)))
        self.image_reads = np.zeros(len(images), int)
        self.label_reads = np.zeros(len(images), int)

    def __len__(self):
        return len(self.names)

    def size(self, i):
        return self.images[i].shape[:2]

    def image(self, i):
        self.image_reads[i] += 1
        return self.images[i]

    def label(self, i):
        self.label_reads[i] += 1
        if self.labels is None:
            raise AssertionError("the label of a split without labels was read")
        return self.labels[i]


@pytest.fixture
def array_split():
    """Makes a split of arrays in memory; without labels, reading one fails."""
    return ArraySplit
