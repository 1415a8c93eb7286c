"""Backups in a bucket, of tables whose cold rows are in buckets, over a network that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import StorageInUse
from tests.storage.s3_server import FaultProxy, MotoServer, credentials, moto_server, new_bucket


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoServer]:
    """An S3 server on loopback."""
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(s3: MotoServer) -> Iterator[FaultProxy]:
    """The way to it that can break."""
    with FaultProxy(s3) as proxy:
        yield proxy


@pytest.fixture
def filled(db: kalamdb.Database, s3: MotoServer, proxy: FaultProxy) -> tuple[kalamdb.Database, str]:
    """A database with cold rows in a bucket, and the bucket."""
    bucket = new_bucket(s3)
    db.execute(
        f"CREATE STORAGE cloud TYPE s3 URI 's3://{bucket}/cold' CREDENTIALS '{credentials(proxy.url)}'"
    )
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT) STORAGE cloud")
    db.session("alice").execute("INSERT INTO notes VALUES (1, 'cold'), (2, 'cold too')")
    db.flush()
    db.session("alice").execute("UPDATE notes SET body = 'hot' WHERE id = 2")
    return db, bucket


def test_a_bucket_holds_backups_with_the_credentials_of_a_storage_there(filled, proxy, tmp_path, s3):
    db, bucket = filled
    db.backup(f"s3://{bucket}/backups")
    db.backup(f"s3://{bucket}/backups")
    other = new_bucket(s3)
    with kalamdb.open(tmp_path / "other") as restored:
        given = f"TYPE s3 URI 's3://{bucket}/elsewhere' CREDENTIALS '{credentials(proxy.url)}'"
        restored.execute(f"CREATE STORAGE cloud {given}")
        restored.execute(f"RESTORE DATABASE FROM 's3://{bucket}/backups'")
        rows = restored.session("alice").execute("SELECT * FROM notes").fetchall()
        restored.flush()

    assert sorted(rows) == [(1, "cold"), (2, "hot")]
    assert other


def test_files_of_the_first_database_are_not_overwritten(filled, proxy, tmp_path):
    db, bucket = filled
    db.backup(f"s3://{bucket}/backups")
    with kalamdb.open(tmp_path / "other") as restored:
        given = f"TYPE s3 URI 's3://{bucket}/cold' CREDENTIALS '{credentials(proxy.url)}'"
        restored.execute(f"CREATE STORAGE cloud {given}")
        with pytest.raises(StorageInUse, match="a place of its own"):
            restored.execute(f"RESTORE DATABASE FROM 's3://{bucket}/backups'")
    assert len(db.session("alice").execute("SELECT * FROM notes").fetchall()) == 2


@pytest.mark.parametrize("fault", ["503", "reset", "stored_not_acknowledged", "truncated"])
def test_requests_that_fail_lose_nothing(filled, proxy: FaultProxy, tmp_path: Path, fault):
    db, bucket = filled
    before = len(proxy.requests)
    db.backup(f"s3://{bucket}/counted")
    requests = len(proxy.requests) - before
    for at in range(1, requests + 1, 3):
        place = f"s3://{bucket}/{fault}-{at}"
        proxy.fail(fault, at=at)
        try:
            db.backup(place)
        except kalamdb.Error:
            db.backup(place)
        kalamdb_directory = tmp_path / f"{fault}-{at}"
        with kalamdb.open(kalamdb_directory) as restored:
            given = f"TYPE s3 URI 's3://{bucket}/{fault}-{at}-cold' CREDENTIALS '{credentials(proxy.url)}'"
            restored.execute(f"CREATE STORAGE cloud {given}")
            restored.execute(f"RESTORE DATABASE FROM '{place}'")
            rows = restored.session("alice").execute("SELECT * FROM notes").fetchall()
        assert sorted(rows) == [(1, "cold"), (2, "hot")]
