import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from labor_jax.data.base import DataError
from labor_jax.data.driving import DATASETS, GTAV, SYNTHIA, builders, official, records
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.synthia import TRAIN_IDS_16
from labor_jax.output_files import OutputError
from tests import fork_server
from tests.driving import assert_same_split


@pytest.mark.parametrize("name", DATASETS)
def test_a_built_data_set_is_the_plain_folder(driving, tmp_path, name):
    dataset = DATASETS[name]
    source = driving.root / dataset.folder
    folder = builders.build(name, source, tmp_path / "tfds")
    assert folder == tmp_path / "tfds" / name / "1.0.0"
    for split in dataset.splits:
        for classes in (ALL_TRAIN_IDS, TRAIN_IDS_16):
            plain = official.read_split(dataset, split, source, classes=classes)
            assert_same_split(records.read_split(dataset, split, folder, classes=classes), plain)


def test_any_tfds_program_reads_it(driving, tmp_path):
    folder = builders.build("synthia", driving.root / "SYNTHIA", tmp_path / "tfds")
    plain = official.read_split(SYNTHIA, "train", driving.root / "SYNTHIA")
    source = tfds.builder_from_directory(folder).as_data_source("train")
    assert len(source) == 3
    for i, example in enumerate(source):
        assert example["name"].decode() == plain.names[i]
        np.testing.assert_array_equal(example["image"], plain.image(i))
        np.testing.assert_array_equal(example["label"][..., 0], plain.label(i))


@pytest.mark.parametrize("name", ["nope", "file"])
def test_a_folder_that_is_none_is_told_first(name, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"There is no folder {tmp_path}/{name}. .*gtav's official"):
        builders.build("gtav", tmp_path / name, tmp_path / "tfds")
    assert not capsys.readouterr().out
    assert not (tmp_path / "tfds").exists()


def test_many_shards_keep_the_order(driving, tmp_path, monkeypatch):
    monkeypatch.setattr(builders, "_SHARD_BYTES", 300)
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path)
    assert len(list(folder.glob("gtav-train.array_record-*"))) > 1
    plain = official.read_split(GTAV, "train", driving.root / "GTAV")
    assert_same_split(records.read_split(GTAV, "train", folder), plain)


def test_building_again_keeps_what_is_there_and_says_so(driving, tmp_path, caplog):
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path)
    assert "already" not in caplog.text
    shutil.rmtree(driving.root / "GTAV")
    assert builders.build("gtav", tmp_path, tmp_path) == folder
    assert f"{folder} is built already" in caplog.text


def test_files_of_others_are_not_taken_for_a_built_data_set(driving, tmp_path):
    mine = tmp_path / "gtav" / "1.0.0" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(OutputError, match="is no whole data set"):
        builders.build("gtav", driving.root / "GTAV", tmp_path)
    assert mine.read_text() == "mine"


def test_a_missing_folder_is_told_as_for_plain_folders(tmp_path):
    with pytest.raises(DataError, match=r"leftImg8bit.*does not exist.*cityscapes-dataset\.com"):
        builders.build("cityscapes", tmp_path, tmp_path / "tfds")
    with pytest.raises(ValueError, match="unknown data set 'gta5'; valid: gtav"):
        builders.build("gta5", tmp_path)


def test_the_command_builds_without_tensorflow(driving, tmp_path):
    code = (
        "import sys; from labor_jax import build_dataset, command_line;"
        f"sys.argv = ['x', '--dataset=gtav', '--folder={driving.root / 'GTAV'}',"
        f" '--data_dir={tmp_path / 'tfds'}'];"
        "status = command_line.run(build_dataset.main);"
        "print('tensorflow' in sys.modules); sys.exit(status)"
    )
    result = fork_server.run(["-c", code])
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [str(tmp_path / "tfds" / "gtav" / "1.0.0"), "False"]
