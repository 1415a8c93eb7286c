"""Kinds of columns, and values for parameters, by the names of PEP 249.

A column's `type_code` is its SQL type as text ("BIGINT", "DECIMAL(9,2)"), and equals the kind it belongs to:
`cursor.description[0][1] == kalamdb.NUMBER`.
"""

from __future__ import annotations

import datetime

from kalamdb.types import TypeName


class TypeObject:
    """A kind of columns; equal to the name of every SQL type that belongs to it."""

    __slots__ = ("_heads", "_name")
    __hash__ = None  # type: ignore[assignment]  # equal to several texts, and so to no single hash

    def __init__(self, name: str, *types: TypeName) -> None:
        self._name = name
        self._heads = frozenset(one.name for one in types)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            head = other.partition("(")[0]
            return ("TEXT" if head == "VARCHAR" else head) in self._heads
        return self is other

    def __repr__(self) -> str:
        return self._name


STRING = TypeObject("STRING", TypeName.TEXT, TypeName.UUID, TypeName.JSON)
BINARY = TypeObject("BINARY", TypeName.BYTES)
NUMBER = TypeObject(
    "NUMBER",
    TypeName.BOOLEAN,
    TypeName.SMALLINT,
    TypeName.INT,
    TypeName.BIGINT,
    TypeName.FLOAT,
    TypeName.DOUBLE,
    TypeName.DECIMAL,
)
DATETIME = TypeObject("DATETIME", TypeName.TIMESTAMP, TypeName.DATE, TypeName.TIME)
ROWID = TypeObject("ROWID")
"""Rows have keys of the table's own, and no other identifier: no column is of this kind."""

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
"""Without a time zone it is taken as UTC."""
Binary = bytes


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802 - the name PEP 249 asks for
    """The instant `ticks` seconds after the epoch, aware, UTC."""
    return datetime.datetime.fromtimestamp(ticks, datetime.UTC)


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802
    """The day of that instant, in UTC."""
    return TimestampFromTicks(ticks).date()


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802
    """The time of that day, in UTC."""
    return TimestampFromTicks(ticks).time()
