"""HTTP/1.1 for threads: connections that are kept and used again, by the standard library's http.client.

It takes a tenth of the time that larger libraries take to be imported, which a command that runs one statement feels.
"""

from __future__ import annotations

import select
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING

from kalamdb.client.address import Address
from kalamdb.client.calls import ARROW
from kalamdb.client.steps import Answer, Request
from kalamdb.errors import ConnectionLost, DatabaseClosed, ServerTimeout, ServerUnreachable

if TYPE_CHECKING:
    import ssl

CONNECT_S_MAX = 10.0
KEPT_MAX = 16
_HEADERS = {"User-Agent": "kalamdb", "Accept-Encoding": "identity"}


class Connections:
    """Safe for threads; each request has a connection of its own while it lasts."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self._closed = False

    def send(self, request: Request) -> Answer:
        """The answer. Raises ServerUnreachable, ConnectionLost, ServerTimeout, DatabaseClosed."""
        connection = self._taken()
        try:
            if connection.sock is None:
                self._connect(connection, request.timeout_s)
            connection.sock.settimeout(request.timeout_s)
            connection.request(
                request.method,
                self._address.prefix + request.path,
                request.body,
                {**_HEADERS, **request.headers},
            )
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            if request.stream and response.status == 200 and headers.get("content-type") == ARROW:
                return Answer(200, headers, b"", Streaming(self, connection, response))
            body = response.read()
        except TimeoutError as error:
            connection.close()
            raise ServerTimeout(f"{self._address.url} did not answer in time (timeout_s)") from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise ConnectionLost(
                f"the connection to {self._address.url} was lost: {_reason(error)}"
            ) from error
        except BaseException:
            connection.close()
            raise
        self.put(connection, response)
        return Answer(response.status, headers, body)

    def _taken(self) -> HTTPConnection:
        with self._lock:
            if self._closed:
                raise DatabaseClosed("the client was closed; make a new one")
            while self._idle:
                connection = self._idle.pop()
                if not _has_ended(connection):
                    return connection
                connection.close()
        if self._tls is not None:
            return HTTPSConnection(self._address.host, self._address.port, context=self._tls)
        return HTTPConnection(self._address.host, self._address.port)

    def _connect(self, connection: HTTPConnection, timeout_s: float) -> None:
        connection.timeout = min(timeout_s, CONNECT_S_MAX)
        try:
            connection.connect()
        except OSError as error:
            raise ServerUnreachable(
                f"no connection to {self._address.url}: {_reason(error)}; see whether the server runs there"
            ) from error

    def put(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        """Keep a connection whose answer was read."""
        with self._lock:
            if not self._closed and not response.will_close and len(self._idle) < KEPT_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Nothing is sent from here on."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Streaming:
    """The body of an answer, as a file to be read once."""

    def __init__(self, connections: Connections, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._connections = connections
        self._connection = connection
        self._response = response
        self.closed = False

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes. Raises OSError where the answer broke off."""
        try:
            return self._response.read() if size < 0 else self._response.read(size)
        except HTTPException as error:
            raise OSError(f"the answer broke off: {_reason(error)}") from error

    def close(self) -> None:
        """Nobody reads on. The connection is kept if all of it was read."""
        if self.closed:
            return
        self.closed = True
        if self._response.isclosed():
            self._connections.put(self._connection, self._response)
        else:
            self._connection.close()


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether the server has closed it: then there is something to read where nothing should be."""
    try:
        return bool(select.select([connection.sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
