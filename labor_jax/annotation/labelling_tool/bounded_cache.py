"""A cache that keeps the values that were used last."""

import collections
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class BoundedCache(Generic[_Key, _Value]):
    """Keeps values by key, up to a number of bytes. Threads may share it."""

    def __init__(self, max_bytes: int, size: Callable[[_Value], int]):
        """Starts empty.

        Args:
          max_bytes: The most bytes of all values. Above them, the least recently used ones are
            dropped; the last one is kept, however large it is.
          size: The bytes of a value.
        """
        self._max_bytes = max_bytes
        self._size = size
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[_Key, _Value] = collections.OrderedDict()
        self._sizes: dict[_Key, int] = {}
        self._bytes = 0

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
        size = self._size(value)
        with self._lock:
            if key not in self._values or replaces(self._values[key]):
                self._values[key] = value
                self._bytes += size - self._sizes.get(key, 0)
                self._sizes[key] = size
            self._values.move_to_end(key)
            while self._bytes > self._max_bytes and len(self._values) > 1:
                dropped, _ = self._values.popitem(last=False)
                self._bytes -= self._sizes.pop(dropped)

    def get_or_compute(self, key: _Key, compute: Callable[[_Key], _Value]) -> _Value:
        """The value of a key, computed if it is missing; threads may compute it twice at once."""
        value = self.get(key)
        if value is None:
            value = compute(key)
            self.put(key, value)
        return value
