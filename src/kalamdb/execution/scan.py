"""What a table's name stands for in a SELECT: rows of one snapshot, of one user, and nothing else.

Every name that a query mentions, however it mentions it, is resolved here and nowhere else, so isolation and
authorization hold for joins, subqueries, CTEs and views alike.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamdb.auth import Action, authorize, may_see
from kalamdb.catalog.system_tables import system_table
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.errors import UndefinedTable
from kalamdb.schema import TableKind, TableSchema
from kalamdb.settings import Settings
from kalamdb.types import query_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from kalamdb.catalog.catalog import Catalog
    from kalamdb.execution.context import Context

SYSTEM_NAMESPACES = frozenset({"system", "information_schema"})
ADMINISTRATION_TABLES = frozenset({"users", "audit_log", "storages", "settings"})


@dataclass(slots=True)
class Relation:
    """Rows under a name (`batches`), or a view (`view_sql`, its names resolved in `view_namespace`)."""

    schema: pa.Schema | None
    batches: list[pa.RecordBatch] | None = None
    view_sql: str | None = None
    view_namespace: str | None = None


def undefined_table(name: str) -> UndefinedTable:
    """The one answer for a table that is not there and for one that the caller may not see."""
    return UndefinedTable(f'relation "{name}" does not exist')


def relation(context: Context, catalog: str, namespace: str, name: str, words: frozenset[str]) -> Relation:
    """The relation behind a name in a query.

    `words`: every word of the query; `*` among them when all columns may be meant. Raises UndefinedTable, AccessDenied.
    """
    temporary = context.temporary.get(name)
    if temporary is not None:
        return temporary
    if catalog == "all_users":
        return _all_users(context, namespace, name, words)
    if namespace in SYSTEM_NAMESPACES:
        return _system_relation(context, namespace, name)
    view = context.catalog.view(namespace, name)
    if view is not None:
        return Relation(None, view_sql=view.sql, view_namespace=view.resolve_in)
    schema = context.catalog.table(namespace, name)
    if schema is None or not may_see(context.role, schema):
        raise undefined_table(name if namespace == context.namespace else f"{namespace}.{name}")
    authorize(context.role, Action.SELECT, schema)
    return _table_relation(context, schema, [context.partition(schema)], words)


def _table_relation(
    context: Context,
    schema: TableSchema,
    partitions: Iterable[bytes],
    words: frozenset[str],
    *,
    with_owner: bool = False,
) -> Relation:
    import pyarrow as pa

    names, positions = _columns_needed(schema, words)
    fields = [_field(schema, name) for name in names]
    if with_owner:
        fields.insert(0, pa.field("_user", pa.string(), nullable=False))
    arrow_schema = pa.schema(fields)
    rows = context.rows_of(schema)
    batches = []
    for partition in partitions:
        with core_errors_translated():
            parts = context.reader.scan_arrow(
                schema.table_id,
                partition,
                context.snapshot,
                rows.reader,
                positions,
                deleted="_deleted" in words,
            )
        for part in parts:
            arrays = pa.record_batch(part).columns
            if with_owner:
                owner = pa.scalar(partition.decode(), pa.string())
                arrays = [pa.repeat(owner, len(arrays[0])), *arrays]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=arrow_schema))
    return Relation(arrow_schema, batches)


def _columns_needed(schema: TableSchema, words: frozenset[str]) -> tuple[list[str], list[int]]:
    """Only what the query can name is decoded; always one column at least, so that rows can be counted."""
    everything = "*" in words
    names, positions = [], []
    for position, column in enumerate(schema.columns):
        if everything or column.name in words:
            names.append(column.name)
            positions.append(position)
    for name, position in SYSTEM_COLUMNS.items():
        if name in words and not (name == "_deleted" and schema.kind is TableKind.STREAM):
            names.append(name)
            positions.append(position)
    if not names:
        names.append(schema.primary_key)
        positions.append(schema.position(schema.primary_key))
    return names, positions


@functools.cache
def system_field(name: str) -> pa.Field:
    """The Arrow field of a system column."""
    import pyarrow as pa

    kinds = {"_seq": pa.int64(), "_updated": pa.timestamp("us", tz="UTC"), "_deleted": pa.bool_()}
    return pa.field(name, kinds[name], nullable=False)


def _field(schema: TableSchema, name: str) -> pa.Field:
    if name in SYSTEM_COLUMNS:
        return system_field(name)
    column = schema.column(name)
    assert column is not None
    return query_field(column.name, column.type, column.nullable)


def _all_users(context: Context, namespace: str, name: str, words: frozenset[str]) -> Relation:
    authorize(context.role, Action.READ_ALL_USERS)
    schema = context.catalog.table(namespace, name)
    if schema is None or schema.kind is not TableKind.USER:
        raise UndefinedTable(f'relation "all_users.{namespace}.{name}" does not exist; it holds USER tables')
    partitions = sorted(context.reader.partitions(schema.table_id))
    return _table_relation(context, schema, partitions, words, with_owner=True)


@dataclass(frozen=True, slots=True)
class _SystemView:
    """What the system tables may show this statement."""

    catalog: Catalog
    settings: Settings
    role: str
    context: Context

    def statistics(self) -> Mapping[str, int]:
        return self.context.services.statistics()

    def visible(self, schema: TableSchema) -> bool:
        return may_see(self.context.role, schema)


def _system_relation(context: Context, namespace: str, name: str) -> Relation:
    if namespace == "system" and name in ADMINISTRATION_TABLES:
        authorize(context.role, Action.READ_ADMINISTRATION)
    view = _SystemView(context.catalog, context.services.settings, context.role, context)
    table = system_table(namespace, name, view)
    if table is None:
        raise undefined_table(f"{namespace}.{name}")
    return Relation(table.schema, table.to_batches())
