"""Expressions that we evaluate ourselves: DEFAULT, VALUES, SET and RETURNING.

A whole column at a time, on lists of Python values. Arithmetic is checked: an integer result that BIGINT cannot hold
is an error and never wraps. Whatever this file does not know itself (DataFusion's functions, LIKE, intervals,
subqueries) is asked of DataFusion over the columns that were evaluated here.
"""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kalamdb.errors import (
    DataError,
    DivisionByZero,
    NumericOutOfRange,
    TypeMismatch,
    UndefinedColumn,
    UndefinedFunction,
)
from kalamdb.sql.expressions import (
    Between,
    Binary,
    Case,
    Cast,
    ColumnReference,
    Expression,
    FunctionCall,
    InList,
    IsDistinct,
    IsNull,
    IsTruth,
    Lifted,
    Like,
    Literal,
    Opaque,
    Parameter,
    TypedLiteral,
    Unary,
    chain,
    children,
    quoted,
    to_sql,
    walk,
)

if TYPE_CHECKING:
    from kalamdb.execution.context import Context

Column = Sequence[Any]
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
DELEGATED = "_values"
"""The relation that holds what is sent to DataFusion; no table's name begins with an underscore."""


@dataclass(slots=True)
class Frame:
    """The rows an expression is evaluated over: columns by name, and again by the names of their tables."""

    count: int
    columns: Mapping[str, Column]
    tables: Mapping[str, Mapping[str, Column]]
    table_name: str = "table"

    def column(self, reference: ColumnReference) -> Column:
        """The referenced column. Raises UndefinedColumn."""
        columns = self.columns if reference.table is None else self.tables.get(reference.table)
        if columns is None or reference.name not in columns:
            name = reference.name if reference.table is None else f"{reference.table}.{reference.name}"
            raise UndefinedColumn(f'column "{name}" does not exist', position=reference.position)
        return columns[reference.name]


NO_COLUMNS = Frame(1, {}, {})


def evaluate(expression: Expression, frame: Frame, context: Context) -> Column:
    """The expression's value for every row of the frame."""
    evaluator = _EVALUATORS.get(type(expression))
    if evaluator is None:
        return _ask_datafusion(expression, frame, context)
    return evaluator(expression, frame, context)


def check_unevaluated(expressions: Sequence[Expression], table: str, context: Context) -> None:
    """Plan expressions that no row reached, so that a wrong one is an error whether there are rows or not.

    `table`: what stands after FROM. Raises what evaluating them would.
    """
    registry = context.services.functions
    for expression in expressions:
        if any(
            isinstance(node, Opaque) or (isinstance(node, FunctionCall) and registry.get(node.name) is None)
            for node in walk(expression)
        ):
            sql = f'SELECT ({to_sql(expression, context.literals)}) AS "_value" FROM {table} LIMIT 0'
            context.services.queries.select(context, sql, context.parameters)


def evaluate_one(expression: Expression, context: Context) -> Any:
    """The value of an expression without columns."""
    return evaluate(expression, NO_COLUMNS, context)[0]


def _literal(expression: Literal, frame: Frame, context: Context) -> Column:
    return [expression.value] * frame.count


def _lifted(expression: Lifted, frame: Frame, context: Context) -> Column:
    return [context.literals[expression.index]] * frame.count


def _parameter(expression: Parameter, frame: Frame, context: Context) -> Column:
    return [context.parameters[expression.index]] * frame.count


def _column(expression: ColumnReference, frame: Frame, context: Context) -> Column:
    function = context.services.functions.get(expression.name) if expression.table is None else None
    if function is not None and function.keyword_call and expression.name not in frame.columns:
        return function.evaluate(context.function_context, frame.count)
    return frame.column(expression)


def _function(expression: FunctionCall, frame: Frame, context: Context) -> Column:
    function = context.services.functions.get(expression.name)
    if function is None:
        return _ask_datafusion(expression, frame, context)
    if not function.takes(len(expression.arguments)):
        raise UndefinedFunction(
            f"function {function.signature} does not take {len(expression.arguments)} argument(s)",
            position=expression.position,
        )
    arguments = [evaluate(argument, frame, context) for argument in expression.arguments]
    return function.evaluate(context.function_context, frame.count, *arguments)


def _unary(expression: Unary, frame: Frame, context: Context) -> Column:
    operator = expression.operator.upper()
    if operator not in ("-", "+", "NOT"):
        return _ask_datafusion(expression, frame, context)
    values = evaluate(expression.operand, frame, context)
    if operator == "NOT":
        return [None if value is None else not _boolean(value) for value in values]
    if not all(value is None or _is_number(value) for value in values):
        return _ask_datafusion(expression, frame, context)
    if operator == "+":
        return values
    return [None if value is None else _checked(-value) for value in values]


