"""Users and grants leave with the backup of a whole database and come back with it; no right comes that was none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import AccessDenied, Corruption

PASSWORD = "correct horse battery"


@pytest.fixture
def target(db: kalamdb.Database, tmp_path: Path) -> Path:
    """A backup of a database with users of every role, one of them deleted, and a grant."""
    db.execute("CREATE NAMESPACE app; CREATE TABLE app.closed (id BIGINT PRIMARY KEY) ACCESS restricted")
    db.execute("CREATE TABLE app.gone (id BIGINT PRIMARY KEY); DROP TABLE app.gone")
    db.execute("CREATE TABLE app.open (id BIGINT PRIMARY KEY); INSERT INTO app.closed VALUES (1)")
    db.execute(f"CREATE USER ann PASSWORD '{PASSWORD}' EMAIL 'ann@example.org'; CREATE USER boss ROLE system")
    db.execute("CREATE USER dan ROLE dba; CREATE USER gone ROLE service; DROP USER gone")
    db.execute("GRANT SELECT ON app.closed TO ann; GRANT INSERT, DELETE ON app.open TO ann")
    db.backup(tmp_path / "backups")
    return tmp_path / "backups"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[kalamdb.Database]:
    """Another database, whose tables have other ids."""
    with kalamdb.open(tmp_path / "other") as database:
        database.execute("CREATE NAMESPACE mine; CREATE TABLE mine.t (id BIGINT PRIMARY KEY)")
        yield database


def grants(db: kalamdb.Database) -> list[tuple[object, ...]]:
    return db.execute(
        "SELECT grantee, table_name, privilege_type FROM information_schema.table_privileges ORDER BY 1, 2, 3"
    ).fetchall()


def test_users_and_grants_come_back_with_a_database(db, target, tmp_path):
    kalamdb.restore(target, tmp_path / "restored")
    with kalamdb.open(tmp_path / "restored") as restored:
        assert restored.accounts.all() == db.accounts.all()
        assert grants(restored) == grants(db) != []
        assert restored.front_door.log_in("ann", PASSWORD, "192.0.2.1").user.name == "ann"
        ann = restored.session("ann")
        assert ann.execute("SELECT id FROM app.closed").fetchall() == [(1,)]
        ann.execute("INSERT INTO app.open VALUES (1)")
        with pytest.raises(AccessDenied):
            ann.execute("UPDATE app.open SET id = 2")
        with pytest.raises(AccessDenied, match="was deleted"):
            restored.session("gone")
        assert [one.user_id for one in restored.accounts.deleted()] == ["gone"]


def test_who_is_there_already_stays_and_open_sessions_learn_of_it(other, target):
    other.execute("CREATE USER ann ROLE service EMAIL 'another@example.org'")
    session = other.session("dan")
    assert session.role == "user"
    other.execute(f"RESTORE DATABASE FROM '{target}'")
    assert session.role == "dba"
    assert (other.accounts.find("ann").role, other.accounts.find("ann").email) == (
        "service",
        "another@example.org",
    )
    assert ("ann", "closed", "SELECT") in grants(other)
    assert not [grant for grant in grants(other) if grant[1] == "t"]


def test_a_dba_gets_no_user_of_role_system_out_of_a_backup(other, target):
    """It may be of the dba's own making."""
    other.execute("CREATE USER eve ROLE dba")
    other.session("eve").execute(f"RESTORE DATABASE FROM '{target}'")
    assert other.accounts.find("boss") is None
    assert other.session("boss").role == "user"
    assert other.session("dan").role == "dba"


def test_a_namespace_takes_no_users_along(db, other, target, tmp_path):
    other.execute(f"RESTORE NAMESPACE app FROM '{target}'")
    assert [one.user_id for one in other.accounts.all()] == ["root"]
    assert grants(other) == []


@pytest.mark.parametrize(
    "found",
    [
        {"users": [["ann"]]},
        {"users": 7},
        {"users": [["ann", "{}"]]},
        {"grants": [["ann", "app", "open", "FLY", "root", "2026-01-01T00:00:00+00:00"]]},
        {"grants": [["ann", "app", "open", "SELECT", "root", "yesterday"]]},
    ],
)
def test_what_is_no_user_and_no_grant_is_corruption(db, found):
    from kalamcore.store import WriteBatch

    with pytest.raises(Corruption):
        db.accounts.put_imported(
            WriteBatch(db.engine.snapshot()), found, {("app", "open"): 100}, system_users=True
        )
