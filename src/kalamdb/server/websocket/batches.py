"""The rows with which a subscription begins, as JSON and some at a time, read while the client asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from kalamdb.server.websocket.told import RowObjects

if TYPE_CHECKING:
    from kalamdb.live import LiveQuery, Page

BATCH_ROWS = 1000
"""Where the client does not say how many."""
BATCH_BYTES = 256 * 1024
"""A batch ends with the row by which it has so many bytes."""
PAGE_ROWS = 10_000
PAGE_BYTES = 1 << 20
"""Rows read at once, each time by a look through all of them; kept until the client has asked for them."""


class Batch(NamedTuple):
    """`rows`: a JSON array. `seq`: whoever resumes there gets what comes behind it."""

    rows: str
    has_more: bool
    seq: int


class Batches:
    """For one thread at a time, which may be another each time."""

    def __init__(self, live: LiveQuery, last_rows: int | None, batch_rows: int, page_bytes: int) -> None:
        """Reads the first rows, up to `page_bytes` of them. Raises as LiveQuery.pages."""
        self._live = live
        self._batch_rows = batch_rows
        self._pages: Iterator[Page] = live.pages(last_rows, max(batch_rows, PAGE_ROWS), page_bytes)
        self._page = next(self._pages)
        self._at = 0
        self._objects = RowObjects(self._page.plan)
        self.total = len(self._page.rows) + self._page.left
        """How many rows there are in all."""

    def next(self) -> Batch:
        """The next one; there is one at least, and one behind each that says so. Raises as LiveQuery.pages."""
        rows: list[bytes] = []
        size = 0
        while len(rows) < self._batch_rows and size < BATCH_BYTES:
            if self._at == len(self._page.rows):
                if not self._page.left:
                    break
                self._page, self._at = next(self._pages), 0
            rows.append(self._objects.of(self._page.rows[self._at]))
            size += len(rows[-1])
            self._at += 1
        # Of what was read before, and is told only now.
        self._live.check()
        page = self._page
        has_more = self._at < len(page.rows) or page.left > 0
        seq = page.rows[self._at - 1][page.plan.sequence_at] if has_more else page.seq
        return Batch((b"[%s]" % b",".join(rows)).decode(), has_more, seq)
