"""Many small partitions are flushed several at a time; whatever ends the job, each is cold whole or still hot."""

import threading
from typing import Any

import pytest

from kalamdb.database import Database
from kalamdb.engine.cold import flush
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.errors import JobCancelled, StorageUnavailable
from tests.engine.cold.tiny import place_of

USERS = [f"user{number:02}" for number in range(40)]


@pytest.fixture
def many(tiny: Database) -> Database:
    """Hot rows of forty users."""
    tiny.jobs._delay = RetryDelay(first_s=1000.0)
    tiny.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT)")
    for number, user in enumerate(USERS):
        tiny.session(user).executemany(
            "INSERT INTO t VALUES (?, 0)", [(key,) for key in range(number % 7 + 1)]
        )
    return tiny


def rows_of(db: Database) -> list[int]:
    return [db.session(user).execute("SELECT count(*) FROM t").fetchone()[0] for user in USERS]


EXPECTED = [number % 7 + 1 for number in range(len(USERS))]


def flushed(db: Database) -> list[str]:
    """Those whose rows are cold, all of them."""
    found = []
    for user, rows in zip(USERS, EXPECTED, strict=True):
        place = place_of(db, "t", user)
        if place is not None and place.rows:
            assert place.rows == rows
            found.append(user)
    return found


def test_several_are_on_their_way_at_once(many: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = threading.Barrier(flush.SIDE_BY_SIDE, timeout=30)
    work: Any = flush._flush_partition

    def together(*arguments: Any) -> Any:
        # Nobody gets past it alone; forty are five rounds of eight.
        meeting.wait()
        return work(*arguments)

    monkeypatch.setattr(flush, "_flush_partition", together)
    many.flush("t")
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED


def test_one_that_fails_lets_those_that_began_end(many: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    work: Any = flush._flush_partition

    def failing(*arguments: Any) -> Any:
        place = arguments[3]
        if place.partition == "user11":
            raise StorageUnavailable("the disk went away; bring it back")
        return work(*arguments)

    monkeypatch.setattr(flush, "_flush_partition", failing)
    with pytest.raises(StorageUnavailable, match="went away"):
        many.flush("t")
    some = flushed(many)
    assert "user11" not in some
    assert set(USERS[:4]) <= set(some)
    assert rows_of(many) == EXPECTED
    monkeypatch.undo()
    many.flush("t")
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED


def test_a_job_that_is_stopped_leaves_the_rest_hot(many: Database) -> None:
    class Stopping:
        def __init__(self) -> None:
            self.parameters: dict[str, Any] = {}
            self.checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks > 5:
                raise JobCancelled("stopped")

        def progress(self, rows: int, size: int) -> None:
            pass

    context: Any = Stopping()
    schema = many.catalog.table("default", "t")
    assert schema is not None
    with pytest.raises(JobCancelled):
        flush.flush_table(many.cold, schema, context)
    some = flushed(many)
    assert 5 <= len(some) < len(USERS)
    assert rows_of(many) == EXPECTED
    many.flush("t")
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED
