"""A page in a browser: it opens a WebSocket from where it was served, subscribes, and sees an insert."""

from __future__ import annotations

import queue
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

import kalamdb
from kalamdb.server import lifespan
from tests.server.serving import Served, token_of

PAGE = Path(__file__).with_name("page.html").read_text()
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DEADLINE_S = 60.0

Told = queue.Queue[dict[str, Any]]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium; `make proof` installs it on Debian")


@pytest.fixture
def told() -> Told:
    """What the page has told, in its order."""
    return queue.Queue()


@pytest.fixture
def served(notes: kalamdb.Database, told: Told) -> Iterator[Served]:
    """An application of one's own that has a page, with the database mounted at /db."""

    async def take(request: Request) -> Response:
        told.put(orjson.loads(await request.body()))
        return Response(status_code=204)

    notes.execute("CREATE USER ann WITH ROLE user")
    notes.execute("ALTER TABLE app.notes SET ACCESS public")
    application = Starlette(
        routes=[
            Route("/page", lambda request: HTMLResponse(PAGE)),
            Route("/told", take, methods=["POST"]),
            Mount("/db", notes.asgi()),
        ],
        lifespan=lifespan(notes),
    )
    with Served(notes, application) as serving:
        yield serving


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Any]:
    """Shows a page until the end of the test."""
    running: list[subprocess.Popen[bytes]] = []

    def show(url: str) -> None:
        command = [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            # It asks nobody but the server of the test.
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-quic", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--remote-debugging-port=0", url),
        ]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    yield show
    for process in running:
        process.terminate()
        process.wait(DEADLINE_S)


def test_a_page_subscribes_and_sees_an_insert(served: Served, told: Told, browse: Any) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (1, 'was there')")

    browse(f"{served.url}/page#{token_of(served.db, 'ann')}")
    begun = [told.get(timeout=DEADLINE_S) for _ in range(3)]
    served.db.execute("INSERT INTO app.notes VALUES (2, 'came later')")
    change = told.get(timeout=DEADLINE_S)

    assert [message["type"] for message in begun] == [
        "auth_success",
        "subscription_ack",
        "initial_data_batch",
    ]
    assert [row["body"] for row in begun[2]["rows"]] == ["was there"]
    assert (change["type"], change["change_type"]) == ("change", "insert")
    assert [row["body"] for row in change["rows"]] == ["came later"]


def test_a_page_without_a_token_is_told_so(served: Served, told: Told, browse: Any) -> None:
    browse(f"{served.url}/page#none")

    assert told.get(timeout=DEADLINE_S)["type"] == "auth_error"
    assert told.get(timeout=DEADLINE_S) == {"type": "closed", "code": 1008}
