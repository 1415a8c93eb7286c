"""A backup is what was committed at one moment; restored, it is the same again, sequence numbers included."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    Corruption,
    DuplicateObject,
    InvalidDefinition,
    StorageInUse,
    StorageUnavailable,
    UndefinedBackup,
    UndefinedNamespace,
)
from tests.backup.world import USERS, fill, shown


@pytest.fixture
def filled(db: kalamdb.Database) -> kalamdb.Database:
    """A database with rows in memory, hot and cold."""
    fill(db)
    return db


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backups"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[kalamdb.Database]:
    """Another database, empty."""
    with kalamdb.open(tmp_path / "other") as database:
        yield database


def pieces(target: Path) -> set[str]:
    """The names of all pieces of files."""
    return {path.name for path in (target / "pieces").iterdir()}


def test_a_restored_database_is_the_same_again(filled, target, tmp_path):
    before = shown(filled)
    filled.backup(target)
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        assert shown(restored) == before
        restored.flush()
        restored.compact()
        after = shown(restored)

    assert after == before


def test_a_restored_database_goes_on_above_what_it_was(filled, target, tmp_path):
    filled.backup(target)
    highest = max(row[3] for user in USERS for row in shown(filled)[user])
    last_id = filled.ids.snowflake_id()
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        alice = restored.session("alice")
        alice.execute("INSERT INTO app.notes (id, body) VALUES (500, 'later')")
        sequence = alice.execute("SELECT _seq FROM app.notes WHERE id = 500").fetchone()[0]
        with pytest.raises(kalamdb.Error, match="duplicate key"):
            alice.execute("INSERT INTO app.notes (id, body) VALUES (5, 'twice')")
        alice.execute("INSERT INTO app.notes (id, body) VALUES (2, 'again')")
        new_id = restored.ids.snowflake_id()
        restored.execute("CREATE TABLE app.more (id BIGINT PRIMARY KEY)")

        assert restored.execute("SELECT * FROM app.more").fetchall() == []

    assert sequence > highest
    assert new_id > last_id


def test_a_restored_database_is_there_after_a_reopen(filled, target, tmp_path):
    before = shown(filled)
    filled.backup(target)
    kalamdb.restore(target, tmp_path / "restored")
    for _ in range(2):
        with kalamdb.open(tmp_path / "restored") as restored:
            assert shown(restored) == before


def test_writes_go_on_and_the_backup_is_a_prefix_of_them(db, target, tmp_path):
    """Each commit writes one number into two tables; the backup has the first n of them, in both."""
    db.execute("CREATE TABLE a (id BIGINT PRIMARY KEY)")
    db.execute("CREATE TABLE b (id BIGINT PRIMARY KEY)")
    stop = threading.Event()

    def write() -> None:
        session = db.session("writer", role="dba", durability="normal")
        number = 0
        while not stop.is_set():
            with session.transaction():
                session.execute("INSERT INTO a VALUES (?)", [number])
                session.execute("INSERT INTO b VALUES (?)", [number])
            number += 1

    def move() -> None:
        while not stop.is_set():
            db.flush("a")
            db.checkpoint()
            db.flush("b")

    threads = [threading.Thread(target=one) for one in (write, move)]
    for thread in threads:
        thread.start()
    seen = []
    try:
        for number in range(5):
            db.backup(target)
            kalamdb.restore(target, tmp_path / f"restored-{number}")
            with kalamdb.open(tmp_path / f"restored-{number}", read_only=True) as restored:
                a, b = (
                    sorted(row[0] for row in restored.execute(f"SELECT id FROM {name}").fetchall())
                    for name in "ab"
                )
            assert a == b == list(range(len(a)))
            seen.append(len(a))
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


def test_a_backup_that_ends_in_the_middle_is_none_and_the_one_before_stands(
    filled, target, tmp_path, monkeypatch
):
    from kalamdb.storage.filesystem import FilesystemBackend

    filled.backup(target)
    before = shown(filled)
    write = FilesystemBackend.write
    for number in range(1, 4):
        filled.session("alice").execute(f"INSERT INTO app.notes (id, body) VALUES ({900 + number}, 'later')")
        filled.flush()
        left = [number]

        def write_some(self, path, data, left=left):
            left[0] -= 1
            if left[0] <= 0 and path.startswith("pieces/"):
                raise StorageUnavailable("the disk is gone")
            write(self, path, data)

        monkeypatch.setattr(FilesystemBackend, "write", write_some)
        with pytest.raises(StorageUnavailable):
            filled.backup(target)
        monkeypatch.undo()
        kalamdb.restore(target, tmp_path / f"restored-{number}")
        with kalamdb.open(tmp_path / f"restored-{number}", read_only=True) as restored:
            assert shown(restored) == before


def test_a_second_backup_copies_what_has_changed_alone(filled, target):
    filled.backup(target)
    first = pieces(target)
    filled.session("alice").execute("INSERT INTO app.notes (id, body) VALUES (7777, 'new')")
    filled.backup(target)
    jobs = filled.execute("SELECT result FROM system.jobs WHERE job_type = 'backup'").fetchall()
    new = pieces(target) - first

    assert first < pieces(target)
    assert len(new) <= 2
    assert any(result.endswith(f", {len(new)} of them new") for (result,) in jobs)
    assert sorted(path.name for path in target.glob("backups/*")) == [
        "00000001.json",
        "00000002.json",
    ]


def test_a_place_with_backups_of_another_database_is_refused(filled, target, other):
    filled.backup(target)
    before = sorted(path.read_bytes() for path in target.rglob("*") if path.is_file())
    with pytest.raises(StorageInUse, match="a place of its own"):
        other.backup(target)

    assert sorted(path.read_bytes() for path in target.rglob("*") if path.is_file()) == before


def test_a_restore_overwrites_nothing(filled, target, other):
    filled.backup(target)
    before = shown(filled)
    with pytest.raises(DuplicateObject, match="nothing is overwritten"):
        filled.execute(f"RESTORE DATABASE FROM '{target}'")
    other.execute("CREATE NAMESPACE app")
    with pytest.raises(DuplicateObject, match='"app" already exists'):
        other.execute(f"RESTORE DATABASE FROM '{target}'")

    assert shown(filled) == before
    assert other.execute("SHOW TABLES IN app").fetchall() == []


def test_a_directory_that_exists_is_not_restored_into(filled, target, tmp_path):
    filled.backup(target)
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageInUse, match="exists"):
        kalamdb.restore(target, tmp_path / "there")

    assert list((tmp_path / "there").iterdir()) == []


def test_what_a_restore_left_unfinished_is_named_and_not_touched(filled, target, tmp_path):
    filled.backup(target)
    left = tmp_path / "there.restoring" / "wal"
    left.mkdir(parents=True)
    with pytest.raises(
        StorageInUse, match=r"there\.restoring exists: another restore .* remove it if none is"
    ):
        kalamdb.restore(target, tmp_path / "there")

    assert left.is_dir()
    assert not (tmp_path / "there").exists()


def test_a_link_that_leads_nowhere_is_not_restored_into(filled, target, tmp_path):
    filled.backup(target)
    (tmp_path / "there").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageInUse, match="exists"):
        kalamdb.restore(target, tmp_path / "there")


def test_a_namespace_alone_goes_and_comes_back_beside_others(filled, target, other):
    filled.execute("CREATE NAMESPACE rest")
    filled.execute("CREATE TABLE rest.secret (id BIGINT PRIMARY KEY, canary TEXT)")
    filled.execute("INSERT INTO rest.secret VALUES (1, 'CANARY-OF-REST')")
    filled.flush()
    before = shown(filled)
    filled.execute(f"BACKUP NAMESPACE app TO '{target}'")
    while filled.jobs.count():
        filled.jobs.wait(filled.jobs.jobs()[-1].job_id)
    other.execute("CREATE NAMESPACE rest")
    other.execute("CREATE TABLE rest.mine (id BIGINT PRIMARY KEY)")
    other.execute("INSERT INTO rest.mine VALUES (1)")
    other.execute(f"RESTORE NAMESPACE app FROM '{target}'")

    assert shown(other) == before
    assert other.execute("SELECT * FROM rest.mine").fetchall() == [(1,)]
    assert not any(b"CANARY-OF-REST" in path.read_bytes() for path in target.rglob("*") if path.is_file())


def test_one_namespace_of_a_whole_backup_is_restored_alone(filled, target, other):
    filled.execute("CREATE NAMESPACE rest")
    filled.backup(target)
    other.execute(f"RESTORE NAMESPACE app FROM '{target}'")
    names = [row[0] for row in other.execute("SHOW NAMESPACES").fetchall()]

    assert shown(other) == shown(filled)
    assert "rest" not in names
    with pytest.raises(UndefinedNamespace, match='no namespace "nowhere"'):
        other.execute(f"RESTORE NAMESPACE nowhere FROM '{target}'")


def test_any_damage_refuses_the_restore_and_leaves_nothing(filled, target, tmp_path):
    filled.backup(target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        kept = path.read_bytes()
        damaged = bytearray(kept)
        damaged[len(kept) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(Corruption):
            kalamdb.restore(target, tmp_path / f"restored-{number}")
        assert not (tmp_path / f"restored-{number}").exists()
        path.unlink()
        with pytest.raises((Corruption, UndefinedBackup)):
            kalamdb.restore(target, tmp_path / f"restored-{number}")
        path.write_bytes(kept)
    kalamdb.restore(target, tmp_path / "whole")


def test_a_restore_that_fails_leaves_an_open_database_as_it_was(filled, target, other):
    filled.backup(target)
    for path in sorted((target / "pieces").iterdir()):
        kept = path.read_bytes()
        path.write_bytes(kept[:-1])
        with pytest.raises(Corruption):
            other.execute(f"RESTORE DATABASE FROM '{target}'")
        path.write_bytes(kept)
    cold = Path(other.path) / "cold"

    assert [path for path in cold.rglob("*") if path.is_file()] == []
    assert [row[0] for row in other.execute("SHOW NAMESPACES").fetchall()] == ["default"]
    other.execute(f"RESTORE DATABASE FROM '{target}'")
    assert shown(other) == shown(filled)


def test_rows_that_went_to_a_segment_at_once_keep_their_numbers(db, target, tmp_path):
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
    loaded = pa.table({"id": range(250_000), "body": ["loaded"] * 250_000})
    db.session("alice").insert("notes", loaded)
    db.session("alice").execute("UPDATE notes SET body = 'changed' WHERE id = 7")
    query = "SELECT count(*), min(_seq), max(_seq), sum(id) FROM notes"
    before = db.session("alice").execute(query).fetchall()
    db.backup(target)
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        alice = restored.session("alice")
        assert alice.execute(query).fetchall() == before
        assert alice.execute("SELECT body FROM notes WHERE id = 7").fetchall() == [("changed",)]
        alice.execute("INSERT INTO notes VALUES (-1, 'above')")
        assert alice.execute("SELECT _seq FROM notes WHERE id = -1").fetchone()[0] > before[0][2]


def test_what_is_damaged_already_is_told_by_the_backup(filled, target):
    filled.checkpoint()
    filled.close()
    (hot,) = [path for path in (Path(filled.path) / "hot").glob("*.arrow") if b"memory" in path.read_bytes()]
    whole = bytearray(hot.read_bytes())
    whole[whole.index(b"memory")] ^= 1
    hot.write_bytes(whole)
    with kalamdb.open(filled.path) as db, pytest.raises(Corruption, match=hot.name):
        db.backup(target)
    assert not (target / "backups").exists()


def test_a_damaged_piece_is_written_again_by_the_next_backup(filled, target, tmp_path):
    filled.backup(target)
    damaged = max((target / "pieces").iterdir(), key=lambda path: path.stat().st_size)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    filled.backup(target)
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        assert shown(restored) == shown(filled)


def test_a_newer_backup_format_is_refused_by_name(filled, target, tmp_path):
    from kalamdb.engine.segments.checksums import checksum

    filled.backup(target)
    (path,) = target.glob("backups/*.json")
    described = json.loads(path.read_bytes())
    del described["checksum"]
    text = json.dumps({**described, "format_version": 99}).encode()[:-1] + b',"checksum":"'
    path.write_bytes(text + checksum(text).hex().encode() + b'"}\n')
    with pytest.raises(kalamdb.Error, match=r"format 99.*reads up to 1"):
        kalamdb.restore(target, tmp_path / "restored")


def test_a_backup_of_a_database_in_memory_outlives_it(target, tmp_path):
    with kalamdb.open(":memory:") as db:
        fill(db)
        before = shown(db)
        db.backup(target)
    with kalamdb.open(":memory:") as db:
        db.execute(f"RESTORE DATABASE FROM '{target}'")

        assert shown(db) == before


def test_where_there_is_no_backup_is_said(db, tmp_path):
    with pytest.raises(UndefinedBackup, match="no backup in this place"):
        db.execute(f"RESTORE DATABASE FROM '{tmp_path}/nothing'")
    with pytest.raises(UndefinedBackup, match="no backup in this place"):
        kalamdb.restore(tmp_path / "nothing", tmp_path / "restored")

    assert list(tmp_path.glob("restored*")) == []


def test_places_that_the_settings_do_not_permit_are_refused(tmp_path):
    with kalamdb.open(tmp_path / "data", storage_roots=[str(tmp_path / "allowed")]) as db:
        with pytest.raises(InvalidDefinition, match="storage_roots"):
            db.backup(tmp_path / "elsewhere")
        with pytest.raises(InvalidDefinition, match="database directory"):
            db.backup(tmp_path / "data" / "inside")
        db.backup(tmp_path / "allowed" / "here")
        with pytest.raises(InvalidDefinition, match="absolute path"):
            db.execute("BACKUP DATABASE TO 'relative'")
        for role in ("user", "service"):
            with pytest.raises(AccessDenied):
                db.session("eve", role=role).execute(f"BACKUP DATABASE TO '{tmp_path}/allowed/x'")
            with pytest.raises(AccessDenied):
                db.session("eve", role=role).execute(f"RESTORE DATABASE FROM '{tmp_path}/allowed/here'")


def test_segments_that_are_merged_meanwhile_stay_until_the_backup_has_them(
    filled, target, tmp_path, monkeypatch
):
    from kalamdb.engine.backup.target import BackupTarget

    put = BackupTarget.put
    before = shown(filled)

    def put_slowly(self, parts):
        for number in range(2):
            filled.execute(f"INSERT INTO app.rates VALUES ('{number}{self.written}', 1)")
            filled.checkpoint()
        filled.flush()
        return put(self, parts)

    monkeypatch.setattr(BackupTarget, "put", put_slowly)
    filled.backup(target)
    monkeypatch.undo()
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        assert shown(restored) == before
    hot = {path.name for path in (Path(filled.path) / "hot").glob("*.arrow")}
    assert len(hot) == filled.stats()["hot_segments"]
