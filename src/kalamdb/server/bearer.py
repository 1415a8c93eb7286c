"""Who sends a request: its Authorization header as a session. Nothing else of a request says who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.errors import InvalidToken
from kalamdb.server.refusals import InvalidRequest, MissingAuthorization

if TYPE_CHECKING:
    from kalamdb.server.call import Call
    from kalamdb.session import Session

_SCHEME = b"bearer "


def bearer_token(call: Call) -> str:
    """The token of `Authorization: Bearer …`. Raises MissingAuthorization, InvalidToken."""
    header = call.headers.get(b"authorization")
    if header is None:
        raise MissingAuthorization("the request says not who sends it; send Authorization: Bearer …")
    if header[:7].lower() != _SCHEME:
        raise InvalidToken("the Authorization header is no Bearer token; log in to get one")
    try:
        return header[7:].strip().decode("ascii")
    except UnicodeDecodeError:
        raise InvalidToken("a token is ASCII text; log in again") from None


async def session_of(call: Call) -> Session:
    """A new session of whom the request's token speaks for.

    Raises MissingAuthorization, InvalidToken, TokenExpired, IssuerUnavailable, InvalidRequest.
    """
    headers = call.scope["headers"]
    if len(headers) != len(call.headers) and sum(name == b"authorization" for name, _ in headers) > 1:
        raise InvalidRequest("the request has more than one Authorization header; send one")
    token = bearer_token(call)
    application = call.application
    identity = application.known(token)
    if identity is None:
        identity = await application.identity_of(token)
    call.user = identity.user
    return application.database.session_of(identity, application.peers.address_of(call.scope))
