"""DEFAULT: checked when a table is made, evaluated when a row leaves the column out."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from kalamdb.errors import DataError, Error, InvalidDefinition, UndefinedFunction
from kalamdb.execution.expressions import Column as Values
from kalamdb.execution.expressions import Frame, evaluate, evaluate_one
from kalamdb.functions.registry import check_default
from kalamdb.sql.expressions import ColumnReference, Expression, FunctionCall, Opaque, Parameter, walk
from kalamdb.types import DataType, coerce

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.schema import Column


@functools.lru_cache(maxsize=4096)
def default_expression(sql: str) -> Expression:
    """The parsed DEFAULT of a column."""
    from kalamdb.sql.parser import parse_expression

    return parse_expression(sql)


def default_values(column: Column, count: int, context: Context) -> Values:
    """What `count` rows that leave the column out get: one evaluation a row, NULL where there is no DEFAULT."""
    if column.default is None:
        return [None] * count
    return evaluate(default_expression(column.default), Frame(count, {}, {}), context)


def is_generated(expression: Expression | None, context: Context) -> bool:
    """Whether the DEFAULT makes a new value for every row (SNOWFLAKE_ID(), UUID_V7(), ULID())."""
    if not isinstance(expression, FunctionCall):
        return False
    function = context.services.functions.get(expression.name)
    return function is not None and function.volatility == "volatile"


def checked_default(name: str, kind: DataType, expression: Expression, context: Context) -> Any:
    """Evaluate the DEFAULT once, as a row would. Raises InvalidDefinition, UndefinedFunction, or the type's errors."""
    for node in walk(expression):
        if isinstance(node, ColumnReference) and not _is_keyword_function(node, context):
            raise InvalidDefinition(
                f'DEFAULT of column "{name}" names the column "{node.name}"; a default may use constants and functions'
            )
        if isinstance(node, Parameter):
            raise InvalidDefinition(f'DEFAULT of column "{name}" has a parameter; write the value itself')
        if isinstance(node, Opaque):
            raise InvalidDefinition(f'DEFAULT of column "{name}" is no constant and no function: {node.sql}')
        if isinstance(node, FunctionCall):
            function = context.services.functions.get(node.name)
            if function is not None and not function.takes(len(node.arguments)):
                raise UndefinedFunction(
                    f"function {function.signature} does not take {len(node.arguments)} argument(s)"
                )
    called = _called_function(expression, context)
    if called is not None:
        check_default(called, kind)
    value = evaluate_one(expression, context)
    if value is None:
        return None
    try:
        return coerce(value, kind)
    except DataError as error:
        raise InvalidDefinition(f'DEFAULT of column "{name}" does not fit {kind}: {error.message}') from error
    except Error:
        raise


def _called_function(expression: Expression, context: Context) -> str | None:
    if isinstance(expression, FunctionCall) or (
        isinstance(expression, ColumnReference) and _is_keyword_function(expression, context)
    ):
        return expression.name if context.services.functions.get(expression.name) is not None else None
    return None


def _is_keyword_function(node: ColumnReference, context: Context) -> bool:
    function = context.services.functions.get(node.name) if node.table is None else None
    return function is not None and function.keyword_call
