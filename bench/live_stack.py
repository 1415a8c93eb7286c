"""WebSocket servers in processes of their own, kalamdb and the bare ASGI stack, and clients that do what they must.

    python -m bench.live_stack KIND DIRECTORY USERS

serves on loopback and writes its port and its tokens to standard output, one of `bench`, who writes, and one of each
user. KIND is `kalamdb`, or `bare`: which answers a message with the same, and a POST by sending a change to every
connection, as often as the connection has asked for it by its query, or to the one that the path names.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.http_stack import START_S, Server, read, respond

TABLE = "CREATE SHARED TABLE bench.messages (id BIGINT PRIMARY KEY, role TEXT, content TEXT)"
OWN = "CREATE USER TABLE bench.own (id BIGINT PRIMARY KEY, role TEXT, content TEXT)"
CONTENT = "x" * 100
CHANGE = (
    '{"type":"change","subscription_id":"s0","change_type":"insert","rows":[{"id":"1000000","role":"user","content":"'
    + CONTENT
    + '","_seq":"385548842432462848"}]}'
)
INSERTED = orjson.dumps(
    {
        "status": "success",
        "results": [{"message": "Inserted 1 row(s)", "row_count": 1, "as_user": "bench"}],
        "took_ms": 0.1,
    }
)
WAIT_S = 60.0


class LiveServer(Server):
    """Where a server is. `process_id`: whose memory is looked at."""

    def __init__(self, port: int, tokens: list[str], process_id: int) -> None:
        super().__init__(port, tokens[0])
        self.tokens = tokens[1:]
        self.process_id = process_id

    def insert(self, number: int, user: int | None = None) -> bytes:
        """A request that adds one row: to the table of all, or of a user."""
        if user is None:
            sql = "INSERT INTO bench.messages (id, role, content) VALUES (?, ?, ?)"
            return self.request(
                "/v1/api/sql", orjson.dumps({"sql": sql, "params": [number, "user", CONTENT]})
            )
        sql = "INSERT INTO bench.own (id, role, content) VALUES (?, ?, ?)"
        body = orjson.dumps({"sql": sql, "params": [number, "user", CONTENT]})
        whole = self.request(f"/v1/api/sql?user={user}", body)
        return whole.replace(self.token.encode(), self.tokens[user].encode()) if self.tokens else whole

    def resident_bytes(self) -> int:
        """The memory of its process."""
        pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def live_server(kind: str, directory: Path, users: int = 1) -> Iterator[LiveServer]:
    """A server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.live_stack", kind, str(directory), str(users)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port, *tokens = process.stdout.readline().split()
        yield LiveServer(int(port), tokens, process.pid)
    finally:
        process.terminate()
        process.wait(START_S)


class Listeners:
    """Connections that are told changes, and count what they are told."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._sockets: dict[int, socket.socket] = {}
        self._left: dict[int, bytes] = {}
        self._poll = select.epoll()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()

    def add(self, user: int, table: str, subscriptions: int = 1) -> int:
        """One more connection; its number. Returns when it is told changes."""
        one = socket.create_connection(("127.0.0.1", self._server.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = one.fileno()
        self._sockets[number] = one
        self._poll.register(one, select.EPOLLIN)
        token = self._server.tokens[user] if self._server.tokens else "none"
        key = base64.b64encode(os.urandom(16)).decode()
        one.sendall(
            f"GET /v1/ws?subscriptions={subscriptions} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        data = b""
        while b"\r\n\r\n" not in data:
            data += one.recv(1 << 16)
        self._left[number] = data.partition(b"\r\n\r\n")[2]
        self.wait({number: 1})  # auth_success
        for at in range(subscriptions):
            sql = f"SELECT id, role, content FROM {table}"
            self.send(number, {"type": "subscribe", "subscription": {"id": f"s{at}", "sql": sql}})
        self.wait({number: subscriptions})
        return number

    def send(self, number: int, message: Any) -> None:
        """Send a message."""
        self._sockets[number].sendall(masked(orjson.dumps(message)))

    def wait(self, wanted: dict[int, int]) -> None:
        """Until these connections have been told so many messages each; others count not."""
        wanted = dict(wanted)
        for number in list(wanted):
            self._count(number, b"", wanted)
        while wanted:
            ready = self._poll.poll(WAIT_S)
            assert ready, f"{len(wanted)} connections wait for {sum(wanted.values())} messages"
            for number, _ in ready:
                data = self._sockets[number].recv(1 << 18)
                assert data, "the server has closed a connection"
                self._count(number, data, wanted)

    def _count(self, number: int, data: bytes, wanted: dict[int, int]) -> None:
        data = self._left[number] + data
        at = 0
        while number in wanted and at + 2 <= len(data):
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
            elif size == 127:
                size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
            if begin + size > len(data):
                break
            if data[at] in (0x81, 0x82):
                wanted[number] -= 1
                if not wanted[number]:
                    del wanted[number]
            at = begin + size
        self._left[number] = data[at:]


def masked(text: bytes) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + text


# In the server's process


class Bare:
    """The stack without a database."""

    def __init__(self) -> None:
        self._connections: list[tuple[Any, int]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await read(receive)
            await respond(send, INSERTED)
            message = {"type": "websocket.send", "text": CHANGE}
            query = scope["query_string"]
            told = self._connections
            if query.startswith(b"user="):
                told = [told[int(query[5:])]]
            for one, times in told:
                for _ in range(times):
                    await one(message)

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "{}"})
        self._connections.append((send, int(scope["query_string"].partition(b"=")[2])))
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            await send({"type": "websocket.send", "text": message["text"]})


def database(directory: Path, users: int) -> tuple[Any, list[str]]:
    import kalamdb
    from kalamdb.auth.account_login import user_state

    many = 1_000_000
    db = kalamdb.open(
        directory / "served",
        durability="normal",
        user_requests_per_s_max=None,
        websocket_messages_per_s_max=None,
        websocket_subscriptions_max=many,
        websocket_connections_max=many,
        subscriptions_per_user=many,
        statements_waiting_max=many,
    )
    db.execute("CREATE NAMESPACE bench")
    db.execute(TABLE)
    db.execute(OWN)
    names = ["bench", *(f"user{number}" for number in range(users))]
    for name in names:
        db.execute(f"CREATE USER {name} WITH ROLE service")
    accounts = [db.accounts.find(name) for name in names]
    return db, [db.front_door.tokens.issue(user_state(account)).text for account in accounts if account]


def main(kind: str, directory: str, users: str) -> None:
    import uvicorn

    from kalamdb.server.websocket import server_options
    from kalamdb.settings import Settings

    application: Any
    tokens = ["none"]
    if kind == "bare":
        application = Bare()
    else:
        db, tokens = database(Path(directory), int(users))
        application = db.asgi()
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listening.getsockname()[1], *tokens, flush=True)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="auto" if kind == "kalamdb" else "off",
        **server_options(Settings(websocket_ping_s=3600)),
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
