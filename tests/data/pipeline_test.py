import gc
import itertools
import subprocess
import sys
import textwrap
import threading
import time

import ml_collections
import numpy as np
import pytest

from labor_jax.data import folders, pipeline
from labor_jax.data.base import DataError

_AUGMENT = ml_collections.ConfigDict(
    {"flip": True, "scale": (0.5, 2.0), "crop": (6, 5), "brightness": 0.4, "hue": 0.1, "blur": 1.0}
)


def _images(count, size=(6, 8)):
    """Images whose red channel is their number; labels that are their number."""
    images = [np.full((*size, 3), i, np.uint8) for i in range(count)]
    labels = [np.full(size, i, np.uint8) for i in range(count)]
    return images, labels


def _numbers(batches, count):
    """Image numbers of the first `count` batches, int[count, B]."""
    return np.array([batch["image"][:, 0, 0, 0] for batch in itertools.islice(batches, count)])


def _train(split, **options):
    options = {"batch_size": 4, "size": None, "seed": 0, "num_threads": 2, **options}
    return pipeline.training_batches(split, split.label, **options)


def _assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_training_batches_have_the_promised_form(array_split):
    with _train(array_split(*_images(5)), size=(3, 4)) as batches:
        batch = next(batches)
    assert batch["image"].shape == (4, 3, 4, 3)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].shape == (4, 3, 4)
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][..., 0], batch["label"])


def test_each_epoch_holds_every_image_once_in_its_own_order(array_split):
    with _train(array_split(*_images(10)), batch_size=4) as batches:
        epochs = _numbers(batches, 10).reshape(4, 10)
    assert (np.sort(epochs, 1) == np.arange(10)).all()
    assert len(np.unique(epochs, axis=0)) == 4


def test_fewer_images_than_a_batch(array_split):
    with _train(array_split(*_images(3)), batch_size=8) as batches:
        numbers = _numbers(batches, 3).reshape(8, 3)
    assert (np.sort(numbers, 1) == np.arange(3)).all()
    with _train(array_split(*_images(1)), batch_size=2) as batches:
        assert _numbers(batches, 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("start", [1, 3, 7])
def test_starting_later_gives_the_same_batches(array_split, start):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(5)]
    labels = [image[..., 0] for image in images]
    options = {"batch_size": 3, "size": (8, 8), "augment": _AUGMENT, "seed": 5}
    with _train(array_split(images, labels), **options) as batches:
        whole = list(itertools.islice(batches, start + 3))
    with _train(array_split(images, labels), start=start, num_threads=1, **options) as batches:
        for expected in whole[start:]:
            _assert_same(next(batches), expected)
    assert any((whole[0]["image"] != batch["image"]).any() for batch in whole[1:])


def test_far_start(array_split):
    with _train(array_split(*_images(5)), start=10**9) as batches:
        assert _numbers(batches, 1).shape == (1, 4)


def test_seed_decides(array_split):
    orders = []
    for seed in (0, 0, 1):
        with _train(array_split(*_images(20)), seed=seed) as batches:
            orders.append(_numbers(batches, 5))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_processes_share_the_batches_of_one(array_split):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(7)]
    split = array_split(images, [image[..., 1] for image in images])
    options = {"batch_size": 4, "size": (8, 8), "augment": _AUGMENT, "start": 2}
    with _train(split, **options) as batches:
        whole = list(itertools.islice(batches, 4))
    parts = []
    for process in range(2):
        with _train(split, process_index=process, process_count=2, **options) as batches:
            parts.append(list(itertools.islice(batches, 4)))
    for expected, *shares in zip(whole, *parts, strict=True):
        assert all(len(share["image"]) == 2 for share in shares)
        _assert_same(
            {name: np.concatenate([share[name] for share in shares]) for name in expected}, expected
        )


_PRESENCE = np.eye(3, dtype=bool)[[0, 0, 0, 0, 0, 1, 2]]


def test_balanced_batches_hold_rare_classes_more_often(array_split):
    with _train(array_split(*_images(7)), presence=_PRESENCE) as batches:
        numbers = _numbers(batches, 75).ravel()
    shares = np.bincount(_PRESENCE.argmax(1)[numbers]) / len(numbers)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)
    # Each class goes through its own images.
    assert np.bincount(numbers[numbers < 5]).std() < 1


