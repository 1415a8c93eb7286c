"""Roads to a right that one has not (S3), of several steps each: in the process and over HTTP, and after each of them
everything is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import kalamdb
from kalamdb.catalog.system_tables import SYSTEM_TABLES
from kalamdb.errors import AccessDenied, Error, UndefinedTable
from tests.server.serving import Served, sql, token_of

ROLES = ("user", "service", "dba", "system")


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """Where BACKUP and EXPORT may write."""
    made = tmp_path / "roots"
    made.mkdir()
    return made


@pytest.fixture
def served(directory: Path, roots: Path) -> Iterator[Served]:
    """Two users of each role; a table of each ACCESS and one of each kind besides, with a row; a view of a dba over the
    private one. service_1 and user_1 may SELECT from the restricted one."""
    with kalamdb.open(directory, storage_roots=(str(roots),)) as db:
        for role in ROLES:
            db.execute(f"CREATE USER {role}_1 ROLE {role}; CREATE USER {role}_2 ROLE {role}")
        db.execute("CREATE NAMESPACE app; CREATE USER gone_admin ROLE dba; DROP USER gone_admin")
        for access in ("public", "private", "restricted"):
            db.execute(f"CREATE SHARED TABLE app.{access} (id BIGINT PRIMARY KEY, body TEXT) ACCESS {access}")
            db.execute(f"INSERT INTO app.{access} VALUES (1, 'kept')")
        db.execute("CREATE USER TABLE app.own (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute(
            "CREATE STREAM TABLE app.told (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT) TTL 600"
        )
        for role in ROLES:
            db.session(f"{role}_1").execute("INSERT INTO app.own VALUES (1, 'kept')")
        db.session("dba_1").execute("CREATE VIEW app.seen AS SELECT * FROM app.private")
        db.execute("GRANT SELECT ON app.restricted TO service_1, user_1")
        with Served(db) as serving:
            yield serving


def everything(served: Served, *places: Path) -> object:
    """What there is: who, with which rights, which tables, views and storages, every row, and the files in `places`."""
    db = served.db
    catalog = db.catalog
    rows = {
        table.qualified_name: db.execute(
            f"SELECT * FROM {'all_users.' if table.kind.value == 'user' else ''}{table.qualified_name} ORDER BY 1, 2"
        ).fetchall()
        for table in catalog.tables.values()
    }
    grants = [
        (one.user_id, one.table_id, sorted(action.name for action in one.actions), one.granted_by)
        for one in db.accounts.all_grants()
    ]
    files = [
        (str(path), path.is_file() and path.read_bytes()) for place in places for path in place.rglob("*")
    ]
    return (
        db.accounts.all(),
        grants,
        dict(catalog.tables),
        dict(catalog.views),
        dict(catalog.storages),
        rows,
        sorted(files),
    )


def refused(served: Served, actor: str, text: str, *places: Path) -> None:
    """Neither in the process nor over HTTP is it done, nor anything else."""
    before = everything(served, *places)

    with pytest.raises(Error):
        served.db.session(actor).execute(text)
    assert everything(served, *places) == before, text
    answer = sql(served, actor, text)
    assert answer.status_code not in (200, 500), (text, answer.text)
    assert everything(served, *places) == before, text


@pytest.mark.parametrize("actor", ["user_1", "service_1"])
def test_nobody_below_a_dba_grants_itself_anything(served: Served, actor: str) -> None:
    for grant in (
        f"GRANT INSERT ON app.restricted TO {actor}",
        f"GRANT ALL PRIVILEGES ON TABLE app.public TO user_2, {actor}",
        f"REVOKE SELECT ON app.restricted FROM {actor}",
    ):
        for text in (
            grant,
            f"SELECT 1; {grant}",
            f"BEGIN; {grant}; COMMIT",
            f"EXECUTE AS USER '{actor}' ({grant})",
            f"EXECUTE AS USER 'service_2' ({grant})",
            f"EXECUTE AS USER 'dba_1' ({grant})",
        ):
            refused(served, actor, text)


def test_a_service_that_may_read_a_restricted_table_does_not_open_it(served: Served) -> None:
    """Or one grant would be all of them, for it and for every other service."""
    for actor in ("service_1", "service_2", "user_1"):
        for access in ("public", "private"):
            refused(served, actor, f"ALTER TABLE app.restricted SET ACCESS {access}")
            refused(
                served, actor, f"EXECUTE AS USER 'service_1' (ALTER TABLE app.restricted SET ACCESS {access})"
            )
    with pytest.raises(AccessDenied, match="may not change the ACCESS of a restricted table"):
        served.db.session("service_1").execute("ALTER TABLE app.restricted SET ACCESS private")
    with pytest.raises(UndefinedTable):
        served.db.session("service_2").execute("ALTER TABLE app.restricted SET ACCESS private")
    served.db.session("service_1").execute("ALTER TABLE app.private SET ACCESS restricted")
    with pytest.raises(UndefinedTable):
        served.db.session("service_1").execute("ALTER TABLE app.private SET ACCESS private")
    served.db.session("dba_1").execute("ALTER TABLE app.private SET ACCESS private")


@pytest.mark.parametrize("actor", ["user_1", "service_1", "dba_1", "system_1"])
def test_no_role_writes_to_a_system_table(served: Served, actor: str) -> None:
    session, before = served.db.session(actor), everything(served)
    for name, schema in SYSTEM_TABLES.items():
        columns = ", ".join(schema.names)
        nulls = ", ".join("NULL" for _ in schema.names)
        for text in (
            f"INSERT INTO {name} ({columns}) VALUES ({nulls})",
            f"INSERT INTO kalam.{name} SELECT * FROM {name}",
            f"INSERT INTO {name} SELECT * FROM {name} ON CONFLICT DO NOTHING",
            f"DELETE FROM {name} WHERE 1 = 1 RETURNING *",
            f"CREATE OR REPLACE VIEW {name} AS SELECT 1 AS x",
            f"EXECUTE AS USER '{actor}' (DELETE FROM {name})",
        ):
            with pytest.raises(Error):
                session.execute(text)
        with pytest.raises(Error):
            session.insert(name, [dict.fromkeys(schema.names)])
        with pytest.raises(Error):
            session.executemany(f"INSERT INTO {name} ({schema.names[0]}) VALUES (?)", [["x"], ["y"]])

    assert everything(served) == before


def test_a_view_lends_nobody_the_rights_of_who_made_it(served: Served) -> None:
    hidden = sql(served, "user_1", "SELECT * FROM app.never").json()["error"]["message"]
    for text in ("SELECT * FROM app.seen", "EXPLAIN SELECT * FROM app.seen", "DESCRIBE TABLE app.seen"):
        told = sql(served, "user_1", text).json()["error"]["message"]
        assert told == hidden.replace("app.never", "app.seen"), text
    for text in (
        "GRANT SELECT ON app.seen TO user_1",
        "GRANT SELECT ON app.private TO user_1",
        "CREATE VIEW app.mine AS SELECT * FROM app.nothing",
    ):
        refused(served, "dba_1", text)
    for text in (
        "CREATE VIEW app.mine AS SELECT * FROM app.restricted",
        "CREATE OR REPLACE VIEW app.seen AS SELECT * FROM app.restricted",
        "CREATE VIEW app.mine AS SELECT * FROM all_users.app.own",
        "CREATE VIEW app.mine AS SELECT * FROM system.users",
    ):
        refused(served, "service_2", text)
    served.db.execute("CREATE VIEW app.all_of_them AS SELECT * FROM all_users.app.own")
    for actor in ("user_1", "service_1"):
        refused(served, actor, "SELECT * FROM app.all_of_them")
    assert sql(served, "dba_1", "SELECT count(*) FROM app.all_of_them").status_code == 200


@pytest.mark.parametrize("actor", ["user_1", "service_1", "dba_1"])
def test_execute_as_holds_one_statement_and_ends_with_it(served: Served, actor: str) -> None:
    for inner in (
        "SELECT 1; SELECT 2",
        "SELECT 1); CREATE USER mallory ROLE system; (SELECT 1",
        "EXECUTE AS USER 'system_1' (CREATE USER mallory ROLE system)",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "USE app",
        "",
        ";",
        "-- nothing",
    ):
        refused(served, actor, f"EXECUTE AS USER '{actor}' ({inner})")
    after = sql(served, actor, f"EXECUTE AS USER '{actor}' (SELECT 1); SELECT CURRENT_USER(), CURRENT_ROLE()")
    assert after.json()["results"][-1]["rows"] == [[actor, actor.partition("_")[0]]]


def test_who_falls_keeps_no_statement_that_was_prepared_and_no_token(served: Served) -> None:
    db = served.db
    session = db.session("service_2")
    prepared = [
        session.prepare("INSERT INTO app.public VALUES (?, 'more')"),
        session.prepare("SELECT body FROM app.private WHERE id = ?"),
        session.prepare("DELETE FROM app.private WHERE id = ?"),
        session.prepare("UPDATE app.public SET body = 'more' WHERE id = ?"),
    ]
    assert prepared[1].execute([1]).fetchall() == [("kept",)]
    client = httpx.Client(
        base_url=served.url, headers={"Authorization": f"Bearer {token_of(db, 'service_2')}"}
    )
    asked = {"sql": "SELECT body FROM app.private WHERE id = 1"}
    with client:
        # So often that it is answered at once, by a session that is kept.
        for _ in range(20):
            assert client.post("/v1/api/sql", json=asked).status_code == 200
        session.begin()
        session.execute("INSERT INTO app.own VALUES (1, 'before it fell')")
        db.execute("ALTER USER service_2 SET ROLE user")
        before = everything(served)

        for one in prepared:
            with pytest.raises((AccessDenied, UndefinedTable)):
                one.execute([1])
        with pytest.raises(UndefinedTable):
            session.execute("SELECT * FROM app.private")
        session.rollback()
        for text in (asked["sql"], "DELETE FROM app.public", "CREATE VIEW app.more AS SELECT 1 AS x"):
            answer = client.post("/v1/api/sql", json={"sql": text})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_EXPIRED")

    assert everything(served) == before


@pytest.mark.parametrize("actor", ["user_1", "service_1"])
def test_nobody_below_a_dba_takes_the_database_along_or_brings_another(
    served: Served, roots: Path, actor: str
) -> None:
    other = actor.replace("_1", "_2")
    served.db.backup(roots / "good")
    for text in (
        f"BACKUP DATABASE TO '{roots}/mine'",
        f"BACKUP NAMESPACE app TO '{roots}/mine'",
        f"RESTORE DATABASE FROM '{roots}/good'",
        f"RESTORE NAMESPACE app FROM '{roots}/good'",
        f"EXPORT USER DATA FOR 'dba_1' TO '{roots}/mine'",
        f"EXPORT USER DATA FOR '{other}' TO '{roots}/mine'",
        f"ERASE USER DATA FOR '{actor}'",
        f"ERASE USER DATA FOR '{other}'",
        f"EXECUTE AS USER '{other}' (BACKUP DATABASE TO '{roots}/mine')",
        f"EXECUTE AS USER 'dba_1' (EXPORT USER DATA FOR 'dba_1' TO '{roots}/mine')",
    ):
        refused(served, actor, text, roots)


def test_an_export_of_ones_own_reaches_no_place_that_is_taken(
    served: Served, directory: Path, roots: Path, tmp_path: Path
) -> None:
    """A user says where its rows are written: beside what is there, within the roots, and through no link."""
    served.db.execute(f"CREATE STORAGE vault TYPE filesystem URI '{roots}/vault'")
    (roots / "taken").mkdir()
    (roots / "taken" / "a.txt").write_text("kept")
    (tmp_path / "elsewhere").mkdir()
    (roots / "link").symlink_to(tmp_path / "elsewhere")
    for place in (
        f"{roots}/vault",
        f"{roots}/vault/deeper",
        f"{roots}/taken",
        f"{roots}/link",
        f"{roots}/link/deeper",
        f"{roots}/../elsewhere",
        f"file://{roots}/%2e%2e/elsewhere",
        f"{tmp_path}/elsewhere",
        f"{directory}/exports",
        f"{directory}/cold",
        "exports",
        "/",
        "s3://bucket/exports",
        "http://127.0.0.1:1/exports",
    ):
        refused(
            served, "user_1", f"EXPORT USER DATA FOR 'user_1' TO '{place}'", roots, tmp_path / "elsewhere"
        )
    told = sql(served, "user_1", f"EXPORT USER DATA FOR 'user_1' TO '{roots}/vault'").json()["error"][
        "message"
    ]
    assert "lies in that of a storage" in told
    assert "vault" not in told


def test_a_storage_leads_nobody_to_the_files_of_others(served: Served, roots: Path, tmp_path: Path) -> None:
    for actor in ("user_1", "service_1"):
        for text in (
            f"CREATE STORAGE mine TYPE filesystem URI '{roots}/mine'",
            f"ALTER STORAGE local SET URI '{roots}/mine'",
            f"ALTER USER {actor} SET STORAGE local",
            f"ALTER USER {actor} SET STORAGE MODE region",
            f"UPDATE system.users SET storage_id = 'local' WHERE user_id = '{actor}'",
            "STORAGE CHECK local",
            "SHOW STORAGES",
            "SELECT * FROM system.storages",
        ):
            refused(served, actor, text, roots)
    for template in (
        "{namespace}/{tableName}",
        "../{namespace}/{tableName}/{userId}",
        "/{namespace}/{tableName}/{userId}",
        "{namespace}/{tableName}/{userId}/../x",
        "{namespace}/{tableName}/{userId}{role}",
        "{namespace}/{tableName}/{userId}/{password}",
    ):
        refused(
            served,
            "dba_1",
            f"CREATE STORAGE mine TYPE filesystem URI '{roots}/mine' USER_TABLES_TEMPLATE '{template}'",
            roots,
        )
    for place in (f"{tmp_path}/elsewhere", "/etc", "..", "wal", f"{roots}/../data"):
        refused(served, "dba_1", f"CREATE STORAGE mine TYPE filesystem URI '{place}'", roots)


@pytest.mark.parametrize("actor", ["user_1", "service_1", "dba_1"])
def test_an_administrator_who_was_dropped_is_brought_back_by_who_may_make_one(
    served: Served, actor: str
) -> None:
    served.db.execute("DROP USER system_2")
    gone = ["system_2"] if actor == "dba_1" else ["system_2", "gone_admin"]
    for name in gone:
        for text in (
            f"UPDATE system.users SET deleted_at = NULL WHERE user_id = '{name}'",
            f"UPDATE system.users SET deleted_at = NULL, role = 'user' WHERE user_id = '{name}'",
            f"UPDATE system.users SET deleted_at = DEFAULT WHERE user_id = '{name}'",
            f"UPDATE kalam.system.users SET deleted_at = NULL WHERE user_id = '{name}'",
            f"ALTER USER {name} SET PASSWORD 'a long secret'",
            f"CREATE USER {name} ROLE user",
            f"EXECUTE AS USER '{name}' (SELECT 1)",
            f"EXECUTE AS USER 'system_1' (UPDATE system.users SET deleted_at = NULL WHERE user_id = '{name}')",
        ):
            refused(served, actor, text)
    refused(served, actor, "UPDATE system.users SET deleted_at = NULL")
