"""The audit log: what is in it, when it is there, and what never is."""

from __future__ import annotations

import contextlib
import datetime
import json

import pytest

import kalamdb
from kalamcore.system import Clock, FileSystem
from kalamdb.auth.audit import TEXT_CHARACTERS_MAX, AuditEntry
from kalamdb.database import Database
from kalamdb.errors import Error
from kalamdb.settings import Settings

EPOCH_US = 1_780_000_000_000_000
DAY_US = 24 * 3600 * 1_000_000
CANARY = "canary4711"


def entries(db, columns="actor, action, target, outcome"):
    return db.execute(f"SELECT {columns} FROM system.audit_log ORDER BY audit_id").fetchall()


@pytest.fixture
def db():
    with kalamdb.open(":memory:") as database:
        yield database


def test_a_change_and_its_row_are_one_commit(tmp_path):
    files = FileSystem.memory()
    with contextlib.closing(Database(files, "/d", Settings())) as db:
        db.execute("CREATE NAMESPACE app")
        files.record()
        db.execute("CREATE TABLE app.t (id BIGINT PRIMARY KEY)")
        db.execute("CREATE USER ann")
        db.execute("GRANT INSERT ON app.t TO ann")
        db.execute("DROP TABLE app.t")
        moments = files.recorded()
        seen = set()
        for moment in range(moments):
            with contextlib.closing(Database(files.crash("all", 1, after=moment), "/d", Settings())) as cut:
                told = tuple(action for (action,) in entries(cut, "action"))[1:]
                names = {one.name for one in cut.catalog.tables.values()}
                users = {one.user_id for one in cut.accounts.all()} - {"root"}
                grants = len(cut.accounts.all_grants())
                seen.add(told)
                assert names == ({"t"} if told and told[-1] != "DROP TABLE" else set())
                assert users == ({"ann"} if "CREATE USER" in told else set())
                assert grants == ("GRANT" in told)
    assert max(seen, key=len) == ("CREATE TABLE", "CREATE USER", "GRANT", "DROP TABLE")


def test_what_changes_nothing_has_no_row(db):
    db.execute("CREATE NAMESPACE app; CREATE NAMESPACE IF NOT EXISTS app")
    db.execute("DROP TABLE IF EXISTS app.nothing; DROP USER IF EXISTS nobody")
    with pytest.raises(Error):
        db.execute("CREATE NAMESPACE app")
    db.execute("SELECT * FROM system.audit_log")
    assert entries(db) == [("root", "CREATE NAMESPACE", "app", "success")]


def test_refusals_are_told_that_of_a_hidden_table_too(db):
    db.execute(
        "CREATE TABLE open (id BIGINT PRIMARY KEY); CREATE TABLE hidden (id BIGINT PRIMARY KEY) ACCESS private;"
        "CREATE USER TABLE own (id BIGINT PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM hidden"
    )
    before = len(entries(db))
    ann = db.session("ann")
    refused = [
        "INSERT INTO open VALUES (1)",
        "SELECT * FROM hidden WHERE id = 1",
        "DELETE FROM hidden",
        "CREATE NAMESPACE mine",
        "SELECT * FROM system.users",
        "SELECT 1; DROP TABLE open",
        "EXPLAIN SELECT 1 FROM default.hidden, open",
        "SELECT * FROM all_users.default.own",
        "SELECT * FROM seen",
    ]
    for sql in refused:
        with pytest.raises(Error):
            ann.execute(sql)
    with pytest.raises(Error):
        ann.prepare("DROP TABLE open")
    with pytest.raises(Error):
        ann.insert("open", [{"id": 1}])
    with pytest.raises(Error):
        ann.execute("SELECT * FROM nowhere")
    with pytest.raises(Error):
        ann.subscribe("SELECT * FROM hidden")
    assert entries(db)[before:] == [
        ("ann", "INSERT", "open", "denied"),
        ("ann", "SELECT", "hidden", "denied"),
        ("ann", "DELETE", "hidden", "denied"),
        ("ann", "CREATE NAMESPACE", "mine", "denied"),
        ("ann", "SELECT", "system.users", "denied"),
        ("ann", "DROP TABLE", "open", "denied"),
        ("ann", "EXPLAIN", "hidden", "denied"),
        ("ann", "SELECT", "all_users.default.own", "denied"),
        ("ann", "SELECT", "seen", "denied"),
        ("ann", "DROP TABLE", "open", "denied"),
        ("ann", "INSERT", "open", "denied"),
        ("ann", "SUBSCRIBE", "hidden", "denied"),
    ]


