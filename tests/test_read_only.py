"""A database opened read-only: beside its owner, as of the last checkpoint, and without a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import InvalidParameter, ReadOnlyDatabase, StorageUnavailable
from tests.backup.world import fill, shown


@pytest.fixture
def owner(db: kalamdb.Database) -> kalamdb.Database:
    """The process that writes."""
    fill(db)
    return db


def tree(directory: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_it_shows_the_last_checkpoint_beside_a_writer(owner, directory):
    owner.checkpoint()
    before = shown(owner)
    owner.session("alice").execute("INSERT INTO app.notes (id, body) VALUES (999, 'not yet')")
    with kalamdb.open(directory, read_only=True) as reader:
        assert shown(reader) == before
        owner.checkpoint()
        assert shown(reader) == before
    with kalamdb.open(directory, read_only=True) as reader:
        assert shown(reader) == shown(owner)


def test_it_keeps_what_it_reads_when_the_owner_moves_on(owner, directory):
    owner.checkpoint()
    before = shown(owner)
    with kalamdb.open(directory, read_only=True) as reader:
        for number in range(8):
            owner.session("alice").execute(f"INSERT INTO app.notes (id, body) VALUES ({1000 + number}, 'x')")
            owner.session("alice").execute("UPDATE app.notes SET body = 'changed' WHERE id = 5")
            owner.checkpoint()
        owner.flush()
        assert shown(reader) == before
    with kalamdb.open(directory, read_only=True) as reader:
        assert shown(reader) == shown(owner)


def test_rows_that_were_flushed_are_seen_without_a_further_checkpoint(owner, directory):
    owner.flush()
    with kalamdb.open(directory, read_only=True) as reader:
        assert shown(reader) == shown(owner)


def test_it_opens_anew_where_compaction_took_what_it_showed(owner, directory):
    owner.flush()
    with kalamdb.open(directory, read_only=True) as reader:
        owner.session("alice").execute("UPDATE app.notes SET body = 'newest' WHERE id = 5")
        owner.flush()
        owner.compact()
        assert shown(reader) == shown(owner)
        assert reader.execute("SELECT count(*) FROM app.rates").fetchall() == [(2,)]


def test_it_changes_nothing_and_refuses_to(owner, directory):
    owner.close()
    before = tree(directory)
    with kalamdb.open(directory, read_only=True) as reader:
        session = reader.session("alice")
        for sql in (
            "INSERT INTO app.notes (id, body) VALUES (1, 'x')",
            "INSERT INTO app.notes (id, body) SELECT 7000, 'x'",
            "UPDATE app.notes SET body = 'x' WHERE id = 1",
            "DELETE FROM app.notes",
            "BEGIN",
            "SELECT SNOWFLAKE_ID()",
            "SELECT SNOWFLAKE_ID() AS id WHERE TRUE",
        ):
            with pytest.raises(ReadOnlyDatabase, match="without read_only"):
                session.execute(sql)
        for sql in (
            "CREATE NAMESPACE other",
            "DROP TABLE app.notes",
            "CHECKPOINT",
            "STORAGE FLUSH ALL",
            "ERASE USER DATA FOR alice",
        ):
            with pytest.raises(ReadOnlyDatabase, match="without read_only"):
                reader.execute(sql)
        for call in (reader.flush, reader.compact, reader.checkpoint, reader.begin):
            with pytest.raises(ReadOnlyDatabase):
                call()
        with pytest.raises(ReadOnlyDatabase):
            session.insert("app.notes", [{"id": 1, "body": "x"}])
        many = pa.table({"id": range(300_000), "body": ["x"] * 300_000})
        with pytest.raises(ReadOnlyDatabase):
            session.insert("app.notes", many)
        with pytest.raises(ReadOnlyDatabase):
            session.executemany("INSERT INTO app.notes (id, body) VALUES (?, ?)", [(1, "x")])
        shown(reader)

    assert tree(directory) == before


def test_two_read_beside_each_other(owner, directory):
    owner.checkpoint()
    with kalamdb.open(directory, read_only=True) as one, kalamdb.open(directory, read_only=True) as other:
        assert shown(one) == shown(other) == shown(owner)


def test_a_directory_that_cannot_be_written_is_read(owner, directory):
    owner.checkpoint()
    expected = shown(owner)
    owner.close()
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        with kalamdb.open(directory, read_only=True) as reader:
            assert shown(reader) == expected
    finally:
        for path in [directory, *directory.rglob("*")]:
            path.chmod(0o700)


def test_where_there_is_no_database_is_said_and_none_is_made(tmp_path):
    with pytest.raises(StorageUnavailable, match="no database"):
        kalamdb.open(tmp_path / "nothing", read_only=True)
    with pytest.raises(InvalidParameter, match="in memory"):
        kalamdb.open(":memory:", read_only=True)

    assert os.listdir(tmp_path) == []
