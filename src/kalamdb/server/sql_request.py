"""The body of POST /v1/api/sql: what it may hold, and how it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from kalamdb.server.refusals import InvalidRequest


class SqlRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a client asks for. Who asks is the token's matter alone: a member that said so would be refused."""

    sql: str
    params: list[Any] | None = None
    namespace_id: str | None = None


_decoder = msgspec.json.Decoder(SqlRequest)


def decode_request(body: bytes) -> SqlRequest:
    """The request that a body is. Raises InvalidRequest."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is no request: {error}") from None
