"""The road of the canaries over HTTP: what a client reads from its socket is all that a user gets to see."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

import httpx

from kalamdb.database import Database
from tests.security.canaries import Ask
from tests.server.serving import DEADLINE_S, PLAIN, Served, token_of

ARROW = "application/vnd.apache.arrow.stream"


@contextlib.contextmanager
def over_http(db: Database) -> Iterator[Ask]:
    """A server of the database, and a connection for each thread that asks; users are told apart by their tokens."""
    of_thread = threading.local()
    clients: list[httpx.Client] = []
    tokens: dict[str, str] = {}
    with Served(db) as served:

        def ask(user: str, sql: str, dice: random.Random) -> str:
            if not hasattr(of_thread, "client"):
                of_thread.client = httpx.Client(base_url=served.url, timeout=DEADLINE_S, verify=PLAIN)
                clients.append(of_thread.client)
            if user not in tokens:
                tokens[user] = token_of(db, user)
            told = of_thread.client.post(
                "/v1/api/sql",
                json={"sql": sql, "namespace_id": "app"},
                headers={
                    "Authorization": f"Bearer {tokens[user]}",
                    "Accept": ARROW if dice.random() < 0.2 else "application/json",
                },
            )
            assert told.status_code < 500, (sql, told.text)
            # Texts of an Arrow stream that is not compressed stand in it as they are.
            return f"{told.headers}\n" + told.content.decode("latin-1")

        try:
            yield ask
        finally:
            for client in clients:
                client.close()
