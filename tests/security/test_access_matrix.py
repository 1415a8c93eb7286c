"""The whole matrix by real statements: role, action, table kind, access and grant, on every road, nothing changed where
it is refused. What is wanted is written here by hand, from the specification, and not read from the code's table."""

from __future__ import annotations

import itertools

import pytest

import kalamdb
from kalamdb.errors import AccessDenied, Error, UndefinedTable

ROLES = ("user", "service", "dba", "system")
ACCESSES = ("public", "private", "restricted")
ACTIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")
GRANTS = [tuple(g) for count in range(5) for g in itertools.combinations(ACTIONS, count)]
SAYS = {"SELECT": "read", "INSERT": "insert into", "UPDATE": "update", "DELETE": "delete from"}


def allowed(role: str, access: str, action: str, granted: tuple[str, ...]) -> bool:
    if role in ("dba", "system"):
        return True
    if access == "private":
        return role == "service"
    if access == "public" and (action == "SELECT" or role == "service"):
        return True
    return action in granted


def wanted(role: str, access: str, action: str, granted: tuple[str, ...]) -> str:
    if allowed(role, access, action, granted):
        return "yes"
    return "denied" if allowed(role, access, "SELECT", granted) else "hidden"


def roads(session, action):
    """Every way in which the action can be asked for; each is undone by who calls."""
    insert = "INSERT INTO app.t VALUES (?, ?)"
    ways = {
        "SELECT": {
            "by key": lambda: session.execute("SELECT * FROM app.t WHERE id = 1"),
            "prepared": lambda: session.prepare("SELECT n FROM app.t WHERE id = ?").execute([1]),
            "by the engine": lambda: session.execute("SELECT sum(n) + 1 FROM app.t"),
            "in a subquery": lambda: session.execute("SELECT 1 WHERE EXISTS (SELECT * FROM app.t)"),
            "in a CTE": lambda: session.execute("WITH c AS (SELECT * FROM app.t) SELECT count(*) FROM c"),
            "in a view": lambda: session.execute("SELECT * FROM app.seen"),
            "explained": lambda: session.execute("EXPLAIN SELECT * FROM app.t"),
            "inserted elsewhere": lambda: session.execute(
                "INSERT INTO app.own SELECT id, n FROM app.t ON CONFLICT DO NOTHING"
            ),
            "as itself": lambda: session.execute(f"EXECUTE AS USER '{session.user}' (SELECT * FROM app.t)"),
            "described": lambda: session.execute("DESCRIBE TABLE app.t"),
            "its history": lambda: session.execute("DESCRIBE TABLE app.t HISTORY"),
            "counted": lambda: session.execute("SHOW STATS FOR TABLE app.t"),
            "in a WHERE": lambda: session.execute("DELETE FROM app.own WHERE n > (SELECT max(n) FROM app.t)"),
        },
        "INSERT": {
            "literals": lambda: session.execute("INSERT INTO app.t VALUES (7, 7)"),
            "parameters": lambda: session.execute(insert, [7, 7]),
            "prepared": lambda: session.prepare(insert).execute([7, 7]),
            "many": lambda: session.executemany(insert, [[7, 7], [8, 8]]),
            "dicts": lambda: session.insert("app.t", [{"id": 7, "n": 7}]),
            "a query": lambda: session.execute("INSERT INTO app.t SELECT 7, 7"),
            "as itself": lambda: session.execute(
                f"EXECUTE AS USER '{session.user}' (INSERT INTO app.t VALUES (7, 7))"
            ),
        },
        "UPDATE": {
            "all": lambda: session.execute("UPDATE app.t SET n = 9"),
            "prepared": lambda: session.prepare("UPDATE app.t SET n = ?").execute([9]),
        },
        "DELETE": {
            "all": lambda: session.execute("DELETE FROM app.t"),
            "prepared": lambda: session.prepare("DELETE FROM app.t").execute(),
        },
    }
    return ways[action]


def outcome(road) -> str:
    try:
        road()
    except UndefinedTable as error:
        # A view of it is hidden with it.
        gone = ('relation "app.t" does not exist', 'relation "app.seen" does not exist')
        return "hidden" if error.message in gone else error.message
    except AccessDenied as error:
        return "denied" if error.message.startswith("permission denied for table app.t") else error.message
    return "yes"


