"""Identifiers that sort by time: Snowflake, UUIDv7, ULID; one, and many.

The functions give those of the process, the classes those of a generator of one's own.
"""

from typing import Self, final, overload

import numpy as np
import pyarrow as pa

from kalamcore.system import Clock, RandomSource

@overload
def snowflake_id(count: None = None) -> int:
    """One Snowflake id, or an int64 array of `count` of them: 41 bits of milliseconds since 2024-01-01Z, 10
    of worker id (0 here), 12 of sequence. Raises ValueError for a negative count.

    A forked child has the same worker id as its parent: across processes, use databases with a `worker_id`
    each.
    """

@overload
def snowflake_id(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]: ...
@overload
def uuid7(count: None = None) -> str:
    """One UUID of version 7 (RFC 9562), 36 characters in lower case, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (59 million).
    """

@overload
def uuid7(count: int) -> pa.StringArray: ...
@overload
def ulid(count: None = None) -> str:
    """One ULID, 26 characters of Crockford base 32, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (82 million).
    """

@overload
def ulid(count: int) -> pa.StringArray: ...

@final
class Snowflakes:
    """A generator of Snowflake ids: 41 bits of milliseconds since 2024-01-01Z, 10 of worker id, 12 of sequence.

    Strictly increasing over all threads, whatever the clock does: the generator runs ahead of a clock that is
    slow, stopped or set back, up to `ahead_ms_max`, then waits for it.
    """
    def __new__(
        cls, worker_id: int = 0, *, after: int = 0, clock: Clock | None = None, ahead_ms_max: int = 10_000
    ) -> Self: ...
    def one(self) -> int: ...
    def many(self, count: int) -> bytearray:
        """`count` ids as little-endian int64 (for numpy.frombuffer)."""
    @property
    def last(self) -> int: ...

@final
class UuidsV7:
    """RFC 9562 version 7, lower case, 36 characters, strictly increasing over all threads."""
    def __new__(cls, *, clock: Clock | None = None, random: RandomSource | None = None) -> Self: ...
    def one(self) -> str: ...
    def many(self, count: int) -> bytearray:
        """`count` ids of 36 ASCII characters each, one after the other."""

@final
class Ulids:
    """ULID, 26 characters of Crockford base 32, monotonic within a millisecond (carry, then wait)."""
    def __new__(cls, *, clock: Clock | None = None, random: RandomSource | None = None) -> Self: ...
    def one(self) -> str: ...
    def many(self, count: int) -> bytearray:
        """`count` ids of 26 ASCII characters each, one after the other."""
