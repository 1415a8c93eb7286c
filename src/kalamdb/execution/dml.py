"""INSERT, UPDATE, DELETE: values are checked and encoded first, then one commit writes all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.auth import Action, undefined_table
from kalamdb.errors import (
    AccessDenied,
    Error,
    InvalidDefinition,
    InvalidSyntax,
    NotNullViolation,
    NumericOutOfRange,
    TypeMismatch,
    UndefinedColumn,
    UniqueViolation,
    ValueTooLong,
)
from kalamdb.execution.defaults import default_values
from kalamdb.execution.expressions import Frame, check_unevaluated, evaluate, evaluate_one
from kalamdb.execution.matching import from_clause, matching_rows
from kalamdb.execution.returning import frame_of, names_system_columns, returned
from kalamdb.execution.visible_views import is_visible_view
from kalamdb.result import Result, tuples
from kalamdb.sql.dml import (
    Assignment,
    DefaultValue,
    DefaultValues,
    Delete,
    Insert,
    LiteralRows,
    OnConflict,
    QuerySource,
    SelectItem,
    Update,
    ValuesRows,
)
from kalamdb.sql.expressions import ColumnReference, Opaque, walk
from kalamdb.types import TypeName, coerce

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema
    from kalamdb.sql.names import TableName

Row = Sequence[Any]
SYSTEM_NAMESPACES = frozenset({"system", "information_schema"})


def insert(statement: Insert, context: Context) -> Result:
    """Write new rows; all of them or none."""
    conflict = statement.on_conflict
    reads = conflict is not None or statement.returning is not None
    schema = writable_table(statement.table, Action.INSERT, context, reads=reads)
    if conflict is not None and conflict.assignments is not None:
        context.authorize(Action.UPDATE, schema, str(statement.table))
    columns = target_columns(schema, statement.columns)
    given = source_rows(statement, schema, columns, context)
    rows = complete_rows(schema, columns, given, context)
    if statement.on_conflict is not None:
        return _upsert(statement, schema, rows, context)
    return write(schema, rows, [], statement.returning, context)


def update(statement: Update, context: Context) -> Result:
    """Write a new version of every row that matches; all of them or none."""
    if (statement.table.catalog, statement.table.namespace, statement.table.name) == (
        None,
        "system",
        "users",
    ):
        from kalamdb.execution.users import update_users

        return update_users(statement, context)
    schema = writable_table(statement.table, Action.UPDATE, context, reads=_reads(statement))
    matched = matching_rows(schema, statement.alias, statement.where, context)
    frame = frame_of(schema, matched, statement.alias)
    if not matched:
        given = [one.value for one in statement.assignments if not isinstance(one.value, DefaultValue)]
        check_unevaluated(given, from_clause(schema, statement.alias), context)
    changed = assigned(schema, matched, statement.assignments, frame, context)
    return write(
        schema, [], list(zip(matched, changed)), statement.returning, context, statement.alias, verb="Updated"
    )


def delete(statement: Delete, context: Context) -> Result:
    """Leave a tombstone for every row that matches; all of them or none."""
    schema = writable_table(statement.table, Action.DELETE, context, reads=_reads(statement))
    matched = matching_rows(schema, statement.alias, statement.where, context)
    batch = WriteBatch(context.snapshot)
    table, partition = context.rows_of(schema), context.partition(schema)
    for row in matched:
        batch.delete(schema.table_id, partition, table.layout, row)
    frame = frame_of(schema, matched, statement.alias)
    writes = _Writes(batch, matched, range(len(matched)))
    message = f"Deleted {len(matched)} row(s)"
    return _commit(writes, schema, frame, statement.returning, context, message, deleted=True)


# Tables and columns


def writable_table(name: TableName, action: Action, context: Context, *, reads: bool = False) -> TableSchema:
    """The table a statement changes. `reads`: whether what it does tells of rows, or depends on them, so that the right
    to read them is needed too. Raises UndefinedTable, AccessDenied."""
    namespace = name.namespace or context.namespace
    if name.catalog == "all_users":
        raise AccessDenied(f"all_users.{namespace}.{name.name} is read-only; each user changes its own rows")
    if namespace in SYSTEM_NAMESPACES:
        raise AccessDenied(
            f"{namespace}.{name.name} is a system table and cannot be changed by {action.name}"
        )
    if is_visible_view(context.catalog, namespace, name.name, context.may_see):
        raise AccessDenied(f'"{name.name}" is a view and cannot be changed; change the table below it')
    schema = context.catalog.table(namespace, name.name)
    shown = name.name if name.namespace is None else f"{name.namespace}.{name.name}"
    if schema is None:
        raise undefined_table(shown)
    context.authorize(action, schema, shown)
    if reads and not context.may_see(schema):
        raise AccessDenied(
            f"permission denied for table {shown}: WHERE, RETURNING, ON CONFLICT and columns in SET read it; ask a dba "
            f"to GRANT SELECT ON {schema.qualified_name}"
        )
    return schema


def _reads(statement: Update | Delete) -> bool:
    """Whether its outcome tells of the rows that were there."""
    if statement.where is not None or statement.returning is not None:
        return True
    given = [one.value for one in getattr(statement, "assignments", ())]
    return any(
        isinstance(node, (ColumnReference, Opaque))
        for value in given
        if not isinstance(value, DefaultValue)
        for node in walk(value)
    )


def target_columns(schema: TableSchema, names: Sequence[str] | None) -> list[int]:
    """Positions of the columns an INSERT gives values for, in its order."""
    if names is None:
        return list(range(len(schema.columns)))
    positions = [_position(schema, name) for name in names]
    if len(set(positions)) != len(positions):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InvalidSyntax(f'column "{twice}" is named twice in the column list')
    return positions


def _position(schema: TableSchema, name: str) -> int:
    if name.startswith("_") and schema.column(name) is None:
        raise UndefinedColumn(
            f'column "{name}" of {schema.qualified_name} is kept by the database and is read-only'
        )
    try:
        return schema.position(name)
    except KeyError:
        raise UndefinedColumn(
            f'column "{name}" of relation "{schema.qualified_name}" does not exist'
        ) from None


# The rows of an INSERT


def source_rows(
    statement: Insert, schema: TableSchema, columns: list[int], context: Context
) -> Sequence[Row]:
    """The rows as the statement gives them, one value a target column; DefaultValue where it says DEFAULT.

    Without a column list a row may be shorter than the table: the rest takes its defaults.
    """
    source = statement.source
    if isinstance(source, DefaultValues):
        return [[DefaultValue()] * len(columns)]
    if isinstance(source, QuerySource):
        answer = context.services.queries.select(context, source.sql, context.parameters)
        rows: Sequence[Row] = _plain_rows(answer)
        width = len(answer.schema)
        if width > len(columns) or (width < len(columns) and statement.columns is not None):
            raise InvalidSyntax(f"INSERT has {len(columns)} target column(s) but its query gives {width}")
        return rows
    if isinstance(source, LiteralRows):
        rows = context.rows or []
    else:
        assert isinstance(source, ValuesRows)
        rows = [
            [cell if isinstance(cell, DefaultValue) else evaluate_one(cell, context) for cell in row]
            for row in source.rows
        ]
    short_allowed = statement.columns is None
    for number, row in enumerate(rows, 1):
        if len(row) > len(columns) or (len(row) < len(columns) and not short_allowed):
            raise InvalidSyntax(
                f"INSERT has {len(columns)} target column(s) but row {number} has {len(row)} value(s)"
            )
    return rows


def _plain_rows(answer: Any) -> list[Row]:
    """A query's rows with UUID and JSON as text, which every column takes."""
    bare = answer.schema.remove_metadata()
    for position, field in enumerate(bare):
        bare = bare.set(position, field.remove_metadata())
    return list(tuples(answer.batches, bare))


