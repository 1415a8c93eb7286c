"""A storage that does not answer loses nothing: rows stay hot, the job is tried again, and the rest goes on."""

from __future__ import annotations

import time

import pytest

from kalamdb.database import Database
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.errors import StorageUnavailable
from tests.engine.cold.tiny import Gate, World, files_of, place_of


@pytest.fixture
def filled(tiny: Database) -> Database:
    """Cold rows of two users, and another table with hot ones."""
    tiny.jobs._delay = RetryDelay(first_s=0.01, max_s=0.02)
    tiny.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT)")
    tiny.execute("CREATE TABLE hot (id BIGINT PRIMARY KEY, n INT)")
    for user in ("alice", "bob"):
        tiny.session(user).executemany("INSERT INTO t VALUES (?, 0)", [(key,) for key in range(10)])
    tiny.flush("t")
    tiny.execute("INSERT INTO hot VALUES (1, 1)")
    return tiny


def test_a_flush_fails_with_its_reason_and_is_tried_again(filled: Database) -> None:
    alice = filled.session("alice")
    alice.execute("INSERT INTO t VALUES (100, 1)")
    gate = Gate(filled)
    gate.away = True
    with pytest.raises(StorageUnavailable, match='storage "local" is unavailable'):
        filled.flush("t")
    failed = filled.execute("SELECT status, error FROM system.jobs WHERE status = 'failed'").fetchone()
    assert failed is not None
    assert "unavailable" in failed[1]
    assert alice.execute("SELECT n FROM t WHERE id = 100").fetchall() == [(1,)]
    gate.away = False
    until = time.monotonic() + 60
    while place_of(filled, "t", "alice").rows < 11:
        assert time.monotonic() < until, "it was not tried again"
        time.sleep(0.01)
    assert alice.execute("SELECT count(*) FROM t").fetchall() == [(11,)]


def test_statements_that_need_what_is_away_say_so_and_others_go_on(filled: Database, world: World) -> None:
    db = world.open(cache_bytes=0)
    gate = Gate(db)
    gate.away = True
    alice = db.session("alice")
    for sql in (
        "SELECT * FROM t",
        "SELECT count(*) FROM t",
        "SELECT * FROM t WHERE id = 3",
        "UPDATE t SET n = 1 WHERE id = 3",
        "DELETE FROM t WHERE id = 3",
        "INSERT INTO t VALUES (3, 3)",
        "SELECT a.id FROM t a JOIN t b ON a.id = b.id",
        "INSERT INTO t SELECT id + 100, n FROM t",
    ):
        with pytest.raises(StorageUnavailable, match="local"):
            alice.execute(sql).fetchall()
    assert db.execute("SELECT * FROM hot").fetchall() == [(1, 1)]
    db.execute("INSERT INTO hot VALUES (2, 2)")
    db.session("carol").execute("INSERT INTO t VALUES (1, 1)")
    assert db.session("carol").execute("SELECT * FROM t").fetchall() == [(1, 1)]
    db.execute("ALTER TABLE t ADD COLUMN later INT")
    gate.away = False
    assert alice.execute("SELECT count(*) FROM t").fetchall() == [(10,)]
    alice.execute("UPDATE t SET n = 1 WHERE id = 3")
    assert alice.execute("SELECT id FROM t WHERE n = 1").fetchall() == [(3,)]


def test_opening_asks_no_storage(filled: Database, world: World) -> None:
    db = world.open()
    gate = Gate(db)
    db.execute("SELECT * FROM hot")
    db.execute("INSERT INTO hot VALUES (5, 5)")
    db.execute("SHOW TABLES")
    assert gate.calls == []


def test_a_storage_that_goes_away_between_two_partitions_keeps_the_first_flushed(
    filled: Database,
) -> None:
    for user in ("alice", "bob"):
        filled.session(user).execute("INSERT INTO t VALUES (200, 2)")
    gate = Gate(filled)
    gate.holds = {"replace"}
    filled.jobs._delay = RetryDelay(first_s=1000.0)
    (job_id, *_) = filled.execute("STORAGE FLUSH TABLE t").fetchone()
    assert gate.reached.wait(30)

    passed: list[str] = []
    replace = gate._behind.replace

    def replace_once(path: str, *arguments: object) -> object:
        done = replace(path, *arguments)
        passed.append(path)
        gate.away = path.endswith("manifest.json")
        return done

    class Behind:
        def __getattr__(self, name: str) -> object:
            return replace_once if name == "replace" else getattr(original, name)

    original = gate._behind
    gate._behind = Behind()
    gate.let_go.set()
    assert filled.jobs.wait(job_id, 30).status.value == "failed"
    gate.away = False
    gate._behind = original
    gate.holds = set()
    assert [place_of(filled, "t", user).rows for user in ("alice", "bob")] == [11, 10]
    for user in ("alice", "bob"):
        assert filled.session(user).execute("SELECT count(*) FROM t").fetchall() == [(11,)]
    filled.flush("t")
    assert [place_of(filled, "t", user).rows for user in ("alice", "bob")] == [11, 11]


def test_a_killed_flush_leaves_rows_hot_and_the_next_one_moves_them(filled: Database) -> None:
    filled.session("alice").execute("INSERT INTO t VALUES (300, 3)")
    gate = Gate(filled)
    gate.holds = {"write"}
    (job_id, *_) = filled.execute("STORAGE FLUSH TABLE t").fetchone()
    assert gate.reached.wait(30)
    filled.execute(f"KILL JOB '{job_id}'")
    gate.let_go.set()
    assert filled.jobs.wait(job_id, 30).status.value in ("cancelled", "completed")
    gate.holds = set()
    assert filled.session("alice").execute("SELECT count(*) FROM t").fetchall() == [(11,)]
    filled.flush("t")
    filled.cold.grace_s = 0.0
    filled.compact("t")
    assert place_of(filled, "t", "alice").rows == 11
    assert filled.session("alice").execute("SELECT n FROM t WHERE id = 300").fetchall() == [(3,)]
    assert files_of(filled)
