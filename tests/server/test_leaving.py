"""A client that goes while its statement runs: what only reads is stopped, and what writes is not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from kalamdb.server.reading import only_reads
from tests.server.serving import DEADLINE_S, Served, sql, token_of

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
ARROW = "application/vnd.apache.arrow.stream"


def begun(served: Served, text: str, *, get: bool = False, accept: str = "application/json") -> socket.socket:
    """A request of sam's, of whose answer nothing was read."""
    head = f"Host: x\r\nAuthorization: Bearer {token_of(served.db, 'sam')}\r\nAccept: {accept}\r\n"
    body = b""
    if get:
        head = f"GET /v1/api/sql?sql={quote(text)} HTTP/1.1\r\n{head}"
    else:
        body = json.dumps({"sql": text}).encode()
        head = f"POST /v1/api/sql HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    client = socket.create_connection(("127.0.0.1", served.port))
    client.sendall(head.encode() + b"\r\n" + body)
    return client


def running(served: Served) -> int:
    """How many statements are at work in threads."""
    return int(served.db.asgi().threads.turns.running)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.005)


@pytest.mark.parametrize(
    "how", [{}, {"get": True}, {"accept": ARROW}, {"get": True, "accept": ARROW}], ids=str
)
def test_what_reads_is_stopped_when_its_client_goes(served_with, how):
    served = served_with(statement_timeout_s=3_000.0)
    client = begun(served, ENDLESS, **how)
    wait_until(lambda: running(served) == 1)

    client.close()

    wait_until(lambda: running(served) == 0)
    assert sql(served, "sam", "SELECT 1").status_code == 200


def test_so_is_a_batch_that_only_reads(served_with):
    served = served_with(statement_timeout_s=3_000.0)
    client = begun(served, f"SELECT 1; {ENDLESS}; SELECT 2")
    wait_until(lambda: running(served) == 1)

    client.close()

    wait_until(lambda: running(served) == 0)


def test_what_writes_goes_on_to_its_end(served: Served):
    begins, goes_on = threading.Event(), threading.Event()

    def held(text: str) -> str:
        begins.set()
        goes_on.wait(DEADLINE_S)
        return text

    served.db.register_function("held", held, ["TEXT"], "TEXT")
    client = begun(served, "INSERT INTO app.notes SELECT 77, held('kept')")
    assert begins.wait(DEADLINE_S)

    client.close()
    assert sql(served, "sam", "SELECT 1").status_code == 200
    goes_on.set()

    wait_until(lambda: running(served) == 0)
    assert served.db.execute("SELECT body FROM app.notes WHERE id = 77").fetchall() == [("kept",)]


@pytest.mark.parametrize("how", [{}, {"get": True}], ids=str)
def test_who_stays_has_all_of_a_long_answer(served: Served, how):
    text = "SELECT value FROM range(0, 300000)"
    if how:
        answer = served.client("sam").get("/v1/api/sql", params={"sql": text})
    else:
        answer = sql(served, "sam", text)

    assert len(answer.json()["results"][0]["rows"]) == 300_000


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("SELECT 1", True),
        ("VALUES (1); (SELECT 2); SHOW TABLES", True),
        ("SELECT 1; INSERT INTO t VALUES (1)", False),
        ("BEGIN; SELECT 1; COMMIT", False),
        ("SELECT 'unfinished", False),
        ("", False),
    ],
)
def test_which_statements_only_read(text, reads):
    assert only_reads(text) == reads
