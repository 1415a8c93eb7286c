"""Rows as bytes: order-preserving keys, and encoded rows from and to Python values and Arrow columns."""

from collections.abc import Sequence
from typing import final

# Type codes, the same in docs/formats.md; a column's parameters are (precision, scale), (length, 0) or (0, 0).
BOOLEAN: int  # 1
SMALLINT: int  # 2
INT: int  # 3
BIGINT: int  # 4
FLOAT: int  # 5
DOUBLE: int  # 6
DECIMAL: int  # 7
TEXT: int  # 8
BYTES: int  # 9
TIMESTAMP: int  # 10, microseconds since 1970-01-01Z
DATE: int  # 11, days since 1970-01-01
TIME: int  # 12, microseconds of the day
UUID: int  # 13
JSON: int  # 14, checked by the caller

def encode_key(type_code: int, value: object) -> bytes:
    """Bytes that sort (as memcmp does) like the values of their type. None is refused with NullValueError.

    A DECIMAL's scale comes with the code: DECIMAL | scale << 8."""

def decode_key(type_code: int, key: bytes) -> object:
    """The value of a key; raises CorruptionError for bytes that are none."""

def encode_composite_key(type_codes: Sequence[int], values: Sequence[object]) -> bytes:
    """Several keys as one that sorts like the tuple; None sorts first."""

@final
class Batch:
    """Rows as Arrow columns f0, f1, …; made by rows_to_arrow and scans, taken as often as wanted."""
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

@final
class Layout:
    """How the rows of one schema version are laid out.

    `columns`: (column_id, type_code, parameter_1, parameter_2, nullable) in column order; `key` the position of
    the primary key in it.
    """
    def __init__(
        self, version: int, columns: Sequence[tuple[int, int, int, int, bool]], key: int
    ) -> None: ...
    @property
    def version(self) -> int: ...
    def encode(self, values: Sequence[object]) -> bytes:
        """One row. Accepts exactly the Python type of each column (int, float, Decimal, str, bytes, bool, aware or
        naive-UTC datetime, date, time, uuid.UUID; JSON as str of valid JSON); int is accepted for FLOAT and DOUBLE.
        Raises ValueMismatchError, ValueOutOfRangeError, NullValueError (column set, row -1)."""
    def key(self, values: Sequence[object]) -> bytes:
        """The encoded primary key of a row of values."""

@final
class Reader:
    """Reads rows of any version of a table as the columns of its newest.

    `layouts`: every version, the newest last. `missing`: for each column of the newest, the value that rows
    written before the column read (None for NULL). A column whose type was widened is converted.
    """
    def __init__(self, layouts: Sequence[Layout], missing: Sequence[object]) -> None: ...
    def decode(self, row: bytes, columns: Sequence[int] | None = None) -> tuple[object, ...]: ...

def rows_from_arrow(layout: Layout, batch: object) -> list[tuple[bytes, bytes]]:
    """(key, row) for each row of a record batch whose columns are exactly the layout's, in canonical Arrow types:
    bool, int16, int32, int64, float, double, decimal128(p, s), string, binary, timestamp[us, UTC], date32,
    time64[us], fixed_size_binary(16), string. Slices (offsets) are honoured; CHECKED like encode()."""

def rows_to_arrow(reader: Reader, rows: Sequence[bytes], columns: Sequence[int] | None = None) -> Batch:
    """Encoded rows as an object with `__arrow_c_array__` (a struct of canonical types, without names: f0, f1, …)."""

def tuples_from_arrow(batch: object) -> list[tuple[object, ...]]:
    """A record batch of canonical types (also int8, uint8..uint64, float16, large_string, string_view, large_binary,
    binary_view, fixed_size_binary, date64, time32, decimal32, decimal64, null) as tuples of Python values. Timestamps are aware, UTC; a type it does not know raises ValueMismatchError
    with row -1 and its column."""
