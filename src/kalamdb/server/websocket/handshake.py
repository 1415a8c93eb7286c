"""What the request says that asks for a WebSocket: from which page it comes, who sends it, how messages are written."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from kalamdb.errors import InvalidToken
from kalamdb.server.websocket.client_frames import Protocol
from kalamdb.server.websocket.refusals import InvalidMessage

if TYPE_CHECKING:
    from kalamdb.server.call import Scope
    from kalamdb.server.cors import Origins

_BEARER = b"bearer "
_QUERY_FIELDS_MAX = 16


def comes_from_allowed_page(scope: Scope, origins: Origins) -> bool:
    """Whether the page that asks may. Programs that are no pages say no origin; a page of the server's own may too."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return True
    text = origin.decode("latin-1").lower()
    own = headers.get(b"host", b"").decode("latin-1").lower()
    return origins.allow(text) or (own != "" and text.partition("://")[2] == own)


def bearer_of(scope: Scope) -> str | None:
    """The token of the Authorization header; None where there is no such header. Raises InvalidToken."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if not found:
        return None
    if len(found) > 1 or found[0][:7].lower() != _BEARER:
        raise InvalidToken("the Authorization header is no Bearer token, or there are two; log in to get one")
    try:
        return str(found[0][7:].strip().decode("ascii"))
    except UnicodeDecodeError:
        raise InvalidToken("a token is ASCII text; log in again") from None


def protocol_of(scope: Scope) -> Protocol:
    """What `serialization` and `compression` of the query say; `compress=false` means the latter is none. Others mean
    nothing. Raises InvalidMessage."""
    try:
        query = dict(parse_qsl(scope["query_string"].decode("ascii"), max_num_fields=_QUERY_FIELDS_MAX))
        compression = query.get("compression", "none")
        if query.get("compress") == "false":
            compression = "none"
        return msgspec.convert(
            {"serialization": query.get("serialization", "json"), "compression": compression}, Protocol
        )
    except (ValueError, msgspec.ValidationError):
        raise InvalidMessage(
            "the query of the upgrade has serialization=json or msgpack and compression=none or gzip"
        ) from None
