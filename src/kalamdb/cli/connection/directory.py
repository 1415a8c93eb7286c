"""A database that is opened here: a directory, or one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kalamdb.cli.connection.connection import Answer, Event, Progress
from kalamdb.cli.connection.target import MEMORY, Target
from kalamdb.errors import DatabaseLocked, InvalidParameter, StorageUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.database import Database
    from kalamdb.session import Session

ROOT = "root"
DEFAULT_NAMESPACE = "default"


class DirectoryConnection:
    """A session of a database of this process. `owner`: whether closing it closes the database."""

    def __init__(self, database: Database, target: Target, *, owner: bool) -> None:
        self.place = target.place
        self.database = database
        self._target = target
        self._owner = owner
        role = "system" if target.user in (None, ROOT) else None
        self._session: Session = database.session(
            target.user or ROOT, role, target.namespace or DEFAULT_NAMESPACE
        )

    @property
    def name(self) -> str:
        return "memory" if self.place == MEMORY else Path(self.database.path).name

    @property
    def user(self) -> str:
        return self._session.user

    @property
    def namespace(self) -> str:
        return self._session.namespace

    @property
    def in_transaction(self) -> bool:
        return self._session.in_transaction

    def execute(self, sql: str) -> list[Answer]:
        """Run one statement. Raises kalamdb.Error."""
        return [self._session.execute(sql)]

    def stream(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query, batch by batch. Raises kalamdb.Error, then and while it is read."""
        return self._session.stream(sql)

    @contextmanager
    def subscribe(self, sql: str) -> Iterator[Iterator[Event]]:
        """Listen to a live query. Raises kalamdb.Error, then and while it is iterated over."""
        with self._session.subscribe(sql) as subscription:
            yield subscription

    def insert(self, table: str, data: pa.RecordBatchReader, progress: Progress | None = None) -> int:
        """Write rows, all or none, and say how many."""
        return self._session.insert(table, data, progress=progress).rowcount

    def beside(self) -> DirectoryConnection:
        """Another session of the same user, in the same namespace."""
        here = replace(self._target, namespace=self.namespace)
        return DirectoryConnection(self.database, here, owner=False)

    def close(self) -> None:
        """Close the database, if it was opened for this connection."""
        if self._owner:
            self.database.close()


def open_directory(target: Target) -> DirectoryConnection:
    """Open the directory, and a session in it. Raises kalamdb.Error."""
    if target.token is not None:
        raise InvalidParameter(
            "a token is for a server; a directory is opened with --user, and asks for no token"
        )
    if target.must_exist and not Path(target.place).is_dir():
        raise StorageUnavailable(f"there is no database in {target.place}; give its directory with --db")
    from kalamdb.database import open as open_database

    try:
        database = open_database(target.place, read_only=target.read_only)
    except DatabaseLocked as error:
        error.message += (
            "; or give the URL of the server that has it, or --read-only to see its last checkpoint"
        )
        error.args = (error.message,)
        raise
    try:
        return DirectoryConnection(database, target, owner=True)
    except BaseException:
        database.close()
        raise
