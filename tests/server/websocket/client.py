"""A client of a served database's WebSocket, which speaks in messages."""

from __future__ import annotations

import contextlib
import gzip
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.serving import DEADLINE_S, Served, token_of

Message = dict[str, Any]


class Client:
    """One connection. `log_in`: whether it has done so by a header, and taken the answer."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = map("s{}".format, itertools.count(1))

    def send(self, **message: Any) -> None:
        """Send a message as JSON."""
        self.connection.send(orjson.dumps(message).decode())

    def receive(self, deadline_s: float = DEADLINE_S) -> Message:
        """The next message, however it is written."""
        return read(self.connection.recv(timeout=deadline_s))

    def subscribe(self, sql: str, options: Message | None = None, subscription_id: str | None = None) -> str:
        """Ask for a subscription; its id."""
        subscription_id = subscription_id or next(self._ids)
        subscription: Message = {"id": subscription_id, "sql": sql}
        if options is not None:
            subscription["options"] = options
        self.send(type="subscribe", subscription=subscription)
        return subscription_id

    def begin(self, sql: str, options: Message | None = None) -> tuple[str, list[Message]]:
        """Subscribe and take everything up to `ready`: the id, and all rows that were there."""
        subscription_id = self.subscribe(sql, options)
        rows: list[Message] = []
        while True:
            message = self.receive()
            assert message["type"] in ("subscription_ack", "initial_data_batch"), message
            rows += message.get("rows", [])
            if message["batch_control"]["status"] == "ready":
                return subscription_id, rows
            if message["type"] == "initial_data_batch":
                self.send(type="next_batch", subscription_id=subscription_id)

    def is_quiet(self) -> bool:
        """Whether nothing is on its way: a ping is answered by the very next message."""
        self.send(type="ping")
        return self.receive() == {"type": "pong"}

    def until_closed(self) -> tuple[list[Message], int]:
        """What still comes, and the code by which it ends."""
        messages: list[Message] = []
        try:
            while True:
                messages.append(self.receive())
        except ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd is not None else 1006


def read(data: str | bytes) -> Message:
    """A message as it came."""
    if isinstance(data, str):
        found = orjson.loads(data)
    else:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        found = orjson.loads(data) if data[:1] == b"{" else msgspec.msgpack.decode(data)
    assert isinstance(found, dict)
    return found


@contextlib.contextmanager
def connected(
    served: Served, user: str | None, *, query: str = "", token: str | None = None, **options: Any
) -> Iterator[Client]:
    """A connection with the token of `user` in its header, and past its auth_success; without user, nothing is said."""
    headers = Headers()
    if user is not None or token is not None:
        headers["Authorization"] = f"Bearer {token or token_of(served.db, user or '')}"
    options.setdefault("compression", None)
    options.setdefault("max_size", None)
    headers.update(options.pop("headers", {}))
    with connect(
        f"ws://127.0.0.1:{served.port}/v1/ws{query}",
        additional_headers=headers,
        open_timeout=DEADLINE_S,
        close_timeout=1,
        proxy=None,
        **options,
    ) as connection:
        client = Client(connection)
        if user is not None:
            message = client.receive()
            assert message["type"] == "auth_success", message
        yield client
