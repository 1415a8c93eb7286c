"""Logging in, going on, logging out.

A name that is nobody's, a user who was deleted or has no password, and a wrong password get the same answer after
the same work: one look-up, one computation of argon2id, one failed try counted.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kalamdb.auth.account import ROOT
from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.auth.hidden import Hidden
from kalamdb.auth.identity import UserState, can_be_a_name
from kalamdb.auth.login_limits import Attempt, LoginLimits
from kalamdb.auth.passwords import Passwords
from kalamdb.auth.refresh import RefreshToken, RefreshTokens
from kalamdb.auth.tokens import AccessToken, TokenIssuer
from kalamdb.errors import AccountLocked, InvalidCredentials


class LoginAccounts(Protocol):
    """What a log-in asks of the users' table, and tells it."""

    def user(self, name: str) -> UserState | None:
        """A user, a deleted one too; None where there is none. As quick in either case."""

    def password_hash(self, name: str) -> str | None:
        """The hash of a user's password; None for who has none."""

    def failed(self, name: str, failed_logins: int, locked_until: datetime.datetime | None) -> None:
        """Note a failed log-in of a user who exists. It must not wait for a disk: time would tell that there is one.

        `failed_logins`: in a row, since the process began. `locked_until`: aware, UTC; None: not locked.
        """

    def succeeded(self, name: str, old_hash: str | None, new_hash: str | None) -> None:
        """Note a log-in: no failed ones, not locked. `new_hash` takes the place of `old_hash`, if there is one and
        the user still has the old; it is of the same password, so no token dies of it."""


@dataclass(frozen=True, slots=True, repr=False)
class LoggedIn(Hidden):
    """Who logged in, or went on, and with what."""

    user: UserState
    access_token: AccessToken
    refresh_token: RefreshToken


class Login:
    """The way in. Safe for threads; every call waits for a computation or a disk."""

    def __init__(
        self,
        accounts: LoginAccounts,
        *,
        tokens: TokenIssuer,
        refresh_tokens: RefreshTokens,
        now: Callable[[], datetime.datetime],
        passwords: Passwords | None = None,
        limits: LoginLimits | None = None,
        slots: HashingSlots | None = None,
    ) -> None:
        """`now`: aware, UTC."""
        self._accounts = accounts
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._now = now
        self._passwords = Passwords() if passwords is None else passwords
        self._limits = LoginLimits() if limits is None else limits
        self._slots = HashingSlots() if slots is None else slots

    def log_in(self, user: str, password: str, address: str, *, loopback: bool = False) -> LoggedIn:
        """Tokens for a user and the right password.

        `address`: where the client is, as the server knows it and not as the client says. `loopback`: the server is
        bound to this machine alone, and nobody forwarded the request; then `root` may come without a password while
        it has none. Raises InvalidCredentials, AccountLocked, RateLimitExceeded, ResourcesExceeded.
        """
        # Who is to wait anyway does not wait for a slot before being told so.
        self._limits.check(user, address)
        with self._slots.taken():
            attempt, state = self._begin(user, address)
            known = self._accounts.password_hash(user) if state is not None else None
            right = self._passwords.is_right(password, known)
            if state is not None and known is None and user == ROOT and loopback and password == "":
                right = True
            if state is None or state.deleted or not right:
                self._fail(state, attempt)
                raise InvalidCredentials("the user or the password is wrong")
            new_hash = (
                self._passwords.rehash(password)
                if known is not None and self._passwords.needs_rehash(known)
                else None
            )
        self._limits.was_right(attempt)
        self._accounts.succeeded(user, known, new_hash)
        return self._logged_in(state)

    def refresh(self, refresh_token: str) -> LoggedIn:
        """The next tokens for a refresh token, which is used up. Raises InvalidToken, RefreshTokenReused."""
        user, next_token = self._refresh_tokens.rotate(refresh_token, self._accounts.user)
        return LoggedIn(user, self._tokens.issue(user, next_token.family), next_token)

    def log_out(self, refresh_token: str) -> str | None:
        """End all tokens of this log-in, access tokens too; who logged out, or None where that was so already.

        Raises InvalidToken, RefreshTokenReused.
        """
        return self._refresh_tokens.revoke(refresh_token)

    def _begin(self, user: str, address: str) -> tuple[Attempt, UserState | None]:
        attempt = self._limits.begin(user, address)
        # The user first, then the hash: where the password changes in between, the tokens are dead when they are made.
        state = self._accounts.user(user) if can_be_a_name(user) else None
        if state is not None and state.locked_until is not None:
            left_s = (state.locked_until - self._now()).total_seconds()
            if left_s > 0:
                raise AccountLocked(
                    "too many log-ins of this account failed, and it is locked for 15 minutes; try again then",
                    retry_after_s=left_s,
                )
        return attempt, state

    def _fail(self, state: UserState | None, attempt: Attempt) -> None:
        if state is not None:
            lock = datetime.timedelta(seconds=attempt.locks_for_s)
            self._accounts.failed(state.name, attempt.failed, self._now() + lock if lock else None)

    def _logged_in(self, state: UserState) -> LoggedIn:
        refresh_token = self._refresh_tokens.issue(state)
        return LoggedIn(state, self._tokens.issue(state, refresh_token.family), refresh_token)
