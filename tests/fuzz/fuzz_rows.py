"""Any bytes as a row or a key: a value, which encodes to what reads as it again, or CorruptionError."""

from __future__ import annotations

import contextlib

import orjson

import kalamcore.rows as codec
from kalamcore.errors import CorruptionError, NullValueError, ValueMismatchError, ValueOutOfRangeError
from kalamcore.json_rows import JsonRows
from kalamcore.stored_rows import StoredRows
from tests.fuzz.mutation import NUMBERS

NAME = "rows"
WORDS = NUMBERS
TYPES = (
    codec.BOOLEAN, codec.SMALLINT, codec.INT, codec.BIGINT, codec.FLOAT, codec.DOUBLE, codec.TEXT, codec.BYTES,
    codec.TIMESTAMP, codec.DATE, codec.TIME, codec.UUID, codec.JSON, codec.DECIMAL,
)  # fmt: skip
PARAMETERS = {codec.DECIMAL: (12, 3), codec.TEXT: (5, 0)}


def columns(*types: int) -> list[tuple[int, int, int, int, bool]]:
    return [(n + 1, kind, *PARAMETERS.get(kind, (0, 0)), n > 0) for n, kind in enumerate(types)]


EVERY = codec.Layout(1, columns(codec.BIGINT, *TYPES), 0)
TEXTS = codec.Layout(1, columns(codec.BIGINT, codec.TEXT, codec.BYTES, codec.JSON), 0)
OLDER = codec.Layout(1, columns(codec.SMALLINT, codec.INT, codec.DATE), 0)
NEWER = codec.Layout(
    2, [(1, codec.BIGINT, 0, 0, False), (2, codec.DOUBLE, 0, 0, True), (3, codec.TIMESTAMP, 0, 0, True)], 0
)
READERS = (
    (EVERY, codec.Reader([EVERY], [None] * 15)),
    (TEXTS, codec.Reader([TEXTS], [None] * 4)),
    (NEWER, codec.Reader([OLDER, NEWER], [None] * 3)),
)


def run(data: bytes) -> None:
    """The first byte chooses the layout, or that the rest is a key."""
    if not data:
        return
    if data[0] & 0x80:
        key(data[0] & 0x7F, data[1:])
    else:
        row(*READERS[data[0] % len(READERS)], data[1:])


def row(layout: codec.Layout, reader: codec.Reader, data: bytes) -> None:
    try:
        values: tuple[object, ...] | None = reader.decode(data)
    except CorruptionError:
        values = None
    # A value that Python or Arrow has no place for has one in JSON: a date of the year 300,000.
    with contextlib.suppress(CorruptionError):
        orjson.loads(b"".join(JsonRows([StoredRows(reader, [data])])))
    try:
        arrow = codec.tuples_from_arrow(codec.rows_to_arrow(reader, [data]))
    except CorruptionError:
        # It also looks where a NULL would end, which nobody asks a single row.
        return
    except (ValueMismatchError, ValueOutOfRangeError):
        # Arrow has room for what no Python value can be: a date of the year 300,000.
        assert values is None
        return
    if values is None:
        return
    if all(type(value) in (int, str, bytes, bool, type(None)) for value in values):
        assert arrow == [values], (arrow, values)
    try:
        encoded = layout.encode(values)
    except (NullValueError, ValueMismatchError, ValueOutOfRangeError):
        # A NULL where none may be, a text longer than the column: read as it stands, never written so.
        return
    again = reader.decode(encoded)
    assert again == values or any(value != value for value in values), (values, again)


def key(kind: int, data: bytes) -> None:
    code = TYPES[kind % len(TYPES)]
    if code == codec.DECIMAL:
        code |= 3 << 8
    try:
        value = codec.decode_key(code, data)
    except CorruptionError:
        return
    except ValueMismatchError:
        return  # a type that is no key
    encoded = codec.encode_key(code, value)
    again = codec.decode_key(code, encoded)
    assert again == value or value != value, (value, again)
