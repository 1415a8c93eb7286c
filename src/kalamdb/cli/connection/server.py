"""A database behind a server, by kalamdb.client.

Each request is a session of its own there, so a transaction is one request: from BEGIN on statements wait here, and
COMMIT sends all of them together. What they answer comes then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kalamdb.cli.connection.connection import Answer, Event, Progress
from kalamdb.cli.connection.target import Target
from kalamdb.cli.connection.waiting import Waiting
from kalamdb.cli.token_file import kept_token
from kalamdb.errors import Error, InterfaceError, InvalidTransactionState

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.client import Client

DEFAULT_NAMESPACE = "default"
PASSWORD_ENVIRONMENT_NAME = "KALAM_PASSWORD"


class ServerConnection:
    """A client, and the statements of an open transaction, which wait for its end."""

    def __init__(self, client: Client, target: Target, *, owner: bool) -> None:
        self.place = target.place
        self._client = client
        self._target = target
        self._owner = owner
        self._user: str | None = None
        self._waiting: list[str] | None = None

    @property
    def name(self) -> str:
        return urlsplit(self.place).netloc

    @property
    def user(self) -> str:
        if self._user is None:
            self._user = str(self._client.execute("SELECT CURRENT_USER() AS who").fetchall()[0][0])
        return self._user

    @property
    def namespace(self) -> str:
        return self._client.namespace

    @property
    def in_transaction(self) -> bool:
        return self._waiting is not None

    def execute(self, sql: str) -> list[Answer]:
        """Run one statement, or have it wait for its transaction's end; then the answers of all of it. Raises
        kalamdb.Error; a transaction is over then."""
        word, _, rest = sql.lstrip().partition(" ")
        word = word.rstrip(";").lower()
        if word == "begin" or (word == "start" and rest.lower().lstrip().startswith("transaction")):
            if self._waiting is not None:
                raise InvalidTransactionState("a transaction is open already; COMMIT or ROLLBACK it first")
            self._waiting = []
            return [Waiting("Transaction begun; its statements are sent together at COMMIT")]
        if self._waiting is None:
            return [*self._client.execute_each(sql)]
        if word == "rollback":
            self._waiting = None
            return [Waiting("Rolled back: nothing was sent")]
        if word not in ("commit", "end"):
            self._waiting.append(sql)
            return [Waiting("Waits for COMMIT")]
        statements, self._waiting = self._waiting, None
        # A comment at the end of one must not swallow what separates it from the next.
        _, *answers = self._client.execute_each("\n;".join(["BEGIN", *statements, "COMMIT"]))
        return [*answers]

    def stream(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query, batch by batch. Raises kalamdb.Error, then and while it is read."""
        return self._client.stream(sql)

    @contextmanager
    def subscribe(self, sql: str) -> Iterator[Iterator[Event]]:
        """Listen to a live query. Raises kalamdb.Error, then and while it is iterated over."""
        subscription = self._client.subscribe(sql)
        try:
            yield iter(subscription)
        finally:
            subscription.close()

    def insert(self, table: str, data: pa.RecordBatchReader, progress: Progress | None = None) -> int:
        """Write rows, and say how many; in requests, each of which is whole. What it raises has `rows_inserted`."""
        return self._client.insert(table, data, progress=progress).rowcount

    def beside(self) -> ServerConnection:
        """The same client, which is safe for threads."""
        return ServerConnection(self._client, self._target, owner=False)

    def close(self) -> None:
        """End it; a log-in for this connection alone ends, too."""
        if self._owner:
            self._client.close()


def connect(target: Target) -> ServerConnection:
    """A client with the token that was given, or kept by `kalam login`, or with a password. Raises kalamdb.Error."""
    try:
        from kalamdb.client import Client
    except ModuleNotFoundError as error:
        raise InterfaceError(
            f"a server needs {error.name}; install it with: pip install kalamdb[client]"
        ) from None
    namespace = target.namespace or DEFAULT_NAMESPACE
    token = target.token or (None if PASSWORD_ENVIRONMENT_NAME in os.environ else kept_token(target))
    if token is not None:
        client = Client(target.place, token=token, namespace=namespace)
    else:
        if target.user is None:
            raise InterfaceError(
                f"who are you at {target.place}? Give --user, or KALAM_TOKEN, or log in: kalam login {target.place}"
            )
        client = Client(target.place, user=target.user, password=password(target), namespace=namespace)
    connection = ServerConnection(client, target, owner=True)
    if sys.stdin.isatty() and sys.stdout.isatty():
        # A person is told at once that the server is not there, or does not know them.
        try:
            _ = connection.user
        except Error:
            client.close()
            raise
    return connection


def password(target: Target) -> str:
    """From the environment, or from the person at the terminal. Raises InterfaceError where there is neither."""
    given = os.environ.get(PASSWORD_ENVIRONMENT_NAME)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise InterfaceError(
            f"the password of {target.user} is asked for at a terminal alone; give {PASSWORD_ENVIRONMENT_NAME} or "
            "KALAM_TOKEN"
        )
    import click

    return str(click.prompt(f"Password of {target.user}", hide_input=True, err=True))
