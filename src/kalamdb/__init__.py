"""kalamdb: an embeddable SQL database with one small, private, live database per user.

What is named here is imported when it is first asked for: the client of a server needs neither the core nor Arrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kalamdb.version import __version__ as __version__

if TYPE_CHECKING:
    from kalamdb.database import Database, open  # noqa: A004
    from kalamdb.dbapi import (
        BINARY,
        DATETIME,
        NUMBER,
        ROWID,
        STRING,
        Binary,
        Connection,
        Cursor,
        DatabaseError,
        DataError,
        Date,
        DateFromTicks,
        Error,
        IntegrityError,
        InterfaceError,
        InternalError,
        NotSupportedError,
        OperationalError,
        ProgrammingError,
        Time,
        TimeFromTicks,
        Timestamp,
        TimestampFromTicks,
        Warning,  # noqa: A004 - the name PEP 249 asks for
        apilevel,
        connect,
        paramstyle,
        threadsafety,
    )
    from kalamdb.event import Event
    from kalamdb.mending import check, repair
    from kalamdb.restoring import restore
    from kalamdb.result import Result
    from kalamdb.session import Session, Statement

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "Database",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "Event",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Result",
    "Session",
    "Statement",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "check",
    "connect",
    "open",
    "paramstyle",
    "repair",
    "restore",
    "threadsafety",
]

_HOMES = {
    "Database": "database",
    "Event": "event",
    "Result": "result",
    "Session": "session",
    "Statement": "session",
    "check": "mending",
    "open": "database",
    "repair": "mending",
    "restore": "restoring",
}
_MODULES = frozenset({"aio", "client", "database", "dbapi", "errors", "ids", "result", "session", "settings"})


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"kalamdb.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'kalamdb' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"kalamdb.{_HOMES.get(name, 'dbapi')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
