"""Logging in: one answer and the same work for everybody who is not let in."""

from __future__ import annotations

import datetime
import logging
import pickle
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.auth.issuers import own_issuer
from kalamdb.auth.keys import secret_key
from kalamdb.auth.login import Login
from kalamdb.auth.login_limits import LOCK_S, LoginLimits
from kalamdb.auth.passwords import HashCost, Passwords
from kalamdb.auth.permissions import Role
from kalamdb.auth.refresh import RefreshTokens
from kalamdb.auth.tokens import TokenIssuer, TokenVerifier
from kalamdb.errors import (
    AccountLocked,
    Error,
    InvalidCredentials,
    InvalidToken,
    RateLimitExceeded,
    RefreshTokenReused,
    TokenExpired,
)

SECRET = b"canary-4f1d-0123456789abcdefghijklmnop"
PASSWORD = "canary-correct-horse"
CHEAP = HashCost(memory_kib=8, passes=1, lanes=1)
HERE = "192.0.2.1"


@pytest.fixture
def door(world, users, time) -> SimpleNamespace:
    """A log-in, and what stands behind it."""
    passwords = Passwords(CHEAP)
    key = secret_key(SECRET, "it")
    for name in ("alice", "bob"):
        users.hashes[name] = passwords.hash(PASSWORD)
    users.add("gone", password_hash=passwords.hash(PASSWORD))
    users.change("gone", deleted=True)
    refresh_tokens = RefreshTokens(world.engine, ttl=datetime.timedelta(days=30), now=time.instant)
    login = Login(
        users,
        tokens=TokenIssuer(key, issuer="kalamdb", audience="kalamdb", ttl_s=3600, now=time),
        refresh_tokens=refresh_tokens,
        now=time.instant,
        passwords=passwords,
        limits=LoginLimits(now=time),
        slots=HashingSlots(2, timeout_s=60),
    )
    verifier = TokenVerifier(
        [own_issuer("kalamdb", key)],
        audience="kalamdb",
        user_of=users.user,
        family_is_open=refresh_tokens.is_open,
        now=time,
    )
    return SimpleNamespace(login=login, verifier=verifier, passwords=passwords, refresh=refresh_tokens)


def outcome(login: Login, user: str, password: str, address: str = HERE, **named) -> tuple[object, ...]:
    """All that a client could see."""
    try:
        login.log_in(user, password, address, **named)
    except Error as error:
        return type(error), error.code, error.sqlstate, error.message, vars(error).get("retry_after_s")
    return ("tokens",)


def test_a_right_password_gives_tokens(door, users, time):
    found = door.login.log_in("bob", PASSWORD, HERE)

    assert found.user == users.states["bob"]
    identity = door.verifier.verify(found.access_token.text)
    assert (identity.user, identity.role) == ("bob", Role.SERVICE)
    assert users.successes == ["bob"]
    assert found.access_token.expires_at == time.instant() + datetime.timedelta(hours=1)
    assert found.refresh_token.expires_at == time.instant() + datetime.timedelta(days=30)


def test_a_refresh_token_gives_the_next_tokens_with_the_role_of_then(door, users):
    first = door.login.log_in("alice", PASSWORD, HERE)
    users.change("alice", role=Role.DBA)
    door.verifier.bump_epoch()
    with pytest.raises(TokenExpired):
        door.verifier.verify(first.access_token.text)

    second = door.login.refresh(first.refresh_token.text)

    assert door.verifier.verify(second.access_token.text).role is Role.DBA
    with pytest.raises(RefreshTokenReused):
        door.login.refresh(first.refresh_token.text)
    with pytest.raises(InvalidToken):
        door.login.refresh(second.refresh_token.text)


def test_a_log_out_ends_the_refresh_token(door):
    found = door.login.log_in("alice", PASSWORD, HERE)

    assert door.login.log_out(found.refresh_token.text) == "alice"
    with pytest.raises(InvalidToken):
        door.login.refresh(found.refresh_token.text)


