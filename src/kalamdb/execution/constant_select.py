"""SELECTs of values without FROM, answered without the query engine: literals, parameters, who asks and when, new ids,
sums and texts put together.

What is answered here has the names, types and values that the query engine would give. Whatever is not certain to (an
overflow, a division by zero, NULL, which has no type of its own) is left to it, and so is every error.
"""

from __future__ import annotations

import datetime
import math
import operator
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.select_plan import PARAMETER
from kalamdb.functions.registry import FunctionContext
from kalamdb.result import Result
from kalamdb.sql.query import Call, ConstantExpression, ConstantSelect, Minus, Value
from kalamdb.types import BIGINT, BOOLEAN, BYTES, DATE, DOUBLE, TEXT, TIME, TIMESTAMP, DataType

if TYPE_CHECKING:
    from kalamdb.session import Session

Typed = tuple[Any, DataType]


class NotCertain(Exception):
    """The query engine has to answer."""


def answer(
    session: Session, select: ConstantSelect, parameters: Sequence[Any] | None, started: int
) -> Result | None:
    """The result, or None where the query engine has to answer. `started`: by perf_counter_ns; 0: now."""
    if parameters is None:
        parameters = ()
    elif type(parameters) is not list and type(parameters) is not tuple:
        return None
    if len(parameters) != select.parameters:
        return None
    started = started or time.perf_counter_ns()
    database = session._database
    context = FunctionContext(database.now(), session.user, session.rights.role, database.ids)
    try:
        evaluated = [_evaluated(item.expression, parameters, session, context) for item in select.items]
    except (NotCertain, core.CoreError):
        return None
    result = Result.from_rows(
        tuple(item.name for item in select.items),
        tuple(kind for _, kind in evaluated),
        [tuple(value for value, _ in evaluated)],
    )
    result.took_ms = (time.perf_counter_ns() - started) / 1e6
    return result


def _evaluated(
    expression: ConstantExpression, parameters: Sequence[Any], session: Session, context: FunctionContext
) -> Typed:
    if isinstance(expression, Value):
        if expression.source == PARAMETER:
            assert isinstance(expression.value, int)
            return typed(parameters[expression.value])
        return typed(expression.value)
    if isinstance(expression, Call):
        return _called(expression.function, session, context)
    if isinstance(expression, Minus):
        value, kind = _evaluated(expression.operand, parameters, session, context)
        return _number(-value, kind) if kind in (BIGINT, DOUBLE) else _not_certain()
    left, left_kind = _evaluated(expression.left, parameters, session, context)
    right, right_kind = _evaluated(expression.right, parameters, session, context)
    if expression.operator == "||":
        return (left + right, TEXT) if left_kind is right_kind is TEXT else _not_certain()
    if left_kind is right_kind is BIGINT:
        return _number(_WHOLE[expression.operator](left, right), BIGINT)
    if {left_kind, right_kind} <= {BIGINT, DOUBLE}:
        return _number(_FLOATING[expression.operator](float(left), float(right)), DOUBLE)
    return _not_certain()


def typed(value: Any) -> Typed:
    """A literal or a parameter as it comes back, and its type. Raises NotCertain."""
    return _TYPED.get(type(value), _not_certain)(value)


def _not_certain(*_: object) -> Typed:
    raise NotCertain


def _number(value: Any, kind: DataType) -> Typed:
    if kind is BIGINT:
        return (value, kind) if -(2**63) <= value < 2**63 else _not_certain()
    return (value, kind) if math.isfinite(value) else _not_certain()


def _text(value: str) -> Typed:
    try:
        value.encode()
    except UnicodeEncodeError:
        return _not_certain()
    return value, TEXT


def _timestamp(value: datetime.datetime) -> Typed:
    if value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC), TIMESTAMP
    return (value, TIMESTAMP) if value.tzinfo is datetime.UTC else _not_certain()


_TYPED: dict[type, Callable[[Any], Typed]] = {
    bool: lambda value: (value, BOOLEAN),
    int: lambda value: _number(value, BIGINT),
    float: lambda value: (value, DOUBLE),
    str: _text,
    bytes: lambda value: (value, BYTES),
    datetime.datetime: _timestamp,
    datetime.date: lambda value: (value, DATE),
    datetime.time: lambda value: (value.replace(tzinfo=None), TIME),
    uuid.UUID: lambda value: (str(value), TEXT),
}


def _called(name: str, session: Session, context: FunctionContext) -> Typed:
    function = session._database.functions.get(name)
    if function is None:
        return (context.now.time(), TIME) if name == "current_time" else (context.now.date(), DATE)
    if name in _DATES:
        # One that the application registered.
        return _not_certain()
    return function.evaluate(context, 1)[0], function.result


_DATES = frozenset({"current_date", "current_time", "today"})
"""Not of the registry, unless an application has its own of that name."""


def _quotient(left: int, right: int) -> int:
    """Towards zero."""
    if right == 0:
        raise NotCertain
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def _remainder(left: int, right: int) -> int:
    """With the sign of what is divided."""
    return left - right * _quotient(left, right)


def _ratio(left: float, right: float) -> float:
    if right == 0:
        raise NotCertain
    return left / right


def _floating_remainder(left: float, right: float) -> float:
    if right == 0:
        raise NotCertain
    return math.fmod(left, right)


_WHOLE: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _quotient, "%": _remainder,
}  # fmt: skip
_FLOATING: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _ratio, "%": _floating_remainder,
}  # fmt: skip
