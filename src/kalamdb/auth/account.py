"""A user as the database knows one, and as JSON text, which carries a format number like every definition."""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from kalamdb.auth.permissions import Role
from kalamdb.errors import Corruption, InvalidName, UnknownFormat

ROOT = "root"
ACCOUNT_FORMAT = 1
USER_NAME_LENGTH_MAX = 128

_TEXTS = ("email", "password_hash", "storage_id")
_INSTANTS = ("locked_until", "last_login_at", "deleted_at", "credentials_changed_at")
_MICROSECOND = datetime.timedelta(microseconds=1)
_DAWN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """`storage_mode`: "table", or "region" for cold segments in the user's own storage `storage_id`, where the table
    has USE_USER_STORAGE. Instants are aware, UTC."""

    user_id: str
    role: Role
    created_at: datetime.datetime
    updated_at: datetime.datetime
    email: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    """By argon2id; None: cannot log in."""
    storage_mode: str = "table"
    storage_id: str | None = None
    failed_logins: int = 0
    """In a row, since the last one that was none."""
    locked_until: datetime.datetime | None = None
    last_login_at: datetime.datetime | None = None
    deleted_at: datetime.datetime | None = None
    credentials_changed_at: datetime.datetime | None = None
    """Tokens that were issued before are none any more."""

    @property
    def credentials_at(self) -> datetime.datetime:
        """Which credentials these are: the instant of their change, or where they never changed that of the account."""
        return self.credentials_changed_at or self.created_at

    @property
    def auth_type(self) -> str:
        """`password`, or `none` for who cannot log in."""
        return "none" if self.password_hash is None else "password"


def check_user_name(user: str) -> None:
    """Raises InvalidName unless it is text of 1 to 128 characters without control characters or lone surrogates."""
    if not isinstance(user, str) or not 1 <= len(user) <= USER_NAME_LENGTH_MAX:
        raise InvalidName(f"a user's name is text of 1 to {USER_NAME_LENGTH_MAX} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in user):
        raise InvalidName("a user's name has no control characters and no lone surrogates")


def shown_user(user: str) -> str:
    """A user's name as a message shows it."""
    return f'"{user}"' if user.isprintable() else ascii(user)


def next_credentials(before: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
    """The instant of credentials that come after those of `before`. It always rises, whatever the clock does: two
    passwords that share an instant would share their tokens."""
    return max(now, before + _MICROSECOND)


def root_account(at: datetime.datetime = _DAWN) -> Account:
    """The user that is always there."""
    return Account(ROOT, Role.SYSTEM, at, at)


def encode_account(account: Account) -> str:
    """The JSON text of an account."""
    import orjson

    return orjson.dumps(
        {
            "format": ACCOUNT_FORMAT,
            "role": account.role.value,
            **{name: value for name in _TEXTS if (value := getattr(account, name)) is not None},
            "storage_mode": account.storage_mode,
            "failed_logins": account.failed_logins,
            "created_at": account.created_at.isoformat(),
            "updated_at": account.updated_at.isoformat(),
            **{name: at.isoformat() for name in _INSTANTS if (at := getattr(account, name)) is not None},
        }
    ).decode()


def decode_account(user_id: str, text: str) -> Account:
    """The account that `encode_account` wrote. Raises UnknownFormat for a newer format, Corruption for what is none."""
    import orjson

    try:
        found = orjson.loads(text)
        _check_format(found["format"])
        texts = {name: found[name] for name in _TEXTS if name in found}
        instants = {
            name: datetime.datetime.fromisoformat(found[name])
            for name in ("created_at", "updated_at", *_INSTANTS)
            if name in found
        }
        given: dict[str, Any] = {**texts, **instants}
        return Account(
            user_id,
            Role(found["role"]),
            storage_mode=found["storage_mode"],
            failed_logins=found["failed_logins"],
            **given,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption("the row of a user cannot be read; restore the database from a backup") from error


def encode_gone(credentials_at: datetime.datetime) -> str:
    """The JSON text of the newest credentials of users who are gone for good."""
    import orjson

    return orjson.dumps(
        {"format": ACCOUNT_FORMAT, "credentials_changed_at": credentials_at.isoformat()}
    ).decode()


def decode_gone(text: str) -> datetime.datetime:
    """What `encode_gone` wrote. Raises UnknownFormat, Corruption as decode_account."""
    import orjson

    try:
        found = orjson.loads(text)
        _check_format(found["format"])
        return datetime.datetime.fromisoformat(found["credentials_changed_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption("the row of a user cannot be read; restore the database from a backup") from error


def _check_format(written: int) -> None:
    if written > ACCOUNT_FORMAT:
        raise UnknownFormat(
            f"the row of a user has format {written}, and this version of kalamdb reads up to {ACCOUNT_FORMAT}; "
            "open the database with a newer kalamdb"
        )