NOT_LET_IN = [
    ("alice", "wrong-password"),
    ("alice", PASSWORD.upper()),
    ("alice", PASSWORD + "\0"),
    ("alice", ""),
    ("alice", "\0"),
    ("alice", "x" * 73),
    ("alice", "x" * 100_000),
    ("alice", "\ud800"),
    ("nobody", PASSWORD),
    ("nobody", ""),
    ("gone", PASSWORD),
    ("gone", "wrong-password"),
    ("dora", PASSWORD),
    ("dora", ""),
    ("root", ""),
    ("root", PASSWORD),
    ("", PASSWORD),
    ("a" * 100_000, PASSWORD),
    ("\ud800", PASSWORD),
    ("alice\0", PASSWORD),
    ("ALICE", PASSWORD),
]


@pytest.mark.parametrize(("user", "password"), NOT_LET_IN)
def test_username_enumeration(door, users, computations, user, password):
    # The same answer after the same work. It is counted and not timed: timing is what a busy machine makes of it.
    expected = (InvalidCredentials, "INVALID_CREDENTIALS", "28P01", "the user or the password is wrong", None)

    computations.calls = 0
    assert outcome(door.login, user, password) == expected
    assert computations.calls == 1
    assert users.asked <= 1
    assert users.successes == []


def test_the_answers_stay_the_same_until_the_account_is_locked_whether_it_is_there_or_not(door, time):
    answers = {
        name: [outcome(door.login, name, "wrong-password", f"192.0.2.{number}") for number in range(12)]
        for name in ("alice", "nobody", "gone", "dora")
    }

    assert answers["alice"] == answers["nobody"] == answers["gone"] == answers["dora"]
    assert {answer[1] for answer in answers["alice"]} == {"INVALID_CREDENTIALS", "RATE_LIMIT_EXCEEDED"}


def test_a_thousand_wrong_passwords_are_ten_tries(door, computations):
    computations.calls = 0
    answers = [
        outcome(door.login, "alice", f"wrong-{number}", f"10.0.{number % 50}.1")[1] for number in range(1000)
    ]

    assert computations.calls <= 10
    assert answers.count("INVALID_CREDENTIALS") <= 10
    assert outcome(door.login, "alice", PASSWORD, "10.1.0.1")[1] == "RATE_LIMIT_EXCEEDED"


def test_an_account_is_locked_and_that_is_kept(door, users, time):
    codes = []
    for _ in range(11):
        codes.append(outcome(door.login, "alice", "wrong-password")[1])
        time.go(60)

    assert codes == ["INVALID_CREDENTIALS"] * 10 + ["ACCOUNT_LOCKED"]
    assert [failed for _, failed, _ in users.failures] == list(range(1, 11))
    assert [at for _, _, at in users.failures[:9]] == [None] * 9
    until = users.states["alice"].locked_until
    assert until == time.instant() + datetime.timedelta(seconds=LOCK_S - 120)
    assert outcome(door.login, "alice", PASSWORD)[0] is AccountLocked
    assert outcome(door.login, "bob", PASSWORD) == ("tokens",)
    time.go(LOCK_S)
    assert outcome(door.login, "alice", PASSWORD) == ("tokens",)
    assert users.states["alice"].locked_until is None


def test_a_lock_that_the_database_knows_of_holds_after_a_restart(door, users, time, computations):
    users.change("alice", locked_until=time.instant() + datetime.timedelta(minutes=5))

    with pytest.raises(AccountLocked) as caught:
        door.login.log_in("alice", PASSWORD, HERE)
    assert caught.value.retry_after_s == 300
    assert computations.calls == 0
    time.go(300)
    assert outcome(door.login, "alice", PASSWORD) == ("tokens",)


def test_a_success_forgets_the_failures_before_it(door, users, time):
    for _ in range(5):
        for _ in range(3):
            outcome(door.login, "alice", "wrong-password")
        assert outcome(door.login, "alice", PASSWORD) == ("tokens",)
        time.go(60)

    assert max(failed for _, failed, _ in users.failures) == 3
    assert len(users.successes) == 5


def test_failures_of_names_that_are_nobody_s_are_not_written_anywhere(door, users):
    for name in ("nobody", "", "\ud800", "x" * 1000):
        outcome(door.login, name, "wrong-password", name[:9])

    assert users.failures == []


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("has_password", [False, True])
def test_root_without_a_password_comes_from_this_machine_alone(door, users, loopback, has_password):
    if has_password:
        users.hashes["root"] = door.passwords.hash(PASSWORD)

    answer = outcome(door.login, "root", "", "127.0.0.1", loopback=loopback)

    assert (answer == ("tokens",)) == (loopback and not has_password)
    assert outcome(door.login, "root", "x", "127.0.0.1", loopback=loopback) != ("tokens",)
    assert (outcome(door.login, "root", PASSWORD, HERE, loopback=loopback) == ("tokens",)) == has_password