def complete_rows(
    schema: TableSchema, columns: list[int], given: Sequence[Row], context: Context
) -> Sequence[Row]:
    """Rows in the table's column order, with defaults where a value is not given."""
    width = len(schema.columns)
    in_order = columns == list(range(width)) and all(len(row) == width for row in given)
    if in_order and not any(isinstance(value, DefaultValue) for row in given for value in row):
        return given
    count = len(given)
    by_column: list[Sequence[Any]] = []
    place = {position: index for index, position in enumerate(columns)}
    for position, column in enumerate(schema.columns):
        index = place.get(position)
        if index is None:
            by_column.append(default_values(column, count, context))
            continue
        values = [row[index] if index < len(row) else LEFT_OUT for row in given]
        missing = [row for row, value in enumerate(values) if isinstance(value, DefaultValue)]
        if missing:
            for row, value in zip(missing, default_values(column, len(missing), context)):
                values[row] = value
        by_column.append(values)
    return list(zip(*by_column))


LEFT_OUT = DefaultValue()


def assigned(
    schema: TableSchema,
    rows: Sequence[Row],
    assignments: Sequence[Assignment],
    frame: Frame,
    context: Context,
) -> list[Row]:
    """The rows with SET applied; every right-hand side sees the old values."""
    changes: dict[int, Sequence[Any]] = {}
    for assignment in assignments:
        position = _position(schema, assignment.column)
        if position in changes:
            raise InvalidSyntax(
                f'column "{assignment.column}" is assigned twice', position=assignment.position
            )
        if isinstance(assignment.value, DefaultValue):
            changes[position] = default_values(schema.columns[position], len(rows), context)
        else:
            changes[position] = evaluate(assignment.value, frame, context)
    result: list[Row] = []
    for number, row in enumerate(rows):
        values = list(row)
        for position, column in changes.items():
            values[position] = column[number]
        result.append(values)
    return result


