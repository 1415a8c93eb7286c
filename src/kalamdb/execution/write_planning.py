"""Which statements have a plan of the core, and what it is made of (kalamdb.execution.write_plan runs it)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.write_plan import CONSTANT, GENERATED, LITERAL, NOW, PARAMETER, USER, ChangePlan, InsertPlan
from kalamdb.auth import Action
from kalamdb.execution import dml
from kalamdb.result import Result
from kalamdb.schema import TableKind
from kalamdb.sql.dml import DefaultValue, Delete, Insert, LiteralRows, Update, ValuesRows
from kalamdb.sql.expressions import Binary, ColumnReference, FunctionCall, Lifted, Literal, Parameter
from kalamdb.types import TypeName, coerce

if TYPE_CHECKING:
    from kalamdb.database import Database
    from kalamdb.execution.context import Context
    from kalamdb.execution.write_plan import WritePlan
    from kalamdb.schema import Column, TableSchema
    from kalamdb.sql.expressions import Expression

Source = tuple[int, object]


def fill(plan: WritePlan, statement: Any, database: Database, context: Context) -> None:
    """Give the plan the core's plan of the statement, if it can have one. Raises what running it would raise."""
    if isinstance(statement, Insert):
        _fill_insert(plan, statement, database, context)
    elif isinstance(statement, (Update, Delete)):
        _fill_change(plan, statement, database, context)


def _fill_insert(plan: WritePlan, statement: Insert, database: Database, context: Context) -> None:
    if statement.on_conflict is not None or statement.returning is not None:
        return
    schema = dml.writable_table(statement.table, Action.INSERT, context)
    if schema.kind is TableKind.STREAM:
        return
    targets = dml.target_columns(schema, statement.columns)
    rows: list[list[Source]] = []
    source = statement.source
    given = 0
    if isinstance(source, LiteralRows):
        plan.literal_rows = True
        given = len(targets)
        written: list[Sequence[Any]] = [[Parameter(index) for index in range(given)]]
    elif isinstance(source, ValuesRows):
        written = list(source.rows)
        parameters = {cell.index for row in written for cell in row if isinstance(cell, Parameter)}
        given = max(parameters, default=-1) + 1
    else:
        return
    for cells in written:
        if len(cells) > len(targets) or (len(cells) < len(targets) and statement.columns is not None):
            return
        by_position = dict(zip(targets, cells))
        row = [
            _source(by_position.get(position, DefaultValue()), column, database, context)
            for position, column in enumerate(schema.columns)
        ]
        found = [cell for cell in row if cell is not None]
        if len(found) < len(row):
            return
        rows.append(found)
    table = context.rows_of(schema)
    plan.inserts = InsertPlan(
        database.engine.store, schema.table_id, schema.kind is TableKind.SHARED, table.layout, rows, given,
        [column.type for column in schema.columns], [column.type.code for column in schema.columns], coerce,
        database._clock.now_us,
        Result,
    )  # fmt: skip


def _fill_change(plan: WritePlan, statement: Update | Delete, database: Database, context: Context) -> None:
    if statement.returning is not None or statement.where is None:
        return
    action = Action.UPDATE if isinstance(statement, Update) else Action.DELETE
    schema = dml.writable_table(statement.table, action, context, reads=True)
    if schema.kind is TableKind.STREAM:
        return
    key = _key_source(schema, statement.alias, statement.where.expression)
    if key is None:
        return
    changes: list[tuple[int, Source]] = []
    if isinstance(statement, Update):
        for assignment in statement.assignments:
            column = schema.column(assignment.column)
            source = None if column is None else _source(assignment.value, column, database, context)
            if column is None or source is None or column.name == schema.primary_key:
                return
            changes.append((schema.position(column.name), source))
    values = [assignment.value for assignment in getattr(statement, "assignments", ())]
    parameters = {value.index for value in values if isinstance(value, Parameter)}
    if key[0] == PARAMETER:
        parameters.add(key[1])  # type: ignore[arg-type]
    table = context.rows_of(schema)
    plan.changes = ChangePlan(
        database.engine.store, schema.table_id, schema.kind is TableKind.SHARED, table.layout, table.reader, key,
        table.key_type, changes, max(parameters, default=-1) + 1, [column.type for column in schema.columns],
        [column.type.code for column in schema.columns], coerce, database._clock.now_us,
        Result,
    )  # fmt: skip


def _key_source(schema: TableSchema, alias: str | None, where: Expression | None) -> Source | None:
    """Where the key of `key = value` comes from; None for any other predicate."""
    if not isinstance(where, Binary) or where.operator != "=":
        return None
    left, right = where.left, where.right
    if not isinstance(left, ColumnReference):
        left, right = right, left
    if not isinstance(left, ColumnReference) or left.name != schema.primary_key:
        return None
    if left.table not in (None, alias or schema.name):
        return None
    column = schema.column(schema.primary_key)
    if column is None or column.type.name not in (TypeName.BIGINT, TypeName.TEXT):
        return None
    if isinstance(right, Parameter):
        return PARAMETER, right.index
    return (LITERAL, right.index) if isinstance(right, Lifted) else None


def _source(
    cell: Expression | DefaultValue, column: Column, database: Database, context: Context
) -> Source | None:
    """Where a column's value comes from; None where that is an expression to be evaluated."""
    if isinstance(cell, Parameter):
        return PARAMETER, cell.index
    if isinstance(cell, Lifted):
        return LITERAL, cell.index
    if isinstance(cell, DefaultValue):
        if column.default is None:
            return CONSTANT, None
        from kalamdb.execution.defaults import default_expression

        default = default_expression(column.default)
        return (
            None if isinstance(default, (Parameter, Lifted)) else _source(default, column, database, context)
        )
    if isinstance(cell, Literal):
        return CONSTANT, coerce(cell.value, column.type)
    if isinstance(cell, (FunctionCall, ColumnReference)):
        return _function_source(cell, column, database, context)
    return None


def _function_source(
    call: FunctionCall | ColumnReference, column: Column, database: Database, context: Context
) -> Source | None:
    function = database.functions.get(call.name)
    if isinstance(call, ColumnReference):
        if call.table is not None or function is None or not function.keyword_call:
            return None
    elif call.arguments or call.sql is not None:
        return None
    kind = column.type.name
    match call.name:
        case "now" | "current_timestamp" if kind is TypeName.TIMESTAMP:
            return NOW, None
        case "snowflake_id" if kind is TypeName.BIGINT:
            return GENERATED, database.ids.snowflake_id
        case "uuid_v7" if kind is TypeName.TEXT:
            return GENERATED, database.ids.uuid_v7
        case "ulid" if kind is TypeName.TEXT:
            return GENERATED, database.ids.ulid
        case "current_user" if kind is TypeName.TEXT:
            return USER, None
        case "current_role" if kind is TypeName.TEXT:
            return CONSTANT, str(context.role)
    return None