@pytest.mark.parametrize("name", ["alice", "dora", "nobody", "gone", "Root", "root "])
def test_nobody_else_comes_without_a_password(door, users, name):
    if name == "dora":
        users.change("dora", role=Role.SYSTEM)

    assert outcome(door.login, name, "", "127.0.0.1", loopback=True)[1] == "INVALID_CREDENTIALS"


def test_root_who_was_deleted_does_not_come(door, users):
    users.change("root", deleted=True)

    assert outcome(door.login, "root", "", "127.0.0.1", loopback=True)[1] == "INVALID_CREDENTIALS"


def test_a_password_is_hashed_anew_when_the_cost_has_risen(door, users):
    users.hashes["alice"] = old = Passwords(HashCost(memory_kib=16, passes=1, lanes=1)).hash(PASSWORD)

    assert outcome(door.login, "alice", "wrong-password") != ("tokens",)
    assert users.hashes["alice"] == old
    assert outcome(door.login, "alice", PASSWORD) == ("tokens",)
    new = users.hashes["alice"]
    assert new != old
    assert not door.passwords.needs_rehash(new)
    assert outcome(door.login, "alice", PASSWORD) == ("tokens",)
    assert users.hashes["alice"] == new


def test_a_password_that_is_too_short_today_still_lets_in(door, users):
    # Rules are asked of new passwords.
    import argon2

    users.hashes["alice"] = argon2.PasswordHasher(2, 16, 1).hash("short")

    assert outcome(door.login, "alice", "short") == ("tokens",)
    assert not door.passwords.needs_rehash(users.hashes["alice"])


def test_a_password_that_changes_during_a_log_in_leaves_no_token(door, users):
    # The old password was right when it was compared; the tokens that are made then are dead.
    password_hash = users.password_hash

    def changing(name: str) -> str | None:
        found = password_hash(name)
        users.change("alice", auth_epoch=1)
        return found

    users.password_hash = changing
    found = door.login.log_in("alice", PASSWORD, HERE)

    with pytest.raises(TokenExpired):
        door.verifier.verify(found.access_token.text)
    with pytest.raises(InvalidToken):
        door.login.refresh(found.refresh_token.text)


def test_a_hundred_log_ins_at_the_same_time_are_bounded_and_all_served(door, users, computations):
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: outcome(door.login, "alice", PASSWORD), range(100)))

    assert answers == [("tokens",)] * 100
    assert computations.calls >= 100
    assert computations.most <= 2


def test_a_hundred_wrong_log_ins_at_the_same_time_are_few_tries(door, computations):
    computations.calls = 0
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: outcome(door.login, f"user{n}", "wrong-password"), range(100)))

    assert computations.calls <= 10
    assert {answer[0] for answer in answers} <= {InvalidCredentials, RateLimitExceeded}


def test_nothing_shows_a_password_or_a_token(door, users, caplog):
    caplog.set_level(logging.DEBUG)
    found = door.login.log_in("alice", PASSWORD, HERE)
    secrets = [
        PASSWORD,
        SECRET.decode(),
        found.access_token.text,
        found.refresh_token.text,
        users.hashes["alice"],
    ]
    shown = [repr(found), str(found), f"{found.access_token}", repr(door.login), repr(vars(door.login))]
    for attempt in (
        lambda: door.login.log_in("alice", PASSWORD + "x", HERE),
        lambda: door.login.log_in("nobody", PASSWORD, HERE),
        lambda: door.login.log_in("alice", PASSWORD * 100, HERE),
        lambda: door.login.refresh(found.refresh_token.text + "x"),
        lambda: door.login.refresh(found.access_token.text),
        lambda: door.verifier.verify(found.refresh_token.text),
        lambda: door.verifier.verify(found.access_token.text[:-1] + "x"),
    ):
        with pytest.raises(Error) as caught:
            attempt()
        shown += [repr(caught.value), *traceback.format_exception(caught.value), repr(vars(caught.value))]
    shown.append(caplog.text)

    for secret in secrets:
        assert not any(secret in text for text in shown)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(found)