def test_no_text_no_value_and_no_password_is_in_it(db):
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute(f"CREATE USER ann PASSWORD '{CANARY} secret'")
    db.execute(f"ALTER USER ann SET PASSWORD '{CANARY} other'")
    db.session("ann").execute(f"INSERT INTO notes VALUES (1, '{CANARY}')")
    db.execute(f"EXECUTE AS USER 'ann' (SELECT * FROM notes WHERE body = '{CANARY}')")
    for sql in (f"ALTER USER root SET PASSWORD '{CANARY} x'", f"SELECT '{CANARY}' FROM system.users"):
        with pytest.raises(Error):
            db.session("ann").execute(sql)
    told = repr(db.execute("SELECT * FROM system.audit_log").fetchall())
    assert "ALTER USER" in told
    assert CANARY not in told
    assert '"password":"changed"' in told.replace(" ", "") or "'password': 'changed'" in told


def test_rows_go_with_age_alone():
    clock = Clock.manual(EPOCH_US)
    db = Database(FileSystem.memory(), "/d", Settings(audit_retention_d=2), clock=clock)
    db.execute("CREATE NAMESPACE a")
    clock.set(EPOCH_US + DAY_US)
    db.execute("CREATE NAMESPACE b")
    clock.set(EPOCH_US + 2 * DAY_US + 1_000_000)
    db.audit.write(AuditEntry("root", "TEST", "success"))
    assert [target for (target,) in entries(db, "target")] == ["b", None]
    db.close()


def test_nobody_changes_it_by_sql(db):
    db.execute("CREATE NAMESPACE app")
    for sql in (
        "DELETE FROM system.audit_log",
        "UPDATE system.audit_log SET actor = 'x'",
        "INSERT INTO system.audit_log (audit_id) VALUES (1)",
        "DROP TABLE system.audit_log",
        "DELETE FROM _kalam.audit_log",
        "SELECT * FROM _kalam.audit_log",
    ):
        with pytest.raises(Error):
            db.execute(sql)
    assert ("root", "CREATE NAMESPACE", "app", "success") in entries(db)


@pytest.mark.parametrize("role", ["user", "service"])
def test_it_is_for_dba_and_system(db, role):
    with pytest.raises(Error, match="permission denied"):
        db.session("x", role=role).execute("SELECT * FROM system.audit_log")
    assert db.session("x", role="dba").execute("SELECT count(*) FROM system.audit_log").fetchone() == (1,)


def test_a_row_is_on_the_disk_before_the_answer_is_given():
    files = FileSystem.memory()
    db = Database(files, "/d", Settings())
    with pytest.raises(Error):
        db.session("ann").execute("CREATE NAMESPACE mine")
    with contextlib.closing(Database(files.crash("all"), "/d", Settings())) as cut:
        assert entries(cut) == [("ann", "CREATE NAMESPACE", "mine", "denied")]
    db.close()


def test_the_instants_are_the_databases(db):
    db.execute("CREATE NAMESPACE app")
    ((at,),) = entries(db, "at")
    assert abs(at - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)


LONG = "x" * 100
HOSTILE = ['"' * 300, "\\" * 300, "é" * 300, "\U0001f600" * 300, "a" * 320, '"}, {"' * 50]


@pytest.mark.parametrize("role", ["user", "dba"])
def test_details_are_json_whatever_somebody_wrote(db, role):
    """Who may do nothing could else spoil every look into the log, by one statement that is refused."""
    session = db.session("ann", role=role)
    users = [f"n{number}_{LONG}" for number in range(200)]
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    for name in ("ann", *(users if role == "dba" else ())):
        db.execute(f"CREATE USER {name}")
    names = ", ".join(users)
    with contextlib.suppress(Error):
        session.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON t TO {names}")
    for text in HOSTILE:
        session.execute(f"ALTER USER ann SET EMAIL '{text}'")

    told = entries(db, "actor, details->>'email', details->>'users', outcome")
    (_, granted, outcome), *changed = (row[1:] for row in told if row[0] == "ann")
    assert outcome == ("success" if role == "dba" else "denied")
    assert users[0] in granted
    assert "192 more" in granted
    assert [text[:100] for text, _, _ in changed] == [text[:100] for text in HOSTILE]
    rows = json.loads(b"".join(db.execute("SELECT details FROM system.audit_log").json_rows()))
    assert all(len(json.dumps(row, ensure_ascii=False)) < 2 * TEXT_CHARACTERS_MAX for row in rows)


def test_no_row_is_larger_than_it_may_be(db):
    with pytest.raises(Error):
        db.session("ann").execute(f"EXECUTE AS USER '{'q' * 100_000}' (SELECT 1)")

    assert entries(db, "length(subject)") == [(TEXT_CHARACTERS_MAX,)]
