"""Identifiers that sort by time, one or many: Snowflake ids, UUIDs of version 7, ULIDs.

Each is strictly increasing within the process, over all of its threads. A database has a Snowflake generator
of its own, which also goes on after a restart; these are for code that needs an id without one. They are no
secrets: part of each is the time, and neighbours can be guessed.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kalamcore.ids import Snowflakes, Ulids, UuidsV7

_UUID_CHARACTERS, _ULID_CHARACTERS = 36, 26
# Arrow's string array counts its bytes in 32 bits.
_STRING_BYTES_MAX = 2**31 - 1


class _Generators:
    """The process's generators, each made when it is first asked for."""

    def __init__(self) -> None:
        self.making = threading.Lock()
        self.snowflakes: Snowflakes | None = None
        self.uuids: UuidsV7 | None = None
        self.ulids: Ulids | None = None


_generators = _Generators()


def _start_anew() -> None:
    """In a forked child: generators of its own, so that it does not repeat what its parent will give out."""
    global _generators
    _generators = _Generators()


os.register_at_fork(after_in_child=_start_anew)


def _snowflakes() -> Snowflakes:
    generators = _generators
    if (found := generators.snowflakes) is None:
        from kalamcore.ids import Snowflakes

        with generators.making:
            if (found := generators.snowflakes) is None:
                found = generators.snowflakes = Snowflakes()
    return found


def _uuids() -> UuidsV7:
    generators = _generators
    if (found := generators.uuids) is None:
        from kalamcore.ids import UuidsV7

        with generators.making:
            if (found := generators.uuids) is None:
                found = generators.uuids = UuidsV7()
    return found


def _ulids() -> Ulids:
    generators = _generators
    if (found := generators.ulids) is None:
        from kalamcore.ids import Ulids

        with generators.making:
            if (found := generators.ulids) is None:
                found = generators.ulids = Ulids()
    return found


@overload
def snowflake_id(count: None = None) -> int: ...
@overload
def snowflake_id(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]: ...
def snowflake_id(count: int | None = None) -> int | np.ndarray[tuple[int], np.dtype[np.int64]]:
    """One Snowflake id, or an int64 array of `count` of them: 41 bits of milliseconds since 2024-01-01Z, 10
    of worker id (0 here), 12 of sequence. Raises ValueError for a negative count.

    A forked child has the same worker id as its parent: across processes, use databases with a `worker_id`
    each.
    """
    if count is None:
        return _snowflakes().one()
    import numpy as np

    return np.frombuffer(_snowflakes().many(_counted(count)), np.dtype("<i8"))


@overload
def uuid7(count: None = None) -> str: ...
@overload
def uuid7(count: int) -> pa.StringArray: ...
def uuid7(count: int | None = None) -> str | pa.StringArray:
    """One UUID of version 7 (RFC 9562), 36 characters in lower case, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (59 million).
    """
    if count is None:
        return _uuids().one()
    return strings(_uuids().many(_counted(count, _UUID_CHARACTERS)), _UUID_CHARACTERS)


@overload
def ulid(count: None = None) -> str: ...
@overload
def ulid(count: int) -> pa.StringArray: ...
def ulid(count: int | None = None) -> str | pa.StringArray:
    """One ULID, 26 characters of Crockford base 32, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (82 million).
    """
    if count is None:
        return _ulids().one()
    return strings(_ulids().many(_counted(count, _ULID_CHARACTERS)), _ULID_CHARACTERS)


def strings(characters: bytes | bytearray, width: int) -> pa.StringArray:
    """Texts of `width` ASCII characters each, end to end, as an Arrow array over the same memory."""
    import numpy as np
    import pyarrow as pa

    count = len(characters) // width
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(characters))


def _counted(count: int, width: int = 1) -> int:
    if count < 0:
        raise ValueError(f"count must not be negative, and is {count}")
    if width > 1 and count > _STRING_BYTES_MAX // width:
        raise ValueError(f"count must not exceed {_STRING_BYTES_MAX // width}, and is {count}")
    return count
