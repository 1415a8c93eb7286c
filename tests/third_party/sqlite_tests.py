"""Reads a test file of SQLite: which query, over which rows, answers what.

The files are Tcl, and are run: by Python's Tcl, with Python's SQLite as their database. So loops and procedures of
theirs need no reading. What a test file expects is what counts; what SQLite answers beside it only tells apart what Tcl
shows alike (NULL and the empty text, 1 and '1'), and a test whose two answers differ is left out.
"""

from __future__ import annotations

import math
import re
import sqlite3
import time
import tkinter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PRELUDE = Path(__file__).with_name("prelude.tcl")
ROWS_MAX = 300
"""Of a table, and of an answer: larger ones are for speed, and would fill the scripts."""
SECONDS_MAX = 120.0

Value = int | float | str | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Table:
    """A table as it stood when it was asked: columns with their declared types, and rows."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Asked:
    """One query of a test file, and what the file says it answers."""

    name: str
    sql: str
    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    views: tuple[tuple[str, str], ...]
    reason: str = ""
    """Why it cannot be asked elsewhere: a name of rules.RULES, or nothing."""


class _Variables(Mapping[str, object]):
    """The Tcl variables of whoever asks."""

    def __init__(self, tcl: tkinter.Tk) -> None:
        self._tcl = tcl

    def __getitem__(self, name: str) -> object:
        try:
            value = self._tcl.getvar(name)
        except tkinter.TclError:
            return None
        return value if isinstance(value, int | float | str | bytes) else str(value)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass
class _Connection:
    """One of the file's handles. Tcl shows NULL as `null`."""

    sqlite: sqlite3.Connection
    null: str = ""


class Reader:
    """Runs one file. `read` once."""

    def __init__(self) -> None:
        self._tcl = tkinter.Tcl()
        self._handles: dict[str, _Connection] = {}
        self._asked: list[Asked] | None = None
        self._found: list[Asked] = []
        self._deadline = time.monotonic() + SECONDS_MAX
        self.tests = 0
        self.ended = ""
        """Why a file could not be run to its end, or nothing."""
        for name, command in {
            "begin_test": self._begin,
            "heard_test": self._heard,
            "capable": self._capable,
            "sqlite3": self._open,
        }.items():
            self._tcl.createcommand(name, command)
        self._tcl.eval(PRELUDE.read_text(encoding="utf-8"))
        self._tcl.eval("reset_db")

    def read(self, path: Path) -> list[Asked]:
        """The queries of a file, in order; as far as it can be run."""
        self._tcl.setvar("argv0", path.name)
        text = path.read_text(encoding="latin-1")
        try:
            self._tcl.eval(text)
        except (tkinter.TclError, TimeoutError) as error:
            self.ended = str(error) or "too long"
        return self._found

    # ---- what the files call

    def _capable(self, expression: str) -> int:
        return int("!" not in expression)

    def _open(self, handle: str = "", *_: str) -> str:
        if handle in ("", "-version"):
            return "3.40.1"
        if handle in self._handles:
            self._handles.pop(handle).sqlite.close()
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.set_progress_handler(lambda: int(time.monotonic() > self._deadline), 10_000)
        self._handles[handle] = _Connection(connection)
        self._tcl.createcommand(handle, lambda *words: self._call(handle, *words))
        return ""

    def _call(self, handle: str, word: str = "", *arguments: str) -> object:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        if handle not in self._handles:
            raise ValueError(f"no database {handle}")
        database = self._handles[handle]
        if word == "eval":
            sql, *rest = arguments
            rows, names = self._run(database, str(sql), heard=not rest)
            if not rest:
                return tuple(_shown(value, database.null) for row in rows for value in row)
            return self._each(rows, names, database.null, rest)
        if word in ("one", "onecolumn"):
            rows, _ = self._run(database, str(arguments[0]))
            return _shown(rows[0][0], database.null) if rows else ""
        if word == "exists":
            return int(bool(self._run(database, str(arguments[0]))[0]))
        if word in ("nullvalue", "null"):
            database.null = str(arguments[0]) if arguments else database.null
            return database.null
        if word in ("func", "function"):
            name, body = str(arguments[0]), arguments[-1]
            database.sqlite.create_function(
                name, -1, lambda *values: self._tcl.call(*self._tcl.splitlist(body), *map(_shown, values))
            )
        if word == "collate":
            database.sqlite.create_collation(
                str(arguments[0]), lambda a, b: int(self._tcl.call(*self._tcl.splitlist(arguments[1]), a, b))
            )
        if word == "close":
            self._handles.pop(handle).sqlite.close()
        if word == "transaction":
            self._tcl.eval(str(arguments[-1]))
        return ""

    def _each(self, rows: list[Row], names: list[str], null: str, rest: list[str]) -> str:
        for row in rows:
            for name, value in zip(names, row, strict=True):
                self._tcl.setvar(f"{rest[0]}({name})" if len(rest) == 2 else name, _shown(value, null))
            if len(rest) == 2:
                self._tcl.setvar(f"{rest[0]}(*)", tuple(names))
            self._tcl.eval(rest[-1])
        return ""

    # ---- tests

    def _begin(self, name: str) -> str:
        self._asked = []
        return ""

    def _heard(self, name: str, command: str, expected: str, result: str) -> str:
        self.tests += 1
        asked, self._asked = self._asked or [], None
        if not asked:
            return ""
        null = self._handles["db"].null if "db" in self._handles else ""
        flat = [value for query in asked for row in query.rows for value in row]
        try:
            wanted = [str(word) for word in self._tcl.splitlist(expected)]
        except tkinter.TclError:
            wanted = [str(expected)]
        direct = "execsql" in command or "db eval" in command
        if "catch" in command and len(wanted) == 2 and wanted[0] == "0":
            wanted = [str(word) for word in self._tcl.splitlist(wanted[1])]
        # Procedures of some files add how it was done (`sort`, a number of steps) to what was answered.
        told = wanted if direct or not flat else wanted[: len(flat)]
        if len(told) == len(flat) and all(map(lambda value, word: _same(value, word, null), flat, told)):
            for number, query in enumerate(asked, 1):
                named = f"{name}/{number}" if len(asked) > 1 else name
                self._found.append(Asked(_name(named), *_rest(query)))
        return ""

    def _run(self, database: _Connection, sql: str, heard: bool = False) -> tuple[list[Row], list[str]]:
        everything: list[Row] = []
        names: list[str] = []
        for statement in _statements(sql):
            tables, views, reason = (), (), ""
            asks = (
                heard
                and self._asked is not None
                and re.match(r"\s*(SELECT|WITH|VALUES)\b", _bare(statement), re.I)
            )
            if asks:
                tables, views, reason = _standing(database.sqlite, statement)
            cursor = database.sqlite.execute(statement, _Variables(self._tcl))
            if cursor.description is None:
                continue
            rows = cursor.fetchall()
            names = [column[0] for column in cursor.description]
            everything += rows
            if asks and self._asked is not None:
                if len(rows) > ROWS_MAX:
                    reason = "large"
                self._asked.append(Asked("", _bare(statement), tuple(rows), tables, views, reason))
            elif (
                heard and self._asked is not None and rows and not re.match(r"\s*EXPLAIN\b", statement, re.I)
            ):
                self._asked.append(Asked("", "", tuple(rows), (), (), "no-query"))
        return everything, names


