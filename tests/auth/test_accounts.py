"""Users and grants: rows that outlive a reopening, one number for every change, nothing of others in the way."""

from __future__ import annotations

import datetime

import pytest

import kalamdb
from kalamcore.store import WriteBatch
from kalamcore.system import Clock, FileSystem
from kalamdb.auth import BY_ROLE, Action, Role
from kalamdb.auth.account import Account, decode_account, decode_gone, encode_account
from kalamdb.auth.account_login import user_state
from kalamdb.database import Database
from kalamdb.errors import (
    AccessDenied,
    Corruption,
    DuplicateObject,
    InvalidToken,
    StorageUnavailable,
    TokenExpired,
    UndefinedTable,
    UnknownFormat,
)
from kalamdb.settings import Settings

AT = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def db():
    with kalamdb.open(":memory:") as database:
        yield database


def test_an_account_is_read_as_it_was_written():
    account = Account(
        "Ann \N{SNOWMAN}",
        Role.SERVICE,
        AT,
        AT,
        email="ann@example.org",
        password_hash="$argon2id$",
        storage_mode="region",
        storage_id="s3",
        failed_logins=3,
        locked_until=AT,
        last_login_at=AT,
        deleted_at=AT,
        credentials_changed_at=AT,
    )
    assert decode_account(account.user_id, encode_account(account)) == account
    assert "argon2id" not in repr(account)
    bare = Account("bob", Role.USER, AT, AT)
    assert decode_account("bob", encode_account(bare)) == bare


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 1}', '{"format": 1, "role": "king"}', "nonsense"]
)
def test_what_is_no_account_is_corruption(text):
    with pytest.raises(Corruption):
        decode_account("ann", text)
    with pytest.raises(Corruption):
        decode_gone(text)


def test_an_account_of_a_newer_version_is_refused_by_name():
    with pytest.raises(UnknownFormat, match="format 2"):
        decode_account("ann", '{"format": 2}')
    with pytest.raises(UnknownFormat, match="format 2"):
        decode_gone('{"format": 2}')


def test_users_and_grants_outlive_a_reopening(tmp_path):
    with kalamdb.open(tmp_path / "d") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) ACCESS restricted; CREATE USER ann ROLE service")
        db.execute("GRANT SELECT, DELETE ON t TO ann; CREATE USER gone; DROP USER gone")
    with kalamdb.open(tmp_path / "d") as db:
        assert db.session("ann").role == "service"
        assert db.session("ann").execute("SELECT count(*) FROM t").fetchall() == [(0,)]
        with pytest.raises(AccessDenied, match="was deleted"):
            db.session("gone")
        db.checkpoint()
    with kalamdb.open(tmp_path / "d", read_only=True) as db:
        assert [one.user_id for one in db.accounts.all()] == ["ann", "gone", "root"]
        assert [one.actions for one in db.accounts.all_grants()] == [{Action.SELECT, Action.DELETE}]


def test_users_without_grants_share_their_rights(db):
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) ACCESS restricted; CREATE USER ann; CREATE USER bob")
    assert db.session("ann").rights is db.session("bob").rights is BY_ROLE[Role.USER]
    db.execute("GRANT SELECT ON t TO ann")
    assert db.session("ann").rights is not BY_ROLE[Role.USER]
    assert db.session("ann").rights is db.session("ann").rights
    assert db.session("bob").rights is BY_ROLE[Role.USER]


def test_a_session_asks_anew_only_after_a_change(db, monkeypatch):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY)")
    session = db.session("ann")
    statement = session.prepare("SELECT id FROM t WHERE id = ?")
    statement.execute([1])
    asked = []
    rights_of = db.accounts.rights_of
    monkeypatch.setattr(db.accounts, "rights_of", lambda *a, **k: asked.append(a) or rights_of(*a, **k))
    for _ in range(10):
        statement.execute([1])
        session.execute("SELECT count(*) FROM t")
        session.execute("INSERT INTO t VALUES (SNOWFLAKE_ID())")
    assert asked == []
    db.execute("CREATE USER somebody")
    asked.clear()
    statement.execute([1])
    statement.execute([1])
    assert len(asked) == 1


