"""One user's data: exported as files, and erased so that nothing of it is left on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import kalamdb
from kalamdb.errors import AccessDenied, StorageInUse

CANARY = "CANARY-7f3a9c"


def files_with(directory: Path, text: str) -> list[str]:
    """Files below a directory in whose bytes, or in whose name, the text stands."""
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and (text.encode() in path.read_bytes() or text in path.name)
    ]


def make(db: kalamdb.Database) -> None:
    """Tables with rows of two users, uncompressed, so that a canary is found where it is."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT) WITH (COMPRESSION = none)")
    db.execute("CREATE USER TABLE app.tags (name TEXT PRIMARY KEY) WITH (COMPRESSION = none)")
    db.execute(
        "CREATE STREAM TABLE app.ticks (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT) TTL 600"
    )
    db.execute("CREATE SHARED TABLE app.rates (code TEXT PRIMARY KEY)")
    db.execute("INSERT INTO app.rates VALUES ('eur')")


def write(db: kalamdb.Database, start: int) -> None:
    """Rows of alice, each with the canary, and of bob."""
    for user in ("alice", "bob"):
        session = db.session(user)
        canary = f"{CANARY} of {user}"
        rows = [(start + number, f"{canary} {number}") for number in range(5)]
        session.executemany("INSERT INTO app.notes VALUES (?, ?)", rows)
        session.execute("INSERT INTO app.tags VALUES (?)", [f"{canary} {start}"])
        session.execute("INSERT INTO app.ticks (body) VALUES (?)", [canary])


@pytest.fixture
def spread(db: kalamdb.Database) -> kalamdb.Database:
    """Rows of alice and bob, cold, compacted, hot and in memory, some updated and deleted."""
    make(db)
    write(db, 0)
    db.flush()
    write(db, 100)
    db.flush()
    db.compact()
    write(db, 200)
    db.checkpoint()
    db.session("alice").execute(f"UPDATE app.notes SET body = '{CANARY} of alice changed' WHERE id = 1")
    db.session("alice").execute("DELETE FROM app.notes WHERE id = 2")
    write(db, 300)
    return db


def test_nothing_of_an_erased_user_is_left_in_any_file(spread, directory):
    assert files_with(directory, f"{CANARY} of alice")

    rows = spread.execute("ERASE USER DATA FOR alice").fetchall()

    assert rows == [("app", "notes", 19), ("app", "tags", 4), ("app", "ticks", 4)]
    assert files_with(directory, f"{CANARY} of alice") == []
    for table in ("notes", "tags", "ticks"):
        assert spread.session("alice").execute(f"SELECT * FROM app.{table}").fetchall() == []
    assert len(spread.session("bob").execute("SELECT * FROM app.notes").fetchall()) == 20
    assert len(spread.session("bob").execute("SELECT * FROM app.ticks").fetchall()) == 4
    assert files_with(directory, f"{CANARY} of bob")


def test_an_erased_user_stays_so_after_a_reopen_and_may_write_anew(spread, directory):
    spread.execute("ERASE USER DATA FOR alice")
    spread.close()
    with kalamdb.open(directory) as db:
        alice = db.session("alice")
        assert alice.execute("SELECT * FROM app.notes").fetchall() == []
        assert len(db.session("bob").execute("SELECT * FROM app.notes").fetchall()) == 20
        alice.execute("INSERT INTO app.notes VALUES (1, 'new')")
        db.flush()
        assert alice.execute("SELECT * FROM app.notes").fetchall() == [(1, "new")]
    assert files_with(directory, f"{CANARY} of alice") == []


def test_what_was_cut_from_the_log_and_recycled_files_go_too(directory):
    with kalamdb.open(directory, wal_file_bytes=4 << 20) as db:
        make(db)
        alice = db.session("alice")
        for number in range(12):
            alice.execute("INSERT INTO app.notes VALUES (?, ?)", [number, f"{CANARY} " * 60_000])
        db.checkpoint()
        for number in range(12, 16):
            alice.execute("INSERT INTO app.notes VALUES (?, ?)", [number, f"{CANARY} " * 60_000])
        (directory / "wal" / "00000001.log.torn").write_bytes(CANARY.encode())
        (directory / "wal" / "00000002.log.damaged").write_bytes(CANARY.encode())
        db.execute("ERASE USER DATA FOR alice")
        assert files_with(directory, CANARY) == []
    assert files_with(directory, CANARY) == []


def test_rows_of_dropped_tables_go_as_well(spread, directory):
    spread.execute("DROP TABLE app.notes")
    spread.execute("ERASE USER DATA FOR 'alice'")

    assert files_with(directory, f"{CANARY} of alice") == []


def test_erasing_a_user_who_has_nothing_is_fine(spread):
    rows = spread.execute("ERASE USER DATA FOR nobody").fetchall()

    assert rows == [("app", "notes", 0), ("app", "tags", 0), ("app", "ticks", 0)]


