"""Log-ins against the users' table itself."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from kalamdb.auth.account import Account
from kalamdb.auth.account_login import AccountLogin, user_state
from kalamdb.auth.accounts import Accounts
from kalamdb.auth.login import LoginAccounts
from kalamdb.auth.permissions import Role


@pytest.fixture
def accounts(world, time) -> Accounts:
    Accounts.define(world.engine)
    made = Accounts(lambda: world.engine)
    made.create(Account("alice", Role.SERVICE, time.instant(), time.instant(), password_hash="old"))
    return made


@pytest.fixture
def login(accounts, time) -> LoginAccounts:
    return AccountLogin(accounts, time.instant)


def test_a_user_is_what_the_table_has(login, accounts):
    assert login.user("alice") == user_state(accounts.find("alice"))
    assert login.user("alice").role is Role.SERVICE
    assert login.user("root").role is Role.SYSTEM
    assert login.user("nobody") is None
    assert (login.password_hash("alice"), login.password_hash("root"), login.password_hash("x")) == (
        "old",
        None,
        None,
    )
    assert "old" not in repr(login.user("alice"))


def test_another_password_is_another_epoch(login, accounts, time):
    epochs = [login.user("alice").auth_epoch]
    for _ in range(3):
        time.go(0.000_01)
        accounts.replace(["alice"], lambda account: replace(account, credentials_changed_at=time.instant()))
        epochs.append(login.user("alice").auth_epoch)

    assert len(set(epochs)) == 4
    assert all(isinstance(epoch, int) for epoch in epochs)


def test_who_is_made_anew_under_an_old_name_is_somebody_else(login, accounts, time):
    before = login.user("alice").auth_epoch
    accounts.remove("alice")
    time.go(1)
    accounts.create(Account("alice", Role.SERVICE, time.instant(), time.instant()))

    assert login.user("alice").auth_epoch != before


def test_failures_and_locks_are_noted_and_a_log_in_ends_them(login, accounts, time):
    version = accounts.version
    until = time.instant() + datetime.timedelta(minutes=15)
    login.failed("alice", 9, None)
    login.failed("alice", 10, until)

    assert (accounts.find("alice").failed_logins, login.user("alice").locked_until) == (10, until)
    login.succeeded("alice", "old", None)
    found = accounts.find("alice")
    assert (found.failed_logins, found.locked_until, found.last_login_at) == (0, None, time.instant())
    assert found.password_hash == "old"
    assert accounts.version == version


def test_a_failure_does_not_wait_for_the_disk(login, world):
    before = world.files.count("sync")
    login.failed("alice", 1, None)

    assert world.files.count("sync") == before
    login.succeeded("alice", "old", None)
    assert world.files.count("sync") > before


def test_a_hash_is_replaced_where_it_is_still_there_and_no_token_dies_of_it(login, accounts):
    epoch = login.user("alice").auth_epoch
    login.succeeded("alice", "another", "new")
    assert login.password_hash("alice") == "old"

    login.succeeded("alice", "old", "new")

    assert login.password_hash("alice") == "new"
    assert login.user("alice").auth_epoch == epoch
