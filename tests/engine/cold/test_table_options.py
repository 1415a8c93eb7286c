"""What a table's options and the database's settings say of its cold rows is done."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import kalamdb
from kalamcore.system import Clock, FileSystem
from kalamdb.database import Database
from kalamdb.errors import SerializationFailure
from kalamdb.settings import Settings

DAY_US = 86_400 * 1_000_000


def cold_files(db: kalamdb.Database, *folder: str) -> list[Path]:
    return sorted(Path(db.path, "cold", *folder).rglob("*.parquet"))


def wait_until_cold(db: kalamdb.Database, rows: int) -> None:
    """Wait, however long that takes, for the schedule to have so many rows flushed."""
    turn = threading.Event()
    for _ in range(600):
        if db.stats()["cold_rows"] >= rows:
            return
        turn.wait(0.1)
    raise AssertionError(f"{db.stats()['cold_rows']} rows are cold, not {rows}")


# Compression


@pytest.mark.parametrize(
    ("option", "codec"),
    [
        ("", "ZSTD"),
        ("WITH (COMPRESSION = 'zstd')", "ZSTD"),
        ("WITH (COMPRESSION = 'snappy')", "SNAPPY"),
        ("WITH (COMPRESSION = 'none')", "UNCOMPRESSED"),
    ],
)
def test_segments_are_compressed_as_the_table_says_also_after_compaction(db, option, codec):
    db.execute(f"CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT) {option}")
    given = [(n, f"row {n} " * 10) for n in range(600)]
    for half in (given[:300], given[300:]):
        db.executemany("INSERT INTO notes VALUES (?, ?)", half)
        db.flush("notes")

    def codecs() -> list[str]:
        files = [pq.read_metadata(file) for file in cold_files(db, "default", "notes")]
        return [file.row_group(0).column(1).compression for file in files]

    assert codecs() == [codec, codec]
    db.compact("notes")
    assert set(codecs()) == {codec}
    assert db.execute("SELECT * FROM notes ORDER BY id").fetchall() == given


# Policies, by CREATE and by ALTER


def test_a_policy_given_by_alter_is_followed_and_one_taken_back_is_not(notes):
    notes.execute("INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')")
    notes.execute("ALTER TABLE app.notes SET FLUSH POLICY ROWS 3")
    assert notes.stats()["cold_rows"] == 0
    notes.execute("INSERT INTO app.notes VALUES (3, 'c')")
    wait_until_cold(notes, 3)

    notes.execute("INSERT INTO app.notes VALUES (4, 'd')")
    notes.execute("ALTER TABLE app.notes SET FLUSH POLICY ROWS 1")
    wait_until_cold(notes, 4)
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (4,)


def test_rows_are_counted_by_partition(db):
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY) FLUSH ROWS 3")
    db.session("bob").execute("INSERT INTO notes VALUES (1), (2)")
    db.session("alice").execute("INSERT INTO notes VALUES (1), (2), (3)")
    wait_until_cold(db, 3)

    assert [file.parent.name for file in cold_files(db)] == ["alice"]
    assert db.stats()["cold_rows"] == 3


def test_an_interval_flushes_rows_by_their_age(db):
    db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY) FLUSH INTERVAL 1")
    db.execute("INSERT INTO notes VALUES (1)")
    wait_until_cold(db, 1)

    assert db.execute("SELECT id FROM notes").fetchall() == [(1,)]


# The hot budget


def policy_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kalamdb-policies"]


@pytest.mark.parametrize("many_at_once", [True, False])
def test_beyond_the_hot_budget_rows_become_cold_without_any_policy(directory, many_at_once):
    body = "x" * 20_000
    with kalamdb.open(directory, hot_budget_bytes="1MiB", memtable_bytes="256KiB") as db:
        db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute("CREATE USER TABLE others (id BIGINT PRIMARY KEY)")
        assert policy_threads() == []
        db.session("bob").execute("INSERT INTO notes VALUES (1, 'small')")
        db.session("bob").execute("INSERT INTO others VALUES (1)")
        alice = db.session("alice")
        given = [(n, body) for n in range(600)]
        if many_at_once:
            for start in range(0, 600, 50):
                alice.executemany("INSERT INTO notes VALUES (?, ?)", given[start : start + 50])
        else:
            for row in given:
                alice.execute("INSERT INTO notes VALUES (?, ?)", row)
        wait_until_cold(db, 300)
        # The largest partition went, and that was enough.
        assert {file.parent.name for file in cold_files(db)} == {"alice"}
        assert alice.execute("SELECT count(*), min(id), max(id) FROM notes").fetchone() == (600, 0, 599)
    assert policy_threads() == []


def test_a_database_far_below_its_hot_budget_has_no_thread_for_it(notes):
    for n in range(600):
        notes.execute("INSERT INTO app.notes VALUES (?, 'x')", [n])
    notes.checkpoint()
    notes.execute("INSERT INTO app.notes VALUES (1000, 'x')")

    assert policy_threads() == []


def test_a_database_that_is_opened_beyond_its_hot_budget_is_watched_at_once(directory):
    with kalamdb.open(directory) as db:
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
        db.executemany("INSERT INTO notes VALUES (?, ?)", [(n, "x" * 20_000) for n in range(100)])
        db.checkpoint()
        assert db.stats()["hot_bytes"] > 1 << 20
    with kalamdb.open(directory, hot_budget_bytes="1MiB") as db:
        wait_until_cold(db, 100)


# Retention of deleted rows


@pytest.fixture
def clock():
    return Clock.manual(int(datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC).timestamp() * 1_000_000))


@pytest.fixture(params=["table", "setting"])
def kept_two_days(request, clock, directory):
    """A database with notes 1 and 2, whose deleted rows are kept for two days."""
    said_by_table = request.param == "table"
    settings = Settings(deleted_retention_h=1000 if said_by_table else 48)
    with Database(FileSystem.posix(), str(directory), settings, clock=clock) as db:
        option = "DELETED_RETENTION '2d'" if said_by_table else ""
        db.execute(f"CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT) {option}")
        db.execute("INSERT INTO notes VALUES (1, 'a'), (2, 'b')")
        yield db


def deleted(db: kalamdb.Database) -> list[tuple[int, str]]:
    return db.execute("SELECT id, body FROM notes WHERE _deleted").fetchall()


def checkpoints(db: kalamdb.Database) -> None:
    """As many as have hot segments merged."""
    for n in range(8):
        db.execute(
            "INSERT INTO notes VALUES (?, 'more') ON CONFLICT (id) DO UPDATE SET body = 'more'", [100 + n]
        )
        db.checkpoint()


def test_hot_segments_let_go_of_deleted_rows_past_their_retention(kept_two_days, clock):
    db = kept_two_days
    db.checkpoint()
    db.execute("DELETE FROM notes WHERE id = 1")
    clock.advance(DAY_US)
    checkpoints(db)
    assert deleted(db) == [(1, "a")]
    clock.advance(DAY_US + 1000)
    checkpoints(db)
    assert deleted(db) == []

    assert db.execute("SELECT id FROM notes WHERE id < 100").fetchall() == [(2,)]
    db.execute("INSERT INTO notes VALUES (1, 'again')")
    assert db.execute("SELECT body FROM notes WHERE id = 1").fetchall() == [("again",)]


def test_a_table_of_which_all_is_deleted_for_long_has_no_hot_segment(kept_two_days, clock):
    db = kept_two_days
    db.execute("DELETE FROM notes")
    clock.advance(3 * DAY_US)
    for n in range(8):
        db.execute("INSERT INTO notes VALUES (?, '')", [n + 1])
        db.execute("DELETE FROM notes")
        db.checkpoint()
        clock.advance(3 * DAY_US)
    db.execute("CREATE TABLE others (id BIGINT PRIMARY KEY)")
    db.checkpoint()

    assert len(deleted(db)) < 8
    assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_what_deletes_a_cold_row_stays_hot_until_it_is_flushed(kept_two_days, clock):
    db = kept_two_days
    db.flush()
    db.execute("DELETE FROM notes WHERE id = 1")
    clock.advance(3 * DAY_US)
    checkpoints(db)

    assert deleted(db) == [(1, "a")]
    assert db.execute("SELECT id FROM notes WHERE id < 100").fetchall() == [(2,)]


def test_compaction_lets_go_of_deleted_rows_past_their_retention(kept_two_days, clock):
    db = kept_two_days
    db.flush()
    db.execute("DELETE FROM notes WHERE id = 1")
    db.flush()
    clock.advance(DAY_US)
    db.compact()
    assert deleted(db) == [(1, "a")]
    clock.advance(DAY_US + 1000)
    db.compact()
    assert deleted(db) == []

    assert db.stats()["cold_rows"] == 1
    assert db.execute("SELECT id FROM notes").fetchall() == [(2,)]


def test_a_view_from_before_still_has_what_was_let_go(kept_two_days, clock):
    db = kept_two_days
    db.checkpoint()
    reader = db.session("alice", role="service")
    reader.begin()
    assert reader.execute("SELECT count(*) FROM notes").fetchone() == (2,)
    db.execute("DELETE FROM notes WHERE id = 1")
    clock.advance(3 * DAY_US)
    checkpoints(db)

    assert deleted(db) == []
    assert reader.execute("SELECT id, body FROM notes ORDER BY id").fetchall() == [(1, "a"), (2, "b")]
    reader.execute("UPDATE notes SET body = 'mine' WHERE id = 1")
    with pytest.raises(SerializationFailure):
        reader.commit()
