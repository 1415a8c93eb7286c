"""Servers in processes of their own, kalamdb and the bare ASGI stack, and a client that does no more than it must.

    python -m bench.http_stack KIND DIRECTORY ROWS DURABILITY

serves on loopback and writes its port and a token to standard output. KIND is `kalamdb`; `bare`, which reads a
request's body and answers what a look-up would; `synced`, which before that writes to a file and has it synced in a
thread; `limited`, which is kalamdb with the limits that it has by default, and the token of a second user; or `rows`,
which answers /json and /arrow with rows made of the same SELECT by the libraries alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.messages import PLACES, TABLE, arrow_table, message

FIXED = (
    b'{"status":"success","results":[{"schema":[{"name":"id","data_type":"BigInt","index":0}],"rows":[['
    + b'"1","2","user0001","user","' + b"x" * 100 + b'",1767225600000000]],"row_count":1,"as_user":"bench"}],'
    b'"took_ms":0.012,"took":0.012}'
)  # fmt: skip
SELECT_ALL = "SELECT * FROM messages"
START_S = 120


@contextlib.contextmanager
def server(kind: str, directory: Path, rows: int = 0, durability: str = "normal") -> Iterator[Server]:
    """A server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.http_stack", kind, str(directory), str(rows), durability],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port, *tokens = process.stdout.readline().split()
        yield Server(int(port), *tokens)
    finally:
        process.terminate()
        process.wait(START_S)


class Server:
    """Where a server is, and how to ask it."""

    def __init__(self, port: int, token: str, *others: str) -> None:
        """`others`: tokens of other users."""
        self.port = port
        self.token = token
        self.others = others

    def request(self, path: str, body: bytes, accept: str = "application/json") -> bytes:
        """A request as it goes over the wire."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    @contextlib.contextmanager
    def connections(self, count: int = 1) -> Iterator[list[socket.socket]]:
        """Connections that stay open."""
        with contextlib.ExitStack() as stack:
            made = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self.port))) for _ in range(count)
            ]
            for one in made:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield made


def answer(connection: socket.socket, begins: bytes = b"HTTP/1.1 200") -> int:
    """Read one answer, with its length told or in chunks; how many bytes it had."""
    data = connection.recv(1 << 20)
    assert data.startswith(begins), data[:500]
    end = data.index(b"\r\n\r\n") + 4
    head = data[:end].lower()
    at = head.find(b"content-length: ")
    if at >= 0:
        left = end + int(head[at + 16 : head.index(b"\r\n", at)]) - len(data)
        while left > 0:
            left -= len(connection.recv(1 << 20))
        return len(data)
    size = len(data)
    while not data.endswith(b"0\r\n\r\n"):
        data = data[-5:] + connection.recv(1 << 20)
        size += len(data)
    return size


# In the server's process


async def read(receive: Any) -> None:
    more = True
    while more:
        more = (await receive()).get("more_body", False)


async def respond(send: Any, body: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"x-request-id", b"1234-5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await read(receive)
    await respond(send, FIXED)


def synced(directory: Path) -> Any:
    file = os.open(directory / "floor", os.O_RDWR | os.O_CREAT)
    os.pwrite(file, bytes(1 << 24), 0)
    os.fsync(file)
    offsets = iter(range(0, 1 << 40, 256))

    def write() -> None:
        os.pwrite(file, bytes(200), next(offsets) % (1 << 24))
        os.fdatasync(file)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await asyncio.get_running_loop().run_in_executor(None, write)
        await respond(send, FIXED)

    return application


def rows_by_libraries(db: Any) -> Any:
    import orjson
    import pyarrow as pa

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        table = db.execute(SELECT_ALL).arrow()
        if scope["path"] == "/json":
            await respond(send, orjson.dumps(table.to_pylist()))
            return
        if (body := kept.get("arrow")) is None:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=1 << 16)
            body = kept["arrow"] = sink.getvalue().to_pybytes()
        await respond(send, body)

    kept: dict[str, bytes] = {}
    return application


def database(directory: Path, rows: int, durability: str, **settings: Any) -> tuple[Any, str]:
    import kalamdb

    db = kalamdb.open(directory / "served", durability=durability, **settings)
    db.execute(TABLE)
    if rows >= 10_000:
        db.session("root").insert("messages", arrow_table(rows))
    else:
        db.executemany(f"INSERT INTO messages VALUES {PLACES}", list(map(message, range(rows))))
    return db, token_of(db, "bench")


def token_of(db: Any, user: str) -> str:
    """Of a new user."""
    from kalamdb.auth.account_login import user_state

    db.execute(f"CREATE USER {user} WITH ROLE service")
    account = db.accounts.find(user)
    assert account is not None
    found: str = db.front_door.tokens.issue(user_state(account)).text
    return found


def main(kind: str, directory: str, rows: str, durability: str) -> None:
    import uvicorn

    from kalamdb.server.application import Application
    from kalamdb.server.interpreter import set_aside, set_for_serving

    set_for_serving()  # as `kalam serve` does, and for its peers too
    application: Any
    token = "none"
    if kind == "bare":
        application = bare
    elif kind == "synced":
        application = synced(Path(directory))
    else:
        settings = {} if kind == "limited" else {"user_requests_per_s_max": None}
        db, token = database(Path(directory), int(rows), durability, **settings)
        if kind == "limited":
            token += " " + token_of(db, "flood")
        application = rows_by_libraries(db) if kind == "rows" else Application(db, alone=True)
    set_aside()
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], token, flush=True)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="auto" if kind in ("kalamdb", "limited") else "off",
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
