"""A table that one may not read, and a view of it, answer to every statement as a name that is not there: no error, no
position, no type of a parameter tells them apart. In the audit log they are refusals."""

from __future__ import annotations

from typing import Any

import pytest

import kalamdb
from kalamdb.errors import DuplicateObject, Error
from kalamdb.session import Session

CANARY = "canary4711"
MISSING = "xid"
"""As long as the names that are hidden, so that positions can be compared."""

OF_ROWS = [
    "SELECT * FROM {t}",
    "SELECT id FROM {t} WHERE id = 1",
    "SELECT id FROM {t} WHERE id = 'abc'",
    "SELECT count(*) FROM {t}",
    "SELECT nothing FROM {t}",
    "SELECT {n}.* FROM {t}",
    "SELECT _seq FROM {t} WHERE body LIKE 'x%'",
    "SELECT * FROM app.own o JOIN {t} h ON h.nothing = o.id",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {t})",
    "SELECT * FROM app.own UNION ALL SELECT * FROM {t}",
    "WITH c AS (SELECT * FROM {t}) SELECT 1",
    "VALUES ((SELECT count(*) FROM {t}))",
    "EXPLAIN SELECT * FROM {t}",
    "EXPLAIN ANALYZE SELECT nothing FROM {t}",
    "SELECT * FROM {t} WHERE id = $1",
    "SELECT * FROM all_users.{t}",
    "INSERT INTO {t} VALUES (1, 'a', 1)",
    "INSERT INTO {t} VALUES ('x')",
    "INSERT INTO {t} (nothing) VALUES (1)",
    "INSERT INTO {t} VALUES ($1, 'a', 1)",
    "INSERT INTO {t} DEFAULT VALUES",
    "INSERT INTO {t} SELECT * FROM app.own",
    "INSERT INTO {t} VALUES (1, 'a', 1) ON CONFLICT (nothing) DO NOTHING",
    "INSERT INTO {t} VALUES (1, 'a', 1) ON CONFLICT DO UPDATE SET n = 1 RETURNING *",
    "INSERT INTO app.own SELECT * FROM {t}",
    "INSERT INTO app.own VALUES (5, (SELECT body FROM {t}), 1)",
    "UPDATE {t} SET n = 1",
    "UPDATE {t} SET nothing = 1",
    "UPDATE {t} SET n = $1 WHERE id = 1",
    "UPDATE {t} SET n = 1 RETURNING nothing",
    "UPDATE app.own SET body = (SELECT body FROM {t})",
    "DELETE FROM {t}",
    "DELETE FROM {t} WHERE nothing = 1",
    "DELETE FROM {t} WHERE id = $1",
    "DELETE FROM app.own WHERE id IN (SELECT id FROM {t})",
    "EXECUTE AS USER '{u}' (SELECT * FROM {t})",
]
OF_DEFINITIONS = [
    "DESCRIBE TABLE {t}",
    "DESCRIBE TABLE {t} HISTORY",
    "SHOW STATS FOR TABLE {t}",
    "CREATE VIEW app.fresh AS SELECT * FROM {t}",
    "ALTER TABLE {t} ADD COLUMN x INT",
    "ALTER TABLE {t} DROP COLUMN nothing",
    "ALTER TABLE {t} SET ACCESS public",
    "STORAGE FLUSH TABLE {t}",
    "FLUSH TABLE {t}",
    "STORAGE COMPACT TABLE {t}",
    "DROP TABLE {t}",
    "DROP TABLE IF EXISTS {t}",
    "GRANT SELECT ON {t} TO ann",
    "REVOKE SELECT ON {t} FROM ann",
]


@pytest.fixture(scope="module")
def db():
    with kalamdb.open(":memory:") as database:
        database.execute("CREATE NAMESPACE app; CREATE USER ann; CREATE USER sam ROLE service")
        columns = "(id BIGINT PRIMARY KEY, body TEXT NOT NULL, n INT)"
        database.execute(f"CREATE TABLE app.hid {columns} ACCESS restricted")
        database.execute(f"INSERT INTO app.hid VALUES (1, '{CANARY}', 5)")
        database.execute("CREATE USER TABLE app.own (id BIGINT PRIMARY KEY, body TEXT, n INT)")
        database.execute("CREATE VIEW app.see AS SELECT * FROM app.hid")
        database.execute(
            "CREATE VIEW app.two AS SELECT s.id, s.body, s.n FROM app.see s JOIN app.own o USING (id)"
        )
        yield database


def answer(session: Session, sql: str, parameters: list[object]) -> tuple[object, ...]:
    try:
        return "yes", repr(session.execute(sql, parameters or None).message)
    except Error as error:
        return type(error), error.message, error.code, error.position, repr(error.__cause__)


def asked(sql: str, name: str, user: str) -> str:
    return sql.format(t=f"app.{name}", n=name, u=user)


