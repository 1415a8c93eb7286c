"""A live query of a server that a thread iterates over, however often its connection is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kalamdb.client.calls import pause_before
from kalamdb.client.live_messages import RECONNECTING, LiveMessages
from kalamdb.errors import ConnectionLost, Error, InvalidToken, ServerUnreachable, TokenExpired
from kalamdb.event import Event

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

OPEN_S = 10.0


class Subscription:
    """The events of a live query, for as long as it is open. One thread at a time iterates; close() may be called from
    any.

    A connection that is lost is made anew, and goes on behind the last event, each change once. Raises, while it is
    iterated over, what an embedded one does, and ServerUnreachable where the server was not back within
    `reconnect_s`. After close() it just ends.
    """

    def __init__(
        self,
        messages: LiveMessages,
        connect: Callable[[str], ClientConnection],
        token: Callable[[], str],
        renew: Callable[[str], str | None],
        reconnect_s: float,
    ) -> None:
        """Made by Client.subscribe, which gives a connection for a token, the token, and another for one that is not
        good any more."""
        self._messages = messages
        self._connect = connect
        self._token = token
        self._renew = renew
        self._reconnect_s = reconnect_s
        self._socket: ClientConnection | None = None
        self._closed = threading.Event()
        self._begin()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its rows' columns, `_seq` among them."""
        return self._messages.columns

    def _begin(self) -> None:
        """On a connection, until the server has agreed. Raises what it does not agree to."""
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        token = self._token()
        for last in (False, True):
            try:
                self._socket = self._connect(token)
                if self._closed.is_set():
                    self._socket.close()
                    return
                self._socket.send(self._messages.begin())
                while not self._messages.is_open:
                    self._receive(OPEN_S)
                return
            except (InvalidToken, TokenExpired):
                self._drop()
                other = None if last else self._renew(token)
                if other is None:
                    raise
                token = other
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                self._drop()
                raise ServerUnreachable(f"no live query could be opened: {error}") from error
            except BaseException:
                self._drop()
                raise

    def _receive(self, timeout_s: float | None) -> None:
        assert self._socket is not None
        reply = self._messages.take(self._socket.recv(timeout_s))
        if reply is not None:
            self._socket.send(reply)

    def _begin_again(self) -> None:
        """Raises ServerUnreachable after `reconnect_s`, and what the server does not agree to."""
        until = time.monotonic() + self._reconnect_s
        tries = 0
        self._drop()
        while not self._closed.is_set():
            try:
                return self._begin()
            except (ServerUnreachable, ConnectionLost):
                pause_s = pause_before(tries)
                tries += 1
                if time.monotonic() + pause_s > until:
                    raise
                self._closed.wait(pause_s)

    def next(self, timeout_s: float | None = None) -> Event | None:
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
                    self._begin_again()
                else:
                    self._receive(left)
            except TimeoutError:
                return None
            except ConnectionClosed as closed:
                if self._closed.is_set():
                    return None
                code = None if closed.rcvd is None else closed.rcvd.code
                self._drop()
                if code not in RECONNECTING:
                    self.close()
                    raise ConnectionLost(f"the server has closed the connection: {closed}") from closed
            except (InvalidToken, TokenExpired):
                # The connection ended with its token; another goes on with another token, if there is one.
                self._drop()
                try:
                    self._begin_again()
                except Error:
                    self.close()
                    raise
            except Error:
                if self._closed.is_set():
                    return None
                self.close()
                raise
        return None

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """End it; a thread that waits for its next event goes on. Closing again does nothing."""
        self._closed.set()
        self._drop()

    def _drop(self) -> None:
        found, self._socket = self._socket, None
        if found is not None:
            with contextlib.suppress(Exception):
                found.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        closed: Any = getattr(self, "_closed", None)
        if closed is not None and not closed.is_set():
            self.close()

    def __repr__(self) -> str:
        return f"<Subscription {self._messages.sql}{', closed' if self._closed.is_set() else ''}>"
