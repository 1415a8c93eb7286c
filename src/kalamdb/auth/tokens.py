"""Access tokens: made at a log-in, and checked at every request.

The order of the checks is the point: nothing that a token says is believed before its signature is right, but for
the name of its issuer, which chooses whose key that must be; and whatever it says then of the user, the database
knows better.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kalamdb.auth.hidden import Hidden
from kalamdb.auth.identity import Identity, UserOf, UserState, can_be_a_name
from kalamdb.auth.issuers import Issuer
from kalamdb.auth.jwks import JwksKeys
from kalamdb.auth.keys import ALGORITHMS, SigningKey, VerifyingKey
from kalamdb.auth.permissions import Role
from kalamdb.auth.token_cache import TokenCache
from kalamdb.auth.token_text import TOKEN_CHARACTERS_MAX, TokenText, take_apart
from kalamdb.errors import InvalidName, InvalidSetting, InvalidToken, NotSupportedError, TokenExpired

LEEWAY_S = 10.0
"""By so much may the clock of a foreign issuer differ from ours. Our own tokens have none at their end."""
_SECONDS_MAX = 1 << 40
_TOKEN_ID_BYTES = 16

Now = Callable[[], float]
"""The time as unix seconds."""


@dataclass(frozen=True, slots=True, repr=False)
class AccessToken(Hidden):
    """`text`: what the client gets. `expires_at`: aware, UTC."""

    text: str
    expires_at: datetime.datetime


class TokenIssuer:
    """Makes this database's access tokens. Safe for threads."""

    def __init__(
        self, key: SigningKey, *, issuer: str, audience: str, ttl_s: int, now: Now = time.time
    ) -> None:
        """`ttl_s`: how long a token is good, in seconds. Raises NotSupportedError where PyJWT is missing."""
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._ttl_s = ttl_s
        self._now = now
        _library()

    def issue(self, user: UserState, family: str | None = None) -> AccessToken:
        """A token for a user who is there, with the role of this moment. `family`: of the refresh token that it comes
        with, whose end is its end too; None: it comes by itself, and is good until its time is over."""
        issued_at = int(self._now())
        claims: dict[str, object] = {
            "sub": user.name,
            "role": user.role.value,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": issued_at,
            "exp": issued_at + self._ttl_s,
            # Seconds are too coarse, and clocks step: so a token says by a number which password it came from.
            "jti": f"{user.auth_epoch}.{secrets.token_urlsafe(_TOKEN_ID_BYTES)}",
        }
        if family is not None:
            claims["sid"] = family
        text = _library().encode(claims, self._key.material, algorithm=self._key.algorithm)
        return AccessToken(text, datetime.datetime.fromtimestamp(issued_at + self._ttl_s, datetime.UTC))


def _no_family_is_open(family: str) -> bool:
    """Where there are no refresh tokens."""
    return False


