"""The keys of a foreign issuer, as its JWKS URL publishes them.

They are fetched at the first token, again when a token names a key that is not among them, and once an hour; never
more than once in thirty seconds, whatever tokens come: anybody can write a `kid` into one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from kalamdb.auth.jwks_fetch import check_url, fetch
from kalamdb.auth.keys import VerifyingKey, algorithm_of
from kalamdb.errors import IssuerUnavailable

Fetch = Callable[[str], bytes]
"""Gives what is at a URL. Raises IssuerUnavailable."""

FETCH_INTERVAL_S = 30.0
FRESH_S = 3600.0
STALE_MAX_S = 24 * 3600.0
"""Where the URL does not answer, older keys are taken for so long and no longer."""
KEYS_MAX = 100


class JwksKeys:
    """The keys behind one URL. Safe for threads."""

    def __init__(
        self,
        url: str,
        *,
        fetch: Fetch = fetch,
        now: Callable[[], float] = time.monotonic,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`now`: seconds of a clock that never steps. `on_change`: called when keys went away or changed, so that
        what they verified can be forgotten. Raises InvalidSetting for a URL that is not to be asked."""
        check_url(url)
        self._url = url
        self._fetch = fetch
        self._now = now
        self.on_change = on_change
        self._fetching = threading.Lock()
        self._keys: tuple[tuple[str | None, VerifyingKey], ...] = ()
        self._marks: frozenset[str] = frozenset()
        """The texts of these keys, to see which went away."""
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key of this name for this algorithm; without a name, the only one for it. None where there is none.

        May wait for the network. Raises IssuerUnavailable where the keys were never had, or are too old by now.
        """
        if self._age() >= FRESH_S:
            self._refresh()
        if self._age() >= STALE_MAX_S:
            raise IssuerUnavailable("the keys of the token's issuer cannot be had just now; try again later")
        key = self._among(kid, algorithm)
        if key is None and kid is not None:
            self._refresh()
            key = self._among(kid, algorithm)
        return key

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._now() - self._fetched_at

    def _among(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        fitting = [
            key for name, key in self._keys if key.algorithm == algorithm and (kid is None or name == kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _refresh(self) -> None:
        with self._fetching:
            if self._tried_at is not None and self._now() - self._tried_at < FETCH_INTERVAL_S:
                return
            self._tried_at = self._now()
            try:
                keys, marks = _keys(self._fetch(self._url))
            except IssuerUnavailable:
                return
            before, self._keys = self._marks, keys
            self._marks = marks
            self._fetched_at = self._now()
        if before - marks:
            self.on_change()


def _keys(text: bytes) -> tuple[tuple[tuple[str | None, VerifyingKey], ...], frozenset[str]]:
    """Those of a JWKS that are for signatures by algorithms that there are here. Raises IssuerUnavailable."""
    try:
        found = json.loads(text)
        entries = found["keys"]
        if not isinstance(entries, list) or len(entries) > KEYS_MAX:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IssuerUnavailable("the issuer's keys are no JWKS") from None
    keys, marks = [], set()
    for entry in entries:
        key = _key(entry)
        if key is not None:
            kid = entry.get("kid")
            keys.append((kid if isinstance(kid, str) else None, key))
            marks.add(json.dumps(entry, sort_keys=True))
    return tuple(keys), frozenset(marks)


def _key(entry: Any) -> VerifyingKey | None:
    """A public key for signatures, or None: for others there is room in a JWKS too. A symmetric one is never taken."""
    import jwt

    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC"):
        return None
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    expected = {"RSA": "RS256", "EC": "ES256"}[entry["kty"]]
    if entry.get("alg", expected) != expected:
        return None
    try:
        material = jwt.PyJWK(entry, algorithm=expected).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    # None too for a private key, which somebody published by mistake.
    return VerifyingKey(expected, material) if algorithm_of(material) == expected else None
