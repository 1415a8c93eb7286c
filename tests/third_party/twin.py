"""The same query over the same rows in a SQLite that is as strict as we are: what its answer hangs on.

Its tables have one type a column, their rows stand in three orders, LIKE minds upper and lower case, NULL comes last
where ORDER BY does not say it, and what ORDER BY leaves open falls out at random. A query that answers otherwise there
than in the test that it is from asks for what no other database promises.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Sequence

from tests.third_party.answers import same_rows
from tests.third_party.sqlite_tests import Asked, Row, Table

AFFINITIES = (("INT", "BIGINT"), ("CHAR|CLOB|TEXT", "TEXT"), ("REAL|FLOA|DOUB", "DOUBLE"))
"""What a declared type is where all values are NULL; anything else is BIGINT."""
_STRICT = {"BIGINT": "INTEGER", "TEXT": "TEXT", "DOUBLE": "REAL", "BYTES": "BLOB"}
_TYPES: dict[type, str] = {int: "BIGINT", str: "TEXT", float: "DOUBLE", bytes: "BYTES"}
_ORDERS = 3
_TRIES = 10

_PART = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\w+|\s+|.", re.S)
_COMPOUND = ("UNION", "INTERSECT", "EXCEPT")
_ENDS_ORDER = ("LIMIT", "OFFSET", "ROWS", "RANGE", "GROUPS", "EXCLUDE", "FILTER", *_COMPOUND)


def column_types(table: Table) -> list[str] | None:
    """The one type that all values of a column have; None where a column has values of several."""
    types = []
    for place, (_, declared) in enumerate(table.columns):
        found = {_TYPES[type(row[place])] for row in table.rows if row[place] is not None}
        if len(found) > 1:
            return None
        by_name = (name for pattern, name in AFFINITIES if re.search(pattern, declared, re.I))
        types.append(found.pop() if found else next(by_name, "BIGINT"))
    return types


def verdict(asked: Asked) -> tuple[str, bool]:
    """The rule that keeps the query out, or nothing; and whether its rows have to come in one order."""
    wanted, text = asked.rows, _Text(asked.sql)
    for order in range(_ORDERS):
        rows = _answer(asked, asked.sql, order)
        if isinstance(rows, str):
            return rows, False
        if not same_rows(rows, wanted, ordered=False):
            return _why_other_rows(asked), False
    standard = text.with_nulls_said()
    rows = _answer(asked, standard, 0)
    if isinstance(rows, str) or not same_rows(rows, wanted, ordered=False):
        return "null-order", False
    ordered = text.ordered and same_rows(rows, wanted, ordered=True)
    if text.limited and not text.ordered:
        unlimited = _answer(asked, text.without_limit(), 0)
        whole = not isinstance(unlimited, str) and same_rows(unlimited, wanted, ordered=False)
        return ("" if whole else "row-order"), False
    if text.ordered:
        if text.compound:
            complete = text.order_terms == (len(wanted[0]) if wanted else 0)
            return ("row-order" if text.limited and not complete else ""), ordered and complete
        for order in range(_TRIES):
            rows = _answer(asked, _Text(standard).with_ties_at_random(), order)
            if isinstance(rows, str) or not same_rows(rows, wanted, ordered=False):
                return "row-order", False
            ordered = ordered and same_rows(rows, wanted, ordered=True)
    return "", ordered


def _why_other_rows(asked: Asked) -> str:
    for rule, minds_case in (("row-order", True), ("like-without-case", False)):
        rows = _answer(asked, asked.sql, None, minds_case)
        if not isinstance(rows, str) and same_rows(rows, asked.rows, ordered=False):
            return rule
    return "loose-types"


def _answer(asked: Asked, sql: str, order: int | None, minds_case: bool = True) -> Sequence[Row] | str:
    """The rows that `sql` answers, or the rule that says why there are none. `order` None: rows as they are stored."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        database.execute(f"PRAGMA case_sensitive_like = {int(minds_case)}")
        for table in asked.tables:
            types = column_types(table)
            if types is None:
                return "loose-types"
            declared = ", ".join(
                f'"{name}" {_STRICT[kind]}' for (name, _), kind in zip(table.columns, types, strict=True)
            )
            database.execute(f'CREATE TABLE "{table.name}" ({declared}) STRICT')
            rows = list(table.rows)
            if order is not None:
                random.Random(order).shuffle(rows)
            marks = ", ".join("?" * len(table.columns))
            database.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', rows)
        for _, text in asked.views:
            database.execute(plain_view(text))
        return database.execute(sql).fetchall()
    except sqlite3.Error:
        return "beyond-the-text"
    finally:
        database.close()


