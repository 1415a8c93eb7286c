"""A database behind a real server on loopback, and its clients."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

import httpx
import uvicorn

import kalamdb
from kalamdb.auth.account_login import user_state

DEADLINE_S = 30.0
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used, for all of it is plain HTTP: but a client of its own would load all certificates of the system."""


def token_of(db: kalamdb.Database, user: str) -> str:
    """An access token of a user, as a log-in would give it."""
    account = db.accounts.find(user)
    assert account is not None
    return db.front_door.tokens.issue(user_state(account)).text


class Served:
    """A server in a thread, for as long as the block runs. `url`: where it is."""

    def __init__(self, db: kalamdb.Database, application: Any = None, **options: Any) -> None:
        """`application`: in which the database is mounted; the database's own without one. `options`: of uvicorn."""
        self.db = db
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            application or db.asgi(),
            proxy_headers=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            **options,
        )
        self._server = uvicorn.Server(config)
        self._clients: dict[str | None, httpx.Client] = {}
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Served:
        self._thread.start()
        until = time.monotonic() + DEADLINE_S
        while not self._server.started:
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.005)
        return self

    def __exit__(self, *error: object) -> None:
        for client in self._clients.values():
            client.close()
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the server does not end"

    def client(self, user: str | None = None) -> httpx.Client:
        """The client with the token of `user`, closed with the server; without one it says not who it is."""
        if user not in self._clients:
            headers = {} if user is None else {"Authorization": f"Bearer {token_of(self.db, user)}"}
            self._clients[user] = httpx.Client(
                base_url=self.url, headers=headers, timeout=DEADLINE_S, verify=PLAIN
            )
        return self._clients[user]


def sql(
    served: Served,
    user: str,
    text: str,
    params: list[Any] | None = None,
    *,
    namespace_id: str | None = None,
    accept: str = "*/*",
) -> httpx.Response:
    """The answer of POST /v1/api/sql to a user."""
    body: dict[str, Any] = {"sql": text}
    if params is not None:
        body["params"] = params
    if namespace_id is not None:
        body["namespace_id"] = namespace_id
    return served.client(user).post("/v1/api/sql", json=body, headers={"Accept": accept})