def _upsert(statement: Insert, schema: TableSchema, rows: Sequence[Row], context: Context) -> Result:
    """INSERT … ON CONFLICT: a row whose key is there is left alone, or updated from what would have been inserted."""
    conflict = statement.on_conflict
    assert conflict is not None
    if conflict.key is not None and conflict.key != schema.primary_key:
        raise InvalidDefinition(
            f'ON CONFLICT names "{conflict.key}"; the only unique column of {schema.qualified_name} is its key '
            f'"{schema.primary_key}"'
        )
    table, partition = context.rows_of(schema), context.partition(schema)
    rows = coerced(schema, rows)
    fresh: list[Row] = []
    standing: list[tuple[Row, Row]] = []
    seen: set[Any] = set()
    for row in rows:
        key = row[table.key_position]
        if key is None:
            raise _null_violation(schema, table.key_position, 0)
        if key in seen:
            if conflict.assignments is None:
                continue
            raise UniqueViolation(
                f"ON CONFLICT DO UPDATE cannot change the row {key!r} of {schema.qualified_name} twice in one statement"
            )
        seen.add(key)
        old = context.reader.get(
            schema.table_id, partition, table.encode_key(key), context.snapshot, table.reader
        )
        if old is None:
            fresh.append(row)
        elif conflict.assignments is not None:
            standing.append((old, row))
    changed = _conflict_updates(conflict, schema, standing, context)
    return write(schema, fresh, changed, statement.returning, context)


def _conflict_updates(
    conflict: OnConflict, schema: TableSchema, standing: list[tuple[Row, Row]], context: Context
) -> list[tuple[Row, Row]]:
    if not standing or conflict.assignments is None:
        return []
    frame = frame_of(schema, [old for old, _ in standing])
    excluded = frame_of(schema, [new for _, new in standing]).columns
    frame = Frame(frame.count, frame.columns, {**frame.tables, "excluded": excluded}, frame.table_name)
    old_rows = [old for old, _ in standing]
    changed = assigned(schema, old_rows, conflict.assignments, frame, context)
    if conflict.where is None:
        return list(zip(old_rows, changed))
    if conflict.where.expression is None:
        raise InvalidSyntax("the WHERE of ON CONFLICT DO UPDATE may not hold a subquery")
    truths = evaluate(conflict.where.expression, frame, context)
    return [(old, new) for old, new, truth in zip(old_rows, changed, truths) if truth is True]


# Writing


@dataclass(slots=True)
class _Writes:
    """The rows of one commit, in the order RETURNING shows them, and which operation of the batch each one is."""

    batch: WriteBatch
    rows: Sequence[Row]
    operations: Sequence[int]


def write(
    schema: TableSchema,
    fresh: Sequence[Row],
    changed: Sequence[tuple[Row, Row]],
    returning: Sequence[SelectItem] | None,
    context: Context,
    alias: str | None = None,
    *,
    verb: str = "Inserted",
) -> Result:
    """Commit new rows, and new versions of (old, new) pairs, in one batch."""
    new_versions: Sequence[Row] = [new for _, new in changed]
    try:
        if _needs_checks(schema):
            fresh, new_versions = coerced(schema, fresh), coerced(schema, new_versions)
        try:
            writes = _encoded(schema, fresh, changed, new_versions, context)
        except core.ValueMismatchError:
            fresh, new_versions = coerced(schema, fresh), coerced(schema, new_versions)
            writes = _encoded(schema, fresh, changed, new_versions, context)
    except core.CoreError as error:
        raise value_error(error, schema) from error
    frame = frame_of(schema, writes.rows, alias) if returning is not None else None
    return _commit(writes, schema, frame, returning, context, f"{verb} {len(writes.rows)} row(s)")


