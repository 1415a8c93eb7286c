"""Log-ins and tokens of a whole database: what is told, what dies when, and what is never there."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    InvalidCredentials,
    InvalidToken,
    RateLimitExceeded,
    ReadOnlyDatabase,
    RefreshTokenReused,
    TokenExpired,
)

PASSWORD = "correct horse battery"
ADDRESS = "192.0.2.1"


@pytest.fixture
def db():
    with kalamdb.open(":memory:") as database:
        database.execute(f"CREATE USER ann PASSWORD '{PASSWORD}' ROLE service")
        database.execute("CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY)")
        yield database


def test_a_token_is_a_session_of_its_user(db):
    made = db.front_door.log_in("ann", PASSWORD, ADDRESS)
    session = db.session_by_token(made.access_token.text, ADDRESS, "app")
    session.execute("INSERT INTO notes VALUES (1)")
    assert session.execute("SELECT CURRENT_USER(), CURRENT_ROLE()").fetchall() == [("ann", "service")]
    assert db.session("ann").execute("SELECT id FROM app.notes").fetchall() == [(1,)]
    assert repr(made).find(made.access_token.text) == -1


def test_jwt_role_claim_overrides_db(db):
    """The database's role counts: a token of another one is over, an open session goes on with the new role."""
    made = db.front_door.log_in("ann", PASSWORD, ADDRESS)
    session = db.session_by_token(made.access_token.text, ADDRESS)
    db.execute("ALTER USER ann SET ROLE user")
    assert session.execute("SELECT CURRENT_ROLE()").fetchall() == [("user",)]
    with pytest.raises(TokenExpired):
        db.session_by_token(made.access_token.text, ADDRESS)
    again = db.front_door.refresh(made.refresh_token.text, ADDRESS)
    assert db.session_by_token(again.access_token.text, ADDRESS).role == "user"


@pytest.mark.parametrize(
    "change",
    ["DROP USER ann", "ALTER USER ann SET PASSWORD 'another long secret'"],
)
def test_no_token_revocation(db, change):
    """Tokens die with a deletion and with a new password, also those that were looked at a moment ago."""
    made = db.front_door.log_in("ann", PASSWORD, ADDRESS)
    db.session_by_token(made.access_token.text, ADDRESS)
    db.execute(change)
    with pytest.raises((TokenExpired, InvalidToken)):
        db.session_by_token(made.access_token.text, ADDRESS)
    with pytest.raises(InvalidToken):
        db.front_door.refresh(made.refresh_token.text, ADDRESS)
    # Who is brought back logs in anew: the old tokens stay dead.
    if change.startswith("DROP"):
        db.execute("UPDATE system.users SET deleted_at = NULL WHERE user_id = 'ann'")
        with pytest.raises((TokenExpired, InvalidToken)):
            db.session_by_token(made.access_token.text, ADDRESS)
        db.front_door.log_in("ann", PASSWORD, ADDRESS)


def test_a_log_out_ends_every_access_token_that_came_from_the_log_in(db):
    door = db.front_door
    made = [door.log_in("ann", PASSWORD, ADDRESS)]
    made += [door.refresh(made[-1].refresh_token.text, ADDRESS)]
    made += [door.refresh(made[-1].refresh_token.text, ADDRESS)]
    other = door.log_in("ann", PASSWORD, ADDRESS)
    for one in made[:2]:
        assert db.session_by_token(one.access_token.text, ADDRESS).user == "ann"

    door.log_out(made[-1].refresh_token.text, ADDRESS)

    for one in made:
        with pytest.raises(TokenExpired):
            db.session_by_token(one.access_token.text, ADDRESS)
    assert db.session_by_token(other.access_token.text, ADDRESS).user == "ann"


def test_a_refresh_token_that_is_used_twice_ends_the_access_tokens_too(db):
    door = db.front_door
    first = door.log_in("ann", PASSWORD, ADDRESS)
    second = door.refresh(first.refresh_token.text, ADDRESS)
    db.session_by_token(second.access_token.text, ADDRESS)

    with pytest.raises(RefreshTokenReused):
        door.refresh(first.refresh_token.text, ADDRESS)

    for one in (first, second):
        with pytest.raises(TokenExpired):
            db.session_by_token(one.access_token.text, ADDRESS)


def test_what_was_logged_out_stays_so_when_the_database_is_opened_again(tmp_path):
    with kalamdb.open(tmp_path / "d") as db:
        db.execute(f"CREATE USER ann PASSWORD '{PASSWORD}'")
        out, kept = (db.front_door.log_in("ann", PASSWORD, ADDRESS) for _ in range(2))
        db.front_door.log_out(out.refresh_token.text, ADDRESS)
    with kalamdb.open(tmp_path / "d") as db:
        with pytest.raises(TokenExpired):
            db.session_by_token(out.access_token.text, ADDRESS)
        assert db.session_by_token(kept.access_token.text, ADDRESS).user == "ann"


