import concurrent.futures

import numpy as np
import pytest

from labor_jax.data import cache


def _arrays(count):
    images = [np.full((4, 5, 3), i, np.uint8) for i in range(count)]
    labels = [np.full((4, 5), i, np.uint8) for i in range(count)]
    return images, labels


def test_reads_once_and_returns_the_same(array_split):
    split = array_split(*_arrays(3))
    cached = cache.CachedSplit(split, cache.MemoryCache(10_000))
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached.image(i), split.images[i])
            np.testing.assert_array_equal(cached.label(i), split.labels[i])
    assert split.image_reads.tolist() == split.label_reads.tolist() == [1, 1, 1]
    assert cached.names == split.names
    assert len(cached) == 3
    assert cached.size(1) == (4, 5)


def test_keeps_the_first_that_fit_and_never_more(array_split):
    split = array_split(*_arrays(4))
    cached = cache.CachedSplit(split, cache.MemoryCache(2 * 60 + 59))
    for _ in range(3):
        for i in range(4):
            cached.image(i)
    assert split.image_reads.tolist() == [1, 1, 3, 3]


def test_splits_share_a_cache_without_mixing(array_split):
    memory = cache.MemoryCache(10_000)
    a = cache.CachedSplit(array_split(*_arrays(2)), memory)
    b = cache.CachedSplit(array_split([np.full((1, 1, 3), 9, np.uint8)]), memory)
    assert a.image(0).shape == (4, 5, 3)
    assert b.image(0)[0, 0, 0] == 9


def test_a_cached_array_cannot_be_changed_but_its_origin_can(array_split):
    split = array_split(*_arrays(1))
    image = cache.CachedSplit(split, cache.MemoryCache(1000)).image(0)
    with pytest.raises(ValueError, match="read-only"):
        image[:] = 1
    assert split.images[0].flags.writeable


def test_many_threads(array_split):
    split = array_split(*_arrays(20))
    cached = cache.CachedSplit(split, cache.MemoryCache(10 * 60))
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        values = list(executor.map(lambda i: cached.image(i % 20)[0, 0, 0], range(400)))
    assert values == [i % 20 for i in range(400)]


def test_negative_size():
    with pytest.raises(ValueError, match=r"0 \(no cache\) or more, got -1"):
        cache.MemoryCache(-1)
