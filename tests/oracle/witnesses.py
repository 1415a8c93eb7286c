"""What SQLite and DuckDB answer to a query, in one form.

Neither is always right for us: DuckDB has types where SQLite has none, and each has words of its own. What both say is
the answer; what only one of them can say is; where they differ, nobody is asked.
"""

from __future__ import annotations

import datetime
import decimal
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from tests.oracle.queries import TABLES, Drawn

Row = tuple[object, ...]

_DUCKDB_TYPES = {
    "I": "BIGINT", "R": "DOUBLE", "T": "VARCHAR", "B": "BOOLEAN", "D": "DATE", "M": "TIMESTAMP", "H": "TIME",
    "N": "DECIMAL(10,2)",
}  # fmt: skip
_SQLITE_TYPES = {
    "I": "INTEGER", "R": "REAL", "T": "TEXT", "B": "BOOLEAN", "D": "TEXT", "M": "TEXT", "H": "TEXT", "N": "REAL",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """Rows of values in one form, in order or counted; None where it was refused."""

    rows: tuple[Row, ...] | None
    refusal: str = ""

    def same(self, other: Answer, ordered: bool) -> bool:
        """Whether both have the same rows."""
        if self.rows is None or other.rows is None:
            return False
        return self.rows == other.rows if ordered else Counter(self.rows) == Counter(other.rows)


class Witnesses:
    """Both, with the same rows. Not for several threads."""

    def __init__(self, rows: dict[str, Sequence[Row]]) -> None:
        self._sqlite = sqlite3.connect(":memory:")
        self._sqlite.execute("PRAGMA case_sensitive_like = ON")
        self._duckdb = duckdb.connect(config={"threads": 1})
        for table, columns in TABLES.items():
            marks = ", ".join("?" * len(columns))
            for connection, types in ((self._sqlite, _SQLITE_TYPES), (self._duckdb, _DUCKDB_TYPES)):
                declared = ", ".join(f"{name} {types[kind]}" for name, kind in columns.items())
                connection.execute(f"CREATE TABLE {table} ({declared})")
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])

    def close(self) -> None:
        """Lets go of both."""
        self._sqlite.close()
        self._duckdb.close()

    def ask(self, query: Drawn) -> tuple[Answer, Answer]:
        """SQLite's answer, and DuckDB's."""
        return (
            _answer(self._sqlite, query.spoken("sqlite"), query.kinds),
            _answer(self._duckdb, query.spoken("duckdb"), query.kinds),
        )


def _answer(
    connection: sqlite3.Connection | duckdb.DuckDBPyConnection, sql: str, kinds: Sequence[str]
) -> Answer:
    try:
        return Answer(normal(connection.execute(sql).fetchall(), kinds))
    except (sqlite3.Error, duckdb.Error) as error:
        return Answer(None, str(error))


def normal(rows: Iterable[Sequence[object]], kinds: Sequence[str]) -> tuple[Row, ...]:
    """Values in one form, by the kind of their column: what differs now differs in what it says."""
    return tuple(tuple(_value(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows)


def _value(value: object, kind: str) -> object:
    if value is None:
        return None
    if kind == "B":
        return bool(value)
    if kind in "RN" and isinstance(value, int | float | decimal.Decimal):
        number = float(value)
        # Sums of the same numbers in another order, and averages, end in other digits.
        return float(f"{number:.9g}") + 0.0 if math.isfinite(number) else str(number)
    if kind in "MH" and isinstance(value, str):
        # A literal that stood beside a moment or an hour, and was shown as one.
        return value.removesuffix("Z").partition(".")[0]
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value
