import collections
import concurrent.futures
import math
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data import cache, class_balance, domains, folders, tfds_builders
from labor_jax.data.base import DataError
from tests.driving import write


def drawn(presence, count, seed=0):
    order = class_balance.BalancedOrder(np.asarray(presence, bool), seed)
    return [order(i) for i in range(count)]


def published(presence, seed, count):
    """The published way, draw by draw, on the same random numbers."""
    num_classes = presence.shape[1]
    walks, shuffles, images = [[]] * num_classes, [0] * num_classes, []
    for number in range(count):
        if number % 3000 == 0:
            uniform = np.random.default_rng((seed, 2, number // 3000)).random(3000)
            held = [0] * num_classes
        shares = [each / max(1, sum(held)) for each in held]
        weights = [1 / math.log(1.01 + share) for share in shares]
        left = uniform[number % 3000] * sum(weights)
        chosen = 0
        while chosen < num_classes - 1 and left >= weights[chosen]:
            left -= weights[chosen]
            chosen += 1
        if not walks[chosen]:
            generator = np.random.default_rng((seed, 3, chosen, shuffles[chosen]))
            walks[chosen] = generator.permutation(np.flatnonzero(presence[:, chosen])).tolist()
            shuffles[chosen] += 1
        images.append(walks[chosen].pop(0))
        held = [
            each + held_here for each, held_here in zip(held, presence[images[-1]], strict=True)
        ]
    return images


def test_draws_are_the_published_ones_also_after_the_shares_start_anew():
    rng = np.random.default_rng(0)
    presence = rng.random((40, 5)) < (0.9, 0.5, 0.2, 0.1, 0.05)
    presence[:5] |= np.eye(5, dtype=bool)
    assert drawn(presence, 3400, seed=3) == published(presence, 3, 3400)


@settings(deadline=None, max_examples=10)
@given(
    classes=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    seed=st.integers(0, 100),
)
def test_a_class_goes_through_its_images_before_it_repeats_one(classes, seed):
    images = drawn(np.eye(4)[classes], 100, seed)
    by_class = collections.defaultdict(list)
    for image in images:
        by_class[classes[image]].append(image)
    assert set(by_class) == set(classes)
    for number, walk in by_class.items():
        members = [i for i, each in enumerate(classes) if each == number]
        rounds = [walk[i : i + len(members)] for i in range(0, len(walk), len(members))]
        assert all(len(set(each)) == len(each) for each in rounds)
        assert sorted(rounds[0]) == members


def test_a_rare_class_is_drawn_as_often_as_the_formula_says():
    """Everything holds class 0, two of 200 images hold class 1 too."""
    presence = np.zeros((200, 2), bool)
    presence[:, 0] = presence[:2, 1] = True
    chance = 0.5
    for _ in range(100):  # to where chance and shares agree
        rare = chance + (1 - chance) * 0.01
        weights = [1 / math.log(1.01 + each / (1 + rare)) for each in (1, rare)]
        chance = weights[1] / sum(weights)
    found = np.mean(np.array(drawn(presence, 6000)) < 2)
    assert rare > 0.5  # 50 times as often as in the data
    np.testing.assert_allclose(found, rare, atol=0.02)


def test_a_class_that_no_image_holds_changes_nothing():
    presence = np.random.default_rng(0).random((20, 3)) < 0.5
    with_none = np.insert(presence, 1, False, axis=1)
    assert drawn(with_none, 200) == drawn(presence, 200)
    nothing_in_it = np.vstack([presence, np.zeros((1, 3), bool)])
    assert 20 not in drawn(nothing_in_it, 500)


def test_the_order_depends_on_seed_and_number_alone():
    presence = np.random.default_rng(0).random((30, 4)) < 0.4
    expected = drawn(presence, 6500)
    assert drawn(presence, 100, seed=1) != expected[:100]
    order = class_balance.BalancedOrder(presence, 0)
    numbers = np.random.default_rng(1).permutation(6500).tolist()
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        for number, image in zip(numbers, executor.map(order, numbers), strict=True):
            assert image == expected[number]


@pytest.mark.parametrize(
    ("presence", "message"),
    [
        (np.ones((3, 2)), r"presence must be bool\[images, classes\], got float64\[3, 2\]"),
        (np.ones(3, bool), r"got bool\[3\]"),
        (np.zeros((3, 2), bool), "no label holds a class"),
    ],
)
def test_impossible_presence(presence, message):
    with pytest.raises(ValueError, match=message):
        class_balance.BalancedOrder(presence, 0)


def expected_presence(split, num_classes):
    return np.array(
        [[(split.label(i) == c).any() for c in range(num_classes)] for i in range(len(split))]
    )


def test_presence_of_a_split_in_memory(array_split):
    rng = np.random.default_rng(0)
    labels = [rng.choice([0, 2, 255], (3, 4)).astype(np.uint8) for _ in range(5)]
    labels[0][:] = 255
    split = array_split([np.zeros((3, 4, 3), np.uint8)] * 5, labels)
    lengths = []

    def progress(items):
        lengths.append(len(items))
        return items

    found = class_balance.read_presence(split, 3, num_threads=2, progress=progress)
    assert found.dtype == bool and lengths == [5]
    np.testing.assert_array_equal(found, expected_presence(split, 3))


def count_reads(monkeypatch):
    """Counts the label files that folders decode."""
    reads, label = [], folders.FolderSplit.label
    monkeypatch.setattr(
        folders.FolderSplit, "label", lambda self, i: reads.append(i) or label(self, i)
    )
    return reads


def test_labels_are_read_once_until_one_changes(tree, tmp_path, monkeypatch):
    split = folders.load(tree.config).source
    expected = expected_presence(split, 3)
    reads = count_reads(monkeypatch)
    options = {"cache_folder": tmp_path / "kept"}
    for _ in range(2):
        found = class_balance.read_presence(split, 3, **options)
        np.testing.assert_array_equal(found, expected)
        assert len(reads) == 3
    shared = cache.cached({"source": split}, 10_000)["source"]
    class_balance.read_presence(shared, 3, **options)
    assert len(reads) == 3
    class_balance.read_presence(split, 2, **options)
    assert len(reads) == 6
    path = split.label_paths[1]
    write(path, np.full((6, 8), 1, np.uint8))
    os.utime(path, (1, 1))
    found = class_balance.read_presence(split, 3, **options)
    assert found[1].tolist() == [False, True, False] and len(reads) == 9
    assert {each.suffix for each in (tmp_path / "kept").iterdir()} == {".npz"}


def test_another_label_map_is_another_presence(tree, tmp_path):
    plain = folders.load(tree.config).source
    tree.config.source.label_map = "0:1, 1:0, 2:255"
    mapped = folders.load(tree.config).source
    for split in (plain, mapped):
        np.testing.assert_array_equal(
            class_balance.read_presence(split, 3, cache_folder=tmp_path),
            expected_presence(split, 3),
        )


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_cache_is_told_and_read_anew(tree, tmp_path, monkeypatch, caplog, content):
    split = folders.load(tree.config).source
    kept = tmp_path / "kept"
    first = class_balance.read_presence(split, 3, cache_folder=kept)
    (path,) = kept.iterdir()
    if content is None:  # a whole file of something else
        np.savez(path, presence=np.zeros((2, 3), bool))
    else:
        path.write_bytes(content)
    reads = count_reads(monkeypatch)
    for _ in range(2):
        np.testing.assert_array_equal(
            class_balance.read_presence(split, 3, cache_folder=kept), first
        )
    assert f"{path} cannot be read" in caplog.text and len(reads) == 3


def test_a_cache_that_cannot_be_written_is_told(tree, tmp_path, caplog):
    (tmp_path / "file").touch()
    split = folders.load(tree.config).source
    found = class_balance.read_presence(split, 3, cache_folder=tmp_path / "file")
    np.testing.assert_array_equal(found, expected_presence(split, 3))
    assert "config.data.cache_folder names another folder" in caplog.text


def test_the_default_folder(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    class_balance.read_presence(folders.load(tree.config).source, 3)
    assert len(list((tmp_path / "xdg" / "labor_jax").iterdir())) == 1


def test_built_data_sets_are_kept_too(driving, tmp_path):
    folder = tfds_builders.build("gtav", driving.root / "GTAV", tmp_path / "tfds")
    kept = tmp_path / "kept"
    for skip, count in (((), 1), ((), 1), (("00001",), 2)):
        split = tfds_builders.read_part(domains.GTAV, "train", folder, skip=skip)
        found = class_balance.read_presence(split, 19, cache_folder=kept)
        np.testing.assert_array_equal(found, expected_presence(split, 19))
        assert len(list(kept.iterdir())) == count
    shutil.rmtree(kept)


def test_an_unreadable_label_is_an_error(tree, tmp_path):
    split = folders.load(tree.config).source
    write(split.label_paths[2], np.full((6, 8), 9, np.uint8))
    with pytest.raises(DataError, match=r"source_2\.png: label value 9"):
        class_balance.read_presence(split, 3, cache_folder=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
