"""A chat with a page that is live: everybody who has it open sees what anybody writes, at once.

The page logs in at the mounted database, listens to the lines of a room over its WebSocket, and sends new lines to the
service, which writes them: so nobody writes in another's name. Run it with

    python examples/chat/service.py

and open http://127.0.0.1:8000 in two windows, as ann and as ben; the password of both is "let me chat".
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

import kalamdb
from kalamdb.server import lifespan
from kalamdb.server.websocket import server_options

PAGE = Path(__file__).with_name("page.html")
PASSWORD = "let me chat"
USERS = ("ann", "ben")
LINE_CHARACTERS_MAX = 2000

# Public: who is logged in may read it, and nobody but the service may write to it.
TABLE = """CREATE SHARED TABLE IF NOT EXISTS chat.lines (
    id     BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
    room   TEXT NOT NULL,
    author TEXT NOT NULL,
    body   TEXT NOT NULL,
    at     TIMESTAMP DEFAULT NOW()
) ACCESS public"""


def service(database: kalamdb.Database) -> Starlette:
    """The service around an open database. Whoever opened it closes it."""
    database.execute("CREATE NAMESPACE IF NOT EXISTS chat")
    database.execute(TABLE)

    async def page(request: Request) -> Response:
        return FileResponse(PAGE)

    def add(token: str, address: str, room: str, body: str) -> str:
        author = database.session_by_token(token, address).user
        database.execute("INSERT INTO chat.lines (room, author, body) VALUES (?, ?, ?)", [room, author, body])
        return author

    async def say(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        address = request.client.host if request.client else "local"
        try:
            line = await request.json()
            room, body = line["room"], line["body"]
            if not (isinstance(room, str) and isinstance(body, str) and 0 < len(body) <= LINE_CHARACTERS_MAX):
                raise ValueError("room and body are texts")
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": "a line has a room and a body, both texts"}, 400)
        try:
            # A commit waits for the disk, and the event loop must not.
            author = await run_in_threadpool(add, token, address, room, body)
        except kalamdb.Error as error:
            return JSONResponse({"error": error.message}, 401)
        return JSONResponse({"author": author}, 201)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/lines", say, methods=["POST"]),
            Mount("/db", database.asgi()),
        ],
        lifespan=lifespan(database),
    )


def main(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serves a database of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory, kalamdb.open(directory) as database:
        for user in USERS:
            database.execute(f"CREATE USER {user} WITH PASSWORD '{PASSWORD}'")
        print(f"http://{host}:{port}  users: {', '.join(USERS)}  password: {PASSWORD}", flush=True)
        uvicorn.run(
            service(database), host=host, port=port, log_level="warning", **server_options(database.settings)
        )


if __name__ == "__main__":
    main()
