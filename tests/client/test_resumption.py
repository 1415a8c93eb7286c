"""A live query goes on across a server's restart and a token's end: no gap, nothing twice."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import kalamdb
from kalamdb.client import AsyncClient, Client
from tests.client.adapters import AsyncWay, Tasks
from tests.server.serving import Served

WAIT_S = 30.0
PASSWORD = "a long password"


class ServedAt(Served):
    """On a port that was chosen before."""

    def __init__(self, db: kalamdb.Database, port: int) -> None:
        super().__init__(db)
        self._socket.close()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE USER ann WITH PASSWORD 'a long password' ROLE user")
        db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY)")
    return tmp_path / "data"


@pytest.mark.parametrize("kind", ["client", "async"])
def test_across_a_restart_each_change_is_told_once(directory: Path, kind: str, tasks: Tasks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options: dict[str, Any] = {"user": "ann", "password": PASSWORD}
    url = f"http://127.0.0.1:{port}"
    client: Any = (
        Client(url, **options) if kind == "client" else AsyncWay(tasks, lambda: AsyncClient(url, **options))
    )
    told = []
    with kalamdb.open(directory) as db, ServedAt(db, port):
        heard = client.subscribe("SELECT * FROM notes")
        assert heard.next(WAIT_S).kind == "snapshot"
        for number in range(3):
            db.session("ann").execute("INSERT INTO notes VALUES (?)", [number])
        told.append(heard.next(WAIT_S))
    with kalamdb.open(directory) as db:
        db.session("ann").execute("INSERT INTO notes VALUES (3)")  # while nobody serves it
        with ServedAt(db, port):
            db.session("ann").execute("INSERT INTO notes VALUES (4)")
            while sum(len(event.rows) for event in told) < 5:
                told.append(heard.next(WAIT_S))
            heard.close()
            client.close()

    assert [row["id"] for event in told for row in event.rows] == [0, 1, 2, 3, 4]


def test_it_goes_on_where_a_token_has_ended(directory: Path) -> None:
    with (
        kalamdb.open(directory, access_token_ttl_s=2) as db,
        Served(db) as served,
        Client(served.url, user="ann", password=PASSWORD) as client,
        client.subscribe("SELECT * FROM notes") as heard,
    ):
        assert heard.next(WAIT_S).kind == "snapshot"
        first = client._calls.identity._token
        assert heard.next(2.5) is None  # the server has closed the connection meanwhile
        db.session("ann").execute("INSERT INTO notes VALUES (1)")

        assert [row["id"] for row in heard.next(WAIT_S).rows] == [1]
        assert client._calls.identity._token != first