def test_balanced_batches_start_later_and_are_shared(array_split):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(7)]
    split = array_split(images, [image[..., 1] for image in images])
    options = {"batch_size": 4, "size": (8, 8), "augment": _AUGMENT, "presence": _PRESENCE}
    with _train(split, **options) as batches:
        whole = list(itertools.islice(batches, 6))
    parts = []
    for process in range(2):
        with _train(split, start=3, process_index=process, process_count=2, **options) as batches:
            parts.append(list(itertools.islice(batches, 3)))
    for expected, *shares in zip(whole[3:], *parts, strict=True):
        _assert_same(
            {name: np.concatenate([share[name] for share in shares]) for name in expected}, expected
        )


def test_without_labels_none_is_read(array_split):
    split = array_split(_images(3)[0])
    with pipeline.training_batches(
        split, None, batch_size=2, size=(4, 4), augment=_AUGMENT, seed=0
    ) as batches:
        for batch in itertools.islice(batches, 3):
            assert batch["label"].shape == (2, 6, 5)
            assert (batch["label"] == 255).all()
    assert split.label_reads.sum() == 0


def test_labels_come_from_the_given_function(array_split):
    split = array_split(_images(3)[0])
    with pipeline.training_batches(
        split, lambda i: np.full((6, 8), 10 + i, np.uint8), batch_size=3, size=None, seed=0
    ) as batches:
        batch = next(batches)
    np.testing.assert_array_equal(batch["label"], batch["image"][..., 0] + 10)


def test_sparse_labels_are_kept(array_split):
    label = np.full((64, 64), 255, np.uint8)
    label[10, 20] = 7
    split = array_split([np.zeros((64, 64, 3), np.uint8)], [label])
    with _train(split, batch_size=1, size=(8, 8), sparse_labels=True) as batches:
        assert (next(batches)["label"] == 7).sum() == 1
    with _train(split, batch_size=1, size=(8, 8)) as batches:
        assert (next(batches)["label"] == 7).sum() == 0


def test_images_of_several_sizes_need_a_size_or_a_crop(array_split):
    split = array_split(
        _images(1)[0] + _images(1, (4, 4))[0], _images(1)[1] + _images(1, (4, 4))[1]
    )
    with pytest.raises(ValueError, match="image_0 is 6x8, image_1 is 4x4"):
        _train(split)
    for options in ({"size": (5, 5)}, {"augment": {"crop": (5, 5)}}):
        with _train(split, **options) as batches:
            assert next(batches)["image"].shape == (4, 5, 5, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"size": (0, 3)}, "size must be"),
        ({"start": -1}, "start must be 0 or more"),
        ({"seed": -1}, "seed and start"),
        ({"num_threads": 0}, "num_threads must be 1 or more"),
        ({"process_count": 3}, "process_count must divide batch_size"),
        ({"process_index": 2, "process_count": 2}, "process 2 of 2"),
        ({"augment": {"crap": (3, 3)}}, "no field 'crap'"),
        ({"augment": {"scale": (0.5, 2.0)}}, "set augment.crop as well"),
        ({"presence": np.ones((2, 3), bool)}, "presence tells of 2 images, but the split holds 3"),
        ({"presence": np.zeros((3, 2), bool)}, "no label holds a class"),
    ],
)
def test_impossible_arguments(array_split, options, message):
    with pytest.raises(ValueError, match=message):
        _train(array_split(*_images(3)), **options)


def test_an_empty_split(array_split):
    with pytest.raises(ValueError, match="no images"):
        _train(array_split([], []))


@pytest.mark.parametrize("kind", [DataError, KeyError])
def test_an_error_in_a_thread_reaches_the_consumer_with_the_name(array_split, kind):
    split = array_split(*_images(4))

    def label(i):
        if i == 2:
            raise kind("broken")
        return split.labels[i]

    batches = pipeline.training_batches(split, label, batch_size=2, size=None, seed=0)
    with pytest.raises(kind, match="broken") as error:
        for _ in range(3):
            next(batches)
    assert "image_2" in "".join(error.value.__notes__)
    assert list(batches) == []  # closed


def test_a_file_that_is_cut_off_is_named(tree):
    pair = folders.load(tree.config)
    path = pair.pool.image_paths[1]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"drive/pool_1\.png cannot be read"):
        next(_train(pair.pool))
    with pytest.raises(DataError, match=r"drive/pool_1\.png cannot be read"):
        _infer(pair.pool, with_labels=False)


