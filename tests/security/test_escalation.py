"""No road to a role above one's own (S3), none to another user's identity (S4), by any spelling."""

from __future__ import annotations

import itertools
import threading

import pytest

import kalamdb
from kalamdb.errors import AccessDenied, Error, InvalidName, InvalidParameter

ROLES = ("user", "service", "dba", "system")
RANK = {role: rank for rank, role in enumerate(ROLES)}


@pytest.fixture
def db():
    with kalamdb.open(":memory:") as database:
        for role in ROLES:
            database.execute(f"CREATE USER {role}_1 ROLE {role}; CREATE USER {role}_2 ROLE {role}")
        yield database


def roles(db):
    return {one.user_id: (one.role, one.deleted_at) for one in db.accounts.all()}


@pytest.mark.parametrize("actor", ROLES)
def test_every_actor_target_and_new_role(db, actor):
    """4 × 4 × 4 × 3 roads: who may give what to whom."""
    session = db.session(f"{actor}_1")
    for target, new in itertools.product(ROLES, ROLES):
        may = actor in ("dba", "system") and RANK[new] <= RANK[actor] and RANK[target] <= RANK[actor]
        for sql in (
            f"ALTER USER {target}_2 SET ROLE {new}",
            f"UPDATE system.users SET role = '{new}' WHERE user_id = '{target}_2'",
            f"CREATE USER fresh ROLE {new}",
        ):
            if sql.startswith("CREATE"):
                may_now = actor in ("dba", "system") and RANK[new] <= RANK[actor]
            else:
                may_now = may
            before = roles(db)
            if may_now:
                session.execute(sql)
                db.execute(f"ALTER USER {target}_2 SET ROLE {target}")
                if sql.startswith("CREATE"):
                    assert db.session("fresh").role == new
                    db.accounts.remove("fresh")
            else:
                with pytest.raises(AccessDenied):
                    session.execute(sql)
                assert roles(db) == before


@pytest.mark.parametrize("actor", ROLES)
def test_nobody_but_system_and_dba_raises_its_own_role(db, actor):
    session = db.session(f"{actor}_1")
    for new in ROLES:
        sql = f"ALTER USER {actor}_1 SET ROLE {new}"
        if actor == "system" or (actor == "dba" and new != "system"):
            session.execute(sql)
            db.execute(f"ALTER USER {actor}_1 SET ROLE {actor}")
        else:
            with pytest.raises(AccessDenied):
                session.execute(sql)
            assert session.role == actor


NAMED = [
    "CREATE USER mallory ROLE SYSTEM",
    "CREATE USER mallory ROLE 'System'",
    'CREATE USER mallory ROLE "system"',
    "CREATE USER mallory WITH ROLE/**/system",
    "CREATE USER IF NOT EXISTS mallory ROLE system",
    "CREATE USER root",
    "CREATE USER 'root' ROLE system",
    "ALTER USER ROOT SET PASSWORD 'a long secret'",
    "ALTER USER \"root\" SET PASSWORD 'a long secret'",
    "ALTER USER root SET ROLE user",
    "DROP USER root",
    "DROP USER IF EXISTS 'root'",
    "DROP USER system_2",
    "ALTER USER system_2 SET STORAGE local",
    "UPDATE system.users SET role = 'system'",
    "UPDATE system.users AS u SET role = 'SYSTEM' WHERE u.user_id = 'dba_1'",
    "UPDATE system.users SET role = $1 WHERE user_id = 'dba_1'",
    "UPDATE system.users SET role = concat('sys', 'tem') WHERE user_id = 'dba_1'",
    "UPDATE system.users SET email = 'x' WHERE role = 'system'",
    "UPDATE system.users SET deleted_at = NULL WHERE user_id = 'gone_system'",
    "UPDATE system.users SET user_id = 'root' WHERE user_id = 'dba_1'",
    "UPDATE system.users SET password_hash = 'x'",
    "UPDATE system.users SET credentials_changed_at = NULL",
    "INSERT INTO system.users (user_id, role) VALUES ('mallory', 'system')",
    "INSERT INTO system.users SELECT 'mallory', 'system'",
    "DELETE FROM system.users WHERE user_id = 'root'",
    "DELETE FROM system.audit_log",
    "INSERT INTO system.audit_log (audit_id) VALUES (1)",
    "EXECUTE AS USER root (CREATE USER mallory ROLE system)",
    "EXECUTE AS USER 'system_1' (ALTER USER dba_1 SET ROLE system)",
    "EXECUTE AS USER 'gone_system' (SELECT 1)",
    "SELECT 1; ALTER USER dba_1 SET ROLE system",
    "CREATE USER ok_user; CREATE USER mallory ROLE system",
    "/* GRANT */ CREATE USER mallory -- ROLE user\n ROLE system",
]


