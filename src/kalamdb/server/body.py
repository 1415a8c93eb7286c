"""The body of a request, within its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.server.refusals import InvalidRequest

if TYPE_CHECKING:
    from kalamdb.server.call import Call


async def read_body(call: Call) -> bytes:
    """All of it. Raises InvalidRequest where the client goes before its end."""
    pieces: list[bytes] = []
    while True:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client went before the end of its body")
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
