"""RETURNING: expressions over the rows that a statement wrote or removed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.execution.expressions import Frame, evaluate
from kalamdb.result import Result
from kalamdb.sql.dml import SelectItem, Star
from kalamdb.sql.expressions import ColumnReference, FunctionCall, walk
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema

EPOCH = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
SYSTEM_TYPES = {
    "_seq": DataType(TypeName.BIGINT),
    "_updated": DataType(TypeName.TIMESTAMP),
    "_deleted": DataType(TypeName.BOOLEAN),
}


def frame_of(schema: TableSchema, rows: Sequence[Sequence[Any]], alias: str | None = None) -> Frame:
    """Rows of a table as the columns of an expression, also under the table's name and alias."""
    columns = {column.name: [row[i] for row in rows] for i, column in enumerate(schema.columns)}
    tables = {schema.name: columns}
    if alias is not None:
        tables = {alias: columns}
    return Frame(len(rows), columns, tables, alias or schema.name)


def names_system_columns(items: Sequence[SelectItem]) -> bool:
    """Whether the items can only be evaluated once the rows have their sequence numbers."""
    return any(
        isinstance(node, ColumnReference) and node.name in SYSTEM_COLUMNS
        for item in items
        if not isinstance(item.expression, Star)
        for node in walk(item.expression)
    )


def returned(
    items: Sequence[SelectItem],
    schema: TableSchema,
    frame: Frame,
    context: Context,
    sequences: Sequence[int] | None = None,
    *,
    deleted: bool = False,
) -> Result:
    """The RETURNING rows. `sequences`: each row's `_seq`; None before the commit, to find errors early."""
    if sequences is None:
        sequences = [context.snapshot] * frame.count
    system: dict[str, Sequence[Any]] = {
        "_seq": list(sequences),
        "_updated": [EPOCH + datetime.timedelta(milliseconds=sequence >> 22) for sequence in sequences],
        "_deleted": [deleted] * frame.count,
    }
    whole = Frame(
        frame.count,
        {**frame.columns, **system},
        {name: {**columns, **system} for name, columns in frame.tables.items()},
        frame.table_name,
    )
    names: list[str] = []
    types: list[DataType | None] = []
    columns: list[Sequence[Any]] = []
    for item in items:
        if isinstance(item.expression, Star):
            for column in schema.columns:
                names.append(column.name)
                types.append(column.type)
                columns.append(frame.columns[column.name])
            continue
        names.append(item.alias or _name(item))
        types.append(_type(item, schema))
        columns.append(evaluate(item.expression, whole, context))
    rows = list(zip(*columns)) if frame.count else []
    return Result.from_rows(names, types, [_plain_json(row, types) for row in rows])


def _name(item: SelectItem) -> str:
    if isinstance(item.expression, (ColumnReference, FunctionCall)):
        return item.expression.name
    return item.sql


def _type(item: SelectItem, schema: TableSchema) -> DataType | None:
    if not isinstance(item.expression, ColumnReference):
        return None
    column = schema.column(item.expression.name)
    return column.type if column is not None else SYSTEM_TYPES.get(item.expression.name)


def _plain_json(row: tuple[Any, ...], types: Sequence[DataType | None]) -> tuple[Any, ...]:
    """JSON columns as what the JSON says, as a SELECT gives them."""
    if not any(kind is not None and kind.name is TypeName.JSON for kind in types):
        return row
    import orjson

    return tuple(
        orjson.loads(value)
        if kind is not None and kind.name is TypeName.JSON and isinstance(value, str)
        else value
        for value, kind in zip(row, types)
    )
