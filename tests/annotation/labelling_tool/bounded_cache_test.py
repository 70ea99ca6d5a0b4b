"""The cache of items, labels and images."""

import gc
import weakref

import numpy as np

from labor_jax.annotation import LabelStore
from labor_jax.annotation.labelling_tool.bounded_cache import BoundedCache
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from tests.annotation.examples import CLASSES, query_of


def test_the_least_recently_used_value_is_dropped():
    cache = BoundedCache(2, lambda value: 1)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_values_have_their_sizes_and_the_last_one_is_kept():
    cache = BoundedCache(10, len)
    for key in "abc":
        cache.put(key, key * 3)
    cache.put("a", "a" * 4)
    assert [cache.get(key) for key in "abc"] == ["aaaa", "bbb", "ccc"]
    cache.put("b", "b" * 4)
    assert [cache.get(key) for key in "abc"] == [None, "bbbb", "ccc"]
    cache.put("d", "d" * 11)
    assert [cache.get(key) for key in "abcd"] == [None, None, None, "d" * 11]
    cache.put("e", "e" * 10)
    assert [cache.get(key) for key in "de"] == [None, "e" * 10]


def test_a_value_is_computed_once_and_replaced_only_where_it_may_be():
    cache, computed = BoundedCache(2, lambda value: 1), []

    def compute(key):
        computed.append(key)
        return 7

    assert [cache.get_or_compute("a", compute) for _ in range(3)] == [7, 7, 7]
    assert computed == ["a"]
    cache.put("a", 5, replaces=lambda present: present < 5)
    assert cache.get("a") == 7
    cache.put("a", 9, replaces=lambda present: present < 9)
    assert cache.get("a") == 9


def test_a_service_is_freed_with_its_last_reference(path):
    """No cycle of references keeps it until the garbage collector runs."""
    gc.disable()
    try:
        with LabelStore(path, classes=CLASSES) as store:
            store.open_round(1, ["a"])
            store.ask("a", 1, query_of((0, 0)))
            service = LabellingService(store)
            np.testing.assert_array_equal(service.reader.state(Item(1, "a")).remaining, 1)
            reader = weakref.ref(service.reader)
            del service
            assert reader() is None
    finally:
        gc.enable()
