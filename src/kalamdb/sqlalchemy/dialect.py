"""The dialect: what SQLAlchemy has to know of kalamdb, whichever way it is reached.

How it is reached is a driver's, one class below this one each: in this process (embedded.py), by a server (http.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import schema
from sqlalchemy.engine.interfaces import BindTyping, DBAPIConnection, IsolationLevel
from sqlalchemy.sql import compiler
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from kalamdb import errors
from kalamdb.sqlalchemy.compiler import KalamCompiler, KalamTypeCompiler
from kalamdb.sqlalchemy.ddl import KalamDDLCompiler
from kalamdb.sqlalchemy.reflection import KalamReflection
from kalamdb.sqlalchemy.types import COLUMN_TYPES


class KalamPreparer(compiler.IdentifierPreparer):
    """Names, quoted where they would be read as something else."""

    reserved_words = compiler.RESERVED_WORDS | {
        "exists",
        "interval",
        "lateral",
        "qualify",
        "returning",
        "struct",
        "top",
        "trim",
        "unnest",
        "values",
        "with",
    }


class KalamDialect(KalamReflection):
    """Everything but the connection. A driver adds `driver`, `import_dbapi` and `create_connect_args`; its connections
    have `autocommit` and `namespace`."""

    name = "kalamdb"
    supports_statement_cache = True
    default_paramstyle = "qmark"
    bind_typing = BindTyping.NONE
    max_identifier_length = 64

    statement_compiler = KalamCompiler
    ddl_compiler = KalamDDLCompiler
    type_compiler_cls = KalamTypeCompiler
    preparer = KalamPreparer
    colspecs = COLUMN_TYPES
    construct_arguments = [  # noqa: RUF012 - SQLAlchemy's own form
        (schema.Table, {"kind": None, "with": None, "unenforced": False})
    ]

    # kalamdb reads and writes JSON itself; SQLAlchemy 2.0 asks all the same.
    _json_serializer = None
    _json_deserializer = None

    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True
    returns_native_bytes = True

    supports_alter = False
    """Of constraints, which there are none of."""
    supports_schemas = True
    supports_sequences = False
    supports_comments = False
    supports_views = True
    supports_default_values = True
    supports_default_metavalue = True
    supports_empty_insert = False
    supports_multivalues_insert = True
    supports_is_distinct_from = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    tuple_in_values = False
    cte_follows_insert = True

    insert_returning = True
    update_returning = True
    delete_returning = True
    favor_returning_over_lastrowid = True
    postfetch_lastrowid = False
    use_insertmanyvalues = True
    insertmanyvalues_max_parameters = 65_535
    # New keys are given in the order of the rows, and grow.
    insertmanyvalues_implicit_sentinel = InsertmanyvaluesSentinelOpts.ANY_AUTOINCREMENT

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        from kalamdb.version import __version__

        return tuple(int(part) for part in __version__.split(".") if part.isdigit())

    def _get_default_schema_name(self, connection: Any) -> str:
        namespace: str = connection.connection.dbapi_connection.namespace
        return namespace

    def get_isolation_level_values(self, dbapi_connection: DBAPIConnection) -> list[IsolationLevel]:
        """A transaction on a snapshot, or none."""
        return ["SNAPSHOT", "AUTOCOMMIT"]  # type: ignore[list-item]

    def get_isolation_level(self, dbapi_connection: Any) -> IsolationLevel:
        """That of a connection."""
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SNAPSHOT"  # type: ignore[return-value]

    def set_isolation_level(self, dbapi_connection: Any, level: IsolationLevel) -> None:
        """Of a connection, from here on."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Whether a connection commits by itself."""
        autocommit: bool = dbapi_conn.autocommit
        return autocommit

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute; what compiles to nothing, as an index does, is done."""
        if statement:
            cursor.execute(statement, parameters)

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether the connection is of no use any more."""
        return isinstance(e, (errors.DatabaseClosed, errors.ForkedProcess))