@pytest.mark.parametrize("user", ["ann", "sam"])
@pytest.mark.parametrize("name", ["hid", "see", "two"])
@pytest.mark.parametrize("sql", [*OF_ROWS, *OF_DEFINITIONS])
def test_what_is_hidden_answers_as_what_is_not_there(db: Any, user: str, name: str, sql: str) -> None:
    session = db.session(user)
    for parameters in ([1], ["zz"], [None]) if "$1" in sql else ([],):
        found = answer(session, asked(sql, name, user), parameters)
        wanted = answer(session, asked(sql, MISSING, user), parameters)

        assert repr(found).replace(name, MISSING) == repr(wanted)
        assert CANARY not in repr(found)
        assert name == "hid" or "hid" not in repr(found)


@pytest.mark.parametrize("name", ["hid", "see", "two"])
@pytest.mark.parametrize("sql", ["DROP VIEW {t}", "DROP VIEW IF EXISTS {t}"])
def test_what_is_hidden_is_no_view_for_who_drops_views(db: Any, sql: str, name: str) -> None:
    session, before = db.session("sam"), dict(db.catalog.views)
    found = answer(session, asked(sql, name, "sam"), [])

    assert repr(found).replace(name, MISSING) == repr(answer(session, asked(sql, MISSING, "sam"), []))
    assert db.catalog.views == before
    assert db.execute("SELECT body FROM app.hid").fetchall() == [(CANARY,)]


@pytest.mark.parametrize("name", ["see", "two"])
def test_nobody_puts_another_view_in_the_place_of_a_hidden_one(db: Any, name: str) -> None:
    """Or a service would choose what an administrator reads there."""
    before = dict(db.catalog.views)
    with pytest.raises(DuplicateObject):
        db.session("sam").execute(f"CREATE OR REPLACE VIEW app.{name} AS SELECT 'other' AS body")

    assert db.catalog.views == before
    db.session("sam").execute("CREATE VIEW app.mine AS SELECT 1 AS hid; DROP VIEW app.mine")
    db.execute(
        "CREATE TABLE app.gone (id BIGINT PRIMARY KEY); CREATE VIEW app.broken AS SELECT * FROM app.gone"
    )
    db.execute("DROP TABLE app.gone")
    db.session("sam").execute("CREATE OR REPLACE VIEW app.broken AS SELECT 1 AS x; DROP VIEW app.broken")


@pytest.mark.parametrize("user", ["ann", "sam"])
@pytest.mark.parametrize("name", ["hid", "see", "two"])
def test_nobody_listens_to_what_is_hidden_nor_learns_of_it(db: Any, user: str, name: str) -> None:
    session = db.session(user)
    told = []
    for one in (name, MISSING):
        with pytest.raises(Error) as caught:
            session.subscribe(f"SELECT * FROM app.{one} WHERE nothing = 1")
        told.append((type(caught.value), caught.value.message.replace(one, "it"), caught.value.position))

    assert told[0] == told[1]


@pytest.mark.parametrize("user", ["ann", "sam"])
@pytest.mark.parametrize("name", ["hid", "see", "two"])
def test_no_type_of_a_parameter_tells_of_what_is_hidden(db: Any, user: str, name: str) -> None:
    session = db.session(user)
    for sql in (sql for sql in OF_ROWS if "$1" in sql):
        told = []
        for one in (name, MISSING):
            try:
                told.append(repr(session.parameter_types(asked(sql, one, user))))
            except Error as error:
                told.append(error.message.replace(one, MISSING))
        assert told[0] == told[1], sql


@pytest.mark.parametrize("user", ["ann", "sam"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM app.hid",
        "SELECT * FROM app.see",
        "SELECT * FROM app.two",
        "DESCRIBE TABLE app.hid",
        "DESCRIBE TABLE app.see",
        "SHOW STATS FOR TABLE app.hid",
        "ALTER TABLE app.hid SET ACCESS public",
        "STORAGE FLUSH TABLE app.hid",
        "DELETE FROM app.hid",
    ],
)
def test_a_hidden_name_is_a_refusal_in_the_audit_log(db: Any, user: str, sql: str) -> None:
    refusals = f"SELECT count(*) FROM system.audit_log WHERE actor = '{user}' AND outcome = 'denied'"
    before = db.execute(refusals).fetchone()[0]
    with pytest.raises(Error):
        db.session(user).execute(sql)

    assert db.execute(refusals).fetchone()[0] == before + 1


def test_a_view_of_what_was_dropped_says_what_is_missing(db: Any) -> None:
    """Who may read a view is told what is wrong with it."""
    db.execute("CREATE TABLE app.gone (id BIGINT PRIMARY KEY); CREATE VIEW app.old AS SELECT * FROM app.gone")
    db.execute("DROP TABLE app.gone")
    for user in ("ann", "sam", "root"):
        with pytest.raises(Error, match=r'"app\.gone" does not exist'):
            db.session(user).execute("SELECT * FROM app.old")
