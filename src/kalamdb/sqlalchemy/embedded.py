"""The driver for a database in this process: `kalamdb:///path?user=alice`."""

from __future__ import annotations

import os
import threading
from typing import Any

from sqlalchemy.engine.interfaces import ConnectArgsType, DBAPIModule
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from kalamdb import dbapi
from kalamdb.database import MEMORY, Database
from kalamdb.database import open as open_database
from kalamdb.sqlalchemy.dialect import KalamDialect

_OF_CONNECT = frozenset({"user", "role", "namespace", "autocommit"})
"""What a URL says to `connect`; all else are settings, and so are not the engine's to share in memory."""


class EmbeddedDialect(KalamDialect):
    """kalamdb in this process. Connections of one engine to `kalamdb://`, in memory, share one database, which is gone
    with the engine."""

    driver = "embedded"
    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        """What create_engine makes."""
        super().__init__(**options)
        self._memory: Database | None = None
        self._memory_lock = threading.Lock()

    @classmethod
    def import_dbapi(cls) -> DBAPIModule:
        """kalamdb.dbapi."""
        return dbapi  # type: ignore[return-value]

    @classmethod
    def get_pool_class(cls, url: URL) -> type[QueuePool]:
        """A pool of connections, each for one thread at a time."""
        return QueuePool

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        """Arguments of `kalamdb.connect`. Raises ArgumentError for a URL with a host or a password."""
        if url.host or url.port or url.username or url.password:
            raise ArgumentError(
                "a database in this process is kalamdb:///relative/path or kalamdb:////absolute/path, in memory "
                "kalamdb://, with ?user=name behind it; there is no host, and no password"
            )
        options: dict[str, Any] = {}
        for name, value in url.query.items():
            if not isinstance(value, str):
                raise ArgumentError(f"{name} is given more than once in the URL")
            options[name] = value
        if "read_only" in options:
            options["read_only"] = _flag("read_only", options["read_only"])
        return [url.database or MEMORY], options

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """A connection; to the engine's own database where that is in memory."""
        path, *rest = arguments
        if not isinstance(path, Database) and os.fspath(path) == MEMORY:
            path = self._database_in_memory(options)
        return dbapi.connect(path, *rest, **options)

    def _database_in_memory(self, options: dict[str, Any]) -> Database:
        """The engine's database; `options` are left with what `connect` is told beside it."""
        settings = {name: options.pop(name) for name in list(options) if name not in _OF_CONNECT}
        with self._memory_lock:
            if self._memory is None:
                self._memory = open_database(MEMORY, **settings)
            return self._memory


def _flag(name: str, value: str) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    if value.lower() not in flags:
        raise ArgumentError(f"{name} is true or false in the URL, not {value!r}")
    return flags[value.lower()]
