"""Who sends a request: its Authorization header as a session. Nothing else of a request says who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.errors import InvalidToken
from kalamdb.server.refusals import InvalidRequest, MissingAuthorization

if TYPE_CHECKING:
    from kalamdb.auth.identity import Identity
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


def sender_known(call: Call) -> Identity | None:
    """Whom the request's token speaks for, where that was found out before; nothing is waited for.

    Raises MissingAuthorization, InvalidToken, InvalidRequest, ServerClosing.
    """
    headers = call.scope["headers"]
    if len(headers) != len(call.headers) and sum(name == b"authorization" for name, _ in headers) > 1:
        raise InvalidRequest("the request has more than one Authorization header; send one")
    identity = call.application.known(bearer_token(call))
    if identity is not None:
        call.user = identity.user
    return identity


async def sender_of(call: Call) -> Identity:
    """Whom the request's token speaks for. Raises as sender_known, and TokenExpired, IssuerUnavailable."""
    identity = sender_known(call)
    if identity is None:
        identity = await call.application.identity_of(bearer_token(call))
        call.user = identity.user
    return identity


async def session_of(call: Call) -> Session:
    """A new session of whom the request's token speaks for. Raises as sender_of, and AccessDenied for a user who was
    deleted meanwhile."""
    return new_session(call, await sender_of(call))


def new_session(call: Call, identity: Identity) -> Session:
    """A session of the request's sender. Raises AccessDenied for a user who was deleted meanwhile."""
    application = call.application
    return application.database.session_of(identity, application.peers.address_of(call.scope))