@pytest.mark.parametrize("sql", NAMED)
def test_dba_grants_system_by_alter_or_by_anything_else(db, sql):
    db.execute("CREATE USER gone_system ROLE system; DROP USER gone_system")
    before = {name: found for name, found in roles(db).items() if name != "ok_user"}
    with pytest.raises(Error):
        db.session("dba_1").execute(sql, ["system"] if "$1" in sql else None)
    after = {name: found for name, found in roles(db).items() if name != "ok_user"}
    assert after == before


@pytest.mark.parametrize(
    "name",
    [
        "admin",
        "system",
        "SYSTEM",
        "Root",
        "ROOT",
        "r\u043e\u043et",
        "root ",
        " root",
        "dba",
        "administrator",
        "ro\u200bot",
    ],
)
def test_admin_by_user_name(db, name):
    """A name gives no right: not that of an administrator, not one that looks like root."""
    session = db.session(name)
    assert session.role == "user"
    with pytest.raises(AccessDenied):
        session.execute("CREATE NAMESPACE mine")
    db.execute(f'CREATE USER "{name}"')
    assert db.session(name).role == "user"
    assert db.session("root").role == "system"


def test_a_deleted_name_cannot_be_made_anew_with_another_role(db):
    db.execute("CREATE USER gone; DROP USER gone")
    for sql in ("CREATE USER gone ROLE dba", "CREATE USER IF NOT EXISTS gone ROLE dba"):
        with pytest.raises(Error, match="is kept for now"):
            db.session("dba_1").execute(sql)
    assert db.accounts.find("gone").role == "user"


def test_the_last_system_user_is_root_and_stays(db):
    db.execute("DROP USER system_1; DROP USER system_2")
    for sql in (
        "DROP USER root",
        "ALTER USER root SET ROLE dba",
        "UPDATE system.users SET role = 'user' WHERE user_id = 'root'",
    ):
        with pytest.raises(Error):
            db.execute(sql)
    assert db.session("root").role == "system"


@pytest.mark.parametrize(("actor", "target"), list(itertools.product(ROLES, ROLES)))
def test_execute_as_by_every_role_for_every_role(db, actor, target):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY)")
    db.session(f"{target}_2").execute("INSERT INTO t VALUES (1)")
    session = db.session(f"{actor}_1")
    may = actor == "system" or (actor in ("service", "dba") and RANK[target] <= RANK[actor])
    before = db.execute("SELECT count(*) FROM system.audit_log").fetchone()[0]
    sql = f"EXECUTE AS USER '{target}_2' (SELECT count(*) FROM t)"
    if may:
        assert session.execute(sql).fetchall() == [(1,)]
    else:
        with pytest.raises(AccessDenied):
            session.execute(sql)
    ((*_, outcome),) = db.execute(
        f"SELECT actor, subject, outcome FROM system.audit_log ORDER BY audit_id OFFSET {before}"
    ).fetchall()
    assert outcome == ("success" if may else "denied")
    assert session.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_unknown_and_forbidden_subjects_have_one_answer_for_network_sessions(db):
    from kalamdb.session import Session

    session = Session(db, "service_1", None, "default", address="192.0.2.1")
    db.execute("CREATE USER gone; DROP USER gone")
    answers = set()
    for name in ("dba_1", "root", "nobody", "gone", "User_1", "user_1 "):
        with pytest.raises(AccessDenied) as caught:
            session.execute(f"EXECUTE AS USER '{name}' (SELECT 1)")
        answers.add(
            (caught.value.message.replace(f'"{name}"', "it"), caught.value.code, caught.value.position)
        )
    assert len(answers) == 1


def test_an_update_of_several_users_that_is_refused_for_one_changes_none(db):
    session = db.session("dba_1")
    before = db.execute("SELECT user_id, email, updated_at FROM system.users ORDER BY user_id").fetchall()
    with pytest.raises(AccessDenied):
        session.execute("UPDATE system.users SET email = 'taken'")
    assert (
        db.execute("SELECT user_id, email, updated_at FROM system.users ORDER BY user_id").fetchall()
        == before
    )
    told = "SELECT action, target FROM system.audit_log WHERE actor = 'dba_1' AND outcome = 'success'"
    assert db.execute(told).fetchall() == []
    db.execute("DROP USER user_1; DROP USER user_2")
    assert session.execute("UPDATE system.users SET deleted_at = NULL WHERE role = 'user'").rowcount == 2
    assert db.execute(told + " ORDER BY target").fetchall() == [
        ("RESTORE USER", "user_1"),
        ("RESTORE USER", "user_2"),
    ]