def test_a_deletion_holds_for_open_sessions_of_tokens(db):
    session = db.session_by_token(db.front_door.log_in("ann", PASSWORD, ADDRESS).access_token.text, ADDRESS)
    db.execute("DROP USER ann")
    with pytest.raises(AccessDenied):
        session.execute("SELECT 1")


def test_log_ins_and_their_failures_are_told(db):
    door = db.front_door
    made = door.log_in("ann", PASSWORD, ADDRESS)
    for name in ("ann", "nobody", "x" * 1000):
        with pytest.raises(InvalidCredentials):
            door.log_in(name, "wrong password", ADDRESS)
    next_one = door.refresh(made.refresh_token.text, ADDRESS)
    with pytest.raises(RefreshTokenReused):
        door.refresh(made.refresh_token.text, ADDRESS)
    with pytest.raises(InvalidToken):
        door.refresh(next_one.refresh_token.text, ADDRESS)
    door.log_out(next_one.refresh_token.text, ADDRESS)
    rows = db.execute(
        "SELECT actor, action, target, outcome, address FROM system.audit_log WHERE address IS NOT NULL "
        "ORDER BY audit_id"
    ).fetchall()
    assert rows == [
        ("ann", "LOG IN", None, "success", ADDRESS),
        ("anonymous", "LOG IN", "ann", "denied", ADDRESS),
        ("anonymous", "LOG IN", "nobody", "denied", ADDRESS),
        ("anonymous", "LOG IN", None, "denied", ADDRESS),
        ("anonymous", "REFRESH", "ann", "denied", ADDRESS),
    ]
    users = "SELECT failed_logins, last_login_at IS NOT NULL FROM system.users WHERE user_id = 'ann'"
    assert db.execute(users).fetchall() == [(1, True)]


def test_a_new_password_forgives_failures(db):
    door = db.front_door
    # The clock stands, so that whoever has to wait waits.
    door._limits._now = lambda: 0.0
    for _ in range(4):
        with pytest.raises(InvalidCredentials):
            door.log_in("ann", "wrong password", ADDRESS)
    with pytest.raises(RateLimitExceeded):
        door.log_in("ann", "a long secret", ADDRESS)

    db.execute("ALTER USER ann SET PASSWORD 'another long secret'")

    door.log_in("ann", "another long secret", ADDRESS)


def test_the_secret_is_made_once_and_tokens_outlive_a_reopening(tmp_path):
    with kalamdb.open(tmp_path / "d") as db:
        db.execute(f"CREATE USER ann PASSWORD '{PASSWORD}'")
        made = db.front_door.log_in("ann", PASSWORD, ADDRESS)
    with kalamdb.open(tmp_path / "d") as db:
        assert db.session_by_token(made.access_token.text, ADDRESS).user == "ann"
        db.front_door.refresh(made.refresh_token.text, ADDRESS)
        db.checkpoint()
    with kalamdb.open(tmp_path / "d", read_only=True) as db, pytest.raises(ReadOnlyDatabase):
        db.front_door  # noqa: B018


def test_no_file_of_the_database_holds_a_password_or_a_token(tmp_path):
    with kalamdb.open(tmp_path / "d") as db:
        db.execute(f"CREATE USER ann PASSWORD '{PASSWORD}'")
        made = db.front_door.log_in("ann", PASSWORD, ADDRESS)
        again = db.front_door.refresh(made.refresh_token.text, ADDRESS)
        with pytest.raises(InvalidCredentials):
            db.front_door.log_in("ann", PASSWORD + " wrong", ADDRESS)
        db.checkpoint()
        db.execute(f"BACKUP DATABASE TO '{tmp_path}/b'")
        db.backup(tmp_path / "b")
    secrets = [PASSWORD, made.access_token.text, again.access_token.text]
    secrets += [made.refresh_token.text[20:60], again.refresh_token.text[-40:]]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path


def test_root_comes_without_a_password_over_loopback_alone(db):
    with pytest.raises(InvalidCredentials):
        db.front_door.log_in("root", "", ADDRESS)
    assert db.front_door.log_in("root", "", "127.0.0.1", loopback=True).user.name == "root"
    db.execute(f"ALTER USER root SET PASSWORD '{PASSWORD}'")
    with pytest.raises(InvalidCredentials):
        db.front_door.log_in("root", "", "127.0.0.1", loopback=True)
