"""Between which values a column's values lie: what a manifest says of a segment, and a footer of a row group.

A bound need not be a value that occurs; what must hold is that nothing lies outside. None says nothing.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from dataclasses import dataclass
from typing import Any

from kalamdb.types import DataType, TypeName

BOUND_BYTES_MAX = 64

Scalar = bool | int | float | str | None
"""What JSON can say of a value."""


@dataclass(frozen=True, slots=True)
class ColumnBounds:
    """Of one column in one segment, as the manifest has it: values in their JSON form (see docs/formats.md)."""

    min: Scalar
    max: Scalar
    nulls: int


@dataclass(frozen=True, slots=True)
class ColumnRange:
    """What a query asks of a column: values from `low` to `high`, both included, None for no end. NULL is in no range.

    The values are as kalamdb.types.coerce gives them for the column's present type.
    """

    column_id: int
    low: object = None
    high: object = None

    def meets(self, least: Any, greatest: Any) -> bool:
        """Whether a value between these bounds, both included, None for unknown, may be in the range."""
        low: Any = self.low
        high: Any = self.high
        if low is not None and greatest is not None and greatest < low:
            return False
        return not (high is not None and least is not None and least > high)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Encoded keys from `low` to `high`, both included, None for no end."""

    low: bytes | None = None
    high: bytes | None = None


ANY_KEY = KeyRange()


def lower_bytes(value: bytes, size: int = BOUND_BYTES_MAX) -> bytes:
    """At most `size` bytes that are not above `value`."""
    return value[:size]


def upper_bytes(value: bytes, size: int = BOUND_BYTES_MAX) -> bytes | None:
    """At most `size` bytes that are not below `value`, nor below anything that begins as it does; None for no bound."""
    if len(value) <= size:
        return value
    kept = value[:size].rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _lower_text(value: str) -> str:
    return value.encode()[:BOUND_BYTES_MAX].decode("utf-8", "ignore")


def _upper_text(value: str) -> str | None:
    if len(value.encode()) <= BOUND_BYTES_MAX:
        return value
    kept = _lower_text(value).rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    # The surrogates are no characters, and nothing lies between their neighbours.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def encode_bound(value: Any, of: DataType, *, upper: bool) -> Scalar:
    """A Python value of type `of` as the manifest writes it."""
    if value is None:
        return None
    match of.name:
        case TypeName.BOOLEAN | TypeName.SMALLINT | TypeName.INT | TypeName.BIGINT:
            return value  # type: ignore[no-any-return]
        case TypeName.FLOAT | TypeName.DOUBLE:
            # JSON has no infinities; `float` reads these words.
            return float(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
        case TypeName.TEXT | TypeName.JSON:
            return _upper_text(value) if upper else _lower_text(value)
        case TypeName.BYTES:
            bound = upper_bytes(value) if upper else lower_bytes(value)
            return None if bound is None else bound.hex()
        case TypeName.TIMESTAMP | TypeName.DATE | TypeName.TIME:
            return value.isoformat()  # type: ignore[no-any-return]
        case _:
            return str(value)


def as_type(value: Any, of: DataType) -> Any:
    """A bound of a column, from a manifest or a footer, as a value that compares with those of type `of`.

    The column may have had a narrower type when the bound was written. Raises ValueError or TypeError for what is none.
    """
    if value is None:
        return None
    match of.name:
        case TypeName.FLOAT | TypeName.DOUBLE:
            return float(value)
        case TypeName.DECIMAL:
            try:
                return decimal.Decimal(value)
            except decimal.InvalidOperation as error:
                raise ValueError(str(error)) from None
        case TypeName.BYTES:
            return bytes.fromhex(value) if isinstance(value, str) else bytes(value)
        case TypeName.TIMESTAMP:
            return _timestamp(value)
        case TypeName.DATE:
            return datetime.date.fromisoformat(value) if isinstance(value, str) else value
        case TypeName.TIME:
            return datetime.time.fromisoformat(value) if isinstance(value, str) else value
        case TypeName.UUID:
            return uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(value)
        case _:
            return value


def _timestamp(value: datetime.date | str) -> datetime.datetime:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    return value.astimezone(datetime.UTC)
