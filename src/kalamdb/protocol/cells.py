"""Values as cells of JSON rows, and cells as values.

BIGINT and DECIMAL are strings, since JSON's readers have doubles. TIMESTAMP is microseconds since 1970, DATE days, TIME
microseconds of the day, BYTES an array of numbers; NaN and infinities are null; JSON is its text, lists and structs are
JSON text too.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from kalamdb.errors import InvalidValue
from kalamdb.types import DataType, TypeName

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)


def encode_row(row: Sequence[Any], types: Sequence[DataType]) -> list[Any]:
    """A row of Python values as a list that orjson writes as cells.

    UUID and JSON may be text already. Raises InvalidValue for a value that has no JSON.
    """
    return [
        value if value is None or encode is None else encode(value)
        for value, encode in zip(row, encoders(types), strict=True)
    ]


def encoders(types: Sequence[DataType]) -> list[Callable[[Any], Any] | None]:
    """What makes the cell of a value that is there, a column; None where the value is its own."""
    return [_ENCODERS.get(of.name) for of in types]


def decode_cell(cell: Any, of: DataType) -> Any:
    """The Python value of a cell: as Result gives it, JSON as its text. Raises InvalidValue."""
    if cell is None:
        return None
    try:
        return _DECODERS[of.name](cell)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValue(f"{cell!r} is no cell of type {of}") from error


def microseconds_since_epoch(moment: datetime.datetime) -> int:
    """Of an aware one; a naive one is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    return (aware - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime.datetime:
    """The instant, in UTC. Raises OverflowError beyond the years 1 to 9999."""
    return _EPOCH + datetime.timedelta(microseconds=microseconds)


def date_of(days: int) -> datetime.date:
    """The date that is so many days after 1970-01-01. Raises OverflowError, ValueError beyond the years 1 to 9999."""
    return datetime.date.fromordinal(_EPOCH_DAY + days)


def time_of(microseconds: int) -> datetime.time:
    """The time of the day. Raises ValueError beyond it."""
    seconds, microsecond = divmod(microseconds, 1_000_000)
    return datetime.time(seconds // 3600, seconds // 60 % 60, seconds % 60, microsecond)


def _same(value: Any) -> Any:
    return value


def _decimal_text(value: Any) -> str:
    # str would write a large one with an exponent.
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)


def _microseconds_of_day(value: datetime.time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json_text(value)


def _json_text(value: Any) -> str:
    import orjson

    try:
        return orjson.dumps(value, default=_plain).decode()
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidValue(f"a value of type {type(value).__name__} cannot be written as JSON") from error


def _plain(value: Any) -> Any:
    """Values inside of lists, structs and intervals, as cells have them where they stand alone."""
    match value:
        case bytes():
            return list(value)
        case decimal.Decimal():
            return _decimal_text(value)
        case datetime.timedelta():
            return value // _MICROSECOND
        case tuple():
            # Of a class of its own, as intervals are.
            return list(value)
    raise TypeError


_ENCODERS: dict[TypeName, Callable[[Any], Any]] = {
    TypeName.BIGINT: str,
    TypeName.DECIMAL: _decimal_text,
    TypeName.TEXT: _text,
    TypeName.BYTES: list,
    TypeName.TIMESTAMP: microseconds_since_epoch,
    TypeName.DATE: lambda value: value.toordinal() - _EPOCH_DAY,
    TypeName.TIME: _microseconds_of_day,
    TypeName.UUID: str,
    TypeName.JSON: _text,
}
_DECODERS: dict[TypeName, Callable[[Any], Any]] = {
    TypeName.BOOLEAN: _same,
    TypeName.SMALLINT: int,
    TypeName.INT: int,
    TypeName.BIGINT: int,
    TypeName.FLOAT: float,
    TypeName.DOUBLE: float,
    TypeName.DECIMAL: decimal.Decimal,
    TypeName.TEXT: _same,
    TypeName.BYTES: bytes,
    TypeName.TIMESTAMP: moment_of,
    TypeName.DATE: date_of,
    TypeName.TIME: time_of,
    TypeName.UUID: uuid.UUID,
    TypeName.JSON: _same,
}