def _binary(expression: Binary, frame: Frame, context: Context) -> Column:
    """A chain of operators is walked in a loop: it may be 1,000 long."""
    first, nodes = chain(expression)
    left = evaluate(first, frame, context)
    for node in nodes:
        left = _operate(node, left, evaluate(node.right, frame, context), frame, context)
    return left


def _operate(node: Binary, left: Column, right: Column, frame: Frame, context: Context) -> Column:
    operator = node.operator.upper()
    if operator == "AND":
        return [_and(a, b) for a, b in zip(left, right)]
    if operator == "OR":
        return [_or(a, b) for a, b in zip(left, right)]
    row_by_row: Callable[[Any, Any], Any] | None = None
    if operator in _ARITHMETIC and _all_pairs(left, right, _both_numbers):
        row_by_row = _ARITHMETIC[operator]
    elif operator in _COMPARISONS and _all_pairs(left, right, _comparable):
        row_by_row = _COMPARISONS[operator]
    elif operator == "||" and _all_pairs(left, right, _both_text):
        row_by_row = _concatenate
    if row_by_row is None:
        return _delegate(replace(node, left=_argument(0), right=_argument(1)), [left, right], frame, context)
    return [None if a is None or b is None else row_by_row(a, b) for a, b in zip(left, right)]


def _is_null(expression: IsNull, frame: Frame, context: Context) -> Column:
    values = evaluate(expression.operand, frame, context)
    return [(value is None) != expression.negated for value in values]


def _is_truth(expression: IsTruth, frame: Frame, context: Context) -> Column:
    values = evaluate(expression.operand, frame, context)
    return [(value is expression.truth) != expression.negated for value in values]


def _case(expression: Case, frame: Frame, context: Context) -> Column:
    """Branches are evaluated over the rows that reach them alone, so that a guard guards."""
    result: list[Any] = [None] * frame.count
    waiting = list(range(frame.count))
    for condition, value in expression.branches:
        test = (
            condition
            if expression.operand is None
            else Binary("=", expression.operand, condition, position=0)
        )
        part = _rows(frame, waiting)
        truths = evaluate(test, part, context)
        taken = [row for row, truth in zip(waiting, truths) if truth is True]
        for row, one in zip(taken, evaluate(value, _rows(frame, taken), context) if taken else ()):
            result[row] = one
        chosen = set(taken)
        waiting = [row for row in waiting if row not in chosen]
    if expression.otherwise is not None and waiting:
        for row, one in zip(waiting, evaluate(expression.otherwise, _rows(frame, waiting), context)):
            result[row] = one
    return result


def _cast(expression: Cast, frame: Frame, context: Context) -> Column:
    from kalamdb.types import TypeName, coerce

    values = evaluate(expression.operand, frame, context)
    if expression.type.name in (TypeName.UUID, TypeName.JSON):
        return [None if value is None else coerce(value, expression.type) for value in values]
    return _delegate(replace(expression, operand=_argument(0)), [values], frame, context)


def _rows(frame: Frame, rows: list[int]) -> Frame:
    if len(rows) == frame.count:
        return frame

    def chosen(columns: Mapping[str, Column]) -> dict[str, Column]:
        return {name: [column[row] for row in rows] for name, column in columns.items()}

    tables = {name: chosen(columns) for name, columns in frame.tables.items()}
    return Frame(len(rows), chosen(frame.columns), tables, frame.table_name)


# Numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)


def _all_pairs(left: Column, right: Column, fits: Callable[[Any, Any], bool]) -> bool:
    """Whether every pair without a NULL fits; nothing but NULL on a side fits anything, and gives NULL."""
    return all(a is None or b is None or fits(a, b) for a, b in zip(left, right))


def _both_numbers(a: Any, b: Any) -> bool:
    return _is_number(a) and _is_number(b)


def _both_text(a: Any, b: Any) -> bool:
    return isinstance(a, str) and isinstance(b, str)


def _comparable(a: Any, b: Any) -> bool:
    return type(a) is type(b) or _both_numbers(a, b)


def _checked(value: Any) -> Any:
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise NumericOutOfRange(
            f"BIGINT out of range: {value}; use DECIMAL or DOUBLE for numbers of this size"
        )
    return value


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    """A Decimal beside a float becomes a float, as DOUBLE arithmetic asks."""
    if isinstance(a, float) and isinstance(b, decimal.Decimal):
        return a, float(b)
    if isinstance(b, float) and isinstance(a, decimal.Decimal):
        return float(a), b
    return a, b


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(a: Any, b: Any) -> Any:
        a, b = _aligned(a, b)
        try:
            return _checked(operation(a, b))
        except (decimal.InvalidOperation, OverflowError) as error:
            raise NumericOutOfRange(f"numeric result out of range: {a} and {b}") from error

    return checked


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        raise DivisionByZero("division by zero")
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    return a / b


