"""SHOW and DESCRIBE: what exists, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalamdb.auth import hidden_table, undefined_table
from kalamdb.engine.statistics import cold_partition_figures
from kalamdb.errors import UndefinedNamespace, UndefinedTable
from kalamdb.execution.scan import SYSTEM_NAMESPACES, relation
from kalamdb.execution.visible_views import visible_views
from kalamdb.result import Result
from kalamdb.schema import TableKind, TableSchema
from kalamdb.sql.show import DescribeTable, ShowNamespaces, ShowStats, ShowTables
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    from kalamdb.execution.context import Context

TEXT, BIGINT, BOOLEAN = DataType(TypeName.TEXT), DataType(TypeName.BIGINT), DataType(TypeName.BOOLEAN)
TIMESTAMP = DataType(TypeName.TIMESTAMP)
DESCRIBE_COLUMNS = ("item", "name", "data_type", "nullable", "primary_key", "value", "comment")
DESCRIBE_TYPES = (TEXT, TEXT, TEXT, BOOLEAN, BOOLEAN, TEXT, TEXT)


def show_namespaces(statement: ShowNamespaces, context: Context) -> Result:
    """One row a namespace: name, table_count."""
    found = relation(context, "kalam", "system", "namespaces", frozenset({"*"}))
    rows = [(row["name"], row["table_count"]) for batch in found.batches or [] for row in batch.to_pylist()]
    return Result.from_rows(("name", "table_count"), (TEXT, BIGINT), rows)


def show_tables(statement: ShowTables, context: Context) -> Result:
    """One row a table or view of a namespace, or of all: namespace, name, type."""
    wanted = statement.namespace
    if wanted is not None and wanted not in context.catalog.namespaces:
        raise UndefinedNamespace(f'namespace "{wanted}" does not exist; SHOW NAMESPACES lists those that do')
    rows = [
        (table.namespace, table.name, table.kind.value)
        for table in context.catalog.tables.values()
        if wanted in (None, table.namespace) and context.may_see(table)
    ]
    rows += [
        (view.namespace, view.name, "view")
        for view in visible_views(context.catalog, context.may_see).values()
        if wanted in (None, view.namespace)
    ]
    return Result.from_rows(("namespace", "table_name", "table_type"), (TEXT, TEXT, TEXT), sorted(rows))


def describe_table(statement: DescribeTable, context: Context) -> Result:
    """One row a column, in order, then one an option; or with HISTORY one a schema version."""
    namespace = statement.table.namespace or context.namespace
    if namespace in SYSTEM_NAMESPACES:
        return _describe_system_table(namespace, statement.table.name, context)
    view = context.catalog.view(namespace, statement.table.name)
    if view is not None:
        try:
            return _describe_view(view.sql, view.resolve_in, context)
        except UndefinedTable as error:
            if error.hides:
                raise hidden_table(str(statement.table)) from None
            raise
    schema = _visible_table(statement, context)
    if statement.history:
        return _history(schema, context)
    rows: list[tuple[Any, ...]] = [
        (
            "column",
            column.name,
            str(column.type),
            column.nullable,
            column.name == schema.primary_key,
            column.default,
            column.comment,
        )
        for column in schema.columns
    ]
    rows += [
        ("option", name, None, None, None, value, comment) for name, value, comment in table_options(schema)
    ]
    return Result.from_rows(DESCRIBE_COLUMNS, DESCRIBE_TYPES, rows)


def table_options(schema: TableSchema) -> list[tuple[str, str, str | None]]:
    """(option, value, whether it is effective) of a table, those that were given and the kind."""
    options = schema.options
    rows: list[tuple[str, str, str | None]] = [("TYPE", schema.kind.value, None)]
    if schema.kind is TableKind.STREAM:
        rows.append(("TTL_SECONDS", str(options.ttl_s), None))
        if options.max_rows is not None:
            rows.append(("MAX_ROWS", str(options.max_rows), None))
        return rows
    flush = []
    if options.flush_rows is not None:
        flush.append(f"rows:{options.flush_rows}")
    if options.flush_interval_s is not None:
        flush.append(f"interval:{options.flush_interval_s}")
    given: list[tuple[str, object, str | None]] = [
        ("STORAGE_ID", options.storage_id, None),
        ("USE_USER_STORAGE", options.use_user_storage, None),
        ("FLUSH_POLICY", ",".join(flush) or None, None),
        ("DELETED_RETENTION_HOURS", options.deleted_retention_h, None),
        ("COMPRESSION", options.compression, None),
        ("ACCESS", options.access, None),
    ]
    rows += [(name, _option_text(value), comment) for name, value, comment in given if value is not None]
    return rows


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _visible_table(statement: DescribeTable | ShowStats, context: Context) -> TableSchema:
    schema = context.catalog.table(statement.table.namespace or context.namespace, statement.table.name)
    if schema is None:
        raise undefined_table(str(statement.table))
    if not context.may_see(schema):
        raise hidden_table(str(statement.table))
    return schema


def _describe_system_table(namespace: str, name: str, context: Context) -> Result:
    from kalamdb.types import type_of_arrow

    schema = relation(context, "kalam", namespace, name, frozenset({"*"})).schema
    assert schema is not None
    rows: list[tuple[Any, ...]] = [
        ("column", field.name, str(type_of_arrow(field)), field.nullable, False, None, None)
        for field in schema
    ]
    return Result.from_rows(DESCRIBE_COLUMNS, DESCRIBE_TYPES, rows)


def _describe_view(sql: str, resolve_in: str, context: Context) -> Result:
    from dataclasses import replace

    from kalamdb.types import type_of_arrow

    schema = context.services.queries.view_columns(replace(context, namespace=resolve_in), sql)
    rows: list[tuple[Any, ...]] = [
        ("column", field.name, str(type_of_arrow(field)), field.nullable, False, None, None)
        for field in schema
    ]
    rows.append(("option", "TYPE", None, None, None, "view", None))
    rows.append(("option", "QUERY", None, None, None, sql, None))
    return Result.from_rows(DESCRIBE_COLUMNS, DESCRIBE_TYPES, rows)


def _history(schema: TableSchema, context: Context) -> Result:
    """What each schema version had, and what it changed from the one before."""
    rows: list[tuple[Any, ...]] = []
    before: TableSchema | None = None
    for version in context.catalog.history[schema.table_id]:
        columns = ", ".join(f"{column.name} {column.type}" for column in version.columns)
        rows.append((version.version, version.updated_at, _difference(before, version), columns))
        before = version
    return Result.from_rows(
        ("schema_version", "at", "change", "columns"), (BIGINT, TIMESTAMP, TEXT, TEXT), rows
    )


def _difference(before: TableSchema | None, after: TableSchema) -> str:
    if before is None:
        return "created"
    old = {column.id: column for column in before.columns}
    new = {column.id: column for column in after.columns}
    changes = [f"added {column.name}" for key, column in new.items() if key not in old]
    changes += [f"dropped {column.name}" for key, column in old.items() if key not in new]
    for key in old.keys() & new.keys():
        if old[key].name != new[key].name:
            changes.append(f"renamed {old[key].name} to {new[key].name}")
        elif old[key] != new[key]:
            changes.append(f"altered {new[key].name}")
    if before.options != after.options:
        changes.append("altered options")
    return ", ".join(changes) or "nothing"


def show_stats(statement: ShowStats, context: Context) -> Result:
    """How many rows the caller's partition of a table has, and what of it is cold."""
    schema = _visible_table(statement, context)
    partition = context.partition(schema)
    count = context.reader.count(schema.table_id, partition, context.snapshot)
    rows: list[tuple[Any, ...]] = [
        ("rows", count),
        ("columns", len(schema.columns)),
        ("schema_version", schema.version),
    ]
    if schema.kind is not TableKind.STREAM:
        rows += cold_partition_figures(context.services.engine, schema.table_id, partition).items()
    return Result.from_rows(("name", "value"), (TEXT, BIGINT), rows)
