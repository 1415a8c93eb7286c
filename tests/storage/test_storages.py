"""Which directories a storage may be in, and how its backend is opened."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import threading
from pathlib import Path

import pytest

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.errors import InvalidDefinition, StorageConflict, StorageUnavailable
from kalamdb.storage import Storage, StorageBackend, Storages, local_storage

AT = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)


def storage(uri: str) -> Storage:
    return Storage("s", "filesystem", uri, AT, AT)


def test_local_and_relative_storages_are_in_the_database_directory(tmp_path):
    storages = Storages(FileSystem.posix(), str(tmp_path / "data"))
    storages.backend(local_storage(AT)).write("app/x", b"1")
    storages.backend(storage("storages/a")).write("app/x", b"2")

    assert (tmp_path / "data" / "cold" / "app" / "x").read_bytes() == b"1"
    assert (tmp_path / "data" / "storages" / "a" / "app" / "x").read_bytes() == b"2"


def test_an_absolute_path_is_anywhere_but_around_the_database(tmp_path):
    storages = Storages(FileSystem.posix(), str(tmp_path / "data"))
    storages.backend(storage(str(tmp_path / "else"))).write("app/x", b"1")

    assert (tmp_path / "else" / "app" / "x").read_bytes() == b"1"
    for place in (tmp_path, tmp_path / "data", tmp_path / "data" / "wal", tmp_path / "data" / "own"):
        with pytest.raises(InvalidDefinition, match="not the database directory"):
            storages.backend(storage(str(place)))


def test_the_database_directory_is_known_by_any_name(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "data")
    for opened, named in (("data", "alias"), ("alias", "data")):
        storages = Storages(FileSystem.posix(), str(tmp_path / opened))
        with pytest.raises(InvalidDefinition, match="not the database directory"):
            storages.backend(storage(str(tmp_path / named / "wal")))


def test_backends_of_one_directory_replace_one_after_the_other(tmp_path):
    storages = Storages(FileSystem.posix(), str(tmp_path / "data"))
    old = storages.backend(storage("a"))
    new = storages.backend(dataclasses.replace(storage("a"), name="renamed"))
    tag = old.replace("m", b"0", None)
    won: list[int] = []

    def replace(backend: StorageBackend, number: int) -> None:
        with contextlib.suppress(StorageConflict):
            backend.replace("m", str(number).encode(), tag)
            won.append(number)

    threads = [threading.Thread(target=replace, args=(one, n)) for n, one in enumerate([old, new] * 4, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert old is not new
    assert len(won) == 1


def test_roots_confine_absolute_paths(tmp_path):
    storages = Storages(FileSystem.posix(), str(tmp_path / "data"), roots=(str(tmp_path / "allowed"),))
    storages.backend(storage(str(tmp_path / "allowed" / "a"))).write("x", b"")
    storages.backend(storage("relative")).write("x", b"")

    for place in (tmp_path / "allowed2", tmp_path / "else"):
        with pytest.raises(InvalidDefinition, match="storage_roots"):
            storages.backend(storage(str(place)))


def test_a_link_does_not_lead_out_of_a_root_or_the_database_directory(tmp_path: Path):
    for name in ("allowed", "outside", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "data" / "cold").symlink_to(tmp_path / "outside")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    storages = Storages(FileSystem.posix(), str(tmp_path / "data"), roots=(str(tmp_path / "allowed"),))

    for one in (storage(str(tmp_path / "allowed" / "link" / "x")), storage("link/x"), local_storage(AT)):
        with pytest.raises(StorageUnavailable, match="symbolic link"):
            storages.backend(one)
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_setting_is_asked_when_a_storage_is_made_and_again_when_it_is_used(tmp_path):
    place = tmp_path / "else"
    with kalamdb.open(tmp_path / "data", storage_roots=[str(tmp_path / "allowed")]) as db:
        with pytest.raises(InvalidDefinition, match="storage_roots"):
            db.execute(f"CREATE STORAGE s TYPE filesystem URI '{place}'")
        db.execute(f"CREATE STORAGE t TYPE filesystem URI '{tmp_path}/allowed/t'")
        db.execute("STORAGE CHECK t")
    with kalamdb.open(tmp_path / "data") as db:
        db.execute(f"CREATE STORAGE s TYPE filesystem URI '{place}'")
        db.execute("STORAGE CHECK s")
    with kalamdb.open(tmp_path / "data", storage_roots=[str(tmp_path / "allowed")]) as db:
        with pytest.raises(InvalidDefinition, match="storage_roots"):
            db.execute("STORAGE CHECK s")
        db.execute("STORAGE CHECK t")


def test_a_database_in_memory_keeps_its_storages_there(tmp_path):
    with kalamdb.open(":memory:") as db:
        db.execute(f"CREATE STORAGE s TYPE filesystem URI '{tmp_path}/never'")
        db.execute("STORAGE CHECK s")
        db.execute("STORAGE CHECK local")

    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_cannot_be_reached_does_not_keep_a_database_from_opening(tmp_path):
    with kalamdb.open(tmp_path / "data") as db:
        db.execute(
            "CREATE STORAGE gone TYPE s3 URI 's3://bucket' CREDENTIALS "
            """'{"endpoint": "http://127.0.0.1:1", "allow_http": true}'"""
        )
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) STORAGE gone; INSERT INTO t VALUES (1)")
    with kalamdb.open(tmp_path / "data") as db:
        assert db.execute("SELECT id FROM t").fetchall() == [(1,)]
        db.execute("DROP TABLE t; DROP STORAGE gone")
