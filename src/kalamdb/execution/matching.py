"""Which rows a WHERE of UPDATE or DELETE means: any predicate that a SELECT takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalamdb.result import tuples
from kalamdb.sql.expressions import Binary, ColumnReference, Expression, Lifted, Literal, Parameter, quoted
from kalamdb.types import TypeName

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema
    from kalamdb.sql.dml import Condition

Row = tuple[Any, ...]
_NO_KEY = object()


def matching_rows(
    schema: TableSchema, alias: str | None, where: Condition | None, context: Context
) -> list[Row]:
    """The rows, all columns of each, as the snapshot shows them."""
    store, rows, partition = context.reader, context.rows_of(schema), context.partition(schema)
    if where is None:
        return store.scan(schema.table_id, partition, context.snapshot, rows.reader)
    key = _key_asked_for(schema, alias, where.expression, context)
    if key is not _NO_KEY:
        keys = [] if key is None else [key]
    else:
        keys = _keys_by_query(schema, alias, where, context)
    found = (
        store.get(schema.table_id, partition, rows.encode_key(key), context.snapshot, rows.reader)
        for key in keys
    )
    return [row for row in found if row is not None]


def from_clause(schema: TableSchema, alias: str | None) -> str:
    """The table, and its alias, as they stand after FROM."""
    table = f"{quoted(schema.namespace)}.{quoted(schema.name)}"
    return table if alias is None else f"{table} AS {quoted(alias)}"


def _key_asked_for(schema: TableSchema, alias: str | None, where: Expression | None, context: Context) -> Any:
    """The key of `key = constant`, whatever its order; _NO_KEY for any other predicate."""
    if not isinstance(where, Binary) or where.operator != "=":
        return _NO_KEY
    left, right = where.left, where.right
    if not isinstance(left, ColumnReference):
        left, right = right, left
    if not isinstance(left, ColumnReference) or left.name != schema.primary_key:
        return _NO_KEY
    if left.table not in (None, alias or schema.name):
        return _NO_KEY
    match right:
        case Literal():
            value = right.value
        case Lifted():
            value = context.literals[right.index]
        case Parameter():
            value = context.parameters[right.index]
        case _:
            return _NO_KEY
    if value is None:
        return None
    column = schema.column(schema.primary_key)
    assert column is not None
    if column.type.name is TypeName.BIGINT:
        return value if type(value) is int and -(2**63) <= value < 2**63 else _NO_KEY
    return value if type(value) is str else _NO_KEY


def _keys_by_query(schema: TableSchema, alias: str | None, where: Condition, context: Context) -> list[Any]:
    """Ask DataFusion, over the same snapshot and the same partition as everything else."""
    sql = f"SELECT {quoted(schema.primary_key)} FROM {from_clause(schema, alias)} WHERE {where.text(context.literals)}"
    answer = context.services.queries.select(context, sql, context.parameters)
    return [row[0] for row in tuples(answer.batches, answer.schema)]
