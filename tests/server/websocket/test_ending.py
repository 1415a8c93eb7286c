"""How connections end: by the client, by the server's end, by a fault."""

from __future__ import annotations

import threading
import time

from kalamdb.server.websocket import server_options
from tests.server.serving import Served
from tests.server.websocket.client import Client, connected
from tests.server.websocket.conftest import open_with_users

ALL = "SELECT * FROM app.notes"


def is_idle(served: Served, deadline_s: float = 20) -> bool:
    """Whether nothing is left of any connection, soon."""
    until = time.monotonic() + deadline_s
    hub = served.db.asgi().sockets
    while time.monotonic() < until:
        if not len(served.db.live) and not hub.connections and not hub.subscriptions:
            return True
        time.sleep(0.01)
    return False


def test_nothing_is_left_of_a_client_that_goes(served: Served) -> None:
    for number in range(10):
        with connected(served, "ann") as client:
            client.begin(ALL, {})
            client.subscribe(ALL, {})
            served.db.execute(f"INSERT INTO app.notes (id, body) VALUES ({number}, 'x')")
            if number % 2:
                client.connection.socket.close()

    assert is_idle(served)


def test_a_server_that_ends_says_so(tmp_path) -> None:
    ends: list[tuple[int, int]] = []

    def wait(client: Client) -> None:
        messages, code = client.until_closed()
        ends.append((len(messages), code))

    with open_with_users(tmp_path / "served") as db:
        server = Served(db, **server_options(db.settings))
        with server as served:
            clients = [connected(served, "ann") for _ in range(5)]
            entered = [client.__enter__() for client in clients]
            for client in entered:
                client.begin(ALL, {})
            waiting = [threading.Thread(target=wait, args=(client,)) for client in entered]
            for thread in waiting:
                thread.start()
        for thread in waiting:
            thread.join(20)
        for one in clients:
            one.__exit__(None, None, None)

        assert ends == [(0, 1012)] * 5
        assert len(db.live) == 0
        # The same application serves again.
        with Served(db, **server_options(db.settings)) as served, connected(served, "ann") as client:
            client.begin(ALL, {})
            db.execute("INSERT INTO app.notes (id, body) VALUES (1, 'x')")
            assert client.receive()["type"] == "change"


def test_an_application_that_is_stopped_closes_its_sockets(served: Served) -> None:
    """Without the server's help: as a part of another application."""
    import asyncio

    application = served.db.asgi()
    with connected(served, "ann") as client, connected(served, "bob") as other:
        client.begin(ALL, {})
        asyncio.run_coroutine_threadsafe(application.stop(), application.sockets.loop).result(20)

        assert client.until_closed() == ([], 1012)
        assert other.until_closed() == ([], 1012)
        with connected(served, None) as late:
            assert late.until_closed() == ([], 1012)


def test_a_fault_of_ours_is_told_without_its_cause(served: Served, monkeypatch) -> None:
    from kalamdb.live import LiveQueries

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a secret of the inside")

    with connected(served, "ann") as client:
        monkeypatch.setattr(LiveQueries, "open", broken)
        client.subscribe(ALL, {})
        answer = client.receive()
        monkeypatch.undo()

        assert answer["code"] == "INTERNAL_ERROR"
        assert "secret" not in str(answer)
        client.begin(ALL, {})
        assert served.db.asgi().sockets.counts.failed == 1


def test_a_database_that_closes_ends_what_listens(tmp_path) -> None:
    db = open_with_users(tmp_path / "served")
    with Served(db, **server_options(db.settings)) as served, connected(served, "ann") as client:
        subscription_id, _ = client.begin(ALL, {})
        db.close()
        ended = client.receive()

        assert (ended["type"], ended["subscription_id"]) == ("error", subscription_id)
