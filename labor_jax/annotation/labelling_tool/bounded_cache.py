"""A cache that keeps the values that were used last."""

import collections
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class BoundedCache(Generic[_Key, _Value]):
    """Keeps up to `size` values, by key. Threads may share it."""

    def __init__(self, size: int):
        """Starts empty. Above `size` values, the least recently used one is dropped."""
        self._size = size
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[_Key, _Value] = collections.OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        """The value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(
        self,
        key: _Key,
        value: _Value,
        *,
        replaces: Callable[[_Value], bool] = lambda present: True,
    ) -> None:
        """Keeps a value, unless the key has a value that it does not replace."""
        with self._lock:
            if key not in self._values or replaces(self._values[key]):
                self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def get_or_compute(self, key: _Key, compute: Callable[[_Key], _Value]) -> _Value:
        """The value of a key, computed if it is missing; threads may compute it twice at once."""
        value = self.get(key)
        if value is None:
            value = compute(key)
            self.put(key, value)
        return value
