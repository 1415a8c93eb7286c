"""Writes queries and the rows that they are asked over as a script of our own form (tests/script_runner.py).

A table is made when a query first names it, and anew when its rows have changed. Our tables have a key, theirs need
none: the first column that has each value once, and never NULL, is the key. Where there is none the rows lie in a table
`rows_of_NAME` with a number more, and NAME is a view of it; so `SELECT *` answers what it did. A view may be refused
(`statement maybe`), and then what asks for it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.third_party.sqlite_tests import Asked, Row, Table, Value
from tests.third_party.twin import column_types, plain_view

_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_KEYWORD = re.compile(
    "all|and|as|asc|between|by|case|cast|create|cross|current|default|desc|distinct|drop|else|end|except|exists|false|"
    "for|from|full|group|having|if|in|index|inner|insert|interval|into|is|join|key|left|like|limit|natural|not|null|of|"
    "offset|on|or|order|outer|over|partition|primary|right|row|rows|select|set|table|then|time|timestamp|to|true|"
    "union|unique|update|user|using|values|view|when|where|with"
)
_LISTED_VIEW = re.compile(r"(CREATE VIEW \w+)\s*(\([^()]*\))\s*AS\s+(.*)", re.I | re.S)


def writable(asked: Asked) -> str:
    """The rule that keeps a query out of a script, or nothing."""
    if any("\n" in literal for literal in re.findall(r"'[^']*'|\"[^\"]*\"", asked.sql)):
        return "unwritable"
    if not asked.sql.isprintable():
        return "unwritable"
    if any(isinstance(value, float) and value - value != 0 for value in _values(asked)):
        return "unwritable"
    if any(isinstance(value, str) and not _writable_cell(value) for row in asked.rows for value in row):
        return "unwritable"
    if any(isinstance(value, str) and not value.isprintable() for value in _values(asked)):
        return "unwritable"
    for table in asked.tables:
        names = [name.lower() for name, _ in table.columns]
        if not _PLAIN.fullmatch(table.name) or any(name.startswith("_") for name in names):
            return "names"
        if len(set(names)) < len(names) or not all(name.isascii() and name.strip() for name in names):
            return "names"
    if any(letter is None for letter in _letters(asked.rows)):
        return "loose-types"
    return ""


def _values(asked: Asked) -> Iterator[Value]:
    for rows in (asked.rows, *(table.rows for table in asked.tables)):
        for row in rows:
            yield from row


def _writable_cell(text: str) -> bool:
    return (
        text.isprintable() and text == text.strip() and " | " not in text and text not in ("NULL", "(empty)")
    )


def _letters(rows: Iterable[Row]) -> list[str | None]:
    """What the values of each column are: Integer, Real, Text, X bytes, ? nothing but NULL; None where they are
    several."""
    letters: list[str | None] = []
    for column in zip(*rows, strict=True):
        found = {"IRTX"[(int, float, str, bytes).index(type(value))] for value in column if value is not None}
        if found == {"I", "R"}:
            found = {"R"}
        letters.append("?" if not found else found.pop() if len(found) == 1 else None)
    return letters


@dataclass
class Script:
    """A script that grows."""

    lines: list[str]
    _tables: dict[str, Table] = field(default_factory=dict)
    _views: dict[str, str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def ask(self, asked: Asked, ordered: bool) -> str:
        """Adds a query, and before it what has to stand for it. Returns the name that it has here."""
        self._stand(asked)
        name = asked.name
        number = 1
        while name in self._names:
            number += 1
            name = f"{asked.name}#{number}"
        self._names.add(name)
        letters = "".join(letter or "?" for letter in _letters(asked.rows)) or "?"
        self.lines += [f"query {letters} {'nosort' if ordered else 'rowsort'} {name}", asked.sql, "----"]
        self.lines += [" | ".join(map(_cell, row)) for row in asked.rows]
        self.lines.append("")
        return name

    def text(self) -> str:
        """The whole of it."""
        return "\n".join(self.lines)

    def _stand(self, asked: Asked) -> None:
        stale = [table for table in asked.tables if self._tables.get(table.name) != table]
        views = dict(asked.views)
        taken = [name for name in views if name in self._tables]
        if stale or taken or any(self._views.get(name, text) != text for name, text in views.items()):
            for name in reversed(self._views):
                self._say("maybe", f"DROP VIEW {name}")
            self._views.clear()
        for name in taken:
            self._drop(self._tables.pop(name))
        for table in stale:
            if table.name in self._tables:
                self._drop(self._tables[table.name])
            self._make(table)
            self._tables[table.name] = table
        for name, text in views.items():
            if name not in self._views:
                self._say("maybe", _view(text))
                self._views[name] = text

    def _say(self, outcome: str, sql: str) -> None:
        self.lines += [f"statement {outcome}", sql, ""]

    def _drop(self, table: Table) -> None:
        if _key(table) is None:
            self._say("ok", f"DROP VIEW {table.name}")
            self._say("ok", f"DROP TABLE rows_of_{table.name}")
        else:
            self._say("ok", f"DROP TABLE {table.name}")

    def _make(self, table: Table) -> None:
        types = column_types(table) or []
        names = [_quoted(name) for name, _ in table.columns]
        key = _key(table)
        columns = [
            f"{name} {kind}{' PRIMARY KEY' if place == key else ''}"
            for place, (name, kind) in enumerate(zip(names, types, strict=True))
        ]
        stored, rows = table.name, table.rows
        if key is None:
            stored = f"rows_of_{table.name}"
            columns = ["row_number BIGINT PRIMARY KEY", *columns]
            rows = tuple((number, *row) for number, row in enumerate(rows, 1))
        self._say("ok", f"CREATE TABLE {stored} ({', '.join(columns)})")
        if rows:
            listed = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
            self._say("ok", f"INSERT INTO {stored} VALUES {listed}")
        if key is None:
            self._say("ok", f"CREATE VIEW {table.name} AS SELECT {', '.join(names)} FROM {stored}")


def _key(table: Table) -> int | None:
    """The place of the column that can be the key."""
    types = column_types(table) or []
    for place, kind in enumerate(types):
        values = [row[place] for row in table.rows]
        if kind in ("BIGINT", "TEXT") and None not in values and len(set(values)) == len(values):
            return place
    return None


def _view(text: str) -> str:
    """The view as we make it: names of its columns, which we do not take before AS, stand behind its query."""
    plain = plain_view(text)
    listed = _LISTED_VIEW.fullmatch(plain)
    return f"{listed[1]} AS SELECT * FROM ({listed[3]}) AS of_view{listed[2]}" if listed else plain


def _quoted(name: str) -> str:
    name = name.lower()
    return (
        name
        if _PLAIN.fullmatch(name) and not _KEYWORD.fullmatch(name)
        else '"' + name.replace('"', '""') + '"'
    )


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return repr(value)


def _cell(value: Value) -> str:
    if value is None:
        return "NULL"
    if value == "":
        return "(empty)"
    return f"X'{value.hex()}'" if isinstance(value, bytes) else str(value)
