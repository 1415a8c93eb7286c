"""Limits of connections, each by its setting."""

from __future__ import annotations

import contextlib
import threading

from websockets.exceptions import ConnectionClosed

from tests.server.serving import DEADLINE_S, Served
from tests.server.websocket.client import connected
from tests.server.websocket.conftest import ServedWith

ALL = "SELECT * FROM app.notes"
# A text frame, final and masked, of 3,000,000 bytes, of which none comes.
HEAD_OF_3_MB = bytes([0x81, 0x80 | 127]) + (3_000_000).to_bytes(8, "big") + b"mask"


def test_subscriptions_of_a_connection(served_with: ServedWith) -> None:
    served = served_with(websocket_subscriptions_max=3)
    with connected(served, "ann") as client, connected(served, "ann") as other:
        ids = [client.begin(ALL, {})[0] for _ in range(3)]
        client.subscribe(ALL, {}, "more")
        refused = client.receive()
        other.begin(ALL, {})
        client.send(type="unsubscribe", subscription_id=ids[0])
        client.begin(ALL, {})

        assert (refused["subscription_id"], refused["code"]) == ("more", "SUBSCRIPTION_LIMIT_EXCEEDED")
        assert "websocket_subscriptions_max" in refused["message"]


def test_unbounded_live_queries(served_with: ServedWith) -> None:
    """One user cannot have more than so many, whatever the number of connections; others can."""
    served = served_with(subscriptions_per_user=5)
    with (
        connected(served, "ann") as first,
        connected(served, "ann") as second,
        connected(served, "bob") as bob,
    ):
        for client in (first, second, first, second, first):
            client.begin(ALL, {})
        second.subscribe(ALL, {})
        refused = second.receive()
        bob.begin(ALL, {})

        assert refused["code"] == "SUBSCRIPTION_LIMIT_EXCEEDED"
        assert "subscriptions_per_user" in refused["message"]
        assert len(served.db.live) == 6


def test_a_connection_that_ends_gives_its_places_back(served_with: ServedWith) -> None:
    served = served_with(subscriptions_per_user=2)
    for _ in range(5):
        with connected(served, "ann") as client:
            client.begin(ALL, {})
            client.begin(ALL, {"batch_size": 1})


def test_by_default_there_are_a_hundred_on_a_connection_and_fifty_messages_a_second(
    served_with: ServedWith,
) -> None:
    served = served_with(websocket_messages_per_s_max=50)

    assert served.db.settings.websocket_subscriptions_max == 100
    with connected(served, "ann") as client:
        for _ in range(200):
            client.send(type="ping")
        answers = [client.receive() for _ in range(200)]
    assert sum(answer["type"] == "pong" for answer in answers) in range(50, 100)
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert {answer["code"] for answer in refused} == {"RATE_LIMIT_EXCEEDED"}
    assert "websocket_messages_per_s_max" in refused[0]["message"]


def test_who_does_not_stop_sending_is_closed(served_with: ServedWith) -> None:
    served = served_with(websocket_messages_per_s_max=1)
    with connected(served, "ann") as client:

        def flood() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    client.send(type="ping")

        flooding = threading.Thread(target=flood)
        flooding.start()
        messages, code = client.until_closed()
        flooding.join(DEADLINE_S)

    assert messages[-1]["code"] == "RATE_LIMIT_EXCEEDED"
    assert code == 1008


def test_ws_message_size(served_with: ServedWith) -> None:
    """One that is too large is told so, and the connection closed."""
    served = served_with(websocket_message_bytes_max=1_000_000)
    with connected(served, "ann") as client:
        client.send(type="ping", more="x" * 900_000)
        fits = client.receive()
        client.connection.send(" " * 1_000_001)
        messages, code = client.until_closed()

    assert fits == {"type": "pong"}
    assert [message["code"] for message in messages] == ["MESSAGE_TOO_LARGE"]
    assert code == 1009


def test_a_message_that_is_far_too_large_is_not_even_read(served_with: ServedWith) -> None:
    """
    The connection ends at its head. Who is still sending then may find it reset before the code 1009 is read, as
    docs/websocket.md says; who sent the head alone reads it.
    """
    served = served_with(websocket_message_bytes_max=1_000_000)
    with connected(served, "ann") as client:
        client.connection.socket.sendall(HEAD_OF_3_MB)
        messages, code = client.until_closed()
    assert (messages, code) == ([], 1009)

    with connected(served, "ann") as client:
        with contextlib.suppress(ConnectionClosed):
            client.connection.send(" " * 3_000_000)
        messages, code = client.until_closed()
    assert (messages, code in (1009, 1006)) == ([], True)

    with connected(served, "ann") as client:
        client.send(type="ping")
        assert client.receive() == {"type": "pong"}


def test_a_first_message_that_is_too_large(served_with: ServedWith) -> None:
    served = served_with(websocket_message_bytes_max=10_000)
    with connected(served, None) as client:
        client.send(type="authenticate", method="jwt", token="x" * 11_000)
        messages, code = client.until_closed()

    assert messages[0]["type"] == "auth_error"
    assert code in (1008, 1009)


def test_connections_of_a_server(served_with: ServedWith) -> None:
    served = served_with(websocket_connections_max=2)
    with connected(served, "ann") as first, connected(served, "bob") as second:
        with connected(served, None, headers={}) as third:
            _, code = third.until_closed()
        assert code == 1013
        assert first.is_quiet()
        assert second.is_quiet()
    with connected(served, "ann") as client:
        assert client.is_quiet()


def test_clients_are_pinged_and_one_that_does_not_answer_is_closed(served_with: ServedWith) -> None:
    import socket
    import time

    from tests.server.serving import token_of

    served = served_with(websocket_ping_s=0.2)
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        raw.sendall(
            b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: Bearer " + token_of(served.db, "ann").encode() + b"\r\n\r\n"
        )
        until, data = time.monotonic() + 10, b""
        while time.monotonic() < until and (piece := raw.recv(4096)):
            data += piece
    frames = data.partition(b"\r\n\r\n")[2]

    assert b"auth_success" in frames
    assert b"\x89\x04" in frames, "no ping"
    assert (1011).to_bytes(2, "big") in frames, "no close"
    with connected(served, "ann") as client:
        time.sleep(1)
        assert client.is_quiet()


def test_what_waits_is_done_by_threads_in_turns(served: Served) -> None:
    """So that one user's flood of subscriptions is that user's alone."""
    with connected(served, "ann") as client, connected(served, "bob") as bob:
        for _ in range(100):
            client.subscribe("SELECT * FROM app.own", {})
        _, rows = bob.begin("SELECT * FROM app.own", {})
        answers = [client.receive() for _ in range(200)]

    assert rows == []
    assert {answer["type"] for answer in answers} == {"subscription_ack", "initial_data_batch"}
