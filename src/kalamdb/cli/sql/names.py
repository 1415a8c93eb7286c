"""The names that completion offers: what the catalog shows to the user, read in the background and kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from kalamdb.cli.connection import Connection
from kalamdb.errors import Error


@dataclass(frozen=True, slots=True)
class Names:
    """`tables`: by namespace and name, the columns of each; none of a view."""

    namespace: str = "default"
    namespaces: tuple[str, ...] = ()
    tables: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


def read_names(connection: Connection) -> Names:
    """What the user of the connection may see. Raises kalamdb.Error."""
    tables: dict[tuple[str, str], list[str]] = {}
    for namespace, table in _rows(
        connection, "SELECT namespace_id, table_name FROM system.tables ORDER BY 1, 2"
    ):
        tables[namespace, table] = []
    for schema in ("system", "information_schema"):
        for name in _SYSTEM[schema]:
            tables[schema, name] = []
    columns = "SELECT namespace_id, table_name, column_name FROM system.columns ORDER BY 1, 2, ordinal"
    for namespace, table, column in _rows(connection, columns):
        tables.setdefault((namespace, table), []).append(column)
    namespaces = [name for (name,) in _rows(connection, "SELECT name FROM system.namespaces ORDER BY 1")]
    return Names(
        connection.namespace,
        (*namespaces, *_SYSTEM),
        {key: tuple(found) for key, found in tables.items()},
    )


def _system_tables() -> dict[str, tuple[str, ...]]:
    from kalamdb.catalog.system_tables import SYSTEM_TABLES

    found: dict[str, tuple[str, ...]] = {}
    for name in SYSTEM_TABLES:
        namespace, _, table = name.partition(".")
        found[namespace] = (*found.get(namespace, ()), table)
    return found


_SYSTEM = _system_tables()


def _rows(connection: Connection, sql: str) -> list[tuple[str, ...]]:
    return connection.execute(sql)[-1].fetchall()


class KeptNames:
    """The names as they were when they were last read; read anew, by a thread, when asked to."""

    def __init__(self) -> None:
        self.names = Names()
        self._reading: threading.Thread | None = None

    def read(self, connection: Connection) -> None:
        """Begin to read them anew. Completion goes on with the old ones until they are there."""
        self.wait()
        try:
            beside = connection.beside()
        except Error:
            return
        self._reading = threading.Thread(target=self._read, args=(beside,), name="kalam-names", daemon=True)
        self._reading.start()

    def _read(self, beside: Connection) -> None:
        try:
            self.names = read_names(beside)
        except Error:
            # Nobody waits for completion: without the catalog it offers keywords.
            self.names = Names(beside.namespace)
        finally:
            beside.close()

    def wait(self) -> None:
        """Until they are read: before the connection is closed."""
        if self._reading is not None:
            self._reading.join()
            self._reading = None
