"""Policies: a partition is flushed when it has so many rows, or when its oldest row is so old; or for want of room."""

from __future__ import annotations

import time
from collections.abc import Callable

from kalamdb.database import Database
from tests.engine.cold.tiny import World, place_of


def due(db: Database) -> list[tuple[str | None, object]]:
    """Tables and partitions that the policies would have flushed now."""
    return [(request.table, request.parameters.get("partitions")) for request in db._due_flushes()]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_partition_with_so_many_rows_is_due(world: World) -> None:
    db = world.open()
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY) FLUSH ROWS 5")
    for user, count in (("alice", 5), ("bob", 4)):
        db.session(user).executemany("INSERT INTO t VALUES (?)", [(key,) for key in range(count)])
    wait_for(lambda: place_of(db, "t", "alice") is not None and place_of(db, "t", "alice").rows == 5)
    assert place_of(db, "t", "bob") is None
    db.session("alice").execute("INSERT INTO t VALUES (100)")
    assert due(db) == []
    db.session("bob").execute("INSERT INTO t VALUES (100)")
    wait_for(lambda: place_of(db, "t", "bob") is not None and place_of(db, "t", "bob").rows == 5)


def test_a_partition_whose_oldest_row_is_so_old_is_due(world: World) -> None:
    db = world.open()
    db.policies.close()
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY) FLUSH INTERVAL 60")
    db.session("alice").execute("INSERT INTO t VALUES (1)")
    db.checkpoint()
    world.advance_s(50)
    db.session("bob").execute("INSERT INTO t VALUES (1)")
    db.checkpoint()
    assert due(db) == []
    world.advance_s(11)
    assert due(db) == [("t", ["alice"])]
    db.flush()
    assert due(db) == []
    world.advance_s(1000)
    assert due(db) == []


def test_the_largest_partitions_are_due_when_hot_segments_take_too_much(world: World) -> None:
    db = world.open(hot_budget_bytes="1MiB")
    db.policies.close()
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    for user, count in (("small", 10), ("large", 3000), ("middle", 500)):
        rows = [(key, f"{key}" * 200) for key in range(count)]
        db.session(user).executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert due(db) == []
    db.checkpoint()
    if db.stats()["hot_bytes"] > 1 << 20:
        ((table, partitions),) = due(db)
        assert table == "t"
        assert "large" in partitions
        assert "small" not in partitions
    else:
        raise AssertionError(f"{db.stats()['hot_bytes']} bytes are no excess")


def test_without_a_policy_rows_stay_hot(world: World) -> None:
    db = world.open()
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1)")
    db.checkpoint()
    world.advance_s(10**6)
    assert due(db) == []
