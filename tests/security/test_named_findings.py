"""What was found in an earlier project of this kind, each by its name there: none of it may be here.

Others of the names are where they belong: jwt_role_claim_overrides_db and no_token_revocation in
tests/auth/test_front_door.py; default_jwt_secret, empty_issuer_list_accepts_all, limiter_state_exhaustion,
username_enumeration and unverified_claims_in_audit in tests/auth/; admin_by_user_name, current_user_quote_injection,
dba_grants_system_by_alter, dba_implicit_all_users, impersonate_deleted_user, password_in_sql_log and
system_table_direct_write in test_escalation.py. Those of the server are
in tests/server/: identity_from_request_field in test_bodies.py, and again with ws_origin in
websocket/test_authentication.py, ws_message_size and unbounded_live_queries in websocket/test_limits.py,
subscription_skips_access_check in websocket/test_rights.py, current_user_quote_injection of live queries in
websocket/test_messages.py.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path

import pytest

import kalamdb
from kalamcore.system import Clock, FileSystem
from kalamdb.database import Database
from kalamdb.errors import AccessDenied, Error
from kalamdb.settings import Settings

HOSTILE = [
    "../../etc",
    "..",
    "a/../b",
    "/etc/passwd",
    "a\\..\\b",
    "%2e%2e%2f",
    "\u2024\u2024\u2215",
    "a" * 128,
    "con",
    "x.",
]
CANARY = "canary4711"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def outside(root: Path, inside: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and inside not in path.parents]


def test_credentials_plaintext_in_system_storages(db: kalamdb.Database) -> None:
    credentials = f'{{"access_key_id": "{CANARY}", "secret_access_key": "{CANARY}"}}'
    db.execute(f"CREATE STORAGE vault TYPE s3 URI 's3://bucket' CREDENTIALS '{credentials}'")
    for sql in ("SELECT * FROM system.storages", "SHOW STORAGES", "SELECT * FROM system.audit_log"):
        assert CANARY not in repr(db.execute(sql).fetchall())


@pytest.mark.parametrize("user", HOSTILE)
def test_path_traversal_user(db: kalamdb.Database, directory: Path, user: str) -> None:
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY)")
    db.execute(f"CREATE USER {quoted(user)}")
    db.session(user).execute("INSERT INTO notes VALUES (1)")
    db.flush("notes")
    assert db.session(user).execute("SELECT id FROM notes").fetchall() == [(1,)]
    assert outside(directory.parent, directory) == []
    assert len(list(directory.rglob("*.parquet"))) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_path_traversal_table_and_namespace_and_storage(
    db: kalamdb.Database, directory: Path, name: str
) -> None:
    before = db.execute("SELECT count(*) FROM system.tables").fetchone()
    for sql in (
        'CREATE NAMESPACE "{}"',
        'CREATE TABLE "{}" (id BIGINT PRIMARY KEY)',
        'CREATE TABLE "{}".t (id BIGINT PRIMARY KEY)',
        "CREATE STORAGE \"{}\" TYPE filesystem URI 'x'",
    ):
        if name in ("con",) and "NAMESPACE" not in sql:
            continue
        if name == "con":
            db.execute(sql.format(name))
            continue
        with pytest.raises(Error):
            db.execute(sql.format(name))
    assert db.execute("SELECT count(*) FROM system.tables").fetchone() == before
    assert outside(directory.parent, directory) == []


@pytest.mark.parametrize(
    "place", ["../outside", "/etc/kalam", "{inside}/cold", "{inside}", "{allowed}/../elsewhere"]
)
def test_path_traversal_backup(tmp_path: Path, place: str) -> None:
    allowed, inside = tmp_path / "allowed", tmp_path / "d"
    allowed.mkdir()
    with kalamdb.open(inside, storage_roots=(str(allowed),)) as db:
        target = place.format(inside=inside, allowed=allowed)
        for sql in (f"BACKUP DATABASE TO '{target}'", f"EXPORT USER DATA FOR 'ann' TO '{target}'"):
            with pytest.raises(Error):
                db.session("boss", role="dba").execute(sql)
    assert [path for path in outside(tmp_path, inside) if allowed not in path.parents] == []


def test_cross_user_parquet_path(db: kalamdb.Database, directory: Path) -> None:
    """Two users whose names a folder could take for one have folders of their own."""
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY, who TEXT)")
    twins = ["User", "user", "USER", "u\u00fcser", "u\u0075\u0308ser", "user ", "user."]
    twins += ["user/notes", "user%2Fnotes", "user_notes"]
    for name in twins:
        db.session(name).execute("INSERT INTO notes VALUES (1, ?)", [name])
    db.flush("notes")
    for name in twins:
        assert db.session(name).execute("SELECT who FROM notes").fetchall() == [(name,)]
    assert len({path.parent for path in directory.rglob("*.parquet")}) == len(twins)


def test_user_id_truncated_key_collision(db: kalamdb.Database) -> None:
    """Names and keys that are prefixes of each other, or long, or hold zeros, do not meet."""
    db.execute("CREATE USER TABLE notes (id TEXT PRIMARY KEY, who TEXT)")
    names = ["a", "ab", "abc", "a" * 127, "a" * 128, "b" * 128, "\u00e9" * 128, "\U0001f600" * 128]
    keys = ["", "a", "ab", "a" * 300, "a" * 301, "\x00", "\x00\x00", "a\x00", "\u00ff"]
    for name, key in itertools.product(names, keys):
        db.session(name).execute("INSERT INTO notes VALUES (?, ?)", [key, name])
    for tier in (None, db.checkpoint, db.flush):
        if tier is not None:
            tier()
        for name in names:
            rows = db.session(name).execute("SELECT id, who FROM notes").fetchall()
            assert sorted(rows) == sorted((key, name) for key in keys)


def test_impersonate_missing(db: kalamdb.Database) -> None:
    """Over the network nobody acts as a name that no user has, and it is not made by that."""
    from kalamdb.session import Session

    db.execute("CREATE USER boss ROLE dba")
    session = Session(db, "boss", None, "default", address="192.0.2.1")
    with pytest.raises(AccessDenied):
        session.execute("EXECUTE AS USER 'missing' (SELECT 1)")
    assert db.accounts.find("missing") is None


def test_snowflake_overflow() -> None:
    """At the end of the years that an id can tell, there is an error and no id that is less."""
    end_ms = 1_704_067_200_000 + (1 << 41) - 2
    db = Database(FileSystem.memory(), "/d", Settings(), clock=Clock.manual(end_ms * 1000))
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n BIGINT)")
    ids: list[int] = []

    def take_all() -> None:
        for number in range(20_000):
            db.execute("INSERT INTO t (n) VALUES (?)", [number])
            ids.append(db.ids.snowflake_id())

    with pytest.raises(Error):
        take_all()
    assert all(one > 0 for one in ids)
    assert ids == sorted(set(ids))
    db.close()


@pytest.mark.parametrize("hours", ["876001", "9223372036854775807", "-1", "99999999999999999999", "1e30"])
def test_retention_overflow(db: kalamdb.Database, hours: str) -> None:
    with pytest.raises(Error):
        db.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY) DELETED_RETENTION {hours}")
    with pytest.raises(Error):
        db.execute(
            f"CREATE STREAM TABLE s (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()) TTL {hours}00000000000"
        )
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) DELETED_RETENTION 876000")
    db.execute("INSERT INTO t VALUES (1); DELETE FROM t WHERE id = 1")
    assert db.execute("SELECT id FROM t WHERE _deleted").fetchall() == [(1,)]


def test_filter_eval_stack_overflow_and_redos(db: kalamdb.Database) -> None:
    """Filters that nest, chain or match for ever end in time, and the process lives."""
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute("INSERT INTO t VALUES (1, ?)", ["a" * 50_000 + "!"])
    filters = [
        "(" * 5_000 + "id = 1" + ")" * 5_000,
        "NOT " * 20_000 + "TRUE",
        " OR ".join(["id = 1"] * 50_000),
        "body LIKE '" + "%a" * 2_000 + "'",
        "regexp_like(body, '(a+)+$')",
        "regexp_like(body, '^(([a-z])+.)+[A-Z]([a-z])+$')",
        "- " * 20_000 + "1 = id",
    ]
    for one in filters:
        for sql in (
            "SELECT id FROM t WHERE {}",
            "UPDATE t SET body = body WHERE {}",
            "DELETE FROM t WHERE id = 7 AND ({})",
        ):
            started = time.monotonic()
            with contextlib.suppress(Error):
                db.execute(sql.format(one))
            assert time.monotonic() - started < 60
    assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)
