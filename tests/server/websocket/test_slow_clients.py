"""Clients that do not take what they are sent: what they cost is bounded, and theirs alone."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import orjson
import pytest

from tests.server.serving import DEADLINE_S, Served, token_of
from tests.server.websocket.client import connected
from tests.server.websocket.conftest import ServedWith

ALL = "SELECT * FROM app.notes"
MIB = 1 << 20


def masked(text: bytes) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + text


@contextlib.contextmanager
def stuck(served: Served, user: str, sql: str, count: int = 1) -> Iterator[socket.socket]:
    """A client that subscribes so many times and never reads."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with raw:
        raw.connect(("127.0.0.1", served.port))
        raw.sendall(
            b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: Bearer " + token_of(served.db, user).encode() + b"\r\n\r\n"
        )
        raw.settimeout(DEADLINE_S)
        head = b""
        while b"auth_success" not in head:
            head += raw.recv(256)
        for number in range(count):
            message = {"type": "subscribe", "subscription": {"id": f"s{number}", "sql": sql}}
            raw.sendall(masked(orjson.dumps(message)))
        yield raw


def wait_until_live(served: Served, count: int) -> None:
    until = time.monotonic() + DEADLINE_S
    while served.db.asgi().sockets.subscriptions < count:
        assert time.monotonic() < until, "the subscriptions do not begin"
        time.sleep(0.01)


@pytest.mark.parametrize("subscriptions", [1, 20])
def test_a_client_that_never_reads_is_closed_and_nobody_else_notices(
    served: Served, subscriptions: int
) -> None:
    hub = served.db.asgi().sockets
    row = "x" * 20_000
    with stuck(served, "bob", ALL, subscriptions), connected(served, "ann") as client:
        wait_until_live(served, subscriptions)
        client.begin("SELECT id FROM app.notes", {})
        most = 0
        for number in range(1500):
            served.db.execute("INSERT INTO app.notes (id, body) VALUES (?, ?)", [number, row])
            most = max(most, *(connection.waiting_bytes for connection in list(hub.connections)), 0)
            assert client.receive()["rows"][0]["id"] == str(number)
            if hub.counts.slow:
                break

        assert hub.counts.slow == 1
        assert MIB < most <= 4 * MIB + 2 * len(row)
        assert len(served.db.live) == 1
        assert client.is_quiet()
        until = time.monotonic() + DEADLINE_S
        while len(hub.connections) > 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(hub.connections) == 1


def test_who_reads_again_before_that_has_lost_nothing(served: Served) -> None:
    """Changes wait as they are while the connection takes nothing, and come in order once it does."""
    row = "y" * 5_000
    with stuck(served, "bob", ALL) as raw:
        wait_until_live(served, 1)
        for number in range(400):
            served.db.execute("INSERT INTO app.notes (id, body) VALUES (?, ?)", [number, row])
        raw.settimeout(DEADLINE_S)
        data = bytearray()
        while b'"id":"399"' not in data:
            data += raw.recv(1 << 16)

    found = [int(part.partition(b'"')[0]) for part in bytes(data).split(b'"rows":[{"id":"')[1:]]
    assert found == list(range(400))


def test_a_hundred_stuck_clients_keep_no_commit_waiting(served_with: ServedWith) -> None:
    served = served_with(websocket_queue_bytes=256 * 1024)
    hub = served.db.asgi().sockets
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(stuck(served, "bob", ALL))
        wait_until_live(served, 100)
        with connected(served, "ann") as client:
            client.begin("SELECT id FROM app.notes", {})
            for number in range(300):
                served.db.execute("INSERT INTO app.notes (id, body) VALUES (?, ?)", [number, "x" * 50_000])
                assert client.receive(5)["rows"][0]["id"] == str(number)
                if hub.counts.slow == 100:
                    break

            assert hub.counts.slow == 100
            assert client.is_quiet()


def test_batches_are_made_as_the_client_takes_them(served: Served) -> None:
    """A hundred subscriptions with rows enough for a hundred queues: of a client that never reads, few are made."""
    served.db.session("root").executemany(
        "INSERT INTO app.notes (id, body) VALUES (?, ?)", [(at, "x" * 10_000) for at in range(100)]
    )
    hub = served.db.asgi().sockets
    message = {"type": "subscribe", "subscription": {"id": "", "sql": ALL, "options": {}}}
    with stuck(served, "bob", ALL, 0) as raw, connected(served, "ann") as client:
        for number in range(100):
            message["subscription"]["id"] = f"s{number}"
            raw.sendall(masked(orjson.dumps(message)))
        until = time.monotonic() + 3
        most = 0
        while time.monotonic() < until:
            most = max(most, *(connection.waiting_bytes for connection in list(hub.connections)))
            time.sleep(0.01)

        assert 0 < most < 4 * MIB
        assert client.is_quiet()
