"""Which pages of other origins may read answers: those of the setting `cors_origins`, and none without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.server.call import Header

if TYPE_CHECKING:
    from kalamdb.server.call import Call

ANY = "*"
_EXPOSED: Header = (b"access-control-expose-headers", b"x-request-id, retry-after")
_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-headers", b"authorization, content-type, accept"),
    (b"access-control-max-age", b"600"),
)


class Origins:
    """The origins that may read answers."""

    def __init__(self, cors_origins: str | None) -> None:
        """`cors_origins`: the setting, origins joined by commas, or `*`."""
        self._allowed = frozenset((cors_origins or "").replace(",", " ").split())

    def allow(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        return ANY in self._allowed or origin in self._allowed

    def headers(self, call: Call) -> list[Header]:
        """What lets the page read the answer, if it may. Credentials are in a header, never in a cookie."""
        origin = call.headers[b"origin"]
        if not self.allow(origin.decode("latin-1")):
            return [(b"vary", b"origin")]
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), _EXPOSED]


async def answer_options(call: Call, methods: tuple[str, ...]) -> None:
    """Answer OPTIONS: what the path takes, and to a page that may what it asks before it sends a request."""
    allowed = ", ".join(methods).encode()
    headers: list[Header] = [(b"allow", allowed)]
    if any(name == b"access-control-allow-origin" for name, _ in call.standing):
        headers += [(b"access-control-allow-methods", allowed), *_PREFLIGHT]
    await call.answer(204, b"", *headers)
