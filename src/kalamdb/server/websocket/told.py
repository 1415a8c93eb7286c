"""What one commit changed for one plan, as the messages that tell of it: made once, for all who listen by that plan."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.json_rows import JsonRows
from kalamdb.live import Part, parts_of
from kalamdb.server.websocket.server_frames import change_tail

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet
    from kalamdb.live import Plan
    from kalamdb.server.websocket.encoding import Encoding, Frame

LARGE_BYTES = 256 * 1024
"""A commit that changed more is not told in the event loop, but piece by piece by a thread; so is any for a plan whose
rows the core does not judge."""
MESSAGE_ROWS_MAX = 1000
MESSAGE_BYTES = 256 * 1024
"""A message ends with the row by which it has so many bytes."""


class RowObjects:
    """Rows of a plan as JSON objects, their cells as over HTTP."""

    __slots__ = ("_codes", "_columns", "_kept")

    def __init__(self, plan: Plan) -> None:
        self._columns = plan.columns
        self._codes = bytes(kind.code for kind in plan.types)
        self._kept = [at in (plan.key_at, plan.sequence_at) for at in range(len(plan.columns))]

    def of(self, row: tuple[Any, ...]) -> bytes:
        """A row."""
        return _object(row, self._columns, self._codes)

    def changed_of(self, old: tuple[Any, ...], new: tuple[Any, ...]) -> bytes:
        """What an update replaced: the columns that it changed, the key and `_seq`."""
        told = [
            at
            for at, (kept, value, now) in enumerate(zip(self._kept, old, new, strict=True))
            if kept or not _same(value, now)
        ]
        return _object(
            tuple(old[at] for at in told),
            [self._columns[at] for at in told],
            bytes(self._codes[at] for at in told),
        )


class Tails:
    """Parts as messages without their beginning, each made when it is first asked for. Safe for threads."""

    def __init__(self, plan: Plan, parts: Iterator[Part]) -> None:
        self.rows = 0
        """How many there are in what was made so far."""
        self._objects = RowObjects(plan)
        self._made = self._tails(parts)
        self._found: list[str] = []
        self._whole = False
        self._lock = threading.Lock()

    def tail(self, at: int) -> str | None:
        """One of the messages; None behind the last. Raises what the parts do."""
        while at >= len(self._found):
            with self._lock:
                if at < len(self._found):
                    break
                made = None if self._whole else next(self._made, None)
                if made is None:
                    self._whole = True
                    return None
                self._found.append(made)
        return self._found[at]

    def all(self) -> Iterator[str]:
        """Every one of them."""
        at = 0
        while (tail := self.tail(at)) is not None:
            yield tail
            at += 1

    def _tails(self, parts: Iterator[Part]) -> Iterator[str]:
        for part in parts:
            yield from self._of(part)

    def _of(self, part: Part) -> Iterator[str]:
        objects = self._objects
        count = max(len(part.rows), len(part.old_rows))
        rows: list[bytes] = []
        old_values: list[bytes] = []
        size = 0
        for at in range(count):
            if part.kind == "delete":
                old_values.append(objects.of(part.old_rows[at]))
                size += len(old_values[-1])
            else:
                rows.append(objects.of(part.rows[at]))
                size += len(rows[-1])
                if part.kind == "update":
                    old_values.append(objects.changed_of(part.old_rows[at], part.rows[at]))
                    size += len(old_values[-1])
            self.rows += 1
            if size >= MESSAGE_BYTES or at + 1 == count or (at + 1) % MESSAGE_ROWS_MAX == 0:
                yield change_tail(part.kind, rows, old_values)
                rows, old_values, size = [], [], 0


class Told(Tails):
    """The messages of one commit for one plan, which all who listen by it share. `at`: when that was."""

    def __init__(self, plan: Plan, one: ChangeSet, at: datetime.datetime) -> None:
        super().__init__(plan, parts_of(plan, one, 0))
        self.last = one.last
        self.at = at
        self.large = bool(one.loaded) or one.nbytes > LARGE_BYTES or not plan.native
        """Whether it is not to be made in the event loop."""
        self._frames: dict[tuple[str, Encoding], list[Frame]] = {}

    def frames(self, head: str, encoding: Encoding) -> list[Frame]:
        """All of it to a subscription whose messages begin with `head`; for what is not large."""
        key = head, encoding
        found = self._frames.get(key)
        if found is None:
            found = self._frames[key] = [encoding.frame(head + tail) for tail in self.all()]
        return found


def _same(one: Any, other: Any) -> bool:
    # A NaN is no other value than itself, and TRUE is none that a 1 is.
    return one is other or (type(one) is type(other) and one == other) or (one != one and other != other)


def _object(row: tuple[Any, ...], columns: Sequence[str], codes: bytes) -> bytes:
    return b"".join(JsonRows([[row]], names=columns, codes=codes))[1:-1]
