"""Refresh tokens: good once, for the next access token and the next refresh token.

A token has two halves of 256 random bits: its family, which all tokens that came from one log-in share, and its
secret, which the newest of them has alone. The table has a row a family, with sha256 of both; so it does not grow
with use, and nobody who reads it can make a token of it. Who comes with a family that is there and another secret has
an old token, or a copy of one: then the family goes, and both, the thief and the user, have to log in.

Access tokens say of which family they are. They are good for as long as its row is there, so a log-out ends them too.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.auth.hidden import Hidden
from kalamdb.auth.identity import UserOf, UserState
from kalamdb.auth.reserved import REFRESH_TOKENS, REFRESH_TOKENS_ID
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.engine import Engine
from kalamdb.errors import InvalidToken, RefreshTokenReused

PREFIX = "kalam_refresh_"
"""So that scanners for leaked secrets find them, and nobody takes one for an access token."""
HALF_BYTES = 32
_TEXT = re.compile(PREFIX + r"[A-Za-z0-9_-]{86}")
_PARTITION = b""
_READ_TOGETHER_MAX = 1000


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken(Hidden):
    """`text`: what the client gets. `expires_at`: aware, UTC; each use gives a new one its full time. `family`: what
    the access tokens that come with it are told by; no secret."""

    text: str
    expires_at: datetime.datetime
    family: str


@dataclass(frozen=True, slots=True)
class _Family:
    family_sha256: str
    secret_sha256: str
    user: str
    auth_epoch: int
    created_at: datetime.datetime
    used_at: datetime.datetime
    expires_at: datetime.datetime


def _nobody_listens(family: str) -> None:
    """Where nothing is kept that an end of a family concerns."""


class RefreshTokens:
    """Makes, takes and forgets them. Safe for threads. REQUIRES: the engine knows REFRESH_TOKENS (`Engine.define`)."""

    def __init__(
        self,
        engine: Engine,
        *,
        ttl: datetime.timedelta,
        now: Callable[[], datetime.datetime],
        on_end: Callable[[str], None] = _nobody_listens,
    ) -> None:
        """`ttl`: how long a token is good that nobody uses. `now`: aware, UTC. `on_end`: told of each family that is
        not there any more, by any thread."""
        self._engine = engine
        self._rows = engine.rows(REFRESH_TOKENS, [REFRESH_TOKENS])
        self._ttl = ttl
        self._now = now
        self._on_end = on_end

    def issue(self, user: UserState) -> RefreshToken:
        """The first token of a new family, durable. Raises StorageUnavailable, DatabasePoisoned."""
        now = self._now()
        family, secret = secrets.token_bytes(HALF_BYTES), secrets.token_bytes(HALF_BYTES)
        made = _Family(
            _sha256(family), _sha256(secret), user.name, user.auth_epoch, now, now, now + self._ttl
        )
        batch = WriteBatch(self._engine.snapshot())
        batch.insert(REFRESH_TOKENS_ID, _PARTITION, self._rows.layout, _values(made))
        self._engine.commit(batch, sync=True)
        return RefreshToken(_text(family, secret), made.expires_at, made.family_sha256)

    def rotate(self, text: str, user_of: UserOf) -> tuple[UserState, RefreshToken]:
        """Take a token for the next one, and its user as the database knows it now.

        One commit: of two who come with the same token at the same time, one wins, and the other has used it again.
        Raises InvalidToken, RefreshTokenReused.
        """
        family, secret = _halves(text)
        snapshot, found = self._find(_sha256(family))
        if found is None:
            raise InvalidToken("the refresh token is not good any more; log in again")
        if not hmac.compare_digest(found.secret_sha256, _sha256(secret)):
            raise self._reused(found)
        user, now = user_of(found.user), self._now()
        if user is None or user.deleted or user.auth_epoch != found.auth_epoch or now >= found.expires_at:
            self._forget(found.family_sha256)
            raise InvalidToken("the refresh token is not good any more; log in again")
        next_secret = secrets.token_bytes(HALF_BYTES)
        rotated = replace(found, secret_sha256=_sha256(next_secret), used_at=now, expires_at=now + self._ttl)
        batch = WriteBatch(snapshot)
        batch.replace(REFRESH_TOKENS_ID, _PARTITION, self._rows.layout, _values(rotated))
        try:
            # Durable before it is told: after a crash the client's new token must not be taken for a stolen one.
            self._engine.commit(batch, sync=True)
        except core.WriteConflictError:
            raise self._reused(found) from None
        return user, RefreshToken(_text(family, next_secret), rotated.expires_at, found.family_sha256)

    def revoke(self, text: str) -> str | None:
        """Forget the family of a token, at a log-out; whose it was, or None where it was not good any more.

        Raises InvalidToken for what is no refresh token, RefreshTokenReused for an old one, whose family goes as well.
        """
        family, secret = _halves(text)
        _, found = self._find(_sha256(family))
        if found is None:
            return None
        if not hmac.compare_digest(found.secret_sha256, _sha256(secret)):
            raise self._reused(found)
        self._forget(found.family_sha256)
        return found.user

    def is_open(self, family: str) -> bool:
        """Whether a family is there: nobody has logged out of it, and none of its tokens was used twice."""
        return self._find(family)[1] is not None

    def forget_user(self, user: str) -> int:
        """Forget all of a user's; how many families. For an erasure, and to log out everywhere."""
        return self._forget_where(lambda family: family.user == user)

    def prune(self) -> int:
        """Forget those whose time is over; how many families."""
        now = self._now()
        return self._forget_where(lambda family: family.expires_at <= now)

    def _reused(self, family: _Family) -> RefreshTokenReused:
        self._forget(family.family_sha256)
        return RefreshTokenReused("the refresh token is not good any more; log in again", user=family.user)

    def _find(self, family_sha256: str) -> tuple[int, _Family | None]:
        key, snapshot = self._rows.encode_key(family_sha256), self._engine.snapshot()
        with core_errors_translated():
            values = self._engine.store.get(REFRESH_TOKENS_ID, _PARTITION, key, snapshot, self._rows.reader)
        return snapshot, None if values is None else _family(values)

    def _forget(self, family_sha256: str) -> bool:
        """Whether it was there. Again where it changed meanwhile: whoever has its newest token has none after this."""
        while True:
            snapshot, found = self._find(family_sha256)
            if found is None:
                return False
            batch = WriteBatch(snapshot)
            batch.delete(REFRESH_TOKENS_ID, _PARTITION, self._rows.layout, _values(found))
            try:
                self._engine.commit(batch, sync=True)
            except core.WriteConflictError:
                continue
            self._on_end(family_sha256)
            return True

    def _forget_where(self, chosen: Callable[[_Family], bool]) -> int:
        found = [family.family_sha256 for family in self._all() if chosen(family)]
        return sum(self._forget(family_sha256) for family_sha256 in found)

    def _all(self) -> Iterator[_Family]:
        low: bytes | None = None
        while True:
            with core_errors_translated():
                rows = self._engine.store.scan(
                    REFRESH_TOKENS_ID,
                    _PARTITION,
                    self._engine.snapshot(),
                    self._rows.reader,
                    low=low,
                    limit=_READ_TOGETHER_MAX,
                )
            yield from map(_family, rows)
            if len(rows) < _READ_TOGETHER_MAX:
                return
            low = self._rows.encode_key(rows[-1][0]) + b"\0"


def _halves(text: str) -> tuple[bytes, bytes]:
    if not isinstance(text, str) or not _TEXT.fullmatch(text):
        raise InvalidToken("this is no refresh token; log in again for one")
    both = base64.urlsafe_b64decode(text[len(PREFIX) :] + "==")
    if _text(both[:HALF_BYTES], both[HALF_BYTES:]) != text:
        raise InvalidToken("this is no refresh token; log in again for one")
    return both[:HALF_BYTES], both[HALF_BYTES:]


def _text(family: bytes, secret: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(family + secret).decode().rstrip("=")


def _sha256(half: bytes) -> str:
    """Without salt or cost: 256 random bits are not guessed."""
    return hashlib.sha256(half).hexdigest()


def _values(family: _Family) -> tuple[object, ...]:
    return (
        family.family_sha256,
        family.secret_sha256,
        family.user,
        family.auth_epoch,
        family.created_at,
        family.used_at,
        family.expires_at,
    )


def _family(values: tuple[Any, ...]) -> _Family:
    family, secret, user, epoch, *instants = values
    aware = [at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC) for at in instants]
    return _Family(family, secret, user, epoch, *aware)
