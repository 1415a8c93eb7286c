"""The text of an access token, taken apart without believing a word of it.

Stricter than the libraries: one spelling for each token, no name twice in an object, nothing in the header that says
where keys are to be found. What passes here is well formed; whether it is true, kalamdb.auth.tokens asks.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kalamdb.errors import InvalidToken

TOKEN_CHARACTERS_MAX = 8192
_PART = re.compile(r"[A-Za-z0-9_-]+")
_TYPES = ("jwt", "at+jwt", "application/at+jwt")
REFUSED_HEADERS = ("crit", "jku", "jwk", "x5u", "x5c", "b64", "cty", "enc", "zip")
"""Keys that a token brings along, extensions that we must know, tokens in tokens, compression: nobody needs them."""
KID_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token's parts. Nothing in it is verified."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: dict[str, Any] = field(repr=False)


def take_apart(text: str) -> TokenText:
    """Raises InvalidToken, which says what is wrong and quotes nothing."""
    if not isinstance(text, str) or len(text) > TOKEN_CHARACTERS_MAX or not text.isascii():
        raise InvalidToken(f"a token is ASCII text of up to {TOKEN_CHARACTERS_MAX} characters; log in again")
    parts = text.split(".")
    if len(parts) != 3:
        raise InvalidToken("an access token has three parts; log in again for one")
    header, claims, _ = (_decoded(part) for part in parts)
    head = _object(header)
    for name in REFUSED_HEADERS:
        if name in head:
            raise InvalidToken(f"the token has the header {name}, which is not taken from anybody")
    algorithm, kid, type_ = head.get("alg"), head.get("kid"), head.get("typ", "JWT")
    if not isinstance(algorithm, str):
        raise InvalidToken("the token does not say how it is signed")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= KID_CHARACTERS_MAX):
        raise InvalidToken("the token's kid is no name of a key")
    if not (isinstance(type_, str) and type_.lower() in _TYPES):
        raise InvalidToken("this is no access token")
    return TokenText(text, algorithm, kid, _object(claims))


def _decoded(part: str) -> bytes:
    try:
        if not _PART.fullmatch(part):
            raise ValueError
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        # The last character may have bits to spare. Only one of their values is taken, so that a token that was
        # revoked or counted cannot come again spelled otherwise.
        if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != part:
            raise ValueError
    except ValueError:
        raise InvalidToken("the token is damaged; log in again") from None
    return decoded


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidToken("the token is damaged; log in again") from None
    if not isinstance(found, dict):
        raise InvalidToken("the token is damaged; log in again")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Which of two is meant depends on who reads it.
        raise ValueError
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError
