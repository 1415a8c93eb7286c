"""Credentials of a storage: what they can be, and that nobody reads them back.

They are given as JSON, kept encrypted in the catalog, and shown as `***`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from kalamdb.errors import InvalidDefinition

MASK = "***"
KEYS = ("access_key_id", "secret_access_key", "session_token", "region", "endpoint", "allow_http")
ALIASES = {"access_key": "access_key_id", "secret_key": "secret_access_key"}
CREDENTIALS_LENGTH_MAX = 16_384
_VALUE_LENGTH_MAX = 8_192
_ENDPOINT = re.compile(r"(https?)://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?\Z")


class Credentials:
    """Checked credentials. `values`: by the names of KEYS, strings but for allow_http, which is a bool.

    Whatever shows the object shows `***`; it cannot be pickled.
    """

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = MappingProxyType(dict(values))

    def text(self) -> bytes:
        """As JSON, to be encrypted."""
        import orjson

        return orjson.dumps(dict(self.values), option=orjson.OPT_SORT_KEYS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Credentials({MASK})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials cannot be pickled")


def parse_credentials(text: str | bytes, type: str) -> Credentials:
    """The credentials of a storage of this type. Raises InvalidDefinition, which names keys and never a value."""
    import orjson

    if type == "filesystem":
        raise InvalidDefinition("a storage of type filesystem takes no CREDENTIALS; leave them out")
    if len(text) > CREDENTIALS_LENGTH_MAX:
        raise InvalidDefinition(f"CREDENTIALS have up to {CREDENTIALS_LENGTH_MAX} characters")
    try:
        given = orjson.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InvalidDefinition(
            """CREDENTIALS are a JSON object: '{"access_key_id": "…", "secret_access_key": "…"}'"""
        ) from None
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = ALIASES.get(key, key)
        if name not in KEYS:
            near = difflib.get_close_matches(key, (*KEYS, *ALIASES), n=1)
            hint = f"did you mean {near[0]}?" if near else f"keys are {', '.join(KEYS)}"
            raise InvalidDefinition(f"CREDENTIALS have a key that is not known; {hint}")
        if name in values:
            raise InvalidDefinition(f"CREDENTIALS have {name} twice; say it once")
        values[name] = _allow_http(value) if name == "allow_http" else _text(name, value)
    _check_endpoint(values)
    if ("access_key_id" in values) != ("secret_access_key" in values) and type == "s3":
        raise InvalidDefinition(
            "CREDENTIALS have one of access_key_id and secret_access_key; give both or none"
        )
    return Credentials(values)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _VALUE_LENGTH_MAX:
        raise InvalidDefinition(f"{name} in CREDENTIALS is text of 1 to {_VALUE_LENGTH_MAX} characters")
    # A line break would begin another header of a request.
    if name in ("region", "endpoint", "access_key_id", "session_token") and (
        not value.isascii() or not value.isprintable()
    ):
        raise InvalidDefinition(f"{name} in CREDENTIALS has visible ASCII characters alone")
    return value


def _allow_http(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise InvalidDefinition("allow_http in CREDENTIALS is true or false")
    return value


def _check_endpoint(values: Mapping[str, Any]) -> None:
    endpoint = values.get("endpoint")
    if endpoint is None:
        return
    match = _ENDPOINT.match(endpoint)
    if match is None:
        raise InvalidDefinition(
            "endpoint in CREDENTIALS is https://host or http://host, without user or query"
        )
    if match[1] == "http" and not values.get("allow_http"):
        raise InvalidDefinition(
            "endpoint in CREDENTIALS is not encrypted (http); use https, or give allow_http as true too"
        )
