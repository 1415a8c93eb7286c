"""DB-API 2.0 over a client: a server's database for libraries that speak PEP 249, SQLAlchemy above all.

Every statement commits by itself, there and then. So commit() has nothing to do, and rollback() cannot undo: it warns
where something was changed since the last commit().
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamdb import errors
from kalamdb.client import Client
from kalamdb.client.statement_text import only_reads
from kalamdb.dbapi.cursor import Cursor
from kalamdb.errors import DatabaseClosed, NotSupportedError, ProgrammingError

if TYPE_CHECKING:
    from kalamdb.client import Result


def connect(url: str, **options: Any) -> RemoteConnection:
    """Connect to the server at `url`; `options` and errors as Client. Nothing is asked of the server yet."""
    return RemoteConnection(Client(url, **options), is_its_own=True)


class RemoteConnection:
    """A client by PEP 249, always in autocommit. Safe for threads; a context manager, which does not close."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(self, client: Client, *, is_its_own: bool = False) -> None:
        """`is_its_own`: whether close() closes the client."""
        self._session: Client | None = client
        self._is_its_own = is_its_own
        self._changes = 0

    @property
    def client(self) -> Client:
        """The client, for what PEP 249 has no name for. Raises DatabaseClosed."""
        if self._session is None:
            raise DatabaseClosed("the connection is closed; connect again")
        return self._session

    @property
    def autocommit(self) -> bool:
        """True. Setting it to False raises NotSupportedError."""
        return True

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            raise NotSupportedError(
                "over HTTP every statement commits by itself; send BEGIN; …; COMMIT as one text, or open the database "
                "in this process"
            )

    @property
    def namespace(self) -> str:
        """The namespace of names that tell none."""
        return self.client.namespace

    @property
    def in_transaction(self) -> bool:
        """False."""
        return False

    def cursor(self) -> Cursor:
        """A cursor. Raises DatabaseClosed."""
        self.client  # noqa: B018 - raises where there is none any more
        return Cursor(self)

    def commit(self) -> None:
        """Does nothing: what was done is committed."""
        self.client  # noqa: B018
        self._changes = 0

    def rollback(self) -> None:
        """Undoes nothing, and warns (RuntimeWarning) where something was changed since the last commit()."""
        self.client  # noqa: B018
        changes, self._changes = self._changes, 0
        if changes:
            warnings.warn(
                f"kalamdb over HTTP cannot roll back: {changes} statement(s) were committed when they ran; call "
                "commit() behind them if that is what you want",
                RuntimeWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """Close it. Closing twice does nothing; anything else after it raises DatabaseClosed."""
        client, self._session = self._session, None
        if client is not None and self._is_its_own:
            client.close()

    def _execute(self, sql: str, parameters: Sequence[Any] | None) -> Result:
        result = self.client.execute(sql, parameters)
        self._changes += not only_reads(sql)
        return result

    def _executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        if only_reads(sql):
            raise ProgrammingError(
                "executemany runs INSERT, UPDATE and DELETE; execute the statement instead"
            )
        result = self.client.executemany(sql, rows)
        self._changes += 1
        return result

    def __enter__(self) -> RemoteConnection:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def __repr__(self) -> str:
        return f"<RemoteConnection to {self._session.url}>" if self._session else "<RemoteConnection, closed>"
