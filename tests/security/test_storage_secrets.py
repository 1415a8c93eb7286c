"""Credentials of a storage go in and never come out: not in answers, errors, files, logs or representations."""

from __future__ import annotations

import logging
import pickle
import stat
import traceback
from pathlib import Path

import pytest

import kalamdb
from kalamdb.storage.storages import Storages

ID, SECRET, TOKEN = "AKIACANARY7Q2M", "canary-secret-7q2m", "canary-token-7q2m"
CANARIES = (ID, SECRET, TOKEN)
CREDENTIALS = (
    f'{{"access_key_id": "{ID}", "secret_access_key": "{SECRET}", "session_token": "{TOKEN}", '
    '"endpoint": "http://127.0.0.1:1", "allow_http": true}'
)


@pytest.fixture
def vault(db: kalamdb.Database) -> kalamdb.Database:
    """A database with a storage that has credentials, and a server that does not answer."""
    db.execute(f"CREATE STORAGE vault TYPE s3 URI 's3://bucket/x' CREDENTIALS '{CREDENTIALS}'")
    return db


def leaks(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [canary for canary in CANARIES if canary.encode() in data]


@pytest.mark.parametrize("role", ["dba", "system"])
def test_no_query_answers_a_credential(vault, role):
    session = vault.session("boss", role=role)
    for sql in (
        "SELECT * FROM system.storages",
        "SELECT credentials, length(credentials), upper(credentials), reverse(credentials) FROM system.storages",
        "SELECT s.* FROM system.storages s JOIN system.storages t ON s.credentials = t.credentials",
        "WITH x AS (SELECT credentials AS c FROM system.storages) SELECT array_agg(c), max(c) FROM x",
        "EXPLAIN SELECT credentials FROM system.storages",
        "EXPLAIN ANALYZE SELECT credentials FROM system.storages",
        "SHOW STORAGES",
        "DESCRIBE system.storages",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM system.settings",
        "SELECT * FROM system.audit_log",
        "SELECT * FROM system.jobs",
    ):
        assert leaks(repr(session.execute(sql).fetchall())) == [], sql


def test_what_is_shown_of_credentials_is_three_stars(vault):
    """Nor what they are encrypted as, which whoever has the master key can read."""
    vault.execute("CREATE STORAGE plain TYPE filesystem URI 'plain'")
    for sql in ("SELECT storage_id, credentials FROM system.storages", "SHOW STORAGES"):
        shown = {row[0]: row[-1] for row in vault.execute(sql).fetchall()}
        assert shown == {"vault": "***", "plain": None, "local": None}


def test_the_reserved_table_cannot_be_read(vault):
    for name in ("_kalam.storages", "kalam._kalam.storages", '"_kalam"."storages"'):
        with pytest.raises(kalamdb.Error):
            vault.execute(f"SELECT * FROM {name}")


@pytest.mark.parametrize(
    "sql",
    [
        "STORAGE CHECK vault",
        f"CREATE STORAGE vault TYPE s3 URI 's3://bucket' CREDENTIALS '{CREDENTIALS}'",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/../x' CREDENTIALS '{CREDENTIALS}'",
        f"CREATE STORAGE b TYPE s3 URI 's3://{ID}:{SECRET}@bucket' CREDENTIALS '{{}}'",
        f"CREATE STORAGE b TYPE filesystem URI '/srv/b' CREDENTIALS '{CREDENTIALS}'",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/b' CREDENTIALS '{CREDENTIALS}' CREDENTIALS '{CREDENTIALS}'",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/b' CREDENTIALS = '{CREDENTIALS}'",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/b' CREDENTIALS '{CREDENTIALS}",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/b' CREDENTIALS '{CREDENTIALS[:-1]}'",
        f"ALTER STORAGE vault SET CREDENTIALS '{CREDENTIALS[:-1]}, \"{SECRET}\": 1}}'",
        f"ALTER STORAGE none SET CREDENTIALS '{CREDENTIALS}'",
        f'ALTER STORAGE vault SET CREDENTIALS "{SECRET}"',
        f"ALTER STORAGE vault SET CREDENTIALS {ID}",
        f"CREATE STORAGE b TYPE s3 CREDENTIALS {ID} URI 's3://bucket/b'",
        f"CREATE STORAGE b TYPE s3 URI 's3://bucket/b' CREDENTIALS 'x'{ID}",
        f"EXPLAIN CREATE STORAGE b TYPE s3 URI 's3://b' CREDENTIALS '{CREDENTIALS}'",
        f"SELECT 1; CREATE STORAGE vault TYPE s3 URI 's3://bucket' CREDENTIALS '{CREDENTIALS}'",
    ],
)
def test_no_error_shows_a_credential(vault, sql, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(kalamdb.Error) as caught:
        vault.execute(sql)

    error: BaseException | None = caught.value
    assert leaks("".join(traceback.format_exception(caught.value)) + caplog.text) == []
    while error is not None:
        assert leaks(repr(error) + str(error) + repr(error.args)) == []
        error = error.__cause__ or error.__context__
    assert vault.execute("SELECT count(*) FROM system.storages").fetchone() == (2,)


def test_no_file_of_the_database_holds_a_credential(vault, directory: Path):
    vault.execute(f"ALTER STORAGE vault SET CREDENTIALS '{CREDENTIALS}'")
    vault.close()

    files = [path for path in directory.rglob("*") if path.is_file()]
    assert any(path.name == "master.key" for path in files)
    for path in files:
        assert leaks(path.read_bytes()) == [], path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_no_object_shows_or_pickles_a_credential(vault):
    storage = vault.catalog.require_storage("vault")
    backend = vault.storages.backend(storage)

    for thing in (
        storage,
        backend,
        vault.storages,
        vault.storages.master_key,
        vault.catalog,
        vault,
        vault.stats(),
    ):
        assert leaks(repr(thing) + str(thing)) == []
    assert storage.secret is not None
    assert storage.secret not in repr(storage)
    assert leaks(pickle.dumps(storage)) == []
    for secret in (backend, vault.storages):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def test_the_credentials_are_used_after_a_reopen_and_refused_under_another_key(directory, monkeypatch):
    monkeypatch.setenv("KALAM_MASTER_KEY", "ab" * 32)
    with kalamdb.open(directory) as db:
        db.execute(f"CREATE STORAGE vault TYPE s3 URI 's3://bucket/x' CREDENTIALS '{CREDENTIALS}'")
    assert not (directory / "master.key").exists()
    with (
        kalamdb.open(directory) as db,
        pytest.raises(kalamdb.errors.StorageUnavailable, match="connection failed"),
    ):
        db.execute("STORAGE CHECK vault")
    monkeypatch.setenv("KALAM_MASTER_KEY", "cd" * 32)
    with kalamdb.open(directory) as db:
        with pytest.raises(kalamdb.errors.OperationalError, match="another master key"):
            db.execute("STORAGE CHECK vault")
        db.execute(f"ALTER STORAGE vault SET CREDENTIALS '{CREDENTIALS}'")
        with pytest.raises(kalamdb.errors.StorageUnavailable, match="connection failed"):
            db.execute("STORAGE CHECK vault")


def test_the_backend_of_a_changed_storage_is_a_new_one(vault):
    storages: Storages = vault.storages
    first = storages.backend(vault.catalog.require_storage("vault"))

    assert storages.backend(vault.catalog.require_storage("vault")) is first
    vault.execute(f"ALTER STORAGE vault SET CREDENTIALS '{CREDENTIALS}'")
    assert storages.backend(vault.catalog.require_storage("vault")) is not first
