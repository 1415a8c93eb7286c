"""Which live queries are open: whose, on which table, and what ends them."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from kalamcore.changes import Waker
from kalamdb.auth import Action, Rights, may
from kalamdb.errors import (
    DatabaseClosed,
    Error,
    InvalidParameter,
    LiveQueryKilled,
    SubscriptionLimitExceeded,
    UndefinedObject,
    UndefinedTable,
)
from kalamdb.live.live_query import LiveQuery
from kalamdb.live.plan import Plans
from kalamdb.sql.live_query import read_live_query

if TYPE_CHECKING:
    from kalamdb.database import Database
    from kalamdb.session import Session

ROWS_MAX = 1 << 31


class LiveQueries:
    """The live queries of one database. Safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plans = Plans()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[LiveQuery, Waker]] = {}
        self._by_table: Counter[int] = Counter()
        self._by_user: Counter[str] = Counter()
        self._closed = False

    def open(
        self,
        session: Session,
        sql: str,
        parameters: Sequence[Any],
        waker: Waker,
        options: dict[str, object],
    ) -> LiveQuery:
        """A live query that listens, and has told nothing yet. `waker`: what tells that there is something to take, by
        the query's `number`. `options`: what system.live_queries shows of how it began.

        Raises InvalidSyntax, UnsupportedLiveQuery, UndefinedTable, UndefinedColumn, AccessDenied, InvalidParameter,
        SubscriptionLimitExceeded.
        """
        text = read_live_query(sql)
        if text.last_rows is not None:
            options = {"last_rows": text.last_rows, **options}
        self._take_place(session.user)
        try:
            live = LiveQuery(
                session,
                text,
                parameters,
                live_id=self._database.ids.uuid_v7(),
                number=next(self._numbers),
                waker=waker,
                bytes_max=self._database.settings.subscription_buffer_bytes,
                options=options,
            )
        except BaseException:
            self._give_place_up(session.user)
            raise
        with self._lock:
            self._open[live.live_id] = live, waker
            self._by_table[live.table_id] += 1
        # A DROP that did not see it has taken the table away by now; one that comes later sees it.
        if self._database.frozen_catalog(lambda catalog: catalog.table_by_id(live.table_id)) is None:
            self.close(live)
            raise UndefinedTable(f'relation "{text.select.table}" does not exist')
        return live

    def _take_place(self, user: str) -> None:
        most = self._database.settings.subscriptions_per_user
        with self._lock:
            if self._closed:
                raise _closed()
            if self._by_user[user] >= most:
                raise SubscriptionLimitExceeded(
                    f"{most} live queries of one user are open, which is the most that subscriptions_per_user allows; "
                    "close some first"
                )
            self._by_user[user] += 1

    def _give_place_up(self, user: str) -> None:
        with self._lock:
            self._by_user[user] -= 1
            if not self._by_user[user]:
                del self._by_user[user]

    def close(self, live: LiveQuery, error: Error | None = None) -> None:
        """End one. Ending it again does nothing."""
        with self._lock:
            found = self._open.pop(live.live_id, None)
            if found is None:
                return
            self._by_table[live.table_id] -= 1
            if not self._by_table[live.table_id]:
                del self._by_table[live.table_id]
        self._give_place_up(live.user)
        live.end(error or DatabaseClosed("the subscription was closed; open a new one"))
        found[1].interrupt()

    def move(self, live: LiveQuery, waker: Waker) -> None:
        """Have another waker tell of it, of its end too."""
        with self._lock:
            if live.live_id in self._open:
                self._open[live.live_id] = live, waker
        live.move(waker)

    def kill(self, live_id: str, user: str, rights: Rights) -> None:
        """KILL LIVE QUERY. Raises UndefinedObject, also for one of others that the user may not end."""
        with self._lock:
            found = self._open.get(live_id)
        if found is None or (found[0].user != user and not may(rights, Action.KILL_ANY_LIVE_QUERY)):
            raise UndefinedObject(f'live query "{live_id}" does not exist; system.live_queries lists them')
        self.close(found[0], LiveQueryKilled("the live query was ended by KILL LIVE QUERY"))

    def count_on(self, table_id: int) -> int:
        """How many listen to a table."""
        return self._by_table.get(table_id, 0)

    def __len__(self) -> int:
        return len(self._open)

    def rows(self, user: str | None) -> list[tuple[object, ...]]:
        """The rows of system.live_queries: of a user, or of all."""
        with self._lock:
            found = [live for live, _ in self._open.values() if user in (None, live.user)]
        return [
            (
                live.live_id,
                live.user,
                live.plan.schema.namespace,
                live.plan.schema.name,
                live.text.sql,
                orjson.dumps(live.options).decode() if live.options else None,
                live.changes,
                live.created_at,
                live.last_change_at,
            )
            for live in found
        ]

    def close_all(self) -> None:
        """The database closes."""
        with self._lock:
            self._closed = True
            left = [live for live, _ in self._open.values()]
        for live in left:
            self.close(live, _closed())


def checked_rows(last_rows: int | None) -> int | None:
    """A number of rows to begin with. Raises InvalidParameter."""
    if last_rows is None:
        return None
    if isinstance(last_rows, bool) or not isinstance(last_rows, int) or not 0 <= last_rows <= ROWS_MAX:
        raise InvalidParameter(f"last_rows is a number of rows, 0 or more, not {last_rows!r}")
    return last_rows


def checked_sequence(from_seq: int | None) -> int | None:
    """A place to resume from. Raises InvalidParameter."""
    if from_seq is None:
        return None
    if isinstance(from_seq, bool) or not isinstance(from_seq, int) or not 0 <= from_seq < 1 << 63:
        raise InvalidParameter(f"from_seq is the seq of an event or the _seq of a row, not {from_seq!r}")
    return from_seq


def _closed() -> DatabaseClosed:
    return DatabaseClosed("the database was closed; open it again")
