"""A subscription: a live query that a thread or a task iterates over."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from kalamcore.changes import Waker
from kalamdb.errors import DatabaseClosed, Error, InvalidParameter
from kalamdb.event import Event, Row
from kalamdb.live.live_queries import checked_rows, checked_sequence
from kalamdb.live.live_query import LiveQuery
from kalamdb.live.loop_waker import LoopWaker, loop_waker
from kalamdb.live.parts import Part
from kalamdb.types import TypeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalamdb.session import Session

LOOK_UP_S = 0.2
"""How long a thread waits in the core at once: a signal for it is met within that time."""


class Subscription:
    """The events of a live query, for as long as it is open: iterate over it, or `async for`. One thread or task at a
    time; close() may be called from any.

    Raises, while it is iterated over, SubscriptionLagged where changes were lost, AccessDenied and UndefinedTable where
    the user may not read the table any more, LiveQueryKilled, DatabaseClosed where the database was. After close() it
    just ends.
    """

    def __init__(
        self,
        session: Session,
        sql: str,
        parameters: Sequence[Any],
        last_rows: int | None,
        from_seq: int | None,
    ) -> None:
        """Made by Session.subscribe."""
        last_rows, from_seq = checked_rows(last_rows), checked_sequence(from_seq)
        if from_seq is not None and last_rows is not None:
            raise InvalidParameter("a subscription begins with last_rows, or goes on from_seq, not both")
        self._queries = session._database.live
        self._waker = Waker()
        self._loop: LoopWaker | None = None
        self._closed = False
        options: dict[str, object] = {} if last_rows is None else {"last_rows": last_rows}
        if from_seq is not None:
            options = {"from_seq": from_seq}
        self._live: LiveQuery = self._queries.open(session, sql, parameters, self._waker, options)
        try:
            if from_seq is None:
                wanted = self._live.text.last_rows if last_rows is None else last_rows
                first = self._live.snapshot(wanted)
            else:
                first = self._live.resume(from_seq)
            # The first of them now: what is wrong with it is the caller's to know before anything is iterated over.
            self._told: Iterator[Part] = itertools.chain(list(itertools.islice(first, 1)), first)
        except BaseException:
            self.close()
            raise

    @property
    def live_id(self) -> str:
        """Its id in system.live_queries."""
        return self._live.live_id

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its rows' columns, `_seq` among them."""
        return self._live.plan.columns

    def _next(self) -> Event | None:
        """The next event; None where there is none yet. Raises what ended it."""
        try:
            part = next(self._told, None)
            if part is None:
                self._told = self._live.take()
                part = next(self._told, None)
        except Error as error:
            if self._is_closed():
                return None
            self._end(error)
            raise
        return None if part is None else self._event(part)

    def _is_closed(self) -> bool:
        """As it is now: another thread may have closed it."""
        return self._closed

    def _event(self, part: Part) -> Event:
        return Event(part.kind, self._dicts(part.rows), self._dicts(part.old_rows), part.seq)

    def _dicts(self, rows: list[tuple[Any, ...]]) -> list[Row]:
        plan = self._live.plan
        found = [dict(zip(plan.columns, row, strict=True)) for row in rows]
        for name, kind in zip(plan.columns, plan.types, strict=True):
            if kind.name is TypeName.JSON:
                for row in found:
                    row[name] = None if row[name] is None else orjson.loads(row[name])
        return found

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; waits for it up to `timeout_s` seconds, or for ever. None after that time, and once it was
        closed."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            event = self._next()
            if event is not None or self._is_closed():
                return event
            left = LOOK_UP_S if until is None else until - time.monotonic()
            if left <= 0:
                return None
            self._waker.wait(max(1, int(min(left, LOOK_UP_S) * 1000)))
        return None

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        if self._loop is None:
            self._loop = loop_waker()
            self._loop.add(self._live.number)
            self._queries.move(self._live, self._loop.waker)
        while not self._closed:
            self._loop.expect(self._live.number)
            event = self._next()
            if event is not None:
                return event
            if not self._is_closed():
                await self._loop.wait(self._live.number)
        raise StopAsyncIteration

    def close(self) -> None:
        """End it; a thread or task that waits for its next event goes on. Closing again does nothing."""
        self._end(None)

    def _end(self, error: Error | None) -> None:
        if self._closed:
            return
        self._closed = True
        live = getattr(self, "_live", None)
        if live is not None:
            self._queries.close(live, error or DatabaseClosed("the subscription was closed"))
        self._waker.interrupt()
        if self._loop is not None:
            self._loop.remove(self._live.number)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def __repr__(self) -> str:
        return f"<Subscription {self._live.text.sql}{', closed' if self._closed else ''}>"
