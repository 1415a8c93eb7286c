"""kalamdb for asyncio: the same engine in this process, and no statement holds up the event loop.

What needs no disk, no storage and no query engine is answered in the event loop at once, as a server does it; all else
has a thread of the database's own while a task waits for it. Live queries are awaited without a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from kalamdb.database import open as open_database
from kalamdb.errors import Error
from kalamdb.interrupts import Interrupt

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb import database
    from kalamdb import session as sessions
    from kalamdb.live import Subscription
    from kalamdb.result import Result
    from kalamdb.settings import Settings

Answer = TypeVar("Answer")

WITHIN_S = 0.001
"""Reading for longer than about this goes to a thread."""
THREADS_MAX = 16


class Session:
    """One user's view of a database, for tasks; `USE` and a transaction are of all that share it.

    Where a task is cancelled while it waits for a statement, the statement is stopped in its thread and leaves no
    trace, unless its commit has begun or the core reads for it by itself: these go on to their end.
    """

    def __init__(self, behind: sessions.Session, threads: ThreadPoolExecutor) -> None:
        """What Database.session makes."""
        self.behind = behind
        """The session itself, for threads."""
        self._threads = threads

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        interrupt = Interrupt()

        def run() -> Answer:
            with interrupt:
                return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except asyncio.CancelledError:
            interrupt.request()
            raise

    async def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Result:
        """Run SQL; as Session.execute."""
        result = self.behind.execute_at_once(sql, parameters, within_s=WITHIN_S)
        if result is not None:
            return result
        return await self._in_thread(lambda: self.behind.execute(sql, parameters))

    async def stream(
        self, sql: str, parameters: Sequence[Any] | None = None
    ) -> AsyncIterator[pa.RecordBatch]:
        """The rows of one query as Arrow, batch by batch; as Session.stream."""
        reader = await self._in_thread(lambda: self.behind.stream(sql, parameters))
        while (batch := await self._in_thread(lambda: next(reader, None))) is not None:
            yield batch

    async def execute_each(self, sql: str, parameters: Sequence[Any] | None = None) -> AsyncIterator[Result]:
        """The result of each statement when it has ended; as Session.execute_each."""
        each = self.behind.execute_each(sql, parameters)
        # A statement whose task was cancelled is still being stopped when the iterator is closed.
        running = threading.Lock()

        def following() -> Result | None:
            with running:
                return next(each, None)

        def close() -> None:
            with running:
                each.close()  # type: ignore[attr-defined]

        try:
            while (result := await self._in_thread(following)) is not None:
                yield result
        finally:
            await self._in_thread(close)

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        """Run one statement for every row of parameters; as Session.executemany."""
        return await self._in_thread(lambda: self.behind.executemany(sql, rows))

    async def prepare(self, sql: str) -> Statement:
        """A statement that is parsed once; as Session.prepare."""
        return Statement(self, await self._in_thread(lambda: self.behind.prepare(sql)))

    async def insert(
        self, table: str, data: Any, *, progress: Callable[[int, int], object] | None = None
    ) -> Result:
        """Insert rows, all of them or none; as Session.insert. `progress` is called in a thread."""
        return await self._in_thread(lambda: self.behind.insert(table, data, progress=progress))

    async def begin(self, *, durability: str | None = None) -> None:
        """Open a transaction; as Session.begin."""
        await self._in_thread(lambda: self.behind.begin(durability=durability))

    async def commit(self) -> None:
        """Write what the transaction changed; as Session.commit."""
        await self._in_thread(self.behind.commit)

    async def rollback(self) -> None:
        """Forget what the transaction changed; as Session.rollback."""
        await self._in_thread(self.behind.rollback)

    @contextlib.asynccontextmanager
    async def transaction(self, *, durability: str | None = None) -> AsyncIterator[Session]:
        """A block of statements as one transaction: committed at its end, rolled back where an exception leaves it,
        also where the task is cancelled."""
        await self.begin(durability=durability)
        try:
            yield self
        except BaseException:
            # In no thread: a task that is cancelled must not wait again. It takes no time, but for a statement that
            # still runs, whose end it has to wait for.
            if self.behind.in_transaction:
                with contextlib.suppress(Error):
                    await asyncio.shield(asyncio.ensure_future(self.rollback()))
            raise
        if self.behind.in_transaction:
            await self.commit()

    async def subscribe(
        self,
        sql: str,
        parameters: Sequence[Any] | None = None,
        *,
        last_rows: int | None = None,
        from_seq: int | None = None,
    ) -> Subscription:
        """Listen to rows of one table; as Session.subscribe. Iterate over what comes by `async for`."""
        return await self._in_thread(
            lambda: self.behind.subscribe(sql, parameters, last_rows=last_rows, from_seq=from_seq)
        )

    @property
    def user(self) -> str:
        """Whose view it is."""
        return self.behind.user

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.behind.in_transaction

    def __repr__(self) -> str:
        return f"<Session of {self.user} for asyncio>"


class Statement:
    """One statement of one session: scanned and parsed once, run any number of times."""

    __slots__ = ("_session", "behind")

    def __init__(self, session: Session, behind: sessions.Statement) -> None:
        """What Session.prepare makes."""
        self._session = session
        self.behind = behind
        """The statement itself, for threads."""

    @property
    def sql(self) -> str:
        """Its text."""
        return self.behind.sql

    async def execute(self, parameters: Sequence[Any] | None = None) -> Result:
        """Run it with these parameters; as Statement.execute of a session."""
        result = self._session.behind.execute_at_once(self.sql, parameters, within_s=WITHIN_S)
        if result is not None:
            return result
        return await self._session._in_thread(lambda: self.behind.execute(parameters))

    async def executemany(self, rows: Sequence[Sequence[Any]]) -> Result:
        """Run it for every row of parameters; as Statement.executemany of a session."""
        return await self._session._in_thread(lambda: self.behind.executemany(rows))

    def __repr__(self) -> str:
        return f"<Statement {self.sql!r} for asyncio>"


class Database(Session):
    """A database for tasks, itself a session of user root; an async context manager, which closes it."""

    def __init__(self, behind: database.Database) -> None:
        """What `open` makes."""
        self.database = behind
        """The database itself, for threads."""
        threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="kalamdb-aio")
        super().__init__(behind._root, threads)

    def session(self, user: str, role: str | None = None, namespace: str = "default") -> Session:
        """A session of a user; as Database.session."""
        return Session(self.database.session(user, role, namespace), self._threads)

    async def checkpoint(self) -> None:
        """As Database.checkpoint."""
        await self._in_thread(self.database.checkpoint)

    async def flush(self, table: str | None = None) -> None:
        """As Database.flush."""
        await self._in_thread(lambda: self.database.flush(table))

    async def compact(self, table: str | None = None) -> None:
        """As Database.compact."""
        await self._in_thread(lambda: self.database.compact(table))

    async def close(self) -> None:
        """Wait for what is at work, and close. Closing again does nothing."""
        await asyncio.to_thread(self.database.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Database:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{self.database!r} for asyncio>"


class Opening:
    """A database that is being opened: await it, or `async with` it."""

    def __init__(self, work: Callable[[], database.Database]) -> None:
        self._work = work
        self._opened: Database | None = None

    async def _open(self) -> Database:
        return Database(await asyncio.to_thread(self._work))

    def __await__(self) -> Generator[Any, None, Database]:
        return self._open().__await__()

    async def __aenter__(self) -> Database:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(self, *exception: object) -> None:
        assert self._opened is not None
        await self._opened.close()


def open(  # noqa: A001 - as kalamdb.open
    path: str | os.PathLike[str],
    *,
    settings: Settings | str | os.PathLike[str] | None = None,
    read_only: bool = False,
    **overrides: Any,
) -> Opening:
    """Open a database; as kalamdb.open. `await` what it gives, or `async with` it, which closes the database."""
    return Opening(
        functools.partial(open_database, path, settings=settings, read_only=read_only, **overrides)
    )
