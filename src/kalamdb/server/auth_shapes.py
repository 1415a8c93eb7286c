"""What the calls of authentication take and answer, as JSON has it. Instants are RFC 3339, UTC."""

from __future__ import annotations

import datetime

import msgspec

from kalamdb.auth.account import Account
from kalamdb.auth.login import LoggedIn
from kalamdb.auth.permissions import Role

ADMINISTRATORS = frozenset({Role.DBA, Role.SYSTEM})
"""Whom a console for administration is for."""


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants in, and by which password."""

    user: str
    password: str


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The refresh token of the last log-in or refresh; it is used up."""

    refresh_token: str


class SetupRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The name and password of a first user of role dba, and the first password of `root`."""

    user: str
    password: str
    root_password: str


class UserShape(msgspec.Struct):
    """A user."""

    id: str
    role: Role
    email: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


class LoginAnswer(msgspec.Struct):
    """Who logged in, or went on, and the tokens for it."""

    user: UserShape
    admin_ui_access: bool
    access_token: str
    expires_at: datetime.datetime
    refresh_token: str
    refresh_expires_at: datetime.datetime


class UserAnswer(msgspec.Struct):
    """Whom the token speaks for."""

    user: UserShape
    admin_ui_access: bool


class StatusAnswer(msgspec.Struct):
    """Whether `root` has no password yet."""

    needs_setup: bool
    message: str


class SetupAnswer(msgspec.Struct):
    """The user that was made; log in for tokens."""

    user: UserShape
    message: str


class MessageAnswer(msgspec.Struct):
    """What was done."""

    message: str


def user_shape(account: Account) -> UserShape:
    """A user as JSON has one."""
    return UserShape(account.user_id, account.role, account.email, account.created_at, account.updated_at)


def login_answer(account: Account, made: LoggedIn) -> LoginAnswer:
    """Tokens and whose they are. The role is the one that the access token says."""
    shape = user_shape(account)
    shape.role = made.user.role
    return LoginAnswer(
        shape,
        made.user.role in ADMINISTRATORS,
        made.access_token.text,
        made.access_token.expires_at,
        made.refresh_token.text,
        made.refresh_token.expires_at,
    )
