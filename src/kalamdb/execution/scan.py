"""What a table's name stands for in a SELECT: rows of one snapshot, of one user, and nothing else.

Every name that a query mentions, however it mentions it, is resolved here and nowhere else, so isolation and
authorization hold for joins, subqueries, CTEs and views alike.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamcore import errors as core
from kalamdb.auth import ROW_ACTIONS, Action, authorize, may, undefined_table
from kalamdb.catalog.system_tables import system_table
from kalamdb.engine.core_errors import translated
from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.errors import UndefinedTable
from kalamdb.execution.visible_views import visible_views
from kalamdb.schema import TableKind, TableSchema
from kalamdb.settings import Settings
from kalamdb.types import DataType, TypeName, query_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from kalamdb.catalog.catalog import Catalog, View
    from kalamdb.engine.jobs import Job
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
    shown = name if namespace == context.namespace else f"{namespace}.{name}"
    if schema is None:
        raise undefined_table(shown)
    context.authorize(Action.SELECT, schema, shown)
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
    batches = []
    for partition in partitions:
        for arrays in partition_columns(context, schema, partition, positions, deleted="_deleted" in words):
            if with_owner:
                owner = pa.scalar(partition.decode(), pa.string())
                arrays = [pa.repeat(owner, len(arrays[0])), *arrays]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=arrow_schema))
    return Relation(arrow_schema, batches)


def partition_columns(
    context: Context, schema: TableSchema, partition: bytes, positions: list[int], *, deleted: bool
) -> Iterator[list[pa.Array]]:
    """The columns at these positions, of one partition's rows in any order, some rows at a time."""
    import pyarrow as pa

    rows, reader = context.rows_of(schema), context.reader
    where = (schema.table_id, partition, context.snapshot, rows.reader)
    held: list[object] = []
    while True:
        try:
            parts = reader.scan_arrow(*where, positions, deleted=deleted)
            break
        except core.ColdMissError as miss:
            # Which of a transaction's own tombstones hide anything is told only where hot and cold are read together.
            together = deleted and context.transaction is not None
            if together or context.services.fits_in_cache(miss):
                held += context.load_cold(miss)
                continue
            yield from _passing_through(context, schema, partition, positions, deleted=deleted)
            return
        except core.WriteConflictError:
            raise
        except core.CoreError as error:
            raise translated(error) from error
    for part in parts:
        yield pa.record_batch(part).columns


def _passing_through(
    context: Context, schema: TableSchema, partition: bytes, positions: list[int], *, deleted: bool
) -> Iterator[list[pa.Array]]:
    """The same where it is too much to be kept decoded: what is hot, then what is cold and has no hot version.

    The order matters: rows that a flush moves meanwhile are found twice then, and the keys that were hot hide the
    second. The other way round they could be missed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from kalamdb.engine.cold import cold_rows

    rows = context.rows_of(schema)
    wanted = [*positions, rows.key_position, SYSTEM_COLUMNS["_deleted"]]
    hot = context.reader.scan_arrow(
        schema.table_id, partition, context.snapshot, rows.reader, wanted, deleted=True, cold=False
    )
    keys = []
    for part in hot:
        batch = pa.record_batch(part)
        keys.append(batch.column(len(positions)))
        gone = batch.column(len(positions) + 1)
        yield (batch if deleted or not gone.true_count else batch.filter(pc.invert(gone))).columns[
            : len(positions)
        ]
    tier = context.services.cold
    loaded = tier.partition(schema.table_id, partition)
    if loaded is None:
        return
    hidden = pa.concat_arrays(keys) if keys else pa.array([], pa.null())
    columns = tuple(schema.columns[position] for position in positions if position >= 0)
    order = {column.name: at for at, column in enumerate(columns)}
    key = schema.columns[rows.key_position]
    for batch in cold_rows(tier, loaded, columns, key, context.snapshot, hidden, deleted=deleted):
        yield [
            system_column(batch, position)
            if position < 0
            else as_queried(batch.column(order[schema.columns[position].name]), schema.columns[position].type)
            for position in positions
        ]


def system_column(batch: pa.RecordBatch, position: int) -> pa.Array:
    """`_seq`, `_updated` or `_deleted` of a batch that has `_seq` and `_deleted`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if position == SYSTEM_COLUMNS["_deleted"]:
        return batch.column("_deleted")
    sequences = batch.column("_seq")
    if position == SYSTEM_COLUMNS["_seq"]:
        return sequences
    # The upper 41 bits are milliseconds since 2024-01-01Z.
    milliseconds = pc.add(pc.shift_right(sequences, 22), 1_704_067_200_000)
    return pc.multiply(milliseconds, 1000).cast(pa.timestamp("us", tz="UTC"))


