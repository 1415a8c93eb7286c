"""One suite for three ways to a database: each is a session's verbs, called and waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol

import kalamdb
from kalamdb import aio
from kalamdb.client import AsyncClient, Client
from tests.server.serving import Served, token_of

DEADLINE_S = 30.0


class Listened(Protocol):
    """A subscription."""

    columns: tuple[str, ...]

    def next(self, timeout_s: float) -> Any: ...
    def close(self) -> None: ...


class Way(Protocol):
    """What a session and its likes have."""

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Any: ...
    def execute_each(self, sql: str) -> Iterator[Any]: ...
    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Any: ...
    def insert(self, table: str, data: Any) -> Any: ...
    def subscribe(self, sql: str, parameters: Sequence[Any] | None = None, **options: Any) -> Listened: ...


class Tasks:
    """An event loop in a thread, in which whoever calls has something done."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()


class AsyncWay:
    """An AsyncClient, or a session of kalamdb.aio, from a thread."""

    def __init__(self, tasks: Tasks, make: Callable[[], Any]) -> None:
        self._tasks = tasks

        async def made() -> Any:
            return make()

        self.behind = tasks.do(made())

    def execute(self, sql: str, parameters: Sequence[Any] | None = None, **options: Any) -> Any:
        return self._tasks.do(self.behind.execute(sql, parameters, **options))

    def execute_each(self, sql: str) -> Iterator[Any]:
        each = self.behind.execute_each(sql)
        while True:
            try:
                yield self._tasks.do(anext(each))
            except StopAsyncIteration:
                return

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Any:
        return self._tasks.do(self.behind.executemany(sql, rows))

    def prepare(self, sql: str) -> AsyncPrepared:
        return AsyncPrepared(self._tasks, self._tasks.do(self.behind.prepare(sql)))

    def insert(self, table: str, data: Any) -> Any:
        return self._tasks.do(self.behind.insert(table, data))

    def subscribe(self, sql: str, parameters: Sequence[Any] | None = None, **options: Any) -> AsyncListened:
        return AsyncListened(self._tasks, self._tasks.do(self.behind.subscribe(sql, parameters, **options)))

    @property
    def namespace(self) -> str:
        found: str = self.behind.namespace
        return found

    def in_namespace(self, namespace: str) -> AsyncWay:
        return AsyncWay(self._tasks, lambda: self.behind.in_namespace(namespace))

    def close(self) -> None:
        self._tasks.do(self.behind.close())


class AsyncPrepared:
    """A statement of tasks, from a thread."""

    def __init__(self, tasks: Tasks, behind: Any) -> None:
        self._tasks = tasks
        self.behind = behind
        self.sql = behind.sql

    def execute(self, parameters: Sequence[Any] | None = None) -> Any:
        return self._tasks.do(self.behind.execute(parameters))

    def executemany(self, rows: Sequence[Sequence[Any]]) -> Any:
        return self._tasks.do(self.behind.executemany(rows))


class AsyncListened:
    """A subscription of tasks, from a thread."""

    def __init__(self, tasks: Tasks, behind: Any) -> None:
        self._tasks = tasks
        self.behind = behind

    @property
    def columns(self) -> tuple[str, ...]:
        return self.behind.columns  # type: ignore[no-any-return]

    def next(self, timeout_s: float) -> Any:
        return self._tasks.do(self._next(timeout_s))

    async def _next(self, timeout_s: float) -> Any:
        try:
            return await asyncio.wait_for(anext(self.behind), timeout_s)
        except (StopAsyncIteration, TimeoutError):
            return None

    def close(self) -> None:
        async def closed() -> None:
            closing = self.behind.close()
            if closing is not None:
                await closing

        self._tasks.do(closed())


def way_to(kind: str, served: Served, user: str, tasks: Tasks) -> Any:
    """A session, one of kalamdb.aio, a Client or an AsyncClient of a user, in the namespace app."""
    if kind == "session":
        return served.db.session(user, namespace="app")
    if kind == "aio":
        return AsyncWay(tasks, lambda: aio.Database(served.db).session(user, namespace="app"))
    token = token_of(served.db, user)
    if kind == "client":
        return Client(served.url, token=token, namespace="app")
    return AsyncWay(tasks, lambda: AsyncClient(served.url, token=token, namespace="app"))


def database() -> kalamdb.Database:
    """One in memory, with the users ann and ben, a table of each type, and one to listen to."""
    db = kalamdb.open(":memory:")
    db.execute("CREATE NAMESPACE app")
    for name in ("ann", "ben"):
        db.execute(f"CREATE USER {name} WITH PASSWORD 'a long password' ROLE user")
    db.execute(
        "CREATE USER TABLE app.kinds (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), yes BOOLEAN, small SMALLINT, "
        "whole INT, single FLOAT, double DOUBLE, price DECIMAL(10,2), name VARCHAR(20), at TIMESTAMP, day DATE, "
        "hour TIME, code UUID, doc JSON, raw BYTES)"
    )
    db.execute(
        "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL DEFAULT 'empty', n INT)"
    )
    return db
