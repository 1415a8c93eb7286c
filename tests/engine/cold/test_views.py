"""What was begun before a flush or a compaction sees what it saw; conflicts are those that there would be without."""

from __future__ import annotations

import time

import pytest

from kalamdb.database import Database
from kalamdb.errors import SerializationFailure, UniqueViolation
from tests.engine.cold.tiny import World, place_of

ROWS = [(key, key) for key in range(10)]


@pytest.fixture(params=[{}, {"cache_bytes": 0}], ids=["cached", "uncached"])
def filled(request: pytest.FixtureRequest, world: World) -> Database:
    """A table of ten cold rows."""
    db = world.open(**request.param)
    db.cold.segment_bytes_max = 1 << 20
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
    db.flush()
    return db


def everything(session: object) -> list[tuple[object, ...]]:
    rows = session.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert session.execute("SELECT id, n FROM (SELECT * FROM t) ORDER BY id").fetchall() == rows
    assert session.execute("SELECT count(*) FROM t").fetchall() == [(len(rows),)]
    for key in (0, 3, 9):
        found = session.execute("SELECT * FROM t WHERE id = ?", [key]).fetchall()
        assert found == [row for row in rows if row[0] == key]
    return rows


def test_a_transaction_sees_its_snapshot_across_flushes(filled: Database) -> None:
    reader = filled.session("r", role="service")
    reader.begin()
    filled.execute("UPDATE t SET n = n + 100 WHERE id < 5")
    filled.execute("DELETE FROM t WHERE id = 9")
    filled.execute("INSERT INTO t VALUES (20, 20)")
    assert everything(reader) == ROWS
    filled.flush()
    assert everything(reader) == ROWS
    filled.execute("DELETE FROM t WHERE id = 3")
    filled.flush()
    assert everything(reader) == ROWS
    reader.commit()
    assert [row[0] for row in everything(reader)] == [0, 1, 2, 4, 5, 6, 7, 8, 20]


def test_a_compaction_leaves_what_an_open_transaction_sees(filled: Database) -> None:
    reader = filled.session("r", role="service")
    reader.begin()
    filled.execute("UPDATE t SET n = n + 100 WHERE id < 5")
    filled.execute("DELETE FROM t WHERE id = 9")
    filled.flush()
    filled.compact()
    assert everything(reader) == ROWS
    assert place_of(filled, "t").segments == 2
    younger = filled.session("y", role="service")
    younger.begin()
    reader.rollback()
    filled.compact()
    assert place_of(filled, "t").segments == 1
    assert [row[0] for row in everything(younger)] == list(range(9))


def test_a_transaction_that_timed_out_keeps_nothing(world: World) -> None:
    db = world.open(transaction_timeout_s=0.001)
    db.cold.segment_bytes_max = 1 << 20
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
    db.execute("INSERT INTO t VALUES (1, 1)")
    db.flush()
    db.session("r", role="service").begin()
    db.execute("UPDATE t SET n = 2")
    db.flush()
    time.sleep(0.01)
    db.compact()
    assert place_of(db, "t").segments == 1