def _modulo(a: Any, b: Any) -> Any:
    if b == 0:
        raise DivisionByZero("division by zero")
    if isinstance(a, int) and isinstance(b, int):
        rest = abs(a) % abs(b)
        return -rest if a < 0 else rest
    return math.fmod(a, b)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": _arithmetic(lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(_divide),
    "%": _arithmetic(_modulo),
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _concatenate(a: str, b: str) -> str:
    if len(a) + len(b) > 16_000_000:
        raise DataError("text longer than 16 MB; a row cannot hold it")
    return a + b


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeMismatch(f"a condition must be BOOLEAN, not {type(value).__name__}")
    return value


def _and(a: Any, b: Any) -> bool | None:
    if a is None:
        return False if b is not None and not _boolean(b) else None
    if not _boolean(a):
        return False
    return None if b is None else _boolean(b)


def _or(a: Any, b: Any) -> bool | None:
    if a is None:
        return True if b is not None and _boolean(b) else None
    if _boolean(a):
        return True
    return None if b is None else _boolean(b)


# DataFusion's share


def _argument(position: int) -> ColumnReference:
    return ColumnReference(f"c{position}", None, position=0)


def _ask_datafusion(expression: Expression, frame: Frame, context: Context) -> Column:
    """Evaluate the operands here and only this one operation there; text we cannot read goes as it is."""
    if isinstance(expression, (Opaque, TypedLiteral)):
        return _ask_over_rows(expression, frame, context)
    operands = children(expression)
    columns = [evaluate(operand, frame, context) for operand in operands]
    return _delegate(_with_operands(expression, len(operands)), columns, frame, context)


def _with_operands(expression: Expression, count: int) -> Expression:
    names = [_argument(position) for position in range(count)]
    match expression:
        case FunctionCall():
            return replace(expression, arguments=tuple(names))
        case Unary():
            return replace(expression, operand=names[0])
        case Between():
            return replace(expression, operand=names[0], low=names[1], high=names[2])
        case InList():
            return replace(expression, operand=names[0], items=tuple(names[1:]))
        case Like():
            escape = names[2] if expression.escape is not None else None
            return replace(expression, operand=names[0], pattern=names[1], escape=escape)
        case IsDistinct():
            return replace(expression, left=names[0], right=names[1])
    raise TypeMismatch(f"this expression cannot be evaluated here: {type(expression).__name__}")


def _delegate(expression: Expression, columns: list[Column], frame: Frame, context: Context) -> Column:
    named = {f"c{position}": column for position, column in enumerate(columns)}
    return _select(to_sql(expression, context.literals), DELEGATED, named, frame.count, context)


def _ask_over_rows(expression: Opaque | TypedLiteral, frame: Frame, context: Context) -> Column:
    """Text that only DataFusion reads may name any column of the row."""
    source = f"{DELEGATED} AS {quoted(frame.table_name)}"
    return _select(expression.sql, source, frame.columns, frame.count, context)


def _select(sql: str, source: str, columns: Mapping[str, Column], count: int, context: Context) -> Column:
    import pyarrow as pa

    from kalamdb.execution.scan import Relation
    from kalamdb.result import tuples

    if count == 0:
        return []
    batch = pa.record_batch({"_row": pa.array(range(count), pa.int64()), **_arrays(columns)})
    context.temporary[DELEGATED] = Relation(batch.schema, [batch])
    try:
        answer = context.services.queries.select(
            context, f'SELECT ({sql}) AS "_value", "_row" FROM {source} ORDER BY "_row"', context.parameters
        )
    finally:
        del context.temporary[DELEGATED]
    return [row[0] for row in tuples(answer.batches, answer.schema)]


def _arrays(columns: Mapping[str, Column]) -> dict[str, Any]:
    import pyarrow as pa

    from kalamdb.result import _plain

    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        plain = [_plain(value) for value in values]
        sample = next((value for value in plain if value is not None), None)
        if isinstance(sample, int) and not isinstance(sample, bool):
            if any(isinstance(value, float) for value in plain):
                arrays[name] = pa.array(
                    [None if value is None else float(value) for value in plain], pa.float64()
                )
            else:
                arrays[name] = pa.array(plain, pa.int64())
        elif isinstance(sample, datetime.datetime):
            arrays[name] = pa.array(plain, pa.timestamp("us", tz="UTC"))
        elif sample is None:
            arrays[name] = pa.nulls(len(plain))
        else:
            arrays[name] = pa.array(plain)
    return arrays


_EVALUATORS: dict[type, Callable[..., Column]] = {
    Literal: _literal,
    Lifted: _lifted,
    Parameter: _parameter,
    ColumnReference: _column,
    FunctionCall: _function,
    Unary: _unary,
    Binary: _binary,
    IsNull: _is_null,
    IsTruth: _is_truth,
    Case: _case,
    Cast: _cast,
}
