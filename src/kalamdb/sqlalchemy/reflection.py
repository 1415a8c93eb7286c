"""Reflection: what exists, as SQLAlchemy asks for it. A namespace is what SQLAlchemy calls a schema."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import reflection
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from kalamdb.errors import UndefinedNamespace, UndefinedTable
from kalamdb.sqlalchemy.ddl import NEW_KEY, ROW_ID, ROW_ID_COMMENT
from kalamdb.sqlalchemy.types import reflected_type


class KalamReflection(DefaultDialect):
    """Tables, views, columns and keys. Foreign keys, indexes, unique and other constraints there are none."""

    @reflection.cache
    def get_schema_names(self, connection: Connection, **kw: Any) -> list[str]:
        """Every namespace that the user may know of."""
        found = connection.exec_driver_sql("SELECT name FROM system.namespaces ORDER BY name")
        return list(found.scalars())

    @reflection.cache
    def get_table_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """The tables of a namespace."""
        return self._names(connection, schema, "<>")

    @reflection.cache
    def get_view_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """The views of a namespace."""
        return self._names(connection, schema, "=")

    def _names(self, connection: Connection, schema: str | None, comparison: str) -> list[str]:
        found = connection.exec_driver_sql(
            "SELECT table_name FROM system.tables "
            f"WHERE namespace_id = ? AND table_type {comparison} 'view' ORDER BY table_name",
            (schema or self.default_schema_name,),
        )
        return list(found.scalars())

    @reflection.cache
    def has_table(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """Whether there is a table or view of this name that the user may know of."""
        found = connection.exec_driver_sql(
            "SELECT table_name FROM system.tables WHERE namespace_id = ? AND table_name = ?",
            (schema or self.default_schema_name, table_name),
        )
        return found.first() is not None

    @reflection.cache
    def get_columns(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """The columns, but for the key that the dialect added itself."""
        return [
            {
                "name": name,
                "type": reflected_type(kind),
                "nullable": nullable,
                "default": None if is_key and default == NEW_KEY else default,
                "autoincrement": bool(is_key and default == NEW_KEY),
                "comment": comment,
            }
            for name, kind, nullable, is_key, default, comment in self._columns(
                connection, table_name, schema, **kw
            )
            if not _is_added(name, comment)
        ]

    @reflection.cache
    def get_pk_constraint(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        """The key, which has no name; of no column where the dialect added it."""
        columns = self._columns(connection, table_name, schema, **kw)
        keys = [name for name, _, _, is_key, _, comment in columns if is_key and not _is_added(name, comment)]
        return {"constrained_columns": keys, "name": None}

    @reflection.cache
    def get_table_options(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        """The table's kind, so that a table made like this one is of the same."""
        parts = self._parts(connection, table_name, schema, **kw)
        kind = next((value for is_option, name, value in parts if is_option and name == "TYPE"), None)
        return {} if kind in (None, "view") else {"kalamdb_kind": kind}

    @reflection.cache
    def get_view_definition(
        self, connection: Connection, view_name: str, schema: str | None = None, **kw: Any
    ) -> str:
        """The query of a view, its names qualified."""
        for is_option, name, value in self._parts(connection, view_name, schema, **kw):
            if is_option and name == "QUERY":
                return str(value)
        raise NoSuchTableError(view_name)

    @reflection.cache
    def get_foreign_keys(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """None."""
        return self._none_of(connection, table_name, schema, **kw)

    @reflection.cache
    def get_indexes(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """None."""
        return self._none_of(connection, table_name, schema, **kw)

    @reflection.cache
    def get_unique_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """None."""
        return self._none_of(connection, table_name, schema, **kw)

    @reflection.cache
    def get_check_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """None."""
        return self._none_of(connection, table_name, schema, **kw)

    @reflection.cache
    def get_table_comment(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        """None: columns have comments, tables have not."""
        self._none_of(connection, table_name, schema, **kw)
        return {"text": None}

    def _none_of(self, connection: Connection, table_name: str, schema: str | None, **kw: Any) -> list[Any]:
        """Nothing, of a table that is there. Raises NoSuchTableError."""
        self._described(connection, table_name, schema, **kw)
        return []

    def _columns(
        self, connection: Connection, table_name: str, schema: str | None, **kw: Any
    ) -> list[tuple[Any, ...]]:
        """Name, type, whether it may be NULL, whether it is the key, default, comment."""
        described = self._described(connection, table_name, schema, **kw)
        return [tuple(rest) for part, *rest in described if part == "column"]

    def _parts(
        self, connection: Connection, table_name: str, schema: str | None, **kw: Any
    ) -> list[tuple[bool, str, Any]]:
        """Whether it is an option, its name and value."""
        described = self._described(connection, table_name, schema, **kw)
        return [(row[0] == "option", row[1], row[5]) for row in described]

    @reflection.cache
    def _described(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[tuple[Any, ...]]:
        """What DESCRIBE tells. Raises NoSuchTableError."""
        quote = self.identifier_preparer.quote_identifier
        namespace = schema or self.default_schema_name or "default"
        try:
            found = connection.exec_driver_sql(f"DESCRIBE TABLE {quote(namespace)}.{quote(table_name)}")
        except DBAPIError as error:
            if isinstance(error.orig, (UndefinedTable, UndefinedNamespace)):
                raise NoSuchTableError(table_name) from error
            raise
        return [tuple(row) for row in found]


def _is_added(name: str, comment: str | None) -> bool:
    return name == ROW_ID and comment == ROW_ID_COMMENT
