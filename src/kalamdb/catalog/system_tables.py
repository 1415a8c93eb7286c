"""The system tables: the catalog, the settings and the state of the database, as Arrow tables for one reader.

Whether the reader may read a system table at all is for the caller to decide; which tables and namespaces
show in it is decided here, by `SystemSource.visible` and the reader's role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kalamdb.catalog.catalog import Catalog, View
from kalamdb.schema import TableKind, TableSchema
from kalamdb.storage.credentials import MASK
from kalamdb.storage.definition import LOCAL
from kalamdb.types import BIGINT, BOOLEAN, INT, JSON, TEXT, TIMESTAMP, DataType, query_field

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.engine.jobs import Job
    from kalamdb.settings import Settings

CATALOG_NAME = "kalam"
DEFAULT_ACCESS = "public"
Row = tuple[object, ...]


class SystemSource(Protocol):
    """What the system tables show, to whom."""

    @property
    def catalog(self) -> Catalog:
        """What exists."""

    @property
    def settings(self) -> Settings:
        """The database's settings."""

    def statistics(self) -> Mapping[str, int]:
        """Figures by name."""

    def visible(self, schema: TableSchema) -> bool:
        """Whether the reader may know of this table."""

    def views(self) -> Mapping[tuple[str, str], View]:
        """The views that the reader may know of, by namespace and name."""

    def jobs(self) -> Iterable[Job]:
        """The jobs that the reader may know of, the oldest first."""

    def session(self) -> Row:
        """The reader's session: user, role, namespace."""

    def live_queries(self) -> list[Row]:
        """The rows of system.live_queries."""

    def users(self) -> list[Row]:
        """The rows of system.users."""

    def audit_log(self) -> list[Row]:
        """The rows of system.audit_log."""

    def privileges(self) -> list[Row]:
        """What is granted, as far as the reader may know: grantor, grantee, table's namespace and name, action."""


Rows = Callable[[SystemSource], list[Row]]


@dataclass(frozen=True, slots=True)
class SystemTable:
    """What one system table has. `columns`: name, type, nullable."""

    columns: tuple[tuple[str, DataType, bool], ...]
    rows: Rows

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([query_field(name, type_, nullable) for name, type_, nullable in self.columns])


def columns_of(columns: str) -> tuple[tuple[str, DataType, bool], ...]:
    """`name TYPE, …`, NOT NULL where the name ends in `!`."""
    types = {
        "TEXT": TEXT,
        "BIGINT": BIGINT,
        "INT": INT,
        "BOOLEAN": BOOLEAN,
        "JSON": JSON,
        "TIMESTAMP": TIMESTAMP,
    }
    parts = [column.split() for column in columns.split(",")]
    return tuple((name.rstrip("!"), types[type_], not name.endswith("!")) for name, type_ in parts)


def live_query_rows(source: SystemSource) -> list[Row]:
    return source.live_queries()


def _users(source: SystemSource) -> list[Row]:
    return source.users()


def _audit_log(source: SystemSource) -> list[Row]:
    return source.audit_log()


def _table_privileges(source: SystemSource) -> list[Row]:
    return [(grantor, grantee, CATALOG_NAME, *rest, "NO") for grantor, grantee, *rest in source.privileges()]


def _storages(source: SystemSource) -> list[Row]:
    return [
        (
            storage.storage_id,
            storage.type,
            storage.name,
            storage.description,
            storage.uri,
            MASK if storage.secret is not None else None,
            storage.shared_tables_template,
            storage.user_tables_template,
            storage.created_at,
            storage.updated_at,
        )
        for _, storage in sorted(source.catalog.storages.items())
    ]


def _visible_tables(source: SystemSource) -> list[TableSchema]:
    return [schema for _, schema in sorted(source.catalog.tables.items()) if source.visible(schema)]


def _visible_namespaces(source: SystemSource) -> list[str]:
    """All, but for those that hold tables of which the reader may know none."""
    catalog = source.catalog
    known = {schema.namespace for schema in _visible_tables(source)} | {
        view.namespace for view in source.views().values()
    }
    filled = {namespace for namespace, _ in (*catalog.tables, *catalog.views)}
    return sorted(name for name in catalog.namespaces if name in known or name not in filled)


def _namespaces(source: SystemSource) -> list[Row]:
    rows: list[Row] = []
    for name in _visible_namespaces(source):
        namespace = source.catalog.namespaces[name]
        count = sum(schema.namespace == name for schema in _visible_tables(source))
        rows.append((name, name, _json(namespace.options), count, namespace.created_at))
    return rows


def storage_of(schema: TableSchema) -> str | None:
    """Where a table's cold segments go; None for a STREAM, which has none."""
    return None if schema.kind is TableKind.STREAM else schema.options.storage_id or LOCAL


