"""A WebSocket from the upgrade to its end: who is there, then the messages, then the close code."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kalamdb.errors import Error
from kalamdb.server.call import Receive, Scope, Send
from kalamdb.server.refusals import ServerClosing
from kalamdb.server.websocket import close_codes, server_frames
from kalamdb.server.websocket.client_frames import Authenticate, Protocol
from kalamdb.server.websocket.connection import Connection
from kalamdb.server.websocket.encoding import ENCODINGS
from kalamdb.server.websocket.error_codes import code_and_message
from kalamdb.server.websocket.handshake import bearer_of, comes_from_allowed_page, protocol_of
from kalamdb.server.websocket.refusals import InvalidMessage, NotAuthenticated

if TYPE_CHECKING:
    from kalamdb.server.websocket.hub import Hub

PATH = "/v1/ws"
log = logging.getLogger("kalamdb.server")


class _Gone(Exception):
    """The client went away before it said who it is."""


async def serve_socket(hub: Hub, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    """Serve one WebSocket; returns when it has ended."""
    await receive()
    path, root = scope["path"], scope.get("root_path", "")
    if path.removeprefix(root) != PATH or not comes_from_allowed_page(scope, hub.application.origins):
        # Closed before it is accepted: the upgrade is answered 403.
        await send({"type": "websocket.close", "code": close_codes.POLICY_VIOLATION})
        return
    await send({"type": "websocket.accept", "headers": [(b"x-request-id", request_id.encode())]})
    if hub.stopping:
        await send({"type": "websocket.close", "code": close_codes.SERVICE_RESTART})
        return
    if not hub.has_room:
        await send({"type": "websocket.close", "code": close_codes.TRY_AGAIN_LATER})
        return
    with hub.place():
        try:
            connection = await _authenticated(hub, scope, receive, send)
        except _Gone:
            return
        except ServerClosing:
            await send({"type": "websocket.close", "code": close_codes.SERVICE_RESTART})
            return
        except Exception as error:
            _, message, _ = code_and_message(error, None)
            if not isinstance(error, Error):
                log.error("the authentication of request %s failed", request_id, exc_info=error)
            await send({"type": "websocket.send", "text": server_frames.auth_error(message)})
            await send({"type": "websocket.close", "code": close_codes.POLICY_VIOLATION})
            return
        await connection.serve(receive)


async def _authenticated(hub: Hub, scope: Scope, receive: Receive, send: Send) -> Connection:
    """The connection of whom the header, or the first message, says. Raises what is wrong with it."""
    protocol = protocol_of(scope)
    token = bearer_of(scope)
    if token is None:
        frame = await _first_message(hub, receive, protocol)
        token, protocol = frame.token, frame.protocol or protocol
    identity = await hub.application.identity_of(token)
    session = hub.database.session_of(identity, hub.application.peers.address_of(scope))
    connection = Connection(hub, session, identity, ENCODINGS[protocol], send)
    # As text and as it is, whatever was agreed upon: it says what that is.
    await send(
        {
            "type": "websocket.send",
            "text": server_frames.auth_success(session.user, session.rights.role.value, protocol),
        }
    )
    return connection


async def _first_message(hub: Hub, receive: Receive, protocol: Protocol) -> Authenticate:
    timeout_s = hub.settings.websocket_authentication_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise NotAuthenticated(
            f"nobody said who this is within websocket_authentication_timeout_s ({timeout_s:g} s); "
            "send authenticate first, or an Authorization header"
        ) from None
    if message["type"] != "websocket.receive":
        raise _Gone
    frame = ENCODINGS[protocol].read(message, hub.settings.websocket_message_bytes_max)
    if not isinstance(frame, Authenticate):
        raise InvalidMessage("the first message is authenticate, with a token")
    return frame
