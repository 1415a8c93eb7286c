"""Parameters of a query: Python values as typed Arrow scalars, bound by value and never spliced into the text."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from kalamdb.errors import InvalidParameter, NumericOutOfRange

_UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def bind(parameters: Sequence[object], wanted: int) -> dict[str, pa.Scalar]:
    """The values by their numbers, from "1". A query that is a part of a statement names some of the statement's alone.
    Raises InvalidParameter for too few of them or a value of no SQL type."""
    if len(parameters) < wanted:
        raise InvalidParameter(
            f"the statement takes {wanted} parameter{'' if wanted == 1 else 's'}, "
            f"{len(parameters)} {'was' if len(parameters) == 1 else 'were'} given"
        )
    return {str(number): _scalar(number, value) for number, value in enumerate(parameters, 1)}


def _scalar(number: int, value: Any) -> pa.Scalar:
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        value = value.item()
    match value:
        case None:
            return pa.scalar(None)
        case bool():
            return pa.scalar(value, pa.bool_())
        case int():
            if not -(2**63) <= value < 2**63:
                raise NumericOutOfRange(f"parameter {number} is out of range for BIGINT: {value}")
            return pa.scalar(int(value), pa.int64())
        case float():
            return pa.scalar(float(value), pa.float64())
        case str():
            try:
                return pa.scalar(str(value), pa.utf8())
            except UnicodeEncodeError as error:
                raise InvalidParameter(f"parameter {number} is no valid Unicode text") from error
        case bytes() | bytearray() | memoryview():
            return pa.scalar(bytes(value), pa.binary())
        case datetime.datetime():
            aware = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
            return pa.scalar(aware.astimezone(datetime.UTC), _UTC_MICROSECONDS)
        case datetime.date():
            return pa.scalar(value, pa.date32())
        case datetime.time():
            return pa.scalar(value.replace(tzinfo=None), pa.time64("us"))
        case decimal.Decimal():
            try:
                return pa.scalar(value)
            except pa.ArrowException as error:
                raise NumericOutOfRange(f"parameter {number} is out of range for DECIMAL: {value}") from error
        case uuid.UUID():
            return pa.scalar(str(value), pa.utf8())
        case dict() | list() | tuple():
            import orjson

            try:
                return pa.scalar(orjson.dumps(value).decode(), pa.utf8())
            except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
                raise InvalidParameter(f"parameter {number} cannot be written as JSON: {error}") from error
    raise InvalidParameter(
        f"parameter {number} is a {type(value).__name__}; give a number, text, bytes, date, time, UUID, dict or list"
    )