def _rest(query: Asked) -> tuple[str, tuple[Row, ...], tuple[Table, ...], tuple[tuple[str, str], ...], str]:
    return query.sql, query.rows, query.tables, query.views, query.reason


def _name(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip())


def _statements(sql: str) -> Iterator[str]:
    rest = sql
    while rest.strip():
        end = -1
        while (end := rest.find(";", end + 1)) >= 0:
            if sqlite3.complete_statement(rest[: end + 1]):
                break
        piece, rest = (rest, "") if end < 0 else (rest[:end], rest[end + 1 :])
        if _bare(piece):
            yield piece


_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|[^'\"`\[/-]+|.", re.S
)


def tokens(sql: str) -> list[str]:
    """Literals, quoted names and comments whole, and what is between them."""
    return _TOKEN.findall(sql)


def _bare(sql: str) -> str:
    """Without comments, each blank between words one."""
    return "".join(
        "" if token.startswith(("--", "/*")) else token if token[0] in "'\"`[" else re.sub(r"\s+", " ", token)
        for token in tokens(sql)
    ).strip(" ;\n\t")


def _standing(
    database: sqlite3.Connection, sql: str
) -> tuple[tuple[Table, ...], tuple[tuple[str, str], ...], str]:
    """The tables and views that a query names, as they are now; or why not."""
    known: dict[str, tuple[str, str, str]] = {}
    for schema in ("sqlite_master", "sqlite_temp_master"):
        for kind, name, text in database.execute(
            f"SELECT type, name, sql FROM {schema} WHERE type IN ('table', 'view')"
        ).fetchall():
            known[name.lower()] = (kind, name, text or "")
    tables: list[Table] = []
    views: list[tuple[str, str]] = []
    reason = ""
    left = [sql]
    seen: set[str] = set()
    while left:
        for word in re.findall(r"\w+", left.pop()):
            name = word.lower()
            if name not in known or name in seen:
                continue
            seen.add(name)
            kind, _, text = known[name]
            if kind == "view":
                views.append((name, _bare(text)))
                left.append(text)
                continue
            if re.match(r"\s*CREATE\s+VIRTUAL", text, re.I) or name.startswith("sqlite_"):
                reason = "own-tables"
                continue
            if re.search(r"\bCOLLATE\b", text, re.I):
                reason = "collation"
            columns = database.execute(f'PRAGMA table_xinfo("{name}")').fetchall()
            if any(column[6] for column in columns):
                reason = "generated-columns"
                continue
            rows = database.execute(f'SELECT * FROM "{name}" LIMIT {ROWS_MAX + 1}').fetchall()
            if len(rows) > ROWS_MAX:
                reason = "large"
                continue
            tables.append(Table(name, tuple((column[1], column[2]) for column in columns), tuple(rows)))
    return tuple(tables), tuple(reversed(views)), reason


def _shown(value: Value, null: str = "") -> object:
    """As Tcl sees it."""
    return null if value is None else value


def _same(value: Value, word: str, null: str) -> bool:
    """Whether a value is what the file says."""
    if value is None:
        return word == null
    if isinstance(value, bytes):
        return value == word.encode("utf-8", "replace") or value == word.encode("latin-1", "replace")
    if str(value) == word:
        return True
    if isinstance(value, float):
        try:
            return math.isclose(value, float(word), rel_tol=1e-12)
        except ValueError:
            return False
    return False