def test_a_prepared_statement_that_read_by_a_grant_reads_no_more_without_it(db):
    db.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY) ACCESS restricted; INSERT INTO t VALUES (1); CREATE USER ann"
    )
    db.execute("GRANT SELECT ON t TO ann")
    statement = db.session("ann").prepare("SELECT id FROM t WHERE id = ?")
    for _ in range(3):
        assert statement.execute([1]).fetchall() == [(1,)]
    for change, back in (
        ("REVOKE SELECT ON t FROM ann", "GRANT SELECT ON t TO ann"),
        ("ALTER TABLE t SET ACCESS private", "ALTER TABLE t SET ACCESS restricted"),
        ("DROP USER ann", "UPDATE system.users SET deleted_at = NULL WHERE user_id = 'ann'"),
    ):
        db.execute(change)
        for _ in range(2):
            with pytest.raises((UndefinedTable, AccessDenied)):
                statement.execute([1])
        db.execute(back)
        for _ in range(2):
            assert statement.execute([1]).fetchall() == [(1,)]


def test_what_was_known_before_a_change_is_not_kept_by_who_asked_meanwhile(db, monkeypatch):
    db.execute("CREATE USER ann ROLE service")
    accounts = db.accounts
    find = accounts.find

    def slow(user_id):
        found = find(user_id)
        monkeypatch.setattr(accounts, "find", find)
        # Somebody else changes the role between the look and its being kept.
        db.execute("ALTER USER ann SET ROLE user")
        return found

    monkeypatch.setattr(accounts, "find", slow)
    session = db.session("ann")
    assert session.role is Role.USER


def test_a_change_within_a_batch_holds_from_its_next_statement(db):
    db.execute(
        "CREATE USER dan ROLE dba; CREATE TABLE t (id BIGINT PRIMARY KEY) ACCESS restricted; CREATE USER ann"
    )
    with pytest.raises(AccessDenied, match="Statement 2 failed"):
        db.session("dan").execute("ALTER USER dan SET ROLE user; CREATE USER more")
    assert db.accounts.find("more") is None
    db.execute("ALTER USER dan SET ROLE dba")
    with pytest.raises(AccessDenied, match="Statement 2 failed"):
        db.session("dan").execute("DROP USER dan; SELECT 1")


def test_a_role_that_the_application_gives_wins_but_not_over_a_deletion(db):
    db.execute("CREATE USER ann ROLE dba")
    session = db.session("ann", role="user")
    assert session.role is Role.USER
    db.execute("ALTER USER ann SET ROLE service")
    assert session.role is Role.USER
    db.execute("DROP USER ann")
    with pytest.raises(AccessDenied, match="was deleted"):
        session.execute("SELECT 1")
    db.execute("UPDATE system.users SET deleted_at = NULL WHERE user_id = 'ann'")
    assert session.execute("SELECT CURRENT_ROLE()").fetchall() == [("user",)]


def test_a_deletion_holds_for_every_road_of_an_open_session(db):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY); CREATE USER ann")
    session = db.session("ann")
    reading = session.prepare("SELECT id FROM t WHERE id = ?")
    writing = session.prepare("INSERT INTO t VALUES (?)")
    writing.execute([1])
    reading.execute([1])
    session.execute("SELECT id FROM t")
    db.execute("DROP USER ann")
    roads = [
        lambda: reading.execute([1]),
        lambda: writing.execute([2]),
        lambda: writing.executemany([[3], [4]]),
        lambda: session.execute("SELECT id FROM t"),
        lambda: session.execute("SELECT 1; SELECT 2"),
        lambda: session.execute("INSERT INTO t VALUES (5)"),
        lambda: session.executemany("INSERT INTO t VALUES (?)", [[6]]),
        lambda: session.insert("t", [{"id": 7}]),
        lambda: session.prepare("SELECT 1"),
        lambda: session.execute("BEGIN"),
        lambda: session.execute("EXECUTE AS USER 'ann' (SELECT 1)"),
        lambda: session.role,
    ]
    for road in roads:
        with pytest.raises(AccessDenied, match="was deleted"):
            road()
    db.execute("UPDATE system.users SET deleted_at = NULL WHERE user_id = 'ann'")
    assert reading.execute([1]).fetchall() == [(1,)]
    assert session.execute("SELECT count(*) FROM t").fetchall() == [(1,)]


def test_a_transaction_of_a_user_who_was_deleted_commits_nothing(db):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY); CREATE USER ann")
    session = db.session("ann")
    session.begin()
    session.execute("INSERT INTO t VALUES (1)")
    db.execute("DROP USER ann")
    with pytest.raises(AccessDenied, match="was deleted"):
        session.commit()
    session.rollback()
    assert db.execute("SELECT count(*) FROM all_users.default.t").fetchone() == (0,)


