"""What the core does not write as JSON cells, in a form that it does: lists, structs and intervals as text."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.types import JSON

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[Any, ...]

# Asked of each result: the property takes longer than all the rest.
_JSON = JSON.code
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def cells_of_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterable[pa.RecordBatch]:
    """The batches of a query, whose nested columns become the text of their JSON, intervals what ISO 8601 has."""
    positions = [at for at, type_ in enumerate(schema.types) if _is_foreign(type_)]
    return _converted(batches, positions) if positions else batches


def cells_of_rows(rows: list[Row], codes: bytes) -> list[Row]:
    """The rows with the values of JSON columns as text; so too dicts and lists in columns of no known type.

    `codes`: the type code of each column, 0 where it is not known.
    """
    if _JSON not in codes and 0 not in codes:
        return rows
    return [tuple(map(_cell, row, codes)) for row in rows]


def json_text(value: object) -> str:
    """A value as JSON; what JSON has not as text, but bytes as numbers, NaN and the infinities as null."""
    import orjson

    return orjson.dumps(value, default=_plain).decode()


def iso_interval(months: int, days: int, nanoseconds: int) -> str:
    """An interval by ISO 8601, each part with a sign of its own: `P1M2DT-3.5S`."""
    whole, rest = divmod(abs(nanoseconds), 1_000_000_000)
    seconds = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    sign = "-" if nanoseconds < 0 else ""
    date = (f"{months}M" if months else "") + (f"{days}D" if days else "")
    time = f"T{sign}{seconds}S" if nanoseconds or not date else ""
    return f"P{date}{time}"


def _cell(value: object, code: int) -> object:
    if value is None or not (code == _JSON or (code == 0 and isinstance(value, (dict, list)))):
        return value
    return json_text(value)


def _is_foreign(type_: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(
        kinds.is_nested(type_)
        or kinds.is_interval(type_)
        or kinds.is_duration(type_)
        or kinds.is_dictionary(type_)
        or kinds.is_fixed_size_binary(type_)
    )


def _converted(batches: Iterable[pa.RecordBatch], positions: Sequence[int]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        columns = batch.columns
        for position in positions:
            columns[position] = _familiar(columns[position])
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _familiar(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_dictionary(column.type):
        return column.dictionary_decode()
    if kinds.is_fixed_size_binary(column.type):
        # A query's UUIDs are text already, so these are BYTES; the core takes 16 of them for a UUID.
        return column.cast(pa.binary())
    if kinds.is_duration(column.type):
        factor = _NANOSECONDS[column.type.unit]
        counts = column.cast(pa.int64()).to_pylist()
        texts = [None if count is None else iso_interval(0, 0, count * factor) for count in counts]
    elif kinds.is_interval(column.type):
        texts = [None if value is None else iso_interval(*value) for value in column.to_pylist()]
    else:
        texts = [None if value is None else json_text(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string())


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.timedelta):
        whole = value.days * 86_400 + value.seconds
        return iso_interval(0, 0, whole * 1_000_000_000 + value.microseconds * 1_000)
    import pyarrow as pa

    if isinstance(value, pa.MonthDayNano):
        return iso_interval(*value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
