"""A service of one's own around a kalamdb database: its routes use sessions in the process, its clients SQL over HTTP.

The database is mounted at /db, with all that it has there: log-ins, statements, the OpenAPI document. Beside it the
service has a route of its own that adds a note for whoever the access token speaks for. Run it with

    KALAM_EXAMPLE_DATA=data/ uvicorn examples.service:application
"""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

import kalamdb
from kalamdb.server import lifespan

TABLE = """CREATE USER TABLE IF NOT EXISTS app.notes (
    id   BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
    body TEXT NOT NULL,
    at   TIMESTAMP DEFAULT NOW()
)"""


class Note(BaseModel):
    """What a client sends."""

    body: str


def service(database: kalamdb.Database) -> FastAPI:
    """The service around an open database. Whoever opened it closes it."""
    database.execute("CREATE NAMESPACE IF NOT EXISTS app")
    database.execute(TABLE)
    application = FastAPI(title="notes", lifespan=lifespan(database))

    # Not async: a session may wait for the disk, and FastAPI runs this in a thread.
    @application.post("/notes", status_code=201)
    def add(note: Note, request: Request, authorization: Annotated[str, Header()]) -> dict[str, str]:
        address = request.client.host if request.client else "local"
        try:
            session = database.session_by_token(authorization.removeprefix("Bearer "), address, "app")
        except kalamdb.Error as error:
            raise HTTPException(401, error.message) from None
        ((added,),) = session.execute(
            "INSERT INTO notes (body) VALUES (?) RETURNING id", [note.body]
        ).fetchall()
        # As text: JSON in a browser has no integers of 64 bits.
        return {"id": str(added), "user": session.user}

    application.mount("/db", database.asgi())
    return application


if "KALAM_EXAMPLE_DATA" in os.environ:
    application = service(kalamdb.open(os.environ["KALAM_EXAMPLE_DATA"]))