def test_over_the_network_a_user_must_exist(db):
    from kalamdb.session import Session

    with pytest.raises(AccessDenied, match="does not exist"):
        Session(db, "nobody", None, "default", address="192.0.2.1")
    db.execute("CREATE USER ann ROLE service; CREATE USER bob")
    session = Session(db, "ann", None, "default", address="192.0.2.1")
    session.execute("EXECUTE AS USER 'bob' (SELECT 1)")
    refusals = []
    for name in ("nobody", "root"):
        with pytest.raises(AccessDenied) as caught:
            session.execute(f"EXECUTE AS USER '{name}' (SELECT 1)")
        refusals.append(caught.value.message.replace(name, "x"))
    assert refusals[0] == refusals[1]
    rows = db.execute(
        "SELECT actor, subject, address FROM system.audit_log WHERE address IS NOT NULL"
    ).fetchall()
    assert rows == [("ann", name, "192.0.2.1") for name in ("bob", "nobody", "root")]


def test_a_name_that_is_taken_is_refused_and_changes_nothing(db):
    db.execute("CREATE USER ann")
    version = db.accounts.version
    with pytest.raises(DuplicateObject):
        db.accounts.create(Account("ann", Role.SYSTEM, AT, AT))
    assert db.accounts.find("ann").role is Role.USER
    assert db.accounts.version == version


def test_log_ins_are_noted_without_making_sessions_ask_anew(db):
    from dataclasses import replace

    db.execute("CREATE USER ann")
    version = db.accounts.version
    db.accounts.note_login("ann", lambda account: replace(account, failed_logins=2))
    assert db.accounts.find("ann").failed_logins == 2
    assert db.accounts.version == version


def test_users_who_were_dropped_long_ago_go_for_good():
    clock = Clock.manual(int(AT.timestamp() * 1_000_000))
    files = FileSystem.memory()
    db = Database(files, "/d", Settings(user_retention_d=3), clock=clock)
    db.execute(
        "CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT); CREATE TABLE s (id BIGINT PRIMARY KEY)"
    )
    db.execute("CREATE USER ann; CREATE USER bob; GRANT INSERT ON s TO ann")
    for name in ("ann", "bob"):
        db.session(name).execute("INSERT INTO t VALUES (1, 'kept')")
    db.execute(
        "DROP USER ann; DROP USER bob; UPDATE system.users SET deleted_at = NULL WHERE user_id = 'bob'"
    )
    clock.set(int(AT.timestamp() * 1_000_000) + 2 * DAY_US)
    assert db._due_expiry() == []
    clock.set(int(AT.timestamp() * 1_000_000) + 4 * DAY_US)
    requests = db._due_expiry()
    assert [one.job_type for one in requests] == ["expire"]
    (job,) = db.jobs.run_all(requests)
    assert job.result == "1 user(s) are gone for good"
    assert db.accounts.find("ann") is None
    assert db.accounts.all_grants() == []
    assert db._due_expiry() == []
    assert db.session("bob").execute("SELECT body FROM t").fetchall() == [("kept",)]
    # The name is free, and has nothing of who had it.
    db.execute("CREATE USER ann")
    assert db.session("ann").execute("SELECT * FROM t").fetchall() == []
    assert db.execute(
        "SELECT actor, action, target FROM system.audit_log WHERE action = 'EXPIRE USER'"
    ).fetchall() == [("root", "EXPIRE USER", "ann")]
    db.close()


@pytest.fixture
def stopped():
    """A database whose clock stands still, and goes back when it is told to."""
    clock = Clock.manual(int(AT.timestamp() * 1_000_000))
    db = Database(FileSystem.memory(), "/d", Settings(user_retention_d=1), clock=clock)
    yield db, clock
    db.close()


def epoch(db, user):
    return user_state(db.accounts.find(user)).auth_epoch


@pytest.mark.parametrize("user", ["ann", "root"])
@pytest.mark.parametrize("back_us", [0, 1, 3600 * 1_000_000])
def test_credentials_rise_under_a_clock_that_does_not(stopped, user, back_us):
    """A token says by a number which password it came from; a second password never has the first one's."""
    db, clock = stopped
    db.execute("CREATE USER ann PASSWORD 'a long secret'")
    epochs = [epoch(db, user)]
    changes = [f"ALTER USER {user} SET PASSWORD 'another long secret'"] * 3
    if user != "root":
        changes += [
            f"DROP USER {user}",
            f"UPDATE system.users SET deleted_at = NULL WHERE user_id = '{user}'; "
            f"ALTER USER {user} SET PASSWORD 'a third long secret'",
        ]
    for sql in changes:
        clock.set(clock.now_us() - back_us)
        db.execute(sql)
        epochs.append(epoch(db, user))

    assert epochs == sorted(set(epochs))


