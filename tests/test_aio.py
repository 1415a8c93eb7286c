"""kalamdb.aio: what it has beside the suite that it shares with clients (tests/client)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalamdb import aio, errors


def run(work: Callable[[aio.Database], Coroutine[Any, Any, Any]], path: Path | str = ":memory:") -> Any:
    async def main() -> Any:
        async with aio.open(path) as db:
            await db.execute("CREATE SHARED TABLE notes (id BIGINT PRIMARY KEY)")
            return await work(db)

    return asyncio.run(asyncio.wait_for(main(), 60))


async def count(db: aio.Database) -> int:
    return (await db.execute("SELECT count(*) FROM notes")).fetchone()[0]


def test_a_database_is_opened_and_closed(directory: Path) -> None:
    async def main() -> None:
        db = await aio.open(directory, durability="normal")
        await db.execute("CREATE SHARED TABLE notes (id BIGINT PRIMARY KEY)")
        await db.close()
        with pytest.raises(errors.DatabaseClosed):
            await db.execute("SELECT 1")
        async with aio.open(directory) as db:
            assert await count(db) == 0

    asyncio.run(main())


def test_a_transaction_commits_at_its_end_and_rolls_back_with_an_exception() -> None:
    async def work(db: aio.Database) -> None:
        async with db.transaction():
            await db.execute("INSERT INTO notes VALUES (1)")
            assert db.in_transaction
        with contextlib.suppress(ZeroDivisionError):
            async with db.transaction():
                await db.execute("INSERT INTO notes VALUES (2)")
                raise ZeroDivisionError
        assert await count(db) == 1
        assert not db.in_transaction

    run(work)


def test_rows_are_streamed_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kalamdb.execution.row_pages.PAGE_ROWS", 10)

    async def work(db: aio.Database) -> None:
        await db.executemany("INSERT INTO notes VALUES (?)", [(number,) for number in range(35)])
        sizes = []
        async for batch in db.stream("SELECT * FROM notes WHERE id >= ?", [5]):
            sizes.append(batch.num_rows)
            await db.execute("DELETE FROM notes")
        assert sum(sizes) == 30
        assert max(sizes) <= 10
        with pytest.raises(errors.UndefinedTable):
            async for _ in db.stream("SELECT * FROM nowhere"):
                pass

    run(work)


def test_a_cancelled_task_rolls_its_transaction_back() -> None:
    async def work(db: aio.Database) -> None:
        session = db.session("ann", role="service")
        inside = asyncio.Event()

        async def forever() -> None:
            async with session.transaction():
                await session.execute("INSERT INTO notes VALUES (1)")
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not session.in_transaction
        assert await count(db) == 0

    run(work)


def test_slow_statements_do_not_hold_up_the_loop() -> None:
    async def work(db: aio.Database) -> None:
        await db.execute("INSERT INTO notes VALUES (1)")
        ended = False

        async def slow() -> None:
            nonlocal ended
            await db.execute(
                "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b WHERE a.value <> b.value"
            )
            ended = True

        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        for _ in range(10):
            assert (await db.execute("SELECT id FROM notes WHERE id = 1")).fetchone() == (1,)
            assert not ended
        await task

    run(work)


FOREVER = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"


def queries_running(db: aio.Database) -> int:
    """Threads with a query of the engine in them."""
    threads = db.database.queries._threads
    return threads._started - len(threads._idle)


@pytest.mark.parametrize("where", ["alone", "in a transaction", "among several"])
def test_a_statement_whose_task_is_cancelled_is_stopped(where: str) -> None:
    async def work(db: aio.Database) -> None:
        session = db.session("ann", role="service")

        async def forever() -> None:
            if where == "alone":
                await session.execute(FOREVER)
            elif where == "among several":
                async for _ in session.execute_each(f"INSERT INTO notes VALUES (1); {FOREVER}"):
                    pass
            else:
                async with session.transaction():
                    await session.execute("INSERT INTO notes VALUES (2)")
                    await session.execute(FOREVER)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await forever()

        assert not session.in_transaction
        assert (await session.execute("SELECT count(*) + 0 FROM notes")).fetchone() == (
            (1,) if where == "among several" else (0,)
        )
        # The thread comes back as well, although the query would never end.
        while queries_running(db):
            await asyncio.sleep(0.01)

    run(work)


def test_a_load_whose_task_is_cancelled_leaves_no_row() -> None:
    async def work(db: aio.Database) -> None:
        table = pa.table({"id": pa.array(range(1_000_000), pa.int64())})
        begun, cancelled = threading.Event(), threading.Event()

        def progress(*_: int) -> None:
            begun.set()
            cancelled.wait(30)

        task = asyncio.create_task(db.insert("notes", table, progress=progress))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()

        assert await count(db) == 0
        await db.execute("INSERT INTO notes VALUES (1)")

    run(work)


def test_many_tasks_write_at_once(directory: Path) -> None:
    async def work(db: aio.Database) -> None:
        await asyncio.gather(*(db.execute("INSERT INTO notes VALUES (?)", [n]) for n in range(100)))

        assert await count(db) == 100

    run(work, directory)


def test_events_come_by_async_for() -> None:
    async def work(db: aio.Database) -> list[str]:
        kinds = []
        async with await db.subscribe("SELECT * FROM notes") as events:
            async for event in events:
                kinds.append(event.kind)
                if event.kind == "snapshot":
                    await db.execute("INSERT INTO notes VALUES (1)")
                else:
                    return kinds
        return kinds

    assert run(work) == ["snapshot", "insert"]
