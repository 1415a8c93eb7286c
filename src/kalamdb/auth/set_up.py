"""The first passwords of a database: root's, and that of a first user of role dba, in one commit."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kalamdb.auth.account import ROOT, Account, check_user_name, next_credentials, shown_user
from kalamdb.auth.accounts import Accounts, Also
from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.auth.hidden import Hidden
from kalamdb.auth.passwords import Passwords, check_password
from kalamdb.auth.permissions import Role
from kalamdb.errors import AlreadySetUp, DuplicateObject, InvalidName


@dataclass(frozen=True, slots=True, repr=False)
class SetUp(Hidden):
    """Who is to be there at first, and with which passwords."""

    user: str
    password: str
    root_password: str


def is_needed(accounts: Accounts) -> bool:
    """Whether `root` has no password yet."""
    root = accounts.find(ROOT)
    return root is None or root.password_hash is None


def set_up(
    wanted: SetUp,
    accounts: Accounts,
    passwords: Passwords,
    slots: HashingSlots,
    now: datetime.datetime,
    also: Also,
) -> Account:
    """Make both, or neither; the user beside root. Raises AlreadySetUp, DuplicateObject, InvalidName, InvalidValue,
    ResourcesExceeded. `now`: aware, UTC; `also`: what else is of the commit."""
    check_user_name(wanted.user)
    if wanted.user == ROOT:
        raise InvalidName('the first user beside "root" has another name; root_password is for root')
    for password in (wanted.password, wanted.root_password):
        check_password(password)
    if not is_needed(accounts):
        # Looked at again in the commit; here it saves two computations to whoever comes too late.
        raise _already()
    with slots.taken():
        password_hash = passwords.hash(wanted.password)
        root_hash = passwords.hash(wanted.root_password)
    made = Account(wanted.user, Role.DBA, now, now, password_hash=password_hash, credentials_changed_at=now)

    def change(found: Sequence[Account | None]) -> Sequence[Account]:
        root, there = found
        assert root is not None, "root is always there"
        if root.password_hash is not None:
            raise _already()
        if there is not None:
            raise DuplicateObject(f"user {shown_user(wanted.user)} already exists; choose another name")
        return (
            replace(
                root,
                password_hash=root_hash,
                credentials_changed_at=next_credentials(root.credentials_at, now),
                updated_at=now,
                failed_logins=0,
                locked_until=None,
            ),
            made,
        )

    accounts.put((ROOT, wanted.user), change, also)
    return made


def _already() -> AlreadySetUp:
    return AlreadySetUp(
        "the first passwords are there; log in, and change them with ALTER USER … SET PASSWORD"
    )