class TokenVerifier:
    """Says whom an access token speaks for. Safe for threads."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        *,
        audience: str,
        user_of: UserOf,
        family_is_open: Callable[[str], bool] = _no_family_is_open,
        create_user: Callable[[str], UserState] | None = None,
        now: Now = time.time,
        cache: TokenCache | None = None,
    ) -> None:
        """`family_is_open`: whether nobody has logged out of a family of tokens. `create_user`: makes a user of role
        `user` whom a foreign token names and nobody knows; None: there are no such. Raises InvalidSetting where two
        issuers have one name, NotSupportedError where PyJWT is missing."""
        self._issuers: dict[str, Issuer] = {}
        for issuer in issuers:
            if issuer.name in self._issuers or not issuer.algorithms <= frozenset(ALGORITHMS):
                raise InvalidSetting(
                    f"the issuer {issuer.name} is there twice, or has algorithms other than {', '.join(ALGORITHMS)}; "
                    "see jwt_issuer and trusted_issuers"
                )
            if isinstance(issuer.keys, JwksKeys):
                issuer.keys.on_change = self.bump_epoch
            self._issuers[issuer.name] = issuer
        self._audience = audience
        self._user_of = user_of
        self._family_is_open = family_is_open
        self._create_user = create_user
        self._now = now
        self._cache = TokenCache() if cache is None else cache
        _library()

    def bump_epoch(self) -> None:
        """Check every token anew from now on. Call it after each change of a user, once it is there for all."""
        self._cache.bump_epoch()

    def end_family(self, family: str) -> None:
        """Take no more tokens of a family. Call it once the family is not open for anybody any more."""
        self._cache.forget_family(family)

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for.

        Raises InvalidToken; TokenExpired for one that was good; IssuerUnavailable where a foreign issuer's keys cannot
        be had. May wait for the network, where the issuer has a JWKS URL.
        """
        if not isinstance(token, str) or len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
            raise InvalidToken(
                f"a token is ASCII text of up to {TOKEN_CHARACTERS_MAX} characters; log in again"
            )
        digest = hashlib.sha256(token.encode()).digest()
        identity = self._cache.find(digest, self._now())
        if identity is None:
            # Asked for first: a user who changes while the token is checked is asked for anew with the next one.
            epoch = self._cache.epoch
            identity = self._verify(take_apart(token))
            self._cache.keep(digest, identity, epoch)
        return identity

    def known(self, token: str) -> Identity | None:
        """Whom a token speaks for that passed every check before, since when no user has changed and nobody has logged
        out of its family; without waiting for anything. None where that is to be found out by `verify`."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        return self._cache.find(hashlib.sha256(token.encode("utf-8", "replace")).digest(), self._now())

    def check_again(self, identity: Identity) -> Identity:
        """The same identity now, for a connection that stays open: with the role of this moment.

        Raises TokenExpired where the token's time is over, its family has ended, or the user was deleted or got another
        password.
        """
        if self._now() >= identity.expires_at:
            raise _expired()
        if identity.family is not None and not self._family_is_open(identity.family):
            raise _expired()
        user = self._user_of(identity.user)
        if user is None or user.deleted or user.auth_epoch != identity.auth_epoch:
            raise _expired()
        return Identity(
            user.name,
            user.role,
            identity.issuer,
            identity.token_id,
            identity.expires_at,
            user.auth_epoch,
            identity.foreign,
            identity.family,
        )

    def _verify(self, token: TokenText) -> Identity:
        issuer = self._issuer_of(token)
        key = issuer.keys.find(token.kid, token.algorithm)
        if key is None:
            raise InvalidToken("the token is not signed by a key of its issuer")
        _check_signature(token, key)
        # From here on the claims are what the issuer said.
        expires_at = _check_times(token.claims, self._now(), LEEWAY_S if issuer.foreign else 0.0)
        self._check_audience(token.claims)
        token_id = token.claims.get("jti")
        if token_id is not None and not isinstance(token_id, str):
            raise InvalidToken("the token's jti is no text")
        user = self._user(token.claims, issuer)
        if not issuer.foreign and (token_id or "").partition(".")[0] != str(user.auth_epoch):
            raise _expired()
        # What others call a session is theirs.
        family = None if issuer.foreign else self._family(token.claims)
        return Identity(
            user.name, user.role, issuer.name, token_id, expires_at, user.auth_epoch, issuer.foreign, family
        )

    def _family(self, claims: dict[str, Any]) -> str | None:
        family = claims.get("sid")
        if family is None:
            return None
        if not isinstance(family, str) or not self._family_is_open(family):
            raise _expired()
        return family

    def _issuer_of(self, token: TokenText) -> Issuer:
        name = token.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise InvalidToken("the token is of an issuer that is not trusted; see trusted_issuers")
        if token.algorithm not in issuer.algorithms:
            raise InvalidToken("the token is not signed as its issuer signs")
        return issuer

    def _check_audience(self, claims: dict[str, Any]) -> None:
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or self._audience not in named:
            raise InvalidToken("the token is not for this database; see jwt_audience")

    def _user(self, claims: dict[str, Any], issuer: Issuer) -> UserState:
        """The user whom the token names, as the database knows it; the token's role is compared, never taken."""
        name, role = claims.get("sub"), claims.get("role")
        if not isinstance(name, str) or not can_be_a_name(name):
            raise InvalidToken("the token names no user")
        if not (role is None and issuer.foreign) and role not in tuple(Role):
            raise InvalidToken("the token names no role")
        user = self._user_of(name) or self._new_user(name, role, issuer)
        if user is None or user.deleted:
            raise InvalidToken("the token's user is not there")
        if issuer.foreign and user.role is Role.SYSTEM:
            # Who may do everything logs in here, or is in the process.
            raise InvalidToken("a token of another issuer never speaks for a user of role system")
        if role is not None and role != user.role:
            raise TokenExpired("the user's role has changed since the token was made; refresh it")
        return user

    def _new_user(self, name: str, role: str | None, issuer: Issuer) -> UserState | None:
        if self._create_user is None or not issuer.foreign or role not in (None, Role.USER):
            return None
        try:
            return self._create_user(name)
        except InvalidName:
            raise InvalidToken("the token names no user") from None


def _check_signature(token: TokenText, key: VerifyingKey) -> None:
    jwt = _library()
    try:
        # By the key's algorithm, which the token's was compared with: its own word decides nothing.
        jwt.PyJWS(algorithms=[key.algorithm]).decode_complete(
            token.text, key.material, algorithms=[key.algorithm]
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidToken("the token's signature is not right; log in again") from None


def _check_times(claims: dict[str, Any], now: float, leeway_s: float) -> float:
    """When it ends, in unix seconds with the leeway. Raises InvalidToken, TokenExpired."""
    issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
    if expires_at <= issued_at:
        raise InvalidToken("the token ends before it begins")
    # A clock of ours that was put back a little must not refuse what it issued before.
    if issued_at > now + LEEWAY_S:
        raise InvalidToken("the token was made in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > now + LEEWAY_S:
        raise InvalidToken("the token is not good yet")
    if now >= expires_at + leeway_s:
        raise _expired()
    return expires_at + leeway_s


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    # bool is an int, and NaN compares with nothing.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _SECONDS_MAX:
        return float(value)
    raise InvalidToken(f"the token has no {name} that is a time")


def _expired() -> TokenExpired:
    return TokenExpired("the token is not good any more; refresh it, or log in again")


def _library() -> Any:
    try:
        import jwt
    except ImportError:
        raise NotSupportedError("tokens need PyJWT; install it with: pip install kalamdb[server]") from None
    return jwt