def access_of(schema: TableSchema) -> str | None:
    """The access of a SHARED table; None for other kinds."""
    return schema.options.access or DEFAULT_ACCESS if schema.kind is TableKind.SHARED else None


def flush_policy_of(schema: TableSchema) -> str | None:
    """As WITH (FLUSH_POLICY = …) writes it: `rows:1000,interval:60`; None where there is none."""
    options = schema.options
    parts = []
    if options.flush_rows is not None:
        parts.append(f"rows:{options.flush_rows}")
    if options.flush_interval_s is not None:
        parts.append(f"interval:{options.flush_interval_s}")
    return ",".join(parts) or None


def _other_options(schema: TableSchema) -> dict[str, object]:
    """What was said in the table's definition and has no column of its own, by its WITH key."""
    options = schema.options
    said = {
        "USE_USER_STORAGE": options.use_user_storage,
        "DELETED_RETENTION_HOURS": options.deleted_retention_h,
        "MAX_ROWS": options.max_rows,
        "COMPRESSION": options.compression,
    }
    return {key: value for key, value in said.items() if value is not None}


def _tables(source: SystemSource) -> list[Row]:
    found: dict[tuple[str, str], Row] = {}
    for schema in _visible_tables(source):
        found[schema.namespace, schema.name] = (
            schema.namespace,
            schema.name,
            schema.kind.value,
            storage_of(schema),
            access_of(schema),
            flush_policy_of(schema),
            schema.options.ttl_s,
            schema.version,
            _json(_other_options(schema)),
            schema.created_at,
            schema.updated_at,
        )
    for key, view in source.views().items():
        found[key] = (*key, "view", None, None, None, None, None, _json({}), view.created_at, view.created_at)
    return [row for _, row in sorted(found.items())]


def _table_columns(source: SystemSource) -> list[Row]:
    return [
        (
            schema.namespace,
            schema.name,
            column.name,
            ordinal,
            str(column.type),
            column.nullable,
            column.name == schema.primary_key,
            column.default,
            column.comment,
        )
        for schema in _visible_tables(source)
        for ordinal, column in enumerate(schema.columns, 1)
    ]


def _schemas(source: SystemSource) -> list[Row]:
    rows: list[Row] = []
    for schema in _visible_tables(source):
        for version in source.catalog.history[schema.table_id]:
            columns = [
                {
                    "name": column.name,
                    "type": str(column.type),
                    "nullable": column.nullable,
                    "default": column.default,
                }
                for column in version.columns
            ]
            rows.append(
                (version.namespace, version.name, version.version, _json(columns), version.updated_at)
            )
    return rows


def _jobs(source: SystemSource) -> list[Row]:
    return [
        (
            job.job_id,
            job.request.job_type,
            job.status.value,
            job.request.namespace,
            job.request.table,
            _json(job.request.parameters),
            job.result,
            job.error,
            job.rows,
            job.bytes,
            job.created_at,
            job.started_at,
            job.finished_at,
        )
        for job in source.jobs()
    ]


def _settings(source: SystemSource) -> list[Row]:
    return [(row.name, row.value, row.default_value, row.description) for row in source.settings.described()]


def _stats(source: SystemSource) -> list[Row]:
    return sorted(source.statistics().items())


def _information_tables(source: SystemSource) -> list[Row]:
    found: dict[tuple[str, str], str] = {
        (schema.namespace, schema.name): "BASE TABLE" for schema in _visible_tables(source)
    }
    found |= dict.fromkeys(source.views(), "VIEW")
    return [(CATALOG_NAME, *key, kind) for key, kind in sorted(found.items())]


def _information_columns(source: SystemSource) -> list[Row]:
    return [
        (
            CATALOG_NAME,
            schema.namespace,
            schema.name,
            column.name,
            ordinal,
            column.default,
            "YES" if column.nullable else "NO",
            str(column.type),
        )
        for schema in _visible_tables(source)
        for ordinal, column in enumerate(schema.columns, 1)
    ]


def _schemata(source: SystemSource) -> list[Row]:
    names = {*_visible_namespaces(source), "system", "information_schema"}
    return [(CATALOG_NAME, name) for name in sorted(names)]


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(dict(value) if isinstance(value, Mapping) else value).decode()


