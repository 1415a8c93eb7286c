"""A live query of a server that a task iterates over, however often its connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kalamdb.client.calls import pause_before
from kalamdb.client.live_messages import RECONNECTING, LiveMessages
from kalamdb.client.subscription import OPEN_S
from kalamdb.errors import (
    ConnectionLost,
    DatabaseClosed,
    Error,
    InvalidToken,
    ServerUnreachable,
    TokenExpired,
)
from kalamdb.event import Event

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncSubscription:
    """The events of a live query, for as long as it is open. One task at a time iterates; any may close it.

    A connection that is lost is made anew, and goes on behind the last event, each change once. Raises, while it is
    iterated over, what an embedded one does, and ServerUnreachable where the server was not back within
    `reconnect_s`. After close() it just ends.
    """

    def __init__(
        self,
        messages: LiveMessages,
        connect: Callable[[str], Awaitable[ClientConnection]],
        token: Callable[[], Awaitable[str]],
        renew: Callable[[str], Awaitable[str | None]],
        reconnect_s: float,
    ) -> None:
        """Made by AsyncClient.subscribe, which opens it, and gives a connection for a token, the token, and another
        for one that is not good any more."""
        self._messages = messages
        self._connect = connect
        self._token = token
        self._renew = renew
        self._reconnect_s = reconnect_s
        self._socket: ClientConnection | None = None
        self._closed = asyncio.Event()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its rows' columns, `_seq` among them."""
        return self._messages.columns

    async def begin(self) -> None:
        """Open it: on a connection, until the server has agreed. Raises what it does not agree to."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        token = await self._token()
        for last in (False, True):
            try:
                self._socket = await self._connect(token)
                if self._closed.is_set():
                    await self._socket.close()
                    return
                await self._socket.send(self._messages.begin())
                while not self._messages.is_open and not self._closed.is_set():
                    await self._receive(OPEN_S)
                return
            except (InvalidToken, TokenExpired):
                await self._drop()
                other = None if last else await self._renew(token)
                if other is None:
                    raise
                token = other
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                await self._drop()
                raise ServerUnreachable(f"no live query could be opened: {error}") from error
            except BaseException:
                await self._drop()
                raise

    async def _receive(self, timeout_s: float | None) -> None:
        socket = self._socket
        if socket is None:
            return  # it was closed meanwhile
        reply = self._messages.take(await asyncio.wait_for(socket.recv(), timeout_s))
        if reply is not None:
            await socket.send(reply)

    async def _begin_again(self) -> None:
        """Raises ServerUnreachable after `reconnect_s`, and what the server does not agree to."""
        until = time.monotonic() + self._reconnect_s
        tries = 0
        await self._drop()
        await asyncio.sleep(pause_before(0))
        while not self._closed.is_set():
            try:
                await self.begin()
                return
            except Error as error:
                # Also what the server says to come again for: it goes down, or too many ask at once.
                passing = isinstance(error, (ServerUnreachable, ConnectionLost)) or hasattr(
                    error, "retry_after_s"
                )
                pause_s = pause_before(tries)
                tries += 1
                if not passing or time.monotonic() + pause_s > until:
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), pause_s)

    async def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; waits for it up to `timeout_s` seconds, or for ever. None after that time, and once it was
        closed."""
        from websockets.exceptions import ConnectionClosed

        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed.is_set():
            event = self._messages.next()
            if event is not None:
                return event
            left = None if until is None else until - time.monotonic()
            if left is not None and left < 0:
                return None
            try:
                if self._socket is None:
                    await self._begin_again()
                else:
                    await self._receive(left)
            except TimeoutError:
                return None
            except ConnectionClosed as closed:
                if self._closed.is_set():
                    return None
                code = None if closed.rcvd is None else closed.rcvd.code
                await self._drop()
                if code not in RECONNECTING:
                    await self.close()
                    raise ConnectionLost(f"the server has closed the connection: {closed}") from closed
            except (InvalidToken, TokenExpired, DatabaseClosed):
                # The connection ended with its token, or the database did; another goes on, if there is a token or
                # a database for it.
                await self._drop()
                try:
                    await self._begin_again()
                except Error:
                    await self.close()
                    raise
            except Error:
                if self._closed.is_set():
                    return None
                await self.close()
                raise
        return None

    def __aiter__(self) -> AsyncSubscription:
        return self

    async def __anext__(self) -> Event:
        event = await self.next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def close(self) -> None:
        """End it; a thread that waits for its next event goes on. Closing again does nothing."""
        self._closed.set()
        await self._drop()

    async def _drop(self) -> None:
        found, self._socket = self._socket, None
        if found is not None:
            with contextlib.suppress(Exception):
                await found.close()

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncSubscription {self._messages.sql}{', closed' if self._closed.is_set() else ''}>"