def test_erasing_can_be_repeated_after_a_crash_in_the_middle(spread, directory, monkeypatch):
    from kalamdb.engine.cold import erasing

    def fail(tier, place):
        remove(tier, place)
        raise RuntimeError("the process dies here")

    remove = erasing.remove_partition
    monkeypatch.setattr(erasing, "remove_partition", fail)
    with pytest.raises(kalamdb.Error):
        spread.execute("ERASE USER DATA FOR alice")
    monkeypatch.undo()
    spread.close()
    with kalamdb.open(directory) as db:
        db.execute("ERASE USER DATA FOR alice")
        assert db.session("alice").execute("SELECT * FROM app.notes").fetchall() == []
        assert len(db.session("bob").execute("SELECT * FROM app.notes").fetchall()) == 20
    assert files_with(directory, f"{CANARY} of alice") == []


def test_erasing_waits_for_a_backup_to_be_done_with_the_files(spread, directory, tmp_path, monkeypatch):
    import threading

    from kalamdb.engine.backup.target import BackupTarget

    entered, leave = threading.Event(), threading.Event()
    put = BackupTarget.put

    def put_slowly(self, parts):
        entered.set()
        leave.wait(60)
        return put(self, parts)

    monkeypatch.setattr(BackupTarget, "put", put_slowly)
    spread.execute(f"BACKUP DATABASE TO '{tmp_path}/backup'")
    entered.wait(60)
    erasing = threading.Thread(target=lambda: spread.execute("ERASE USER DATA FOR alice"))
    erasing.start()
    leave.set()
    erasing.join()

    assert files_with(directory, f"{CANARY} of alice") == []
    kalamdb.restore(tmp_path / "backup", tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        assert len(restored.session("alice").execute("SELECT * FROM app.notes").fetchall()) == 19


def test_an_export_holds_a_users_rows_and_nobody_elses(spread, tmp_path):
    out = tmp_path / "out"
    rows = spread.execute(f"EXPORT USER DATA FOR alice TO '{out}'").fetchall()
    described = json.loads((out / "export.json").read_bytes())
    table = pq.read_table(out / "app.notes.parquet")

    assert rows == [
        ("app", "notes", "app.notes.parquet", 19),
        ("app", "tags", "app.tags.parquet", 4),
        ("app", "ticks", "app.ticks.parquet", 4),
    ]
    assert described["user_id"] == "alice"
    assert [one["rows"] for one in described["tables"]] == [19, 4, 4]
    assert table.column_names == ["id", "body", "_seq"]
    expected = spread.session("alice").execute("SELECT id, body FROM app.notes").fetchall()
    assert sorted(zip(table["id"].to_pylist(), table["body"].to_pylist())) == sorted(expected)
    assert files_with(out, "of bob") == []
    with pytest.raises(StorageInUse, match="nothing is overwritten"):
        spread.execute(f"EXPORT USER DATA FOR bob TO '{out}'")


def test_an_export_does_not_go_where_other_files_are(spread, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "app.notes.parquet").write_bytes(b"somebody's")
    with pytest.raises(StorageInUse, match="files in this place"):
        spread.execute(f"EXPORT USER DATA FOR alice TO '{tmp_path}/used'")
    spread.execute(f"CREATE STORAGE s TYPE filesystem URI '{tmp_path}/storage'")
    for path in (f"{tmp_path}/storage", f"{tmp_path}/storage/x", tmp_path):
        with pytest.raises(kalamdb.Error, match=r'storage "s"|database directory'):
            spread.execute(f"EXPORT USER DATA FOR alice TO '{path}'")
        with pytest.raises(kalamdb.Error, match=r'storage "s"|database directory'):
            spread.backup(path)

    assert (tmp_path / "used" / "app.notes.parquet").read_bytes() == b"somebody's"


def test_who_may_export_and_erase(tmp_path):
    with kalamdb.open(tmp_path / "data", storage_roots=[str(tmp_path / "exports")]) as db:
        make(db)
        write(db, 0)
        alice = db.session("alice")
        alice.execute(f"EXPORT USER DATA FOR alice TO '{tmp_path}/exports/alice'")
        with pytest.raises(AccessDenied):
            alice.execute(f"EXPORT USER DATA FOR bob TO '{tmp_path}/exports/bob'")
        with pytest.raises(kalamdb.Error, match="storage_roots"):
            alice.execute(f"EXPORT USER DATA FOR alice TO '{tmp_path}/elsewhere'")
        with pytest.raises(AccessDenied, match="bucket"):
            alice.execute("EXPORT USER DATA FOR alice TO 's3://bucket/x'")
        for role in ("user", "service"):
            with pytest.raises(AccessDenied):
                db.session("alice", role=role).execute("ERASE USER DATA FOR alice")
        db.session("boss", role="dba").execute(f"EXPORT USER DATA FOR bob TO '{tmp_path}/exports/bob'")
    with kalamdb.open(tmp_path / "free") as db, pytest.raises(AccessDenied, match="storage_roots"):
        db.session("alice").execute(f"EXPORT USER DATA FOR alice TO '{tmp_path}/x'")
