"""Whose tokens are taken: this database's own, and those of the issuers that the settings name.

An issuer's keys are good for its own tokens alone, each for one algorithm. No issuers: nobody's tokens are taken.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kalamdb.auth.jwks import Fetch, JwksKeys
from kalamdb.auth.jwks_fetch import fetch as fetch_over_network
from kalamdb.auth.keys import SigningKey, VerifyingKey, secret_key
from kalamdb.auth.server_secret import read_key_file
from kalamdb.errors import InvalidSetting


class Keys(Protocol):
    """Where an issuer's keys are looked up."""

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key of this name for this algorithm, or None. Raises IssuerUnavailable."""


class OneKey:
    """The keys of an issuer that has one: there is nothing for a `kid` to choose from."""

    def __init__(self, key: VerifyingKey) -> None:
        self._key = key

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """The key, if it is for this algorithm."""
        return self._key if self._key.algorithm == algorithm else None


@dataclass(frozen=True, slots=True)
class Issuer:
    """`name`: its claim iss. `algorithms`: those that its tokens may be signed by."""

    name: str
    algorithms: frozenset[str]
    keys: Keys
    foreign: bool = True


def own_issuer(name: str, key: SigningKey) -> Issuer:
    """This database."""
    return Issuer(name, frozenset({key.algorithm}), OneKey(key.verifying), foreign=False)


def foreign_issuers(
    setting: str | None, environment: Mapping[str, str], *, fetch: Fetch = fetch_over_network
) -> list[Issuer]:
    """Those of the setting `trusted_issuers`. Raises InvalidSetting for a secret that is not there or is weak."""
    return [_issuer(entry, environment, fetch) for entry in (setting or "").split(", ") if entry]


def _issuer(entry: str, environment: Mapping[str, str], fetch: Fetch) -> Issuer:
    name, algorithms, source = entry.split(" ")
    kind, _, rest = source.partition(":")
    if kind in ("http", "https"):
        return Issuer(name, frozenset(algorithms.split("+")), JwksKeys(source, fetch=fetch))
    where = f"the secret of the trusted issuer {name}"
    if kind == "file":
        secret = read_key_file(rest, where)
    elif rest in environment:
        secret = os.fsencode(environment[rest])
    else:
        raise InvalidSetting(f"{where} is not there: set the environment variable {rest}")
    key = secret_key(secret, where)
    return Issuer(name, frozenset({key.algorithm}), OneKey(key.verifying))