def test_a_transaction_that_a_compaction_has_outrun_is_told(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is open for so long that its partition's segments are far too many."""
    monkeypatch.setattr("kalamdb.engine.cold.compaction.SEGMENTS_MAX", 0)
    reader = filled.session("r", role="service")
    reader.begin()
    filled.execute("UPDATE t SET n = n + 100 WHERE id < 5")
    filled.execute("DELETE FROM t WHERE id = 9")
    filled.flush()
    filled.compact()
    for sql in (
        "SELECT * FROM t ORDER BY id",
        "SELECT count(*) FROM t",
        "SELECT n FROM t WHERE id = 3",
        "SELECT sum(n), count(id) FROM t",
        "UPDATE t SET n = 0 WHERE n < 3",
        "DELETE FROM t WHERE id = 3",
    ):
        with pytest.raises(SerializationFailure, match="compacted away"):
            reader.execute(sql)
    reader.rollback()
    assert filled.execute("SELECT sum(n) FROM t").fetchall() == [(sum(range(9)) + 500,)]


def test_a_transactions_own_writes_stand_before_cold_rows(filled: Database) -> None:
    session = filled.session("w", role="service")
    session.begin()
    session.execute("UPDATE t SET n = 50 WHERE id = 5")
    session.execute("DELETE FROM t WHERE id = 6")
    session.execute("INSERT INTO t VALUES (11, 11)")
    with pytest.raises(UniqueViolation):
        session.execute("INSERT INTO t VALUES (7, 0)")
    session.execute("DELETE FROM t WHERE id = 8")
    session.execute("INSERT INTO t VALUES (8, 80)")
    wanted = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 50), (7, 7), (8, 80), (9, 9), (11, 11)]
    assert everything(session) == wanted
    filled.flush()
    assert everything(session) == wanted
    assert everything(filled) == ROWS
    session.commit()
    assert everything(filled) == wanted
    filled.flush()
    filled.compact()
    assert everything(filled) == wanted


@pytest.mark.parametrize("moves", [("flush",), ("flush", "compact"), ("checkpoint",)])
def test_the_first_committer_wins_over_cold_rows(filled: Database, moves: tuple[str, ...]) -> None:
    one, other = filled.session("a", role="service"), filled.session("b", role="service")
    one.begin()
    other.begin()
    one.execute("UPDATE t SET n = 1 WHERE id = 5")
    other.execute("UPDATE t SET n = 2 WHERE id = 5")
    one.commit()
    for move in moves:
        getattr(filled, move)()
    with pytest.raises(SerializationFailure):
        other.commit()
    assert filled.execute("SELECT n FROM t WHERE id = 5").fetchall() == [(1,)]


def test_an_insert_of_a_key_that_was_taken_and_flushed_meanwhile_conflicts(filled: Database) -> None:
    session = filled.session("a", role="service")
    session.begin()
    session.execute("INSERT INTO t VALUES (77, 1)")
    filled.execute("INSERT INTO t VALUES (77, 2)")
    filled.flush()
    with pytest.raises(SerializationFailure):
        session.commit()
    assert filled.execute("SELECT n FROM t WHERE id = 77").fetchall() == [(2,)]


def test_a_transaction_reads_through_its_own_schema_what_was_flushed_with_a_newer_one(
    filled: Database,
) -> None:
    session = filled.session("a", role="service")
    session.begin()
    filled.execute("ALTER TABLE t ADD COLUMN later TEXT DEFAULT 'x'")
    filled.execute("UPDATE t SET n = 500 WHERE id = 5")
    filled.flush()
    assert everything(session) == ROWS
    session.commit()
    wanted = [(key, 500 if key == 5 else n, "x") for key, n in ROWS]
    assert filled.execute("SELECT * FROM t ORDER BY id").fetchall() == wanted


def test_a_pinned_view_reads_a_compacted_partition_of_which_nothing_it_shows_has_changed(
    filled: Database,
) -> None:
    session = filled.session("a", role="service")
    filled.executemany("INSERT INTO t VALUES (?, 0)", [(key,) for key in range(100, 110)])
    filled.flush()
    session.begin()
    filled.compact()
    assert len(everything(session)) == 20
    session.commit()


def test_a_tombstone_of_a_transactions_own_row_that_hides_nothing_is_not_shown(filled: Database) -> None:
    session = filled.session("a", role="service")
    session.begin()
    session.execute("INSERT INTO t VALUES (70, 1)")
    session.execute("DELETE FROM t WHERE id = 70")
    session.execute("DELETE FROM t WHERE id = 3")
    found = session.execute("SELECT id, _deleted FROM t WHERE _deleted OR id = 4 ORDER BY id").fetchall()
    assert found == [(3, True), (4, False)]
