"""Cells of JSON rows as values; the core writes them (kalamcore.json_rows).

BIGINT and DECIMAL are strings, since JSON's readers have doubles. TIMESTAMP is microseconds since 1970, DATE days, TIME
microseconds of the day, BYTES an array of numbers; NaN and infinities are null; JSON is its text, lists and structs are
JSON text too.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

from kalamdb.errors import InvalidValue
from kalamdb.types import DataType, TypeName

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()


def decode_cell(cell: Any, of: DataType) -> Any:
    """The Python value of a cell: as Result gives it, JSON as its text. Raises InvalidValue."""
    if cell is None:
        return None
    try:
        return _DECODERS[of.name](cell)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValue(f"{cell!r} is no cell of type {of}") from error


def cell_decoder(of: DataType) -> Callable[[Any], Any] | None:
    """What makes a value of a cell of a type that is not null, as `decode_cell` does; None where the cell is the value.
    It raises TypeError, ValueError or ArithmeticError of what is no such cell."""
    decode = _DECODERS[of.name]
    return None if decode is _same else decode


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