@pytest.fixture(scope="module")
def world():
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE NAMESPACE app; CREATE TABLE app.t (id BIGINT PRIMARY KEY, n BIGINT)")
        db.execute("CREATE USER TABLE app.own (id BIGINT PRIMARY KEY, n BIGINT)")
        db.execute(
            "CREATE STREAM TABLE app.news (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n BIGINT) TTL 3600"
        )
        db.execute("CREATE VIEW app.seen AS SELECT * FROM app.t")
        for role in ROLES:
            db.execute(f"CREATE USER {role}_1 ROLE {role}; CREATE USER {role}_2 ROLE {role}")
        refill(db)
        yield db


def refill(db):
    db.execute("DELETE FROM app.t; INSERT INTO app.t VALUES (1, 1), (2, 2)")


def contents(db):
    return db.execute("SELECT * FROM app.t ORDER BY id").fetchall()


@pytest.mark.parametrize("access", ACCESSES)
def test_every_cell_of_shared_tables_on_every_road(world, access):
    """Sessions stay open over every ALTER, GRANT and REVOKE."""
    sessions = {role: world.session(f"{role}_1") for role in ROLES}
    untouched = contents(world)
    for granted in GRANTS:
        # Privileges are given while the table is open to them: a private table keeps them asleep.
        world.execute("ALTER TABLE app.t SET ACCESS restricted")
        for role in ROLES:
            world.execute(f"REVOKE ALL ON app.t FROM {role}_1")
            if granted:
                world.execute(f"GRANT {', '.join(granted)} ON app.t TO {role}_1")
        world.execute(f"ALTER TABLE app.t SET ACCESS {access}")
        for role, action in itertools.product(ROLES, ACTIONS):
            for name, road in roads(sessions[role], action).items():
                found = outcome(road)
                cell = f"{role}, {access}, {action} {name}, granted {granted}"
                assert found == wanted(role, access, action, granted), cell
                if found != "yes":
                    assert contents(world) == untouched, cell
                elif action != "SELECT":
                    refill(world)
    for role in ROLES:
        world.execute(f"REVOKE ALL ON app.t FROM {role}_1")


@pytest.mark.parametrize("access", ACCESSES)
def test_what_a_service_may_do_to_tables_it_may_do_to_those_it_sees(world, access):
    world.execute(f"ALTER TABLE app.t SET ACCESS {access}; REVOKE ALL ON app.t FROM service_1")
    service, user = world.session("service_1"), world.session("user_1")
    for sql in (
        "ALTER TABLE app.t ALTER COLUMN n SET DEFAULT 1",
        "STORAGE FLUSH TABLE app.t",
        "STORAGE COMPACT TABLE app.t",
        f"ALTER TABLE app.t SET ACCESS {access}",
    ):
        assert outcome(lambda sql=sql: service.execute(sql)) == (
            "hidden" if access == "restricted" else "yes"
        )
        with pytest.raises(AccessDenied):
            user.execute(sql)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", ["own", "news"])
def test_everybody_has_an_own_partition_and_no_other(world, role, table):
    one, other = world.session(f"{role}_1"), world.session(f"{role}_2")
    one.execute(f"DELETE FROM app.{table}")
    for session, number in ((one, 1), (other, 2)):
        session.execute(f"INSERT INTO app.{table} (id, n) VALUES (5, {number})")
    assert one.execute(f"SELECT n FROM app.{table}").fetchall() == [(1,)]
    one.execute(f"UPDATE app.{table} SET n = 10")
    assert other.execute(f"SELECT n FROM app.{table}").fetchall() == [(2,)]
    one.execute(f"DELETE FROM app.{table}")
    assert other.execute(f"SELECT n FROM app.{table}").fetchall() == [(2,)]
    other.execute(f"DELETE FROM app.{table}")