def plain_view(text: str) -> str:
    """CREATE VIEW without TEMP and the name of a database."""
    return re.sub(
        r"^CREATE\s+(?:TEMP\w*\s+)?VIEW\s+(?:IF NOT EXISTS\s+)?(?:\w+\.)?", "CREATE VIEW ", text, flags=re.I
    )


class _Text:
    """A query as words and what is between them; `depths` in brackets."""

    def __init__(self, sql: str) -> None:
        self._parts: list[str] = _PART.findall(sql)
        self._depths: list[int] = []
        depth = 0
        for part in self._parts:
            depth -= part == ")"
            self._depths.append(depth)
            depth += part == "("
        orders = [at for at, depth in enumerate(self._depths) if depth == 0 and self._order_at(at)]
        self._order = orders[-1] if orders else None
        limits = [at for at, depth in enumerate(self._depths) if depth == 0 and self._is(at, "LIMIT")]
        self._limit = limits[-1] if limits else None
        self.ordered = self._order is not None
        self.limited = self._limit is not None
        self.compound = any(depth == 0 and self._is(at, *_COMPOUND) for at, depth in enumerate(self._depths))
        self.order_terms = 0 if self._order is None else len(self._terms(self._order))

    def without_limit(self) -> str:
        """Without LIMIT and OFFSET."""
        return "".join(self._parts[: self._limit])

    def with_nulls_said(self) -> str:
        """With NULL last where ORDER BY does not say it, first after DESC."""
        said: dict[int, str] = {}
        for at in range(len(self._parts)):
            if self._order_at(at):
                for first, last in self._terms(at):
                    words = [self._parts[i].upper() for i in range(first, last + 1) if self._parts[i].strip()]
                    if "NULLS" not in words[-2:]:
                        said[last] = " NULLS FIRST" if words[-1:] == ["DESC"] else " NULLS LAST"
        return self._with(said)

    def with_ties_at_random(self) -> str:
        """With an ORDER BY that leaves rows which are alike to chance."""
        assert self._order is not None
        return self._with({self._terms(self._order)[-1][1]: ", random()"})

    def _with(self, after: dict[int, str]) -> str:
        return "".join(part + after.get(at, "") for at, part in enumerate(self._parts))

    def _is(self, at: int, *words: str) -> bool:
        return self._parts[at].upper() in words

    def _order_at(self, at: int) -> bool:
        rest = [part for part in self._parts[at + 1 : at + 3] if part.strip()]
        return self._is(at, "ORDER") and bool(rest) and rest[0].upper() == "BY"

    def _terms(self, order: int) -> list[tuple[int, int]]:
        """First and last part of each term."""
        depth = self._depths[order]
        terms: list[tuple[int, int]] = []
        first = last = (
            order
            + 1
            + self._parts[order + 1 :].index(
                next(part for part in self._parts[order + 1 :] if part.upper() == "BY")
            )
            + 1
        )
        for at in range(first, len(self._parts)):
            here = self._depths[at] == depth
            if self._depths[at] < depth or (here and self._is(at, *_ENDS_ORDER)):
                break
            if here and self._parts[at] == ",":
                terms.append((first, last))
                first = at + 1
            elif self._parts[at].strip():
                last = at
        terms.append((first, last))
        return terms
