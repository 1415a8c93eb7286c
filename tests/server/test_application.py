"""The ASGI application: paths, methods, request ids, errors, and life inside another application."""

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

import kalamdb
from kalamdb.server import lifespan
from tests.server.serving import Served, sql, token_of


def test_every_answer_has_a_request_id_of_its_own(served: Served) -> None:
    client = served.client()

    ids = [
        client.get(path).headers["x-request-id"]
        for path in ("/v1/api/healthcheck", "/nowhere", "/v1/api/sql")
    ]

    assert len(set(ids)) == 3


def test_a_path_that_is_not_there_says_so_as_any_error(served: Served) -> None:
    answer = served.client().get("/api/sql")

    assert answer.status_code == 404
    assert answer.json()["status"] == "error"
    assert answer.json()["results"] == []
    assert answer.json()["error"] == {
        "code": "NOT_FOUND",
        "message": "there is nothing at this path; calls begin with /v1/api/",
        "details": {"error": "UnknownPath", "sqlstate": "08P01", "position": None},
    }


def test_a_method_that_a_path_does_not_take_names_those_that_it_does(served: Served) -> None:
    answer = served.client().delete("/v1/api/healthcheck")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_fault_of_ours_tells_nothing_but_the_request_id(served: Served, monkeypatch, caplog) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("/srv/secret/path")

    monkeypatch.setattr(served.db, "session_of", fails)

    answer = served.client("ann").post("/v1/api/sql", json={"sql": "SELECT 1"})

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert "/srv/secret/path" in caplog.text


async def _ask(app: object, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mounted") as client:
        return await client.get(path)


def test_a_parent_application_mounts_it_and_lives_its_life(notes: kalamdb.Database) -> None:
    parent = Starlette(routes=[Mount("/db", notes.asgi())], lifespan=lifespan(notes))

    async def live() -> httpx.Response:
        async with parent.router.lifespan_context(parent):
            return await _ask(parent, "/db/v1/api/healthcheck")

    answer = asyncio.run(live())

    assert answer.status_code == 200
    assert notes.asgi().closing
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_a_server_that_cannot_know_who_asks_does_not_start(notes: kalamdb.Database) -> None:
    """Tokens need a secret, which a read-only database cannot make."""
    notes.checkpoint()
    told = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        told.append(message)

    with kalamdb.open(notes.path, read_only=True) as db:
        asyncio.run(db.asgi()({"type": "lifespan"}, receive, send))

    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "read-only" in told[0]["message"]


def test_without_its_lifespan_it_serves_all_the_same(notes: kalamdb.Database) -> None:
    notes.execute("CREATE USER sam WITH ROLE service")
    headers = {"Authorization": f"Bearer {token_of(notes, 'sam')}"}

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(notes.asgi())
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            return await client.post("/v1/api/sql", json={"sql": "SELECT CURRENT_USER()"})

    assert asyncio.run(ask()).json()["results"][0]["rows"] == [["sam"]]


def test_it_can_be_served_again_after_its_end(notes: kalamdb.Database) -> None:
    notes.execute("CREATE USER sam WITH ROLE service")
    for _ in range(2):
        with Served(notes) as served:
            assert sql(served, "sam", "SELECT count(*) FROM app.notes").status_code == 200
