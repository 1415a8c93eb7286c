"""The chat: what one user writes another sees at once, under the writer's name, and strangers see nothing."""

from __future__ import annotations

import contextlib
import re
import runpy
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
import uvicorn
from websockets.sync.client import ClientConnection, connect

import kalamdb
from kalamdb.server.websocket import server_options

CHAT = Path(__file__).parents[2] / "examples" / "chat"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def database() -> Iterator[kalamdb.Database]:
    with kalamdb.open(":memory:") as db:
        for user in ("ann", "ben"):
            db.execute(f"CREATE USER {user} WITH PASSWORD '{PASSWORD}'")
        yield db


@pytest.fixture(scope="module")
def client(database: kalamdb.Database) -> Iterator[httpx.Client]:
    service = runpy.run_path(str(CHAT / "service.py"))["service"](database)
    options = server_options(database.settings)
    server = uvicorn.Server(uvicorn.Config(service, port=0, log_level="error", **options))
    running = threading.Thread(target=server.run)
    running.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as made:
        yield made
    server.should_exit = True
    running.join(30)


@pytest.fixture(scope="module")
def tokens(client: httpx.Client) -> dict[str, str]:
    logins = {"ann": PASSWORD, "ben": PASSWORD}
    return {
        user: client.post("/db/v1/api/auth/login", json={"user": user, "password": password}).json()[
            "access_token"
        ]
        for user, password in logins.items()
    }


def say(client: httpx.Client, token: str, **line: object) -> httpx.Response:
    return client.post("/lines", json=line, headers={"Authorization": f"Bearer {token}"})


@contextlib.contextmanager
def listening(client: httpx.Client, token: str) -> Iterator[ClientConnection]:
    """As the page does it, with the very statement of the page."""
    with connect(f"ws://127.0.0.1:{client.base_url.port}/db/v1/ws", proxy=None) as socket:
        socket.send(orjson.dumps({"type": "authenticate", "method": "jwt", "token": token}).decode())
        assert orjson.loads(socket.recv(30))["type"] == "auth_success"
        (sql,) = re.findall(r"`(SELECT [^`]*)`", (CHAT / "page.html").read_text(encoding="utf-8"))
        wanted = {"id": "room", "sql": sql.replace("${ROOM}", "lobby"), "options": {"last_rows": 100}}
        socket.send(orjson.dumps({"type": "subscribe", "subscription": wanted}).decode())
        assert orjson.loads(socket.recv(30))["type"] == "subscription_ack"
        yield socket


def test_what_one_writes_another_sees_at_once(client: httpx.Client, tokens: dict[str, str]) -> None:
    assert say(client, tokens["ann"], room="lobby", body="first").json() == {"author": "ann"}
    with listening(client, tokens["ben"]) as socket:
        there = orjson.loads(socket.recv(30))["rows"]
        say(client, tokens["ann"], room="elsewhere", body="not here")
        say(client, tokens["ann"], room="lobby", body="<b>hello</b>")
        change = orjson.loads(socket.recv(30))

    assert [(row["author"], row["body"]) for row in there] == [("ann", "first")]
    assert change["change_type"] == "insert"
    assert [(row["author"], row["body"]) for row in change["rows"]] == [("ann", "<b>hello</b>")]


def test_nobody_writes_in_anothers_name(client: httpx.Client, tokens: dict[str, str]) -> None:
    sql = "INSERT INTO chat.lines (room, author, body) VALUES ('lobby', 'ben', 'I owe ann 100')"
    answer = client.post(
        "/db/v1/api/sql", json={"sql": sql}, headers={"Authorization": f"Bearer {tokens['ann']}"}
    )

    assert answer.status_code in (400, 403)
    assert say(client, tokens["ann"], room="lobby", author="ben", body="x").json() == {"author": "ann"}
    assert say(client, "nothing", room="lobby", body="x").status_code == 401


@pytest.mark.parametrize(
    "line", [{}, {"room": "lobby"}, {"room": 1, "body": "x"}, {"room": "lobby", "body": ""}]
)
def test_what_is_no_line_is_refused(
    client: httpx.Client, tokens: dict[str, str], line: dict[str, object]
) -> None:
    assert say(client, tokens["ann"], **line).status_code == 400


def test_the_page_loads_nothing_from_elsewhere_and_shows_lines_as_text(client: httpx.Client) -> None:
    page = client.get("/").text

    assert "<title>Chat</title>" in page
    assert not re.findall(r"""(?:src|href)=|https?://|innerHTML""", page)
