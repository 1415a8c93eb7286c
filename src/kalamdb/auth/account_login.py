"""What a log-in asks of the users' table and tells it; see kalamdb.auth.login.LoginAccounts."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

from kalamdb.auth.account import Account
from kalamdb.auth.accounts import Accounts
from kalamdb.auth.identity import UserState

_UNIX = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


class AccountLogin:
    """The users of a database, for log-ins and tokens. Safe for threads."""

    def __init__(self, accounts: Accounts, now: Callable[[], datetime.datetime]) -> None:
        """`now`: aware, UTC."""
        self._accounts = accounts
        self._now = now

    def user(self, name: str) -> UserState | None:
        """A user, a deleted one too; None where there is none."""
        account = self._accounts.find(name)
        return None if account is None else user_state(account)

    def password_hash(self, name: str) -> str | None:
        """The hash of a user's password; None for who has none."""
        account = self._accounts.find(name)
        return None if account is None else account.password_hash

    def failed(self, name: str, failed_logins: int, locked_until: datetime.datetime | None) -> None:
        """Note a failed log-in, without waiting for the disk: time would tell that there is such a user."""
        self._accounts.note_login(
            name,
            lambda account: replace(account, failed_logins=failed_logins, locked_until=locked_until),
            sync=False,
        )

    def succeeded(self, name: str, old_hash: str | None, new_hash: str | None) -> None:
        """Note a log-in. `new_hash` is of the same password as `old_hash`, whose place it takes where that is there."""

        def change(account: Account) -> Account:
            rehashed = new_hash is not None and account.password_hash == old_hash
            return replace(
                account,
                failed_logins=0,
                locked_until=None,
                last_login_at=self._now(),
                password_hash=new_hash if rehashed else account.password_hash,
            )

        self._accounts.note_login(name, change)


def user_state(account: Account) -> UserState:
    """An account as log-ins and tokens know it. Its epoch is the instant of its credentials, in microseconds."""
    return UserState(
        account.user_id,
        account.role,
        deleted=account.deleted_at is not None,
        auth_epoch=(account.credentials_at - _UNIX) // _MICROSECOND,
        locked_until=account.locked_until,
    )
