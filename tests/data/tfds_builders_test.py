import concurrent.futures
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from labor_jax import data
from labor_jax.data import base, cityscapes, domains, tfds_builders
from labor_jax.data.base import DataError


def _assert_same(built, plain):
    assert isinstance(built, base.Split)
    assert built.names == plain.names
    assert len(built) == len(plain)
    for i in range(len(plain)):
        assert built.size(i) == plain.size(i)
        np.testing.assert_array_equal(built.image(i), plain.image(i))
        np.testing.assert_array_equal(built.label(i), plain.label(i))
        assert built.label(i).dtype == np.uint8


@pytest.mark.parametrize("name", domains.DOMAINS)
def test_a_built_data_set_is_the_plain_folder(driving, tmp_path, name):
    domain = domains.DOMAINS[name]
    folder = tfds_builders.build(name, driving.root / domain.folder, tmp_path / "tfds")
    assert folder == tmp_path / "tfds" / name / "1.0.0"
    for part in domain.parts:
        for classes in (domains.ALL_CLASSES, cityscapes.SYNTHIA_16):
            plain = domains.read_part(domain, part, driving.root / domain.folder, classes=classes)
            _assert_same(tfds_builders.read_part(domain, part, folder, classes=classes), plain)


def test_any_tfds_program_reads_it(driving, tmp_path):
    folder = tfds_builders.build("synthia", driving.root / "SYNTHIA", tmp_path / "tfds")
    plain = domains.read_part(domains.SYNTHIA, "train", driving.root / "SYNTHIA")
    source = tfds.builder_from_directory(folder).as_data_source("train")
    assert len(source) == 3
    for i, example in enumerate(source):
        assert example["name"].decode() == plain.names[i]
        np.testing.assert_array_equal(example["image"], plain.image(i))
        np.testing.assert_array_equal(example["label"][..., 0], plain.label(i))


def test_pairs_read_built_copies(driving, tmp_path):
    plain = data.load_pair("synthia", driving.config)
    config = driving.config
    config.source_root = str(
        tfds_builders.build("synthia", driving.root / "SYNTHIA", tmp_path / "tfds")
    )
    config.target_root = str(
        tfds_builders.build("cityscapes", driving.root / "Cityscapes", tmp_path / "tfds")
    )
    config.root = ""
    config.cache_bytes = 10_000
    built = data.load_pair("synthia", config)
    for role in ("source", "pool", "evaluation"):
        _assert_same(getattr(built, role), getattr(plain, role))
    config.cache_bytes = 0
    config.skip = ("0000001",)
    source = data.load_pair("synthia", config).source
    assert (source.names, source.left_out) == (("0000000", "0000002"), ("0000001",))
    np.testing.assert_array_equal(source.label(1), plain.source.label(2))


def test_a_built_acdc_gives_the_conditions_asked_for(driving, tmp_path):
    folder = tfds_builders.build("acdc", driving.root / "ACDC", tmp_path / "tfds")
    for part in ("train", "validation"):
        night = domains.acdc(["night"])
        plain = domains.read_part(night, part, driving.root / "ACDC")
        _assert_same(tfds_builders.read_part(night, part, folder), plain)
    with pytest.raises(DataError, match=r"no image of the train part is one of .*'rain/train/"):
        tfds_builders.read_part(domains.acdc(["rain"]), "train", folder)


def test_many_shards_keep_the_order(driving, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_builders, "_SHARD_BYTES", 300)
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path)
    assert len(list(folder.glob("gtav-train.array_record-*"))) > 1
    plain = domains.read_part(domains.GTAV, "train", driving.root / "GTAV")
    _assert_same(tfds_builders.read_part(domains.GTAV, "train", folder), plain)


def test_threads_read_the_same(driving, tmp_path):
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path)
    split = tfds_builders.read_part(domains.GTAV, "train", folder, verify="full")
    expected = [split.image(i) for i in range(3)]
    again = tfds_builders.read_part(domains.GTAV, "train", folder)
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        for i, image in enumerate(executor.map(lambda i: again.image(i % 3), range(60))):
            np.testing.assert_array_equal(image, expected[i % 3])


def test_building_again_keeps_what_is_there_and_says_so(driving, tmp_path, caplog):
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path)
    assert "already" not in caplog.text
    shutil.rmtree(driving.root / "GTAV")
    assert tfds_builders.build("gtav", tmp_path, tmp_path) == folder
    assert f"{folder} is built already" in caplog.text


def test_a_folder_that_holds_something_else(driving, tmp_path):
    with pytest.raises(DataError, match=r"holds no data set with a train part.*build_dataset"):
        tfds_builders.read_part(domains.GTAV, "train", tmp_path)
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path)
    with pytest.raises(DataError, match=r"holds gtav with 3 records .* expected synthia"):
        tfds_builders.read_part(domains.SYNTHIA, "train", folder)
    with pytest.raises(DataError, match="no data set with a validation part"):
        tfds_builders.read_part(domains.CITYSCAPES, "validation", folder)


def test_metadata_that_does_not_belong(driving, tmp_path):
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["train"]["names"].reverse()
    (folder / "metadata.json").write_text(json.dumps(metadata))
    split = tfds_builders.read_part(domains.GTAV, "train", folder)
    with pytest.raises(DataError, match=r"record 0 \(00003\) is '00001'.*Build"):
        split.label(0)


def test_a_missing_folder_is_told_as_for_plain_folders(tmp_path):
    with pytest.raises(DataError, match=r"leftImg8bit.*does not exist.*cityscapes-dataset\.com"):
        tfds_builders.build("cityscapes", tmp_path, tmp_path / "tfds")
    with pytest.raises(ValueError, match="unknown data set 'gta5'; valid: gtav"):
        tfds_builders.build("gta5", tmp_path)


def test_the_command_builds_without_tensorflow(driving, tmp_path):
    code = (
        "import sys; from labor_jax import build_dataset, command_line;"
        f"sys.argv = ['x', '--dataset=gtav', '--folder={driving.root / 'GTAV'}',"
        f" '--data_dir={tmp_path / 'tfds'}'];"
        "status = command_line.run(build_dataset.main);"
        "print('tensorflow' in sys.modules); sys.exit(status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [str(tmp_path / "tfds" / "gtav" / "1.0.0"), "False"]