def _encoded(
    schema: TableSchema,
    fresh: Sequence[Row],
    changed: Sequence[tuple[Row, Row]],
    new_versions: Sequence[Row],
    context: Context,
) -> _Writes:
    table, partition = context.rows_of(schema), context.partition(schema)
    batch = WriteBatch(context.snapshot)
    if fresh:
        batch.insert_many(schema.table_id, partition, table.layout, fresh)
    if not changed:
        return _Writes(batch, fresh, range(len(fresh)))
    operations = list(range(len(fresh)))
    moved: list[int] = []
    for (old, _), new in zip(changed, new_versions):
        operations.append(len(batch))
        if old[table.key_position] == new[table.key_position]:
            batch.replace(schema.table_id, partition, table.layout, new)
        else:
            # A key that moves is a row that goes and a row that comes. All go first, so that keys may swap.
            batch.delete(schema.table_id, partition, table.layout, old)
            moved.append(len(operations) - 1)
    for place in moved:
        operations[place] = len(batch)
        batch.insert(schema.table_id, partition, table.layout, new_versions[place - len(fresh)])
    return _Writes(batch, [*fresh, *new_versions], operations)


def _commit(
    writes: _Writes,
    schema: TableSchema,
    frame: Frame | None,
    returning: Sequence[SelectItem] | None,
    context: Context,
    message: str,
    *,
    deleted: bool = False,
) -> Result:
    answer = None
    if returning is not None:
        assert frame is not None
        # Evaluated before the commit: an error in RETURNING must leave no trace.
        answer = returned(returning, schema, frame, context, deleted=deleted)
    if len(writes.batch):
        try:
            last = context.write(writes.batch)
        except core.DuplicateKeyError as error:
            key = next(
                (row for row, at in zip(writes.rows, writes.operations) if at == error.operation), None
            )
            raise duplicate_key_of(
                schema, "?" if key is None else key[schema.position(schema.primary_key)]
            ) from error
        if returning is not None and frame is not None and names_system_columns(returning):
            first = last - len(writes.batch) + 1
            sequences = [first + operation for operation in writes.operations]
            answer = returned(returning, schema, frame, context, sequences, deleted=deleted)
    if answer is None:
        return Result.affected(len(writes.rows), message)
    answer.message = message
    return answer


def duplicate_key_of(schema: TableSchema, key: Any) -> UniqueViolation:
    """The refusal of a key that has a row already."""
    return UniqueViolation(f"duplicate key value violates primary key of {schema.qualified_name}: {key}")


def _needs_checks(schema: TableSchema) -> bool:
    """JSON is checked by us, the core takes any text for it."""
    return any(column.type.name is TypeName.JSON for column in schema.columns)


def coerced(schema: TableSchema, rows: Sequence[Row]) -> list[Row]:
    """Rows with every value as exactly its column's Python type. Raises TypeMismatch and its kin, naming the place."""
    result: list[Row] = []
    for number, row in enumerate(rows, 1):
        values: list[Any] = []
        for value, column in zip(row, schema.columns):
            try:
                values.append(None if value is None else coerce(value, column.type))
            except Exception as error:
                name_the_place(error, schema, column.name, number)
                raise
        result.append(values)
    return result


def name_the_place(error: Exception, schema: TableSchema, column: str, row: int | None = None) -> None:
    """Put the column, and the row where it is known, before the message of a value's error."""
    if isinstance(error, Error):
        place = "" if row is None else f", row {row}"
        error.message = f'column "{column}" of {schema.qualified_name}{place}: {error.message}'
        error.args = (error.message,)


def _null_violation(schema: TableSchema, column: int, row: int) -> NotNullViolation:
    name = schema.columns[column].name
    return NotNullViolation(
        f'null value in column "{name}" of {schema.qualified_name} violates NOT NULL (row {row + 1}); '
        "give it a value"
        + (", or leave the column out to take its DEFAULT" if schema.columns[column].default else "")
    )


def value_error(error: core.CoreError, schema: TableSchema) -> Exception:
    """A value the core refused, in SQL's words."""
    row = max(getattr(error, "row", 0), 0)
    column = getattr(error, "column", -1)
    if isinstance(error, core.NullValueError):
        return _null_violation(schema, column, row)
    name = schema.columns[column].name if 0 <= column < len(schema.columns) else "?"
    place = f'column "{name}" of {schema.qualified_name}, row {row + 1}: {error}'
    if isinstance(error, core.ValueOutOfRangeError):
        text = column < 0 or schema.columns[column].type.name in (
            TypeName.TEXT,
            TypeName.BYTES,
            TypeName.JSON,
        )
        return ValueTooLong(place) if text else NumericOutOfRange(place)
    if isinstance(error, core.ValueMismatchError):
        return TypeMismatch(place)
    from kalamdb.engine.core_errors import translated

    return translated(error)
