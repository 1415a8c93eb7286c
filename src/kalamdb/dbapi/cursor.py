"""A cursor: one statement after the other, and the rows of the last one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.errors import DatabaseClosed, InterfaceError, InvalidParameter, ProgrammingError

if TYPE_CHECKING:
    from kalamdb import client
    from kalamdb.dbapi.connection import Connection
    from kalamdb.dbapi.remote import RemoteConnection
    from kalamdb.result import Description, Result, Row


class Cursor:
    """Statements of one connection, by PEP 249. Iterates over the rows that were not fetched yet; a context manager,
    which closes it. One cursor is for one thread at a time."""

    __slots__ = ("__weakref__", "_connection", "_result", "arraysize", "rowcount")

    def __init__(self, connection: Connection | RemoteConnection) -> None:
        """What Connection.cursor makes."""
        self._connection: Connection | RemoteConnection | None = connection
        self._result: Result | client.Result | None = None
        self.arraysize = 1
        """How many rows fetchmany brings where it is not told."""
        self.rowcount = -1
        """Rows that the last statement returned or changed; -1 before the first. It outlives the cursor's closing."""

    @property
    def connection(self) -> Connection | RemoteConnection:
        """The connection it belongs to. Raises InterfaceError, DatabaseClosed after either was closed."""
        connection = self._connection
        if connection is None:
            raise InterfaceError("the cursor is closed; take another from its connection")
        if connection._session is None:
            raise DatabaseClosed("the connection is closed; connect again")
        return connection

    @property
    def description(self) -> Description | None:
        """One (name, type_code, display_size, internal_size, precision, scale, null_ok) a column of the last statement;
        None for one without rows. type_code is the SQL type as text; precision and scale are of DECIMAL, internal_size,
        in characters, is of VARCHAR(n), and the others are None."""
        return None if self._result is None else self._result.description

    @property
    def rownumber(self) -> int | None:
        """How many rows were fetched; None where there are none to fetch."""
        result = self._result
        return None if result is None or not result.columns else result._cursor

    @property
    def lastrowid(self) -> None:
        """Always None: rows have no identifier beside their key, which `INSERT … RETURNING` tells."""
        return None

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Cursor:
        """Run one statement; this cursor. `parameters`: a value for each `?` or `$n`.

        Raises kalamdb.Error and its kin; a statement that fails leaves no trace, and the transaction goes on.
        """
        connection = self.connection
        self._result = None
        self.rowcount = -1
        _check_text(sql)
        self._result = result = connection._execute(sql, parameters)
        self.rowcount = result.rowcount
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Cursor:
        """Run one statement that changes rows for every row of parameters; this cursor. `rowcount` is of all of them.

        Raises ProgrammingError for a statement that returns rows, and as execute.
        """
        connection = self.connection
        self._result = None
        self.rowcount = -1
        _check_text(sql)
        if isinstance(rows, (str, bytes)):
            raise InvalidParameter("executemany takes a list or tuple of values a row, and a list of these")
        self._result = result = connection._executemany(sql, list(rows))
        self.rowcount = result.rowcount
        return self

    def fetchone(self) -> Row | None:
        """The next row, or None after the last."""
        return self._rows().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Up to `size` rows more; None for `arraysize`."""
        wanted = self.arraysize if size is None else size
        if wanted < 0:
            raise InterfaceError(f"fetchmany takes a number of rows, not {wanted}; fetchall brings them all")
        return self._rows().fetchmany(wanted)

    def fetchall(self) -> list[Row]:
        """All rows that were not fetched yet."""
        return self._rows().fetchall()

    def _rows(self) -> Result | client.Result:
        self.connection  # noqa: B018 - raises after either was closed
        result = self._result
        if result is None or not result.columns:
            raise ProgrammingError("there are no rows to fetch; execute a statement that returns some")
        return result

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: object) -> None:
        """Does nothing: parameters are of the types of their values."""
        self.connection  # noqa: B018

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing: values are brought whole."""
        self.connection  # noqa: B018

    def close(self) -> None:
        """Let go of the rows. Closing twice does nothing; anything else after it raises InterfaceError."""
        self._connection = None
        self._result = None

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _check_text(sql: object) -> None:
    """Raises InvalidParameter."""
    if not isinstance(sql, str):
        raise InvalidParameter(f"a statement is text, not {type(sql).__name__}")
