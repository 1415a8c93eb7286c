"""The driver for a server: `kalamdb+http://user:password@host:8080/?namespace=app`, and `kalamdb+https`.

Every statement commits by itself. See docs/sqlalchemy.md for what that means to a Session of the ORM.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from sqlalchemy.engine.interfaces import ConnectArgsType, DBAPIConnection, DBAPIModule, IsolationLevel
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from kalamdb import dbapi
from kalamdb.client import Client
from kalamdb.dbapi.remote import RemoteConnection
from kalamdb.sqlalchemy.dialect import KalamDialect

_NUMBERS = {"timeout_s": float, "retries": int}
_TEXTS = frozenset({"namespace", "token", "ca_file", "certificate_file", "key_file"})
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class HttpDialect(KalamDialect):
    """kalamdb behind a server. Connections of one engine share one log-in, which ends with the engine; each has its own
    namespace."""

    driver = "http"
    scheme = "http"
    supports_statement_cache = True

    # A page of rows is one request, whose size servers limit.
    insertmanyvalues_page_size = 250

    def __init__(self, **options: Any) -> None:
        """What create_engine makes."""
        super().__init__(**options)
        self._client: Client | None = None
        self._client_lock = threading.Lock()

    @classmethod
    def import_dbapi(cls) -> DBAPIModule:
        """kalamdb.dbapi."""
        return dbapi  # type: ignore[return-value]

    @classmethod
    def get_pool_class(cls, url: URL) -> type[QueuePool]:
        """A pool of connections, each for one thread at a time."""
        return QueuePool

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        """Arguments of Client. Raises ArgumentError for what is none."""
        if not url.host:
            raise ArgumentError(f"a server has a host: kalamdb+{self.driver}://user:password@host:8080")
        options: dict[str, Any] = {"user": url.username, "password": url.password}
        for name, value in url.query.items():
            if not isinstance(value, str):
                raise ArgumentError(f"{name} is given more than once in the URL")
            options[name] = _read(name, value)
        host = f"[{url.host}]" if ":" in url.host else url.host
        port = "" if url.port is None else f":{url.port}"
        return [f"{self.scheme}://{host}{port}/{url.database or ''}"], options

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """A connection by the engine's client, and in a namespace of its own."""
        with self._client_lock:
            if self._client is None:
                self._client = Client(*arguments, **options)
                weakref.finalize(self, self._client.close)
            return RemoteConnection(self._client.in_namespace(self._client.namespace))

    def get_isolation_level_values(self, dbapi_connection: DBAPIConnection) -> list[IsolationLevel]:
        """None but that each statement commits by itself."""
        return ["AUTOCOMMIT"]

    def get_default_isolation_level(self, dbapi_conn: DBAPIConnection) -> IsolationLevel:
        """The only one."""
        return "AUTOCOMMIT"


class HttpsDialect(HttpDialect):
    """The same by TLS."""

    driver = "https"
    scheme = "https"
    supports_statement_cache = True


def _read(name: str, value: str) -> Any:
    if name in _TEXTS:
        return value
    if name == "verify" and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    try:
        return _NUMBERS[name](value)
    except (KeyError, ValueError):
        known = ", ".join(sorted([*_TEXTS, *_NUMBERS, "verify"]))
        raise ArgumentError(f"{name}={value} in the URL is none of {known}, or not of its kind") from None
