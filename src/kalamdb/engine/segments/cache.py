"""A bounded cache of what was read and decoded, the least recently used going first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Values by key, together of at most `bytes_max` bytes. Safe for threads.

    The size of a value is told when it is put. One that alone is larger than the bound is not kept.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size_bytes(self) -> int:
        """What all values have together."""
        with self._lock:
            return self._bytes

    def get(self, key: Hashable) -> Value | None:
        """The value, which becomes the most recently used; None where there is none."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value of `size` bytes, in the place of the one before."""
        with self._lock:
            self._remove(key)
            if size > self._bytes_max:
                return
            self._held[key] = (value, size)
            self._bytes += size
            while self._bytes > self._bytes_max:
                self._remove(next(iter(self._held)))

    def get_or_load(self, key: Hashable, load: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value, loaded where it is not there. Threads that miss at once each load it: none waits for another."""
        value = self.get(key)
        if value is None:
            value = load()
            self.put(key, value, size(value))
        return value

    def drop(self, condition: Callable[[Hashable], bool]) -> None:
        """Forget the values whose keys meet a condition, as those of a segment that is gone."""
        with self._lock:
            for key in [key for key in self._held if condition(key)]:
                self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _remove(self, key: Hashable) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= found[1]
