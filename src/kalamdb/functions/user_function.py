"""Functions of the application: a Python callable of one row, as a SQL function over columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from kalamdb.errors import DataError, Error, InvalidDefinition, InvalidName
from kalamdb.functions.registry import VOLATILITIES, Function, FunctionContext, Volatility
from kalamdb.types import DataType, coerce, parse_type

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TYPE = re.compile(r"\s*([A-Za-z0-9_ ]+?)\s*(?:\(\s*([0-9]+(?:\s*,\s*[0-9]+)*)\s*\))?\s*")


def scalar_function(
    name: str,
    function: Callable[..., object],
    arguments: Sequence[DataType | str],
    result: DataType | str,
    volatility: Volatility = "volatile",
) -> Function:
    """Wraps `function`, which takes one row's arguments and returns one value.

    `name`: a letter, then up to 63 letters, digits and underscores; folded to lower case. Types: DataType, or
    SQL as `"DECIMAL(10,2)"`. Strict, as SQL's own functions: a NULL among the arguments gives NULL without a
    call. Arguments arrive as Python values (JSON as text), and what is returned must fit `result` by the
    rules of an INSERT.

    Raises InvalidName, InvalidDefinition. When called: DataError that names the function for what the
    callable raises or returns.
    """
    folded = name.lower() if isinstance(name, str) else ""
    if not _NAME.fullmatch(folded):
        raise InvalidName(
            f'invalid function name "{name}"; it must begin with a letter and have letters, digits and '
            "underscores only, 64 characters at most"
        )
    if not isinstance(function, Callable):  # type: ignore[arg-type]
        raise InvalidDefinition(f'function "{folded}" needs a function, not {type(function).__name__}')
    if volatility not in VOLATILITIES:
        raise InvalidDefinition(
            f'volatility "{volatility}" of function "{folded}" is none of {", ".join(VOLATILITIES)}'
        )
    result_type = _type_of(result)

    def evaluate(context: FunctionContext, count: int, *columns: Sequence[Any]) -> list[Any]:
        rows = zip(*columns, strict=True) if columns else (() for _ in range(count))
        return [call(row) for row in rows]

    def call(row: tuple[Any, ...]) -> object:
        for value in row:
            if value is None:
                return None
        try:
            return coerce(function(*row), result_type)
        except Error as error:
            raise DataError(f"function {folded}() failed: {error.message}") from error
        except Exception as error:
            raise DataError(f"function {folded}() failed: {type(error).__name__}: {error}") from error

    return Function(folded, tuple(map(_type_of, arguments)), result_type, volatility, evaluate)


def _type_of(given: DataType | str) -> DataType:
    if isinstance(given, DataType):
        return given
    match = _TYPE.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise InvalidDefinition(f'"{given}" is no SQL type')
    return parse_type(match[1], tuple(int(part) for part in match[2].split(",")) if match[2] else ())