_TABLES: dict[str, SystemTable] = {
    "system.users": SystemTable(
        columns_of(
            "user_id! TEXT, role! TEXT, email TEXT, auth_type! TEXT, storage_mode! TEXT, "
            "storage_id TEXT, failed_logins! INT, locked_until TIMESTAMP, last_login_at TIMESTAMP, "
            "created_at! TIMESTAMP, updated_at! TIMESTAMP, deleted_at TIMESTAMP"
        ),
        _users,
    ),
    "system.namespaces": SystemTable(
        columns_of(
            "namespace_id! TEXT, name! TEXT, options! JSON, table_count! BIGINT, created_at! TIMESTAMP"
        ),
        _namespaces,
    ),
    "system.tables": SystemTable(
        columns_of(
            "namespace_id! TEXT, table_name! TEXT, table_type! TEXT, storage_id TEXT, access TEXT, "
            "flush_policy TEXT, ttl_seconds BIGINT, schema_version INT, options! JSON, "
            "created_at! TIMESTAMP, updated_at! TIMESTAMP"
        ),
        _tables,
    ),
    "system.columns": SystemTable(
        columns_of(
            "namespace_id! TEXT, table_name! TEXT, column_name! TEXT, ordinal! INT, data_type! TEXT, "
            "nullable! BOOLEAN, primary_key! BOOLEAN, default_expression TEXT, comment TEXT"
        ),
        _table_columns,
    ),
    "system.schemas": SystemTable(
        columns_of(
            "namespace_id! TEXT, table_name! TEXT, schema_version! INT, columns! JSON, created_at! TIMESTAMP"
        ),
        _schemas,
    ),
    "system.storages": SystemTable(
        columns_of(
            "storage_id! TEXT, storage_type! TEXT, name TEXT, description TEXT, uri! TEXT, "
            "credentials TEXT, shared_tables_template! TEXT, user_tables_template! TEXT, "
            "created_at! TIMESTAMP, updated_at! TIMESTAMP"
        ),
        _storages,
    ),
    "system.jobs": SystemTable(
        columns_of(
            "job_id! TEXT, job_type! TEXT, status! TEXT, namespace_id TEXT, table_name TEXT, "
            "parameters JSON, result TEXT, error TEXT, rows BIGINT, bytes BIGINT, "
            "created_at! TIMESTAMP, started_at TIMESTAMP, finished_at TIMESTAMP"
        ),
        _jobs,
    ),
    "system.live_queries": SystemTable(
        columns_of(
            "live_id! TEXT, user_id! TEXT, namespace_id! TEXT, table_name! TEXT, query! TEXT, "
            "options JSON, changes! BIGINT, created_at! TIMESTAMP, last_change_at TIMESTAMP"
        ),
        live_query_rows,
    ),
    "system.audit_log": SystemTable(
        columns_of(
            "audit_id! BIGINT, at! TIMESTAMP, actor! TEXT, subject TEXT, action! TEXT, target TEXT, "
            "outcome! TEXT, address TEXT, details JSON"
        ),
        _audit_log,
    ),
    "system.settings": SystemTable(
        columns_of("name! TEXT, value! TEXT, default_value! TEXT, description! TEXT"), _settings
    ),
    "system.stats": SystemTable(columns_of("name! TEXT, value! BIGINT"), _stats),
    "information_schema.tables": SystemTable(
        columns_of("table_catalog! TEXT, table_schema! TEXT, table_name! TEXT, table_type! TEXT"),
        _information_tables,
    ),
    "information_schema.columns": SystemTable(
        columns_of(
            "table_catalog! TEXT, table_schema! TEXT, table_name! TEXT, column_name! TEXT, "
            "ordinal_position! INT, column_default TEXT, is_nullable! TEXT, data_type! TEXT"
        ),
        _information_columns,
    ),
    "information_schema.table_privileges": SystemTable(
        columns_of(
            "grantor! TEXT, grantee! TEXT, table_catalog! TEXT, table_schema! TEXT, table_name! TEXT, "
            "privilege_type! TEXT, is_grantable! TEXT"
        ),
        _table_privileges,
    ),
    "information_schema.schemata": SystemTable(
        columns_of("catalog_name! TEXT, schema_name! TEXT"), _schemata
    ),
}


class _Schemas(Mapping[str, Any]):
    """The Arrow schemas, made when asked for: importing this module does not import pyarrow."""

    def __getitem__(self, name: str) -> pa.Schema:
        return _TABLES[name].schema()

    def __iter__(self) -> Iterator[str]:
        return iter(_TABLES)

    def __len__(self) -> int:
        return len(_TABLES)


SYSTEM_TABLES: Mapping[str, pa.Schema] = _Schemas()
"""Every system table, as `system.tables` or `information_schema.columns`, and its Arrow schema."""


def system_table(namespace: str, name: str, source: SystemSource) -> pa.Table | None:
    """A system table as its reader sees it now; None where there is none of this name."""
    import pyarrow as pa

    table = _TABLES.get(f"{namespace}.{name}")
    if source.settings.compat is not None:
        from kalamdb.catalog.compat_tables import COMPAT_TABLES

        table = COMPAT_TABLES.get(f"{namespace}.{name}", table)
    if table is None:
        return None
    schema = table.schema()
    rows = table.rows(source)
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