def _reader_threads():
    return sum(thread.name.startswith("grain-prefetch") for thread in threading.enumerate())


def _wait_for_threads(count):
    deadline = time.monotonic() + 10
    while _reader_threads() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return _reader_threads()


def test_close_and_dropping_stop_the_threads(array_split):
    gc.collect()
    before = _wait_for_threads(0)
    batches = _train(array_split(*_images(4)))
    next(batches)
    assert _reader_threads() > before
    batches.close()
    batches.close()
    assert _wait_for_threads(before) == before
    assert list(batches) == []
    batches = _train(array_split(*_images(4)))
    next(batches)
    del batches
    gc.collect()
    assert _wait_for_threads(before) == before


def test_reading_ahead_is_bounded(array_split):
    split = array_split(*_images(4))
    with _train(split, batch_size=2, num_threads=2) as batches:
        next(batches)
        time.sleep(0.2)
        # One batch taken, two ahead.
        assert split.image_reads.sum() <= 2 + 2 * 2


def test_a_process_ends_with_an_iterator_open():
    code = """
        import numpy as np
        from labor_jax.data import pipeline

        class Split:
            names = ("a", "b")
            def __len__(self): return 2
            def size(self, i): return (4, 4)
            def image(self, i): return np.zeros((4, 4, 3), np.uint8)

        batches = pipeline.training_batches(Split(), None, batch_size=2, size=None, seed=0)
        next(batches)
        print("done")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"


def _infer(split, **options):
    options = {"batch_size": 2, "size": None, "with_labels": True, "num_threads": 2, **options}
    return list(pipeline.inference_batches(split, **options))


def test_inference_visits_each_image_once_in_order(array_split):
    split = array_split(*_images(5))
    batches = _infer(split, size=(3, 4))
    assert [batch["index"].tolist() for batch in batches] == [[0, 1], [2, 3], [4, 4]]
    assert [batch["valid"].tolist() for batch in batches] == [[True] * 2, [True] * 2, [True, False]]
    for batch in batches:
        assert batch["image"].shape == (2, 3, 4, 3)
        assert batch["image"].dtype == np.uint8
        assert batch["label"].shape == (2, 6, 8)  # its own resolution
        assert batch["label"].dtype == np.int32
        assert batch["index"].dtype == np.int32
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["index"])
        valid = batch["valid"]
        np.testing.assert_array_equal(batch["label"][valid][:, 0, 0], batch["index"][valid])
    assert (batches[-1]["label"][1] == 255).all()
    assert split.image_reads.tolist() == [1] * 5  # a repetition is not read again


def test_inference_groups_by_label_size(array_split):
    small, large = _images(5, (4, 4)), _images(5, (6, 8))
    kinds = [small, large, large, small, small]
    split = array_split(
        [kind[0][i] for i, kind in enumerate(kinds)], [kind[1][i] for i, kind in enumerate(kinds)]
    )
    batches = _infer(split, size=(5, 5))
    assert [batch["index"].tolist() for batch in batches] == [[0, 3], [4, 4], [1, 2]]
    assert [batch["label"].shape[1:] for batch in batches] == [(4, 4), (4, 4), (6, 8)]
    native = _infer(split)
    assert [batch["image"].shape[1:3] for batch in native] == [(4, 4), (4, 4), (6, 8)]


def test_inference_without_labels_reads_none(array_split):
    split = array_split(_images(3)[0])
    batches = _infer(split, with_labels=False)
    assert all(set(batch) == {"index", "image", "valid"} for batch in batches)
    assert split.label_reads.sum() == 0


def test_inference_of_some_images(array_split):
    split = array_split(*_images(6))
    batches = _infer(split, indices=np.array([4, 1, 5]))
    assert [batch["index"].tolist() for batch in batches] == [[4, 1], [5, 5]]
    assert _infer(split, indices=[]) == []
    with pytest.raises(ValueError, match="indices must be 0 to 5, got 6"):
        _infer(split, indices=[6])


def test_inference_errors_name_the_image(array_split):
    split = array_split(_images(3)[0])
    with pytest.raises(AssertionError, match="without labels") as error:
        _infer(split)
    assert "image_0" in error.value.__notes__[0]


def test_a_split_may_be_read_by_several_iterators_at_once(array_split):
    split = array_split(*_images(6))
    with _train(split) as first, _train(split) as second:
        for _ in range(5):
            _assert_same(next(first), next(second))
