"""JSON values as parameters of a statement: what JSON has no word for is told by the type that the place takes.

A BIGINT may be a number or a decimal string, a TIMESTAMP an ISO text or microseconds, a DATE a text or days, a TIME a
text or microseconds of the day, a DECIMAL a number or a string, BYTES an array of numbers. Where the type is not known,
or the value is not one of these, it stays what JSON says, and the statement tells what is wrong with it.
"""

from __future__ import annotations

import decimal
import functools
import re
from collections.abc import Callable
from typing import Any

from kalamdb.errors import DataError
from kalamdb.protocol.cells import date_of, moment_of, time_of
from kalamdb.types import DataType, TypeName, coerce

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,60}\.?[0-9]{0,60}|\.[0-9]{1,60})")
_EXACT_IN_DOUBLE = 1 << 53


def decode_parameter(value: Any, of: DataType | None) -> Any:
    """The value for a place that takes `of`; the value itself where there is nothing to tell."""
    decode = parameter_decoder(of)
    return value if decode is None or value is None else decode(value)


def parameter_decoder(of: DataType | None) -> Callable[[Any], Any] | None:
    """What reads values that are there for a place that takes `of`; None where there is nothing to tell."""
    if of is None or of.name not in _DECODERS:
        return None
    return functools.partial(_decoded, _DECODERS[of.name], of)


def _decoded(decode: Callable[[Any, DataType], Any], of: DataType, value: Any) -> Any:
    try:
        return decode(value, of)
    except (DataError, ValueError, OverflowError):
        return value


def _whole(value: Any, of: DataType) -> Any:
    return int(value) if type(value) is str and _WHOLE.fullmatch(value) else value


def _real(value: Any, of: DataType) -> Any:
    return float(value) if type(value) is int and abs(value) <= _EXACT_IN_DOUBLE else value


def _decimal(value: Any, of: DataType) -> Any:
    return decimal.Decimal(value) if type(value) is str and _NUMBER.fullmatch(value) else value


def _bytes(value: Any, of: DataType) -> Any:
    return bytes(value) if type(value) is list and all(type(one) is int for one in value) else value


def _text_or(counted: Callable[[int], Any]) -> Callable[[Any, DataType], Any]:
    """Reads a text as the type does, and makes a value of a number by `counted`."""

    def decode(value: Any, of: DataType) -> Any:
        if type(value) is int:
            return counted(value)
        return coerce(value, of) if type(value) is str else value

    return decode


_DECODERS: dict[TypeName, Callable[[Any, DataType], Any]] = {
    TypeName.SMALLINT: _whole,
    TypeName.INT: _whole,
    TypeName.BIGINT: _whole,
    TypeName.FLOAT: _real,
    TypeName.DOUBLE: _real,
    TypeName.DECIMAL: _decimal,
    TypeName.BYTES: _bytes,
    TypeName.TIMESTAMP: _text_or(moment_of),
    TypeName.DATE: _text_or(date_of),
    TypeName.TIME: _text_or(time_of),
    TypeName.UUID: lambda value, of: coerce(value, of) if type(value) is str else value,
}