def test_who_acts_as_itself_keeps_the_role_that_the_application_gave(db):
    session = db.session("dba_1", role="user")
    who = "EXECUTE AS USER 'dba_1' (SELECT CURRENT_USER(), CURRENT_ROLE())"
    assert session.execute(who).fetchall() == [("dba_1", "user")]
    with pytest.raises(AccessDenied):
        session.execute("EXECUTE AS USER 'dba_1' (CREATE USER mallory)")


@pytest.mark.parametrize("actor", ["service_1", "dba_1", "root"])
def test_who_acts_as_another_does_not_take_its_account_over(db, actor):
    """A password that a service gave would let it in as that user for good, past the log of who acts as whom."""
    db.execute("ALTER USER user_1 SET PASSWORD 'a long secret'")
    session = db.session(actor)
    for change in ("PASSWORD 'another long secret'", "EMAIL 'mallory@example.org'"):
        with pytest.raises(AccessDenied, match="EXECUTE AS USER changes no password"):
            session.execute(f"EXECUTE AS USER 'user_1' (ALTER USER user_1 SET {change})")
    db.front_door.log_in("user_1", "a long secret", "192.0.2.1")
    assert db.accounts.find("user_1").email is None
    told = (
        "SELECT actor, subject, action, outcome FROM system.audit_log "
        "WHERE action = 'ALTER USER' AND outcome = 'denied'"
    )
    assert db.execute(told).fetchall() == [(actor, "user_1", "ALTER USER", "denied")] * 2
    # As itself is no other.
    db.session("user_1").execute("EXECUTE AS USER 'user_1' (ALTER USER user_1 SET EMAIL 'me@example.org')")
    assert db.accounts.find("user_1").email == "me@example.org"


def test_impersonate_deleted_user(db):
    db.execute("CREATE USER gone; DROP USER gone")
    for actor in ("service_1", "dba_1", "root"):
        with pytest.raises(AccessDenied):
            db.session(actor).execute("EXECUTE AS USER 'gone' (SELECT 1)")


def test_the_identity_is_the_old_one_after_whatever_happens(db):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
    session = db.session("dba_1")
    who = "SELECT CURRENT_USER(), CURRENT_ROLE()"
    for inner in (
        "SELECT nothing",
        "INSERT INTO t VALUES (1, 1), (1, 1)",
        "DROP TABLE t",
        "SELECT 1 / 0",
        "nonsense",
        "SELECT ?",
    ):
        with pytest.raises(Error):
            session.execute(f"EXECUTE AS USER 'user_1' ({inner})")
        assert session.execute(who).fetchall() == [("dba_1", "dba")]
    session.execute("BEGIN")
    with pytest.raises(Error):
        session.execute("EXECUTE AS USER 'user_1' (INSERT INTO t VALUES (1, 1), (1, 1))")
    session.execute("EXECUTE AS USER 'user_1' (INSERT INTO t VALUES (2, 2))")
    session.execute("INSERT INTO t VALUES (3, 3)")
    session.execute("COMMIT")
    assert session.execute("SELECT id FROM t").fetchall() == [(3,)]
    assert db.session("user_1").execute("SELECT id FROM t").fetchall() == [(2,)]


def test_threads_that_act_as_others_at_the_same_time_do_not_mix(db):
    db.execute(
        "CREATE USER TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), who TEXT DEFAULT CURRENT_USER())"
    )
    session = db.session("root")
    failures = []

    def work(number):
        name = f"{ROLES[number % 4]}_{number % 2 + 1}"
        try:
            for _ in range(40):
                session.execute(f"EXECUTE AS USER '{name}' (INSERT INTO t (id) VALUES (SNOWFLAKE_ID()))")
                rows = session.execute(f"EXECUTE AS USER '{name}' (SELECT DISTINCT who FROM t)").fetchall()
                assert rows == [(name,)]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert session.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\x00b", "\ud800", "\x7f"])
def test_names_that_no_user_can_have(db, name):
    with pytest.raises(InvalidName):
        db.session(name)
    with pytest.raises(Error):
        db.execute("CREATE USER '" + name + "'")


