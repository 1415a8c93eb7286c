"""A connection: one user's session, and transactions that begin by themselves."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from kalamdb import errors
from kalamdb.database import Database
from kalamdb.dbapi.cursor import Cursor
from kalamdb.dbapi.shared_databases import Hold, hold
from kalamdb.errors import DatabaseClosed, InvalidParameter, ProgrammingError
from kalamdb.execution.execute import changes_what_exists
from kalamdb.result import Result
from kalamdb.session import Session
from kalamdb.settings import Settings
from kalamdb.sql.parser import scan_statement, split_statements

_ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "(", "EXECUTE"})
"""What stands in a transaction, by the first word of a statement; before these one begins by itself."""
_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "EXECUTE"})
_QUICK = frozenset({"select", "insert", "update", "delete"})


def connect(
    path: str | os.PathLike[str] | Database,
    user: str = "root",
    *,
    role: str | None = None,
    namespace: str = "default",
    autocommit: bool = False,
    settings: Settings | str | os.PathLike[str] | None = None,
    read_only: bool = False,
    **overrides: Any,
) -> Connection:
    """Connect to the database in the directory `path`, making it when it is not there; PEP 249.

    `path`: `":memory:"` is a new database in memory; an open Database is used as it is, and stays open afterwards.
    Connections of one process to one directory share one open database. `user`, `role`, `namespace`: as
    Database.session. `autocommit`: whether each statement commits by itself; see Connection.autocommit. `settings`,
    `read_only`, `overrides`: as kalamdb.open. Raises as these, and InvalidSetting where the process has the directory
    open with other settings.
    """
    mine = hold(path, settings, overrides, read_only=read_only)
    try:
        return Connection(mine, mine.database.session(user, role, namespace), autocommit=autocommit)
    except BaseException:
        mine.let_go()
        raise


class Connection:
    """A session by PEP 249. Safe for threads, which share its transaction; a context manager, which commits, or rolls
    back where an exception leaves it, and does not close. One that is dropped is closed."""

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

    def __init__(self, held: Hold, session: Session, *, autocommit: bool = False) -> None:
        """What `connect` makes."""
        self._hold = held
        # Of the session rather than of the connection: who has the one may drop the other.
        self._dropped = weakref.finalize(session, held.abandon)
        # The end of the process closes databases by itself.
        self._dropped.atexit = False
        self._session: Session | None = session
        self._autocommit = autocommit
        self._writable = not held.database.read_only
        # Orders what threads do in a transaction that they share: it begins once, and no statement misses it.
        self._lock = threading.RLock()

    @property
    def session(self) -> Session:
        """The session, for what PEP 249 has no name for: bulk inserts, prepared statements. Raises DatabaseClosed."""
        session = self._session
        if session is None:
            raise DatabaseClosed("the connection is closed; connect again")
        return session

    @property
    def autocommit(self) -> bool:
        """Whether each statement commits by itself. If not, a transaction begins before a statement that reads or
        writes rows where none is open, and ends with commit() or rollback(). To set it to True commits what is open."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        with self._lock:
            if autocommit:
                self.commit()
            self._autocommit = autocommit

    @property
    def namespace(self) -> str:
        """The namespace of names that tell none."""
        return self.session.namespace

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.session.in_transaction

    def cursor(self) -> Cursor:
        """A cursor. Those of one connection share its transaction. Raises DatabaseClosed."""
        self.session  # noqa: B018 - raises where there is none any more
        return Cursor(self)

    def commit(self) -> None:
        """Commit the open transaction, if there is one. Raises as Session.commit: SerializationFailure where others
        changed what it wrote, and then nothing of it was written."""
        with self._lock:
            session = self.session
            if session.in_transaction:
                session.commit()

    def rollback(self) -> None:
        """Forget what the open transaction changed, if there is one."""
        with self._lock:
            session = self.session
            if session.in_transaction:
                session.rollback()

    def close(self) -> None:
        """Roll back what is open, and close; the last connection to a directory closes the database. Closing twice does
        nothing; anything else after it raises DatabaseClosed."""
        with self._lock:
            session, self._session = self._session, None
        if session is None:
            return
        self._dropped.detach()
        # A transaction that is dropped with its session is rolled back.
        self._hold.let_go()

    def _execute(self, sql: str, parameters: Sequence[Any] | None) -> Result:
        session = self.session
        if self._autocommit:
            return session.execute(_single(sql) if ";" in sql else sql, parameters)
        with self._lock:
            if ";" in sql:
                sql = _single(sql)
            if not session.in_transaction or sql[:6].lower() not in _QUICK:
                self._begin_or_end(session, sql)
            return session.execute(sql, parameters)

    def _executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        session = self.session
        sql = _single(sql)
        if scan_statement(sql).kind not in _CHANGES:
            raise ProgrammingError(
                "executemany runs INSERT, UPDATE and DELETE; execute the statement instead"
            )
        if self._autocommit:
            return session.executemany(sql, rows)
        with self._lock:
            self._begin_or_end(session, sql)
            return session.executemany(sql, rows)

    def _begin_or_end(self, session: Session, sql: str) -> None:
        """Begin a transaction before a statement about rows; end it before one that changes what exists.
        REQUIRES: the lock."""
        if scan_statement(sql).kind in _ROWS:
            if self._writable and not session.in_transaction:
                session.begin()
        elif session.in_transaction and changes_what_exists(session.prepare(sql).parsed.statement):
            session.commit()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def __repr__(self) -> str:
        session = self._session
        return f"<Connection of {session.user}>" if session is not None else "<Connection, closed>"


def _single(sql: str) -> str:
    """The one statement of a text. Raises InvalidParameter where there are several."""
    found = split_statements(sql)
    if len(found) > 1:
        raise InvalidParameter("execute takes one statement; execute them one by one")
    return found[0] if found else ""