STATEMENTS = {
    "CREATE TABLE app.fresh (id BIGINT PRIMARY KEY)": "service dba system",
    "ALTER TABLE app.own ADD COLUMN extra BIGINT": "service dba system",
    "ALTER TABLE app.pub SET ACCESS restricted": "service dba system",
    "DROP TABLE app.doomed": "dba system",
    "CREATE VIEW app.fresh_view AS SELECT id FROM app.own": "service dba system",
    "DROP VIEW app.doomed_view": "service dba system",
    "CREATE NAMESPACE fresh": "dba system",
    "ALTER NAMESPACE app SET OPTIONS (a = 1)": "dba system",
    "DROP NAMESPACE doomed": "dba system",
    "STORAGE FLUSH TABLE app.own": "service dba system",
    "FLUSH TABLE app.own": "service dba system",
    "STORAGE FLUSH ALL": "service dba system",
    "STORAGE COMPACT TABLE app.own": "service dba system",
    "STORAGE COMPACT ALL IN app": "service dba system",
    "CHECKPOINT": "service dba system",
    "KILL JOB 'none'": "dba system",
    "CREATE STORAGE fresh TYPE filesystem URI '{path}/fresh'": "dba system",
    "ALTER STORAGE local SET DESCRIPTION 'here'": "dba system",
    "DROP STORAGE doomed": "dba system",
    "STORAGE CHECK local": "dba system",
    "SHOW STORAGES": "dba system",
    "SHOW USERS": "dba system",
    "SELECT * FROM system.users": "dba system",
    "SELECT * FROM system.audit_log": "dba system",
    "SELECT * FROM system.storages": "dba system",
    "SELECT * FROM system.settings": "dba system",
    "SELECT * FROM system.tables": "user service dba system",
    "SELECT * FROM system.jobs": "user service dba system",
    "SHOW TABLES": "user service dba system",
    "SELECT * FROM all_users.app.own": "dba system",
    "GRANT SELECT ON app.pub TO user_2": "dba system",
    "REVOKE SELECT ON app.pub FROM user_2": "dba system",
    "CREATE USER fresh_user": "dba system",
    "CREATE USER fresh_system ROLE system": "system",
    "ALTER USER user_2 SET ROLE service": "dba system",
    "ALTER USER user_2 SET EMAIL 'x@example.org'": "dba system",
    "ALTER USER user_2 SET ROLE system": "system",
    "ALTER USER root SET EMAIL 'x@example.org'": "system",
    "DROP USER user_2": "dba system",
    "DROP USER system_2": "system",
    "UPDATE system.users SET email = 'y' WHERE user_id = 'user_2'": "dba system",
    "UPDATE system.users SET role = 'system' WHERE user_id = '{me}'": "system",
    "ALTER USER {me} SET EMAIL 'me@example.org'": "user service dba system",
    "BACKUP DATABASE TO '{path}/backup'": "dba system",
    "BACKUP NAMESPACE app TO '{path}/backup_app'": "dba system",
    "RESTORE DATABASE FROM '{path}/nothing'": "dba system",
    "EXPORT USER DATA FOR 'user_2' TO '{path}/export'": "dba system",
    "EXPORT USER DATA FOR '{me}' TO '{path}/own_export'": "user service dba system",
    "ERASE USER DATA FOR 'user_2'": "dba system",
    "EXECUTE AS USER 'user_2' (SELECT 1)": "service dba system",
    "EXECUTE AS USER 'service_2' (SELECT 1)": "service dba system",
    "EXECUTE AS USER 'dba_2' (SELECT 1)": "dba system",
    "EXECUTE AS USER 'system_2' (SELECT 1)": "system",
    "EXECUTE AS USER '{me}' (SELECT 1)": "user service dba system",
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("sql", list(STATEMENTS))
def test_every_other_statement_by_every_role(tmp_path, sql, role):
    path = str(tmp_path)
    with kalamdb.open(":memory:", storage_roots=(path,)) as db:
        db.execute("CREATE NAMESPACE app; CREATE NAMESPACE doomed")
        db.execute(
            "CREATE USER TABLE app.own (id BIGINT PRIMARY KEY); CREATE TABLE app.pub (id BIGINT PRIMARY KEY)"
        )
        db.execute(
            "CREATE TABLE app.doomed (id BIGINT PRIMARY KEY); CREATE VIEW app.doomed_view AS SELECT 1 AS a"
        )
        db.execute(f"CREATE STORAGE doomed TYPE filesystem URI '{path}/doomed'")
        for one in ROLES:
            db.execute(f"CREATE USER {one}_1 ROLE {one}; CREATE USER {one}_2 ROLE {one}")
        db.session("user_2").execute("INSERT INTO app.own VALUES (1)")
        before = state(db)
        session = db.session(f"{role}_1")
        text = sql.format(path=path, me=f"{role}_1")
        if role in STATEMENTS[sql].split():
            if text.startswith(("KILL JOB", "RESTORE")):
                with pytest.raises(Error) as caught:
                    session.execute(text)
                assert not isinstance(caught.value, AccessDenied)
            else:
                session.execute(text)
        else:
            with pytest.raises(AccessDenied):
                session.execute(text)
            with pytest.raises(AccessDenied):
                session.execute(f"SELECT 1; {text}")
            assert state(db) == before
            told = db.execute("SELECT count(*) FROM system.audit_log WHERE outcome = 'denied'").fetchone()
            assert told >= (2,)


def state(db):
    """What exists, and the rows of it."""
    return (
        db.catalog,
        db.accounts.all(),
        [(one.user_id, one.table_id, one.actions) for one in db.accounts.all_grants()],
        db.execute("SELECT * FROM all_users.app.own").fetchall(),
    )
