"""A table that is altered while its rows go to segments, which are written in its newest version: nobody notices."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import kalamdb

ROWS = 20


@pytest.fixture
def quick_turns() -> Iterator[None]:
    """Threads of Python give way to each other all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_turns")
def test_statements_meet_no_row_of_a_version_that_they_do_not_know(db: kalamdb.Database) -> None:
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO t VALUES (?, 'a')", [[n] for n in range(ROWS)])
    prepared = db.session("root").prepare("SELECT body FROM t WHERE id = ?")
    done = threading.Event()
    failures: list[BaseException] = []

    def scan() -> None:
        assert len(db.execute("SELECT id, body FROM t WHERE id >= 0 ORDER BY id").fetchall()) == ROWS

    def query() -> None:
        assert db.execute("SELECT count(*) FROM t WHERE length(body) > 0").fetchall() == [(ROWS,)]

    def transaction() -> None:
        session = db.session("root")
        with session.transaction():
            first = session.execute("SELECT body FROM t WHERE id = 3").fetchall()
            assert session.execute("SELECT body FROM t WHERE id = 3").fetchall() == first

    works: list[Callable[[], object]] = [
        scan,
        query,
        transaction,
        db.checkpoint,
        lambda: prepared.execute([5]).fetchall(),
        lambda: db.execute("UPDATE t SET body = 'x' WHERE id = 3"),
    ]

    def again_and_again(work: Callable[[], object]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=again_and_again, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for n in range(40):
        db.execute(f"ALTER TABLE t ADD COLUMN c{n} INT DEFAULT {n}")
        if n > 2:
            db.execute(f"ALTER TABLE t DROP COLUMN c{n - 3}")
    done.set()
    for thread in threads:
        thread.join()

    assert failures == []
