"""One live query while it is open: what it told, what it is still to tell, and whether its user may still hear it.

Nothing here waits or knows who listens: a Subscription iterates over it, a connection of the server sends it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kalamcore import errors as core
from kalamcore.changes import ChangeSet, Listener, Waker
from kalamdb.engine.core_errors import translated
from kalamdb.errors import Error, SubscriptionLagged, UndefinedTable
from kalamdb.live.parts import Part, parts_of
from kalamdb.live.plan import Plan

if TYPE_CHECKING:
    from kalamcore.store import Readable
    from kalamdb.execution.context import Context
    from kalamdb.session import Session
    from kalamdb.sql.live_query import LiveQueryText

Answer = TypeVar("Answer")

SNAPSHOT_ROWS_AT_ONCE = 1000


class Page(NamedTuple):
    """Some rows of a snapshot, as tuples of the columns of `plan`. `left`: how many are behind them. `seq`: of the
    last of them; of the last page, of the snapshot."""

    plan: Plan
    rows: list[tuple[Any, ...]]
    left: int
    seq: int


class LiveQuery:
    """One thread at a time tells; any thread may end it."""

    def __init__(
        self,
        session: Session,
        text: LiveQueryText,
        parameters: Sequence[Any],
        *,
        live_id: str,
        number: int,
        waker: Waker,
        bytes_max: int,
        options: dict[str, object],
    ) -> None:
        """Listens from here on. Raises as plan_live_query, and DatabaseClosed."""
        database = session._database
        self.live_id = live_id
        self.number = number
        self.text = text
        self.user = session.user
        self.options = options
        self.created_at = database.now()
        self.changes = 0
        """Rows of changes that it told."""
        self.last_change_at: datetime.datetime | None = None
        self._session = session
        self._parameters = tuple(parameters)
        self._namespace = session.namespace
        self.on_end: Callable[[], None] | None = None
        """Called when it is ended, by the thread that ends it."""
        self._ended: Error | None = None
        self._position = 0
        session._keep_rights()
        self._rights_asked = session.rights
        self.plan = self._planned()
        self.table_id = self.plan.schema.table_id
        try:
            self._listener: Listener | None = Listener(
                database.engine.store,
                self.table_id,
                self.plan.partition,
                waker,
                identity=number,
                bytes_max=bytes_max,
            )
        except core.CoreError as error:
            raise translated(error) from error

    def _planned(self) -> Plan:
        database = self._session._database
        return database.live.plans.plan(
            self.text,
            self._parameters,
            user=self.user,
            rights=self._session.rights,
            namespace=self._namespace,
            catalog=database.catalog,
            engine=database.engine,
            context_of=self._session.context,
        )

    # What was there

    def snapshot(self, last_rows: int | None) -> Iterator[Part]:
        """The rows that are there now, in order of `_seq`, or the last so many; one part at least. What take() tells
        comes behind them."""
        context, _, rows = self._now(
            lambda plan, reader: plan.core.snapshot(reader, plan.partition, last_rows)
        )
        self._position = context.snapshot
        return self._in_parts(rows)

    def pages(self, last_rows: int | None, rows_max: int, bytes_max: int) -> Iterator[Page]:
        """The same rows, some at a time, each time read when they are asked for; one page at least. Until the last of
        them the view of that moment is kept, so whoever asks must not take for ever.

        `rows_max`, `bytes_max`: of a page, of the rows as they are stored; one row may be larger."""
        context, held, (rows, left) = self._now(
            lambda plan, reader: plan.core.page(reader, plan.partition, last_rows, 0, rows_max, bytes_max)
        )
        self._position = context.snapshot
        plan = self.plan
        while True:
            self.check()
            yield Page(plan, rows, left, rows[-1][plan.sequence_at] if left else self._position)
            if not left:
                return
            after, limit = rows[-1][plan.sequence_at], None if last_rows is None else left
            while True:
                try:
                    rows, left = plan.core.page(
                        context.reader, plan.partition, limit, after, rows_max, bytes_max
                    )
                    break
                except core.ColdMissError as miss:
                    held += context.load_cold(miss)
                except core.CoreError as error:
                    raise translated(error) from error

    def _now(self, read: Callable[[Plan, Readable], Answer]) -> tuple[Context, list[object], Answer]:
        """What a view of this moment answers; the view itself, and what it holds."""
        held: list[object] = []
        while True:
            context = self._session.context()
            try:
                return context, held, read(self.plan, context.reader)
            except core.ColdMissError as miss:
                held += context.load_cold(miss)
            except core.WriteConflictError:
                continue  # a compaction came between the view and the look
            except core.CoreError as error:
                if database_changed(self):
                    self.plan = self._planned()
                    continue
                raise translated(error) from error

    def _in_parts(self, rows: list[tuple[Any, ...]]) -> Iterator[Part]:
        for at in range(0, max(len(rows), 1), SNAPSHOT_ROWS_AT_ONCE):
            some = rows[at : at + SNAPSHOT_ROWS_AT_ONCE]
            # All rows of a snapshot are told before any change is: whoever resumes from within it begins at its end,
            # and asks for the rest of its rows.
            yield Part("snapshot", some, [], self._position)

    def from_now(self) -> None:
        """Tell what comes from here on."""
        self._position = self._session._database.engine.snapshot()

    def resume(self, from_seq: int) -> Iterator[Part]:
        """What changed behind `from_seq` and up to now, by `plan` as it is when this returns; take() tells what comes
        behind that.

        Raises SubscriptionLagged where not all of it is kept any more, and as check."""
        now = self._session._database.engine.snapshot()
        if from_seq > now:
            raise SubscriptionLagged(
                f"_seq {from_seq} was never given here, the newest is {now}; begin anew with a snapshot"
            )
        sets = self._session._database.engine.changes_between(
            self.plan.schema, self.plan.partition, from_seq, now
        )
        self._position = from_seq
        self.check()
        return self._resumed(sets, now)

    def _resumed(self, sets: Sequence[ChangeSet], now: int) -> Iterator[Part]:
        yield from self._told_of(sets)
        self._position = max(self._position, now)

    # What changed

    def take(self) -> Iterator[Part]:
        """What changed since the last time, oldest first. Raises what ended the live query, if anything did."""
        if sets := self.take_sets():
            self.check()
            yield from self._told_of(sets)

    def take_sets(self) -> list[ChangeSet]:
        """The same as it came from the feed; for who tells it by `tell`. Raises what ended the live query."""
        if self._ended is not None:
            raise self._ended
        assert self._listener is not None
        sets, lagged = self._listener.take()
        if lagged:
            raise lagged_behind()
        return sets

    def check(self) -> None:
        """Whether the user may still hear it, after what is to be told was taken: what was committed behind a change of
        rights, or of the table, is told by the rights and the table as they are then. Raises UndefinedTable,
        UndefinedColumn, AccessDenied, UnsupportedLiveQuery."""
        session = self._session
        session._keep_rights()
        if session.rights is self._rights_asked and not database_changed(self):
            return
        plan = self._planned()
        if plan.schema.table_id != self.table_id:
            raise UndefinedTable(f"{plan.schema.qualified_name} is another table now; subscribe to it anew")
        # Only now: where it was refused, it is refused the next time too.
        self._rights_asked = session.rights
        self.plan = plan

    @property
    def position(self) -> int:
        """Up to which sequence number everything is told."""
        return self._position

    def told(self, last: int, rows: int, at: datetime.datetime) -> None:
        """Somebody else has told everything up to `last`, with `rows` of them, at an instant."""
        self._position = last
        if rows:
            self.changes += rows
            self.last_change_at = at

    def _told_of(self, sets: Sequence[ChangeSet]) -> Iterator[Part]:
        for one in sets:
            if one.last <= self._position:
                continue
            for part in parts_of(self.plan, one, self._position):
                self.changes += max(len(part.rows), len(part.old_rows))
                self.last_change_at = self._session._database.now()
                yield part
            self._position = one.last

    def hand_over(self) -> Listener:
        """The listener, which is the caller's from now on; what is told comes from there, by `told`."""
        listener, self._listener = self._listener, None
        assert listener is not None
        return listener

    # Its end

    def move(self, waker: Waker) -> None:
        """Have another waker tell of it."""
        if self._listener is not None:
            self._listener.move(waker)
        if self._ended is not None:
            waker.interrupt()

    def end(self, error: Error) -> None:
        """What take() raises from here on."""
        if self._ended is not None:
            return
        self._ended = error
        if self._listener is not None:
            self._listener.close()
        if self.on_end is not None:
            self.on_end()

    @property
    def ended(self) -> Error | None:
        """What ended it; None while it is open."""
        return self._ended


def database_changed(live: LiveQuery) -> bool:
    """Whether what exists is not what the live query was planned by."""
    return live.plan.catalog is not live._session._database.catalog


def lagged_behind() -> SubscriptionLagged:
    """What ends who takes what changed too late."""
    return SubscriptionLagged(
        "more changes waited than subscription_buffer_bytes has room for; take them sooner, or begin anew with a "
        "snapshot"
    )
