"""Passwords: which there can be, how they are kept, and how one is compared.

They are kept as argon2id by argon2-cffi, with the parameters that it recommends. Every comparison costs one
computation, whether there is something to compare with or not, so that time does not tell who exists.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamdb.errors import InvalidValue

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_LENGTH_MIN = 8
PASSWORD_LENGTH_MAX = 1024
"""In characters; up to 4,096 bytes of UTF-8, all of which count. A NUL is a character like any other."""

_COMMONEST_TEXT = """
00000000 11111111 12341234 12345678 123456789 1234567890 123123123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 66666666
87654321 88888888 987654321 a1b2c3d4 aa123456 abc12345 abcd1234 abcdefgh admin123 administrator asdf1234
asdfghjk asdfghjkl baseball changeme changeit computer football iloveyou jennifer letmein1 letmein123
liverpool michelle passw0rd password password! password1 password12 password123 princess q1w2e3r4
qwer1234 qwerty12 qwerty123 qwertyui qwertyuiop starwars sunshine superman trustno1 welcome1 welcome123
whatever zaq12wsx
"""
COMMONEST = frozenset(_COMMONEST_TEXT.split())
"""Tried first by everybody who tries passwords; in lower case."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one computation takes: memory in KiB, passes over it, lanes."""

    memory_kib: int
    passes: int
    lanes: int


class Passwords:
    """Makes and compares hashes. Safe for threads; who calls it has a slot (HashingSlots)."""

    def __init__(self, cost: HashCost | None = None) -> None:
        """`cost`: None, for what argon2-cffi recommends."""
        self._cost = cost
        self._made: tuple[PasswordHasher, str] | None = None

    def hash(self, password: str) -> str:
        """The hash of a new password, as text with its parameters. Raises InvalidValue for one that there cannot be."""
        check_password(password)
        return self._hasher()[0].hash(password.encode())

    def rehash(self, password: str) -> str:
        """The hash of a password that was right: nothing is asked of it that was not asked when it was given."""
        return self._hasher()[0].hash(password.encode())

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Whether this is the password. `password_hash`: None for a user who has none, or is not there.

        One computation in each of these cases; False for what is no password, however long.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        hasher, dummy = self._hasher()
        given = _bytes(password)
        comparable = given is not None and password_hash is not None
        try:
            hasher.verify(password_hash if comparable and password_hash else dummy, given or b"")
            return comparable
        except VerificationError:
            return False
        except InvalidHashError:
            # Nothing was computed.
            self.is_right("", None)
            return False

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether it was made at another cost than today's."""
        return self._hasher()[0].check_needs_rehash(password_hash)

    def _hasher(self) -> tuple[PasswordHasher, str]:
        if self._made is None:
            from argon2 import PasswordHasher

            cost = self._cost
            hasher = (
                PasswordHasher()
                if cost is None
                else PasswordHasher(
                    time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
                )
            )
            self._made = hasher, _dummy(hasher)
        return self._made


def check_password(password: str) -> None:
    """Raises InvalidValue, which does not show it, unless it can be a password."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise InvalidValue(
            f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters; choose another"
        )
    if _bytes(password) is None:
        raise InvalidValue("a password is valid Unicode, without lone surrogates; choose another")
    if password.casefold() in COMMONEST:
        raise InvalidValue("this password is one of the commonest; choose another")


def _bytes(password: str) -> bytes | None:
    """What is hashed, or None for what no user's password is."""
    if not 0 < len(password) <= PASSWORD_LENGTH_MAX:
        return None
    try:
        return password.encode()
    except UnicodeEncodeError:
        return None


def _dummy(hasher: PasswordHasher) -> str:
    """What stands in for a hash that is not there. Random bytes in place of a digest: no password gives them, and it
    takes no computation to make, which the first log-in after a start would show."""
    import base64

    def text(count: int) -> str:
        return base64.b64encode(os.urandom(count)).decode().rstrip("=")

    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${text(hasher.salt_len)}${text(hasher.hash_len)}"
