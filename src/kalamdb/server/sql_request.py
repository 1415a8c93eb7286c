"""What a client asks for: the body of POST /v1/api/sql, or the query of GET /v1/api/sql."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kalamdb.server.refusals import InvalidRequest


class SqlRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Statements, parameters, and the namespace that unqualified names mean.

    Who asks is the token's matter alone: a member that said so is one that does not exist, and refused.
    """

    sql: str
    params: list[Any] | None = None
    namespace_id: str | None = None


_decoder = msgspec.json.Decoder(SqlRequest)


def decode_request(body: bytes) -> SqlRequest:
    """The request that a JSON text is. Raises InvalidRequest."""
    try:
        request = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is no request: {error}") from None
    # The decoder takes the last of members of one name, other readers on the way may have taken the first. Only where
    # a name is there twice, or spelled with escapes, is it worth reading the text once more.
    count = body.count
    if b"\\u" in body or count(b'"sql"') > 1 or count(b'"params"') > 1 or count(b'"namespace_id"') > 1:
        _check_members(body)
    return request


def decode_query(query: bytes) -> SqlRequest:
    """The request that a query string is: `sql`, and perhaps `namespace_id`. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=8,
        )
    except ValueError:
        raise InvalidRequest("the query is none; send ?sql=… with percent-encoded UTF-8") from None
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= {"sql", "namespace_id"} or "sql" not in given:
        raise InvalidRequest("the query has sql, and namespace_id if you like, once each, and nothing else")
    return SqlRequest(given["sql"], None, given.get("namespace_id"))


def _check_members(body: bytes) -> None:
    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise InvalidRequest("an object of the body has a member twice; send each once")
        return members

    try:
        json.loads(body, object_pairs_hook=read)
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is nested too deeply") from None
