"""One live query while it is open: what it told, what it is still to tell, and whether its user may still hear it.

Nothing here waits or knows who listens: a Subscription iterates over it, a connection of the server sends it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kalamcore import errors as core
from kalamcore.changes import DELETE, INSERT, UPDATE, ChangeSet, Listener, LoadedRows, Waker
from kalamdb.engine.core_errors import translated
from kalamdb.errors import Error, SubscriptionLagged, UndefinedTable
from kalamdb.live.plan import Plan, plan_live_query

if TYPE_CHECKING:
    from kalamdb.session import Session
    from kalamdb.sql.live_query import LiveQueryText

SNAPSHOT_ROWS_AT_ONCE = 1000
LOADED_ROWS_AT_ONCE = 4096
KINDS = {INSERT: "insert", UPDATE: "update", DELETE: "delete"}


class Part(NamedTuple):
    """Some rows of one kind (see Event), as tuples of the plan's columns."""

    kind: str
    rows: list[tuple[Any, ...]]
    old_rows: list[tuple[Any, ...]]
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
        self._ended: Error | None = None
        self._position = 0
        self._rights_asked = session.rights
        self.plan = self._planned()
        self.table_id = self.plan.schema.table_id
        try:
            self._listener = Listener(
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
        return plan_live_query(
            self.text,
            self._parameters,
            user=self.user,
            rights=self._session.rights,
            namespace=self._namespace,
            catalog=database.catalog,
            engine=database.engine,
        )

    # What was there

    def snapshot(self, last_rows: int | None) -> Iterator[Part]:
        """The rows that are there now, in order of `_seq`, or the last so many; one part at least. What take() tells
        comes behind them."""
        held: list[object] = []
        while True:
            context = self._session.context()
            try:
                rows = self.plan.core.snapshot(context.reader, self.plan.partition, last_rows)
                break
            except core.ColdMissError as miss:
                held += context.load_cold(miss)
            except core.WriteConflictError:
                continue  # a compaction came between the snapshot and the look
            except core.CoreError as error:
                if database_changed(self):
                    self.plan = self._planned()
                    continue
                raise translated(error) from error
        self._position = context.snapshot
        return self._in_parts(rows)

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
        """What changed behind `from_seq` and up to now; take() tells what comes behind that.

        Raises SubscriptionLagged where not all of it is kept any more."""
        now = self._session._database.engine.snapshot()
        if from_seq > now:
            raise SubscriptionLagged(
                f"_seq {from_seq} was never given here, the newest is {now}; begin anew with a snapshot"
            )
        sets = self._session._database.engine.changes_between(
            self.plan.schema, self.plan.partition, from_seq, now
        )
        self._position = from_seq
        yield from self._told_of(sets)
        self._position = max(self._position, now)

    # What changed

    def take(self) -> Iterator[Part]:
        """What changed since the last time, oldest first. Raises what ended the live query, if anything did."""
        if self._ended is not None:
            raise self._ended
        sets, lagged = self._listener.take()
        if lagged:
            raise SubscriptionLagged(
                "more changes waited than subscription_buffer_bytes has room for; take them sooner, or begin anew with "
                "a snapshot"
            )
        if sets:
            self._check()
            yield from self._told_of(sets)

    def _check(self) -> None:
        """Whether the user may still hear it, after what is to be told was taken: what was committed behind a change of
        rights, or of the table, is told by the rights and the table as they are then."""
        session = self._session
        session._keep_rights()
        if session.rights is self._rights_asked and not database_changed(self):
            return
        self._rights_asked = session.rights
        plan = self._planned()
        if plan.schema.table_id != self.table_id:
            raise UndefinedTable(f"{plan.schema.qualified_name} is another table now; subscribe to it anew")
        self.plan = plan

    def _told_of(self, sets: Sequence[ChangeSet]) -> Iterator[Part]:
        for one in sets:
            if one.last <= self._position:
                continue
            for part in self._loaded(one) if one.loaded else self._changed(one):
                self.changes += max(len(part.rows), len(part.old_rows))
                self.last_change_at = self._session._database.now()
                yield part
            self._position = one.last

    def _changed(self, one: ChangeSet) -> Iterator[Part]:
        """Changes of one kind that follow one another in a commit are told together."""
        part: Part | None = None
        try:
            changes = self.plan.core.changes(one, self._position)
        except LookupError:
            raise _not_kept() from None
        for kind, sequence, row, old_row in changes:
            if part is None or part.kind != KINDS[kind]:
                if part is not None:
                    yield part
                part = Part(KINDS[kind], [], [], sequence)
            if row is not None:
                part.rows.append(row)
            if old_row is not None:
                part.old_rows.append(old_row)
            part = part._replace(seq=sequence)
        if part is not None:
            yield part

    def _loaded(self, one: ChangeSet) -> Iterator[Part]:
        """Rows of a load come in order of their keys: only with the last of them is all of it told."""
        before, rows = self._position, LoadedRows(one)
        waiting: list[tuple[Any, ...]] = []
        while (some := rows.next(self.plan.core, LOADED_ROWS_AT_ONCE)) is not None:
            if waiting:
                yield Part("insert", waiting, [], before)
            waiting = some
        if waiting:
            yield Part("insert", waiting, [], one.last)

    # Its end

    def move(self, waker: Waker) -> None:
        """Have another waker tell of it."""
        self._listener.move(waker)
        if self._ended is not None:
            waker.interrupt()

    def end(self, error: Error) -> None:
        """What take() raises from here on."""
        if self._ended is None:
            self._ended = error
        self._listener.close()

    @property
    def ended(self) -> Error | None:
        """What ended it; None while it is open."""
        return self._ended


def database_changed(live: LiveQuery) -> bool:
    """Whether what exists is not what the live query was planned by."""
    return live.plan.catalog is not live._session._database.catalog


def _not_kept() -> SubscriptionLagged:
    return SubscriptionLagged("the changes since then are not all kept any more; begin anew with a snapshot")