def as_queried(values: pa.Array, of: DataType) -> pa.Array:
    """A column in its canonical type as queries have it: a UUID is text there."""
    import uuid

    import pyarrow as pa

    if of.name is not TypeName.UUID:
        return values
    return pa.array(
        [None if value is None else str(uuid.UUID(bytes=value)) for value in values.to_pylist()], pa.string()
    )


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
    authorize(context.rights, Action.READ_ALL_USERS, name=f"all_users.{namespace}.{name}")
    schema = context.catalog.table(namespace, name)
    if schema is None or schema.kind is not TableKind.USER:
        raise UndefinedTable(f'relation "all_users.{namespace}.{name}" does not exist; it holds USER tables')
    context.note_reading(f"all_users.{namespace}.{name}")
    partitions = sorted(context.reader.partitions(schema.table_id))
    return _table_relation(context, schema, partitions, words, with_owner=True)


def _count(context: Context, schema: TableSchema) -> int:
    """The rows of the user's partition of a table."""
    held: list[object] = []
    while True:
        try:
            return context.reader.count(schema.table_id, context.partition(schema), context.snapshot)
        except core.ColdMissError as miss:
            held += context.load_cold(miss)


@dataclass(frozen=True, slots=True)
class _SystemView:
    """What the system tables may show this statement."""

    catalog: Catalog
    settings: Settings
    context: Context

    def statistics(self) -> Mapping[str, int]:
        """All figures, or for who may not see those how many rows there are to read: other users' must not show."""
        if may(self.context.rights, Action.SEE_ALL_STATISTICS):
            return self.context.services.statistics()
        readable = [schema for schema in self.catalog.tables.values() if self.visible(schema)]
        return {"rows": sum(_count(self.context, schema) for schema in readable)}

    def visible(self, schema: TableSchema) -> bool:
        return self.context.may_see(schema)

    def views(self) -> Mapping[tuple[str, str], View]:
        return visible_views(self.catalog, self.visible)

    def jobs(self) -> list[Job]:
        everybodys = may(self.context.rights, Action.SEE_ALL_JOBS)
        return self.context.services.jobs.jobs(None if everybodys else self.context.user)

    def session(self) -> tuple[object, ...]:
        return self.context.user, self.context.rights.role.value, self.context.namespace

    def live_queries(self) -> list[tuple[object, ...]]:
        everybodys = may(self.context.rights, Action.SEE_ALL_LIVE_QUERIES)
        return self.context.services.live_queries(None if everybodys else self.context.user)

    def users(self) -> list[tuple[object, ...]]:
        return [
            (
                one.user_id,
                one.role.value,
                one.email,
                one.auth_type,
                one.storage_mode,
                one.storage_id,
                one.failed_logins,
                one.locked_until,
                one.last_login_at,
                one.created_at,
                one.updated_at,
                one.deleted_at,
            )
            for one in self.context.services.accounts.all()
        ]

    def audit_log(self) -> list[tuple[object, ...]]:
        return self.context.services.audit.all()

    def privileges(self) -> list[tuple[object, ...]]:
        """Everybody's for who may read the users, the own ones for others."""
        accounts, user = self.context.services.accounts, self.context.user
        everybodys = may(self.context.rights, Action.READ_ADMINISTRATION)
        found = accounts.all_grants() if everybodys else accounts.grants_of(user)
        return [
            (one.granted_by, one.user_id, schema.namespace, schema.name, action.name)
            for one in found
            if (schema := self.catalog.table_by_id(one.table_id)) is not None
            for action in ROW_ACTIONS
            if action in one.actions
        ]


def _system_relation(context: Context, namespace: str, name: str) -> Relation:
    if namespace == "system" and name in ADMINISTRATION_TABLES:
        authorize(context.rights, Action.READ_ADMINISTRATION, name=f"{namespace}.{name}")
    view = _SystemView(context.catalog, context.services.settings, context)
    table = system_table(namespace, name, view)
    if table is None:
        raise undefined_table(f"{namespace}.{name}")
    return Relation(table.schema, table.to_batches())
