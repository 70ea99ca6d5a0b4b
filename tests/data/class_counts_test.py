import os
import shutil

import numpy as np
import pytest

from labor_jax.data import cache, class_counts, folders
from labor_jax.data.base import DataError
from labor_jax.data.driving import GTAV, builders, records
from labor_jax.data.pairs import folders as folders_pair
from tests.driving import write


def expected_counts(split, num_classes):
    return np.array(
        [[(split.label(i) == c).sum() for c in range(num_classes)] for i in range(len(split))]
    )


def test_counts_of_a_split_in_memory(array_split):
    rng = np.random.default_rng(0)
    labels = [rng.choice([0, 2, 255], (3, 4)).astype(np.uint8) for _ in range(5)]
    labels[0][:] = 255
    split = array_split([np.zeros((3, 4, 3), np.uint8)] * 5, labels)
    lengths = []

    def progress(items):
        lengths.append(len(items))
        return items

    found = class_counts.read_counts(split, 3, num_threads=2, progress=progress)
    assert found.dtype == np.int64 and lengths == [5]
    np.testing.assert_array_equal(found, expected_counts(split, 3))


def count_reads(monkeypatch):
    """Counts the label files that folders decode."""
    reads, label = [], folders.FolderSplit.label
    monkeypatch.setattr(
        folders.FolderSplit, "label", lambda self, i: reads.append(i) or label(self, i)
    )
    return reads


def test_labels_are_read_once_until_one_changes(tree, tmp_path, monkeypatch):
    split = folders_pair.load(tree.config).source
    expected = expected_counts(split, 3)
    reads = count_reads(monkeypatch)
    options = {"cache_folder": tmp_path / "kept"}
    for _ in range(2):
        found = class_counts.read_counts(split, 3, **options)
        np.testing.assert_array_equal(found, expected)
        assert len(reads) == 3
    shared = cache.cached({"source": split}, 10_000)["source"]
    class_counts.read_counts(shared, 3, **options)
    assert len(reads) == 3
    class_counts.read_counts(split, 2, **options)
    assert len(reads) == 6
    path = split.label_paths[1]
    write(path, np.full((6, 8), 1, np.uint8))
    os.utime(path, (1, 1))
    found = class_counts.read_counts(split, 3, **options)
    assert found[1].tolist() == [0, 48, 0] and len(reads) == 9
    assert {each.suffix for each in (tmp_path / "kept").iterdir()} == {".npz"}


def test_another_label_map_has_other_counts(tree, tmp_path):
    plain = folders_pair.load(tree.config).source
    tree.config.source.label_map = "0:1, 1:0, 2:255"
    mapped = folders_pair.load(tree.config).source
    for split in (plain, mapped):
        np.testing.assert_array_equal(
            class_counts.read_counts(split, 3, cache_folder=tmp_path),
            expected_counts(split, 3),
        )


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_cache_is_told_and_read_anew(tree, tmp_path, monkeypatch, caplog, content):
    split = folders_pair.load(tree.config).source
    kept = tmp_path / "kept"
    first = class_counts.read_counts(split, 3, cache_folder=kept)
    (path,) = kept.iterdir()
    if content is None:  # a whole file of something else
        np.savez(path, counts=np.zeros((2, 3), np.int64))
    else:
        path.write_bytes(content)
    reads = count_reads(monkeypatch)
    for _ in range(2):
        np.testing.assert_array_equal(class_counts.read_counts(split, 3, cache_folder=kept), first)
    assert f"{path} cannot be read" in caplog.text and len(reads) == 3


def test_a_cache_that_cannot_be_written_is_told(tree, tmp_path, caplog):
    (tmp_path / "file").touch()
    split = folders_pair.load(tree.config).source
    found = class_counts.read_counts(split, 3, cache_folder=tmp_path / "file")
    np.testing.assert_array_equal(found, expected_counts(split, 3))
    assert "config.data.cache_folder names another folder" in caplog.text


def test_the_default_folder(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    class_counts.read_counts(folders_pair.load(tree.config).source, 3)
    assert len(list((tmp_path / "xdg" / "labor_jax").iterdir())) == 1


def test_built_data_sets_are_kept_too(driving, tmp_path):
    folder = builders.build("gtav", driving.root / "GTAV", tmp_path / "tfds")
    kept = tmp_path / "kept"
    for skip, count in (((), 1), ((), 1), (("00001",), 2)):
        split = records.read_split(GTAV, "train", folder, skip=skip)
        found = class_counts.read_counts(split, 19, cache_folder=kept)
        np.testing.assert_array_equal(found, expected_counts(split, 19))
        assert len(list(kept.iterdir())) == count
    shutil.rmtree(kept)


def test_an_unreadable_label_is_an_error(tree, tmp_path):
    split = folders_pair.load(tree.config).source
    write(split.label_paths[2], np.full((6, 8), 9, np.uint8))
    with pytest.raises(DataError, match=r"source_2\.png: label value 9"):
        class_counts.read_counts(split, 3, cache_folder=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
