import concurrent.futures
import json

import numpy as np
import pytest

from labor_jax import data
from labor_jax.data.base import DataError
from labor_jax.data.driving import CITYSCAPES, GTAV, SYNTHIA, builders, official, records
from labor_jax.data.driving.acdc import acdc
from tests.driving import assert_same_split


def test_pairs_read_built_copies(driving, tmp_path):
    plain = data.load_pair("synthia", driving.config)
    config = driving.config
    config.source_root = str(builders.build("synthia", driving.root / "SYNTHIA", tmp_path / "tfds"))
    config.target_root = str(
        builders.build("cityscapes", driving.root / "Cityscapes", tmp_path / "tfds")
    )
    config.root = ""
    config.cache_bytes = 10_000
    built = data.load_pair("synthia", config)
    for role in ("source", "pool", "evaluation"):
        assert_same_split(getattr(built, role), getattr(plain, role))
    config.cache_bytes = 0
    config.skip = ("0000001",)
    source = data.load_pair("synthia", config).source
    assert (source.names, source.left_out) == (("0000000", "0000002"), ("0000001",))
    np.testing.assert_array_equal(source.label(1), plain.source.label(2))


def test_a_built_acdc_gives_the_conditions_asked_for(driving, tmp_path):
    folder = builders.build("acdc", driving.root / "ACDC", tmp_path / "tfds")
    for split in ("train", "validation"):
        night = acdc(["night"])
        plain = official.read_split(night, split, driving.root / "ACDC")
        assert_same_split(records.read_split(night, split, folder), plain)
    with pytest.raises(DataError, match=r"no image of the train split is one of .*'rain/train/"):
        records.read_split(acdc(["rain"]), "train", folder)


def test_threads_read_the_same(driving, tmp_path):
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path)
    split = records.read_split(GTAV, "train", folder, verify="full")
    expected = [split.image(i) for i in range(3)]
    again = records.read_split(GTAV, "train", folder)
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        for i, image in enumerate(executor.map(lambda i: again.image(i % 3), range(60))):
            np.testing.assert_array_equal(image, expected[i % 3])


def test_a_folder_that_holds_something_else(driving, tmp_path):
    with pytest.raises(DataError, match=r"holds no data set with a train split.*build_dataset"):
        records.read_split(GTAV, "train", tmp_path)
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path)
    with pytest.raises(DataError, match=r"holds gtav with 3 records .* expected synthia"):
        records.read_split(SYNTHIA, "train", folder)
    with pytest.raises(DataError, match="no data set with a validation split"):
        records.read_split(CITYSCAPES, "validation", folder)


def test_metadata_that_does_not_belong(driving, tmp_path):
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["train"]["names"].reverse()
    (folder / "metadata.json").write_text(json.dumps(metadata))
    split = records.read_split(GTAV, "train", folder)
    with pytest.raises(DataError, match=r"record 0 \(00003\) is '00001'.*Build"):
        split.label(0)
