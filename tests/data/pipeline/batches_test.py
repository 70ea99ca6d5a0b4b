import gc
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from labor_jax.data import BatchSpec, pipeline
from labor_jax.data.base import DataError
from labor_jax.data.pairs import folders as folders_pair
from tests.data import numbered
from tests.data.numbered import train


def test_close_and_dropping_stop_the_threads(array_split):
    gc.collect()
    before = _wait_for_threads(0)
    batches = train(array_split(*numbered.images(4)))
    next(batches)
    assert _reader_threads() > before
    batches.close()
    batches.close()
    assert _wait_for_threads(before) == before
    assert list(batches) == []
    batches = train(array_split(*numbered.images(4)))
    next(batches)
    del batches
    gc.collect()
    assert _wait_for_threads(before) == before


def test_reading_ahead_is_bounded(array_split):
    split = array_split(*numbered.images(4))
    with train(split, batch_size=2, num_threads=2) as batches:
        next(batches)
        time.sleep(0.2)
        # One batch taken, two ahead.
        assert split.image_reads.sum() <= 2 + 2 * 2


def test_a_process_ends_with_an_iterator_open():
    code = """
        import numpy as np
        from labor_jax.data import BatchSpec, TrainingImages, training_batches

        class Split:
            names = ("a", "b")
            def __len__(self): return 2
            def size(self, i): return (4, 4)
            def image(self, i): return np.zeros((4, 4, 3), np.uint8)

        batches = training_batches(TrainingImages(Split(), None), BatchSpec(2), seed=0)
        next(batches)
        print("done")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"


def test_a_split_may_be_read_by_several_iterators_at_once(array_split):
    split = array_split(*numbered.images(6))
    with train(split) as first, train(split) as second:
        for _ in range(5):
            numbered.assert_same(next(first), next(second))


@pytest.mark.parametrize("kind", [DataError, KeyError])
def test_an_error_in_a_thread_reaches_the_consumer_with_the_name(array_split, kind):
    split = array_split(*numbered.images(4))

    def label(i):
        if i == 2:
            raise kind("broken")
        return split.labels[i]

    batches = train(split, labels=label, batch_size=2)
    with pytest.raises(kind, match="broken") as error:
        for _ in range(3):
            next(batches)
    assert "image_2" in "".join(error.value.__notes__)
    assert list(batches) == []  # closed


def test_a_file_that_is_cut_off_is_named(tree):
    pair = folders_pair.load(tree.config)
    path = pair.pool.image_paths[1]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"drive/pool_1\.png cannot be read"):
        next(train(pair.pool))
    with pytest.raises(DataError, match=r"drive/pool_1\.png cannot be read"):
        next(pipeline.inference_batches(pair.pool, BatchSpec(2), with_labels=False))


def _reader_threads():
    return sum(thread.name.startswith("grain-prefetch") for thread in threading.enumerate())


def _wait_for_threads(count):
    deadline = time.monotonic() + 10
    while _reader_threads() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return _reader_threads()