@pytest.mark.parametrize("back_us", [0, 3600 * 1_000_000])
def test_tokens_of_before_stay_dead_under_a_clock_that_does_not_go(stopped, back_us):
    db, clock = stopped
    db.execute("CREATE USER ann PASSWORD 'a long secret'")
    made = []
    for _ in range(3):
        user = user_state(db.accounts.find("ann"))
        # One of a log-in, and one that comes by itself.
        made += [db.front_door.log_in("ann", "a long secret", "192.0.2.1").access_token.text]
        made += [db.front_door.tokens.issue(user).text]
        for token in made[-2:]:
            assert db.session_by_token(token, "192.0.2.1").user == "ann"
        clock.set(clock.now_us() - back_us)
        db.execute("ALTER USER ann SET PASSWORD 'a long secret'")
        for token in made:
            with pytest.raises((TokenExpired, InvalidToken)):
                db.session_by_token(token, "192.0.2.1")


def test_who_has_the_name_of_one_who_is_gone_has_none_of_its_tokens(stopped):
    """Not even where the clock has come back to the very instant; nor a user of a backup of that time."""
    db, clock = stopped
    start = clock.now_us()
    db.execute("CREATE USER ann")
    token = db.front_door.tokens.issue(user_state(db.accounts.find("ann"))).text
    backup = db.accounts.exported({})
    db.execute("DROP USER ann")
    clock.set(start + 2 * DAY_US)
    db.jobs.run_all(db._due_expiry())
    gone = user_state(Account("ann", Role.USER, AT, AT)).auth_epoch
    clock.set(start)
    batch = WriteBatch(db.engine.snapshot())
    db.accounts.put_imported(batch, backup, {}, system_users=False)
    db.engine.commit(batch, sync=True)
    db.accounts.forget()
    assert epoch(db, "ann") > gone + 1
    with pytest.raises((TokenExpired, InvalidToken)):
        db.session_by_token(token, "192.0.2.1")
    db.accounts.remove("ann")
    for name in ("ann", "bob"):
        db.execute(f"CREATE USER {name}")
        assert epoch(db, name) > gone + 2
    with pytest.raises((TokenExpired, InvalidToken)):
        db.session_by_token(token, "192.0.2.1")


def test_a_user_who_is_brought_back_while_others_go_stays(stopped, monkeypatch):
    db, clock = stopped
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY); CREATE USER ann; CREATE USER bob")
    db.session("bob").execute("INSERT INTO t VALUES (1)")
    db.execute("DROP USER ann; DROP USER bob")
    clock.set(clock.now_us() + 2 * DAY_US)
    from kalamdb.execution import user_data

    erase = user_data._erase

    def slow_erase(services, user, actor):
        db.execute("UPDATE system.users SET deleted_at = NULL WHERE user_id = 'bob'")
        return erase(services, user, actor)

    monkeypatch.setattr(user_data, "_erase", slow_erase)
    (job,) = db.jobs.run_all(db._due_expiry())
    assert job.result == "1 user(s) are gone for good"
    assert db.accounts.find("ann") is None
    assert db.session("bob").execute("SELECT id FROM t").fetchall() == [(1,)]


def test_what_a_check_keeps_of_a_token_ends_with_its_family_when_a_user_goes_for_good(stopped, monkeypatch):
    """A dba brings the user back and it logs in, while its rows are being erased; then the removal fails."""
    db, clock = stopped
    db.execute("CREATE USER ann PASSWORD 'a long secret'; DROP USER ann")
    clock.set(clock.now_us() + 2 * DAY_US)
    from kalamdb.execution import user_data

    tokens = []

    def slow_erase(services, user, actor):
        db.execute("UPDATE system.users SET deleted_at = NULL WHERE user_id = 'ann'")
        tokens.append(db.front_door.log_in("ann", "a long secret", "192.0.2.1").access_token.text)
        assert db.session_by_token(tokens[0], "192.0.2.1").user == "ann"

    def fail(*arguments):
        raise StorageUnavailable("the disk is away")

    monkeypatch.setattr(user_data, "_erase", slow_erase)
    monkeypatch.setattr(db.accounts, "remove", fail)
    with pytest.raises(StorageUnavailable):
        db.jobs.run_all(db._due_expiry())
    assert db.accounts.find("ann").deleted_at is None
    with pytest.raises(TokenExpired):
        db.session_by_token(tokens[0], "192.0.2.1")
