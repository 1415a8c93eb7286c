"""Types between SQLAlchemy and kalamdb: what values become on the way in and out.

A result tells the SQL type of each column. Where that is not what SQLAlchemy promises, the value is made into that: an
expression over JSON or DECIMAL columns may be text, or a floating number.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy.engine.interfaces import Dialect

Process = Callable[[Any], Any]


_YEARS_OF_LITERALS = range(1678, 2262)
"""The query engine counts nanoseconds in them."""


class KalamDateTime(sqltypes.DateTime):
    """An instant, in UTC as all of them are: aware where the column is of `timezone=True`, naive where it is not."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Process | None:
        """Takes the zone away, which is UTC, where naive datetimes are asked for."""
        if self.timezone:
            return None

        def process(value: Any) -> Any:
            return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value

        return process

    def literal_processor(self, dialect: Dialect) -> Process:
        """`TIMESTAMP '…'`, in UTC; of years that literals have not, the text alone."""

        def process(value: datetime.datetime) -> str:
            if value.tzinfo is not None:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            word = "TIMESTAMP " if value.year in _YEARS_OF_LITERALS else ""
            return f"{word}'{value.isoformat(' ')}'"

        return process


class KalamDate(sqltypes.Date):
    """A day."""

    def literal_processor(self, dialect: Dialect) -> Process:
        """`DATE '…'`."""
        return lambda value: f"DATE '{value.isoformat()}'"


class KalamTime(sqltypes.Time):
    """A time of day."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Process | None:
        """A time, where a literal of one was text."""
        if coltype == "TIME":
            return None
        return lambda value: datetime.time.fromisoformat(value) if isinstance(value, str) else value

    def literal_processor(self, dialect: Dialect) -> Process:
        """Its text: that is compared with a column of times, and `TIME '…'` is not."""
        return lambda value: f"'{value.isoformat()}'"


class KalamLargeBinary(sqltypes.LargeBinary):
    """Bytes."""

    def literal_processor(self, dialect: Dialect) -> Process:
        """`X'…'`."""
        return lambda value: f"X'{bytes(value).hex()}'"


class KalamNumeric(sqltypes.Numeric[Any]):
    """An exact number. An expression over one may be a floating number, and is made exact again."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Process | None:
        """To Decimal or to float, as the column asks."""
        if not self.asdecimal:
            return lambda value: None if value is None else float(value)
        if str(coltype).startswith("DECIMAL"):
            return None
        return lambda value: value if value is None else decimal.Decimal(str(value))


class KalamUuid(sqltypes.Uuid[Any]):
    """A UUID, or, where it is a key, the text of one."""

    def bind_processor(self, dialect: Dialect) -> Process:
        """Its text, which a UUID column takes as well."""
        return lambda value: value if value is None else str(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Process:
        """A UUID, or text where the column is of `as_uuid=False`."""
        wanted = uuid.UUID if self.as_uuid else str

        def process(value: Any) -> Any:
            return value if value is None or isinstance(value, wanted) else wanted(str(value))

        return process

    def literal_processor(self, dialect: Dialect) -> Process:
        """Its text as a literal."""
        return lambda value: f"'{uuid.UUID(str(value))}'"


class KalamJSON(sqltypes.JSON):
    """JSON. Of a column it comes as what it says already; of an expression as text."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Process | None:
        """What the text says, where it is text."""
        if coltype == "JSON":
            return None
        return lambda value: json.loads(value) if isinstance(value, str) else value


class KalamJSONIndex(sqltypes.JSON.JSONIndexType):
    """One step into a JSON document: a name, or a number from 0."""

    def literal_processor(self, dialect: Dialect) -> Process:
        """As an argument of a function."""
        return _step


class KalamJSONPath(sqltypes.JSON.JSONPathType):
    """Several steps into a JSON document. They are written into the statement, as arguments of a function: there may be
    another number of them each time."""

    def literal_processor(self, dialect: Dialect) -> Process:
        """As arguments of a function."""
        return lambda path: ", ".join(map(_step, path))


def _step(step: object) -> str:
    if isinstance(step, int):
        return str(step)
    return "'" + str(step).replace("'", "''") + "'"


COLUMN_TYPES: dict[Any, Any] = {
    sqltypes.DateTime: KalamDateTime,
    sqltypes.Date: KalamDate,
    sqltypes.Time: KalamTime,
    sqltypes.LargeBinary: KalamLargeBinary,
    sqltypes.Numeric: KalamNumeric,
    # A Numeric to SQLAlchemy, and nothing of the kind to us.
    sqltypes.Float: sqltypes.Float,
    sqltypes.Uuid: KalamUuid,
    sqltypes.JSON: KalamJSON,
    sqltypes.JSON.JSONIndexType: KalamJSONIndex,
    sqltypes.JSON.JSONPathType: KalamJSONPath,
}
"""SQLAlchemy's types, and ours in their place."""

_REFLECTED: dict[str, Any] = {
    "BOOLEAN": sqltypes.BOOLEAN,
    "SMALLINT": sqltypes.SMALLINT,
    "INT": sqltypes.INTEGER,
    "BIGINT": sqltypes.BIGINT,
    "FLOAT": sqltypes.REAL,
    "DOUBLE": sqltypes.DOUBLE,
    "TEXT": sqltypes.TEXT,
    "BYTES": sqltypes.LargeBinary,
    "DATE": sqltypes.DATE,
    "TIME": sqltypes.TIME,
    "UUID": sqltypes.UUID,
    "JSON": sqltypes.JSON,
}
_WITH_NUMBERS = re.compile(r"(\w+)\((\d+)(?:,(\d+))?\)")


def reflected_type(name: str) -> sqltypes.TypeEngine[Any]:
    """The SQLAlchemy type of an SQL type's name, as DESCRIBE tells it; NullType for one that nobody knows."""
    if (found := _WITH_NUMBERS.fullmatch(name)) is not None:
        if found[1] == "VARCHAR":
            return sqltypes.VARCHAR(int(found[2]))
        if found[1] == "DECIMAL":
            return sqltypes.DECIMAL(int(found[2]), int(found[3] or 0))
    if name == "TIMESTAMP":
        return sqltypes.TIMESTAMP(timezone=True)
    made: sqltypes.TypeEngine[Any] = _REFLECTED.get(name, sqltypes.NullType)()
    return made
