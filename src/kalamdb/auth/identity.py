"""Who somebody is: what the database knows of a user, and what a token said that is true."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from kalamdb.auth.account import check_user_name
from kalamdb.auth.permissions import Role
from kalamdb.errors import InvalidName


@dataclass(frozen=True, slots=True)
class UserState:
    """A user as log-ins and tokens need to know one.

    `auth_epoch`: a number that another takes the place of, for good, when the user's tokens must die: at a new
    password, at a deletion. Not at a new role: who refreshes a token gets one with that. `locked_until`: aware, UTC.
    """

    name: str
    role: Role
    deleted: bool = False
    auth_epoch: int = 0
    locked_until: datetime.datetime | None = None


UserOf = Callable[[str], UserState | None]
"""Finds a user by name, a deleted one too; None where there is none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for, after every check. `expires_at`: unix seconds. Nothing in it is a secret.

    `foreign`: another issuer signed the token. `auth_epoch` is the user's at the time of the check. `family`: of the
    refresh token that the token came with; None where it came with none.
    """

    user: str
    role: Role
    issuer: str
    token_id: str | None
    expires_at: float
    auth_epoch: int
    foreign: bool = False
    family: str | None = None


def can_be_a_name(name: object) -> bool:
    """Whether a user can be looked for under it: what comes over the network may be of any kind and length."""
    try:
        check_user_name(name)  # type: ignore[arg-type]
    except InvalidName:
        return False
    return True