@pytest.mark.parametrize("role", ["admin", "System", "root", "", "user "])
def test_roles_that_do_not_exist(db, role):
    with pytest.raises(InvalidParameter):
        db.session("ann", role=role)


def test_current_user_quote_injection(db):
    """A name with quotes in it is a value, wherever it is used, and no text of a statement."""
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, who TEXT DEFAULT CURRENT_USER())")
    names = [
        "x' OR '1'='1",
        'x" OR "1"="1',
        "x'; DROP TABLE t; --",
        "%",
        "_",
        "\\",
        "user_1' --",
        "${user}",
        "a''b",
    ]
    for name in names:
        session = db.session(name)
        session.execute("INSERT INTO t (id) VALUES (1)")
        assert session.execute("SELECT who FROM t WHERE who = CURRENT_USER()").fetchall() == [(name,)]
        assert session.execute(
            "SELECT who FROM t WHERE who LIKE '%' || right(CURRENT_USER(), 1)"
        ).fetchall() == [(name,)]
        quoted = name.replace("'", "''")
        assert db.execute(f"EXECUTE AS USER '{quoted}' (SELECT who FROM t)").fetchall() == [(name,)]
    assert db.execute("SELECT count(*) FROM all_users.default.t").fetchone() == (len(names),)


def test_system_table_direct_write(db):
    from kalamdb.catalog.system_tables import SYSTEM_TABLES

    session = db.session("dba_1")
    for name, schema in SYSTEM_TABLES.items():
        column = schema.names[-1]
        for sql in (
            f"DELETE FROM {name}",
            f"INSERT INTO {name} ({column}) VALUES (NULL)",
            f"UPDATE {name} SET {column} = NULL",
        ):
            if sql == "UPDATE system.users SET deleted_at = NULL":
                continue
            with pytest.raises(Error):
                session.execute(sql)
        for sql in (
            f"DROP TABLE {name}",
            f"ALTER TABLE {name} ADD COLUMN x INT",
            f"CREATE TABLE {name} (id BIGINT PRIMARY KEY)",
        ):
            with pytest.raises(Error):
                session.execute(sql)


def test_dba_implicit_all_users(db):
    """A dba sees its own rows of a USER table, and those of others by all_users alone, which is told."""
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY)")
    db.session("user_1").execute("INSERT INTO t VALUES (1)")
    session = db.session("dba_1")
    assert session.execute("SELECT * FROM t").fetchall() == []
    assert session.execute("DELETE FROM t").rowcount == 0
    assert session.execute("SELECT _user, id FROM all_users.default.t").fetchall() == [("user_1", 1)]
    told = db.execute("SELECT actor, target FROM system.audit_log WHERE target LIKE 'all_users%'").fetchall()
    assert told == [("dba_1", "all_users.default.t")]
    with pytest.raises(AccessDenied):
        session.execute("DELETE FROM all_users.default.t")


def test_password_in_sql_log(db, caplog):
    caplog.set_level("DEBUG")
    secret = "canary4711 secret"
    shown = []
    for sql in (
        f"CREATE USER ann PASSWORD '{secret}'",
        f"CREATE USER ann PASSWORD '{secret}' PASSWORD '{secret}'",
        f"ALTER USER ann SET PASSWORD '{secret}' nonsense",
        f"ALTER USER nobody SET PASSWORD '{secret}'",
        f"EXECUTE AS USER 'ann' (ALTER USER ann SET PASSWORD '{secret}')",
        # Quotes that are missing, or wrong, or within.
        "ALTER USER ann SET PASSWORD canary4711",
        "CREATE USER bob PASSWORD canary4711 ROLE dba",
        f'CREATE USER bob PASSWORD "{secret}"',
        "CREATE USER bob PASSWORD 'x'canary4711",
        f"CREATE USER bob PASSWORD 'it's {secret}'",
        f"SELECT 1; ALTER USER ann SET PASSWORD {secret}",
        f"EXECUTE AS USER 'ann' (ALTER USER ann SET PASSWORD {secret})",
    ):
        try:
            db.execute(sql)
        except Error as error:
            shown.append(repr((error, error.args, error.message)))
    seen = caplog.text + repr(shown)
    for table in ("users", "audit_log", "jobs", "settings", "stats"):
        seen += repr(db.execute(f"SELECT * FROM system.{table}").fetchall())
    seen += repr(db.accounts.find("ann"))
    assert "canary4711" not in seen
