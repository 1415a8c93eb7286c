"""Runs the .slt scripts: statements with what they must answer, in one file that reads like a specification.

A script is a list of records with a blank line after each; lines that begin with `#` between records are comments.

    statement ok                       the statement, up to a blank line, succeeds
    CREATE NAMESPACE app

    statement count 2                  it succeeds and counts two rows
    DELETE FROM app.notes

    statement error NOT NULL           it is refused, with a message that matches the regular expression
    INSERT INTO app.notes (id) VALUES (1)

    statement error UNIQUE_VIOLATION: app.notes: 42
                                       the same, and the error has this code
    query IT rowsort                   it answers rows; a letter a column says what its values are:
    SELECT id, body FROM app.notes     I integer, R other number, T text, B boolean, D timestamp, date or time,
    ----                               X bytes, ? anything. NULL fits all of them.
    1 | hello                          Cells stand between tabs or ` | `.
    2 | NULL

    session alice                      what follows runs as this user; `session alice dba` gives the role too;
                                       `session root` is the database's own handle, where every script begins
    reopen                             closes the directory and opens it again
    flush                              moves all rows to cold segments, and waits for it
    compact                            puts the cold segments of each partition together, and waits for it
    sleep 20                           waits that many milliseconds

Words after the letters of a query: `nosort` (the default) compares the rows in order, `rowsort` sorts both sides
first, `names` says that the first expected row is the columns' names.

How values are written: NULL; (empty) for the empty string; true and false; X'00ff' for bytes; a newline in a text as
`\\n`; timestamps as 2026-01-02 03:04:05.000006+00:00; JSON without blanks. A cell `<any>` fits every value but NULL.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.schema import TableKind
from kalamdb.settings import Settings


@dataclass(frozen=True)
class Answer:
    """What a statement answered: names and rows of Python values, and how many rows it counted."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    rowcount: int


class Refused(Exception):
    """A statement was refused, on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Adapter(Protocol):
    """How a script reaches a database: in the process, or another way."""

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user. Raises Refused."""

    def reopen(self) -> None:
        """Closes the database and opens it again."""

    def flush(self) -> None:
        """Moves all rows to cold segments. Raises Refused."""

    def compact(self) -> None:
        """Puts cold segments together. Raises Refused."""

    def close(self) -> None:
        """Lets go of it."""


class EmbeddedAdapter:
    """The database in this process, over a directory. `settings`: those of kalamdb.open."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._directory = directory
        self._settings = settings
        self._open()

    def _open(self) -> None:
        self._database = kalamdb.open(self._directory, **self._settings)
        self._sessions: dict[tuple[str, str | None], kalamdb.Session] = {}

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user. Raises Refused."""
        try:
            if user == "root":
                result = self._database.execute(sql)
            else:
                if (user, role) not in self._sessions:
                    self._sessions[user, role] = self._database.session(user, role=role)
                result = self._sessions[user, role].execute(sql)
            return Answer(
                list(result.columns or ()), result.fetchall() if result.columns else [], result.rowcount
            )
        except kalamdb.Error as error:
            raise Refused(error.code, error.message) from error

    def reopen(self) -> None:
        """Closes the database and opens it again."""
        self._database.close()
        self._open()

    def flush(self) -> None:
        """Moves all rows to cold segments. Raises Refused."""
        self._wait_for(self._database.flush)

    def compact(self) -> None:
        """Puts cold segments together. Raises Refused."""
        self._wait_for(self._database.compact)

    def _wait_for(self, job: Callable[[], None]) -> None:
        try:
            job()
        except kalamdb.Error as error:
            raise Refused(error.code, error.message) from error

    def close(self) -> None:
        """Lets go of it."""
        self._database.close()


class CheckpointingAdapter(EmbeddedAdapter):
    """The same, with all rows written to hot segments after every statement, refused ones too."""

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user, and moves the rows. Raises Refused."""
        try:
            return super().execute(user, role, sql)
        finally:
            self._database.checkpoint()


class ReopeningAdapter(EmbeddedAdapter):
    """The same, closed and opened again after every statement, unless what is not stored would be missed.

    That is an open transaction, and the rows of STREAM tables, which end with the process. Sessions begin anew in the
    namespace that they had.
    """

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user, and opens the database anew. Raises Refused."""
        try:
            return super().execute(user, role, sql)
        finally:
            sessions = [self._database._root, *self._sessions.values()]
            streams = any(table.kind is TableKind.STREAM for table in self._database.catalog.tables.values())
            if not streams and not any(session._transaction for session in sessions):
                self.reopen()

    def reopen(self) -> None:
        """Closes the database and opens it again, with its sessions where they were."""
        root, sessions = self._database._root.namespace, self._sessions
        super().reopen()
        self._database._root.namespace = root
        for (user, role), session in sessions.items():
            made = self._database.session(user, role=role)
            made.namespace = session.namespace
            self._sessions[user, role] = made


class FlushingAdapter(EmbeddedAdapter):
    """The same in memory, with all rows moved to cold segments of three rows after every statement that may change
    some, refused ones too. Nothing decoded is kept."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._files = FileSystem.memory()
        super().__init__(directory, **settings)

    def _open(self) -> None:
        settings = Settings(cache_bytes=0, **self._settings)
        self._database = Database(self._files, str(self._directory), settings)
        self._database.cold.row_group_rows = 3
        self._database.cold.segment_bytes_max = 1
        self._database.cold.grace_s = 0.0
        self._sessions = {}

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user, and moves the rows. Raises Refused."""
        try:
            return super().execute(user, role, sql)
        finally:
            if sql.split(None, 1)[0].upper() not in ("SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "USE"):
                # A table's storage may be one that is not there; its rows stay hot.
                with contextlib.suppress(kalamdb.Error):
                    self.move()

    def move(self) -> None:
        """Moves the rows."""
        self._database.flush()


class CompactingAdapter(FlushingAdapter):
    """The same, and what was moved is put together."""

    def move(self) -> None:
        """Moves the rows."""
        super().move()
        self._database.compact()


@dataclass(frozen=True)
class Record:
    """One step of a script."""

    line: int
    command: str
    arguments: str
    sql: str
    expected: tuple[str, ...]


def read_script(text: str) -> Iterator[Record]:
    """The records of a script, in order."""
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        line = lines[position].strip()
        position += 1
        if not line or line.startswith("#"):
            continue
        number = position
        command, _, arguments = line.partition(" ")
        sql: list[str] = []
        expected: list[str] = []
        if command in ("statement", "query"):
            into = sql
            while position < len(lines) and lines[position].strip():
                if command == "query" and into is sql and lines[position].strip() == "----":
                    into = expected
                else:
                    into.append(lines[position])
                position += 1
            if command == "query" and into is sql:
                raise ValueError(f"line {number}: a query needs ---- and its rows")
        elif command not in ("session", "reopen", "flush", "compact", "sleep"):
            raise ValueError(f"line {number}: {command!r} is no record of a script")
        yield Record(number, command, arguments.strip(), "\n".join(sql), tuple(expected))


def run_script(path: Path, adapter: Adapter) -> None:
    """Runs every record; raises AssertionError that names file and line at the first that does not hold."""
    __tracebackhide__ = True
    user: str = "root"
    role: str | None = None
    for record in read_script(path.read_text(encoding="utf-8")):
        try:
            if record.command == "session":
                user, _, named = record.arguments.partition(" ")
                role = named or None
            elif record.command == "reopen":
                adapter.reopen()
            elif record.command in ("flush", "compact"):
                _run_jobs(adapter.flush if record.command == "flush" else adapter.compact)
            elif record.command == "sleep":
                time.sleep(int(record.arguments) / 1000)
            elif record.command == "statement":
                _run_statement(record, adapter, user, role)
            else:
                _run_query(record, adapter, user, role)
        except AssertionError as error:
            raise AssertionError(f"{path.name}:{record.line} as {user}\n{record.sql}\n\n{error}") from None


def _run_jobs(work: Callable[[], None]) -> None:
    try:
        work()
    except Refused as refusal:
        raise AssertionError(f"refused with {refusal.code}: {refusal.message}") from None


def _run_statement(record: Record, adapter: Adapter, user: str, role: str | None) -> None:
    outcome, _, wanted = record.arguments.partition(" ")
    try:
        answer = adapter.execute(user, role, record.sql)
    except Refused as refusal:
        if outcome != "error":
            raise AssertionError(f"refused with {refusal.code}: {refusal.message}") from None
        code, pattern = _error_pattern(wanted)
        if code is not None and code != refusal.code:
            raise AssertionError(f"wanted {code}, got {refusal.code}: {refusal.message}") from None
        if not re.search(pattern, refusal.message):
            raise AssertionError(f"wanted /{pattern}/, got {refusal.code}: {refusal.message}") from None
        return
    if outcome == "error":
        raise AssertionError(f"wanted an error /{wanted}/, and it succeeded")
    if outcome == "count" and answer.rowcount != int(wanted):
        raise AssertionError(f"wanted {wanted} rows, counted {answer.rowcount}")
    if outcome not in ("ok", "count", "error"):
        raise ValueError(f"line {record.line}: a statement is ok, count or error, not {outcome!r}")


def _codes(error: type[kalamdb.Error]) -> set[str]:
    return {error.code}.union(*(_codes(leaf) for leaf in error.__subclasses__()))


CODES = _codes(kalamdb.Error)


def _error_pattern(wanted: str) -> tuple[str | None, str]:
    """(code, regular expression) of `CODE`, `CODE: regex` or `regex`."""
    code, _, pattern = wanted.partition(":")
    return (code, pattern.strip()) if code in CODES else (None, wanted)


def _run_query(record: Record, adapter: Adapter, user: str, role: str | None) -> None:
    letters, *words = record.arguments.split()
    if unknown := set(words) - {"nosort", "rowsort", "names"}:
        raise ValueError(f"line {record.line}: no such word for a query: {unknown}")
    try:
        answer = adapter.execute(user, role, record.sql)
    except Refused as refusal:
        raise AssertionError(f"refused with {refusal.code}: {refusal.message}") from None
    expected = [re.split(r"\t| \| ", line.strip()) for line in record.expected]
    if "names" in words:
        names, *expected = expected
        if names != list(answer.columns):
            raise AssertionError(f"wanted columns {names}, got {list(answer.columns)}")
    if len(letters) != len(answer.columns):
        raise AssertionError(f"wanted {len(letters)} columns, got {list(answer.columns)}")
    for row in answer.rows:
        for letter, name, value in zip(letters, answer.columns, row, strict=True):
            if value is not None and not isinstance(value, _VALUES[letter]):
                raise AssertionError(f"column {name} is {letter}, and holds {value!r}")
            if letter == "I" and isinstance(value, bool):
                raise AssertionError(f"column {name} is I, and holds {value!r}")
    got = [[written(value) for value in row] for row in answer.rows]
    if "rowsort" in words:
        expected, got = sorted(expected), sorted(got)
    if len(expected) != len(got) or not all(map(_row_fits, expected, got)):
        raise AssertionError(f"wanted\n{_table(expected)}\ngot\n{_table(got)}")


_VALUES: dict[str, type | tuple[type, ...]] = {
    "I": int,
    "R": (float, decimal.Decimal),
    "T": (str, uuid.UUID, dict, list),
    "B": bool,
    "D": (datetime.datetime, datetime.date, datetime.time),
    "X": bytes,
    "?": object,
}


def _row_fits(expected: Sequence[str], got: Sequence[str]) -> bool:
    return len(expected) == len(got) and all(
        wanted == value or (wanted == "<any>" and value != "NULL")
        for wanted, value in zip(expected, got, strict=True)
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("    " + " | ".join(row) for row in rows) or "    (no rows)"


def written(value: object) -> str:
    """A value as scripts write it."""
    if value is None:
        return "NULL"
    if value == "":
        return "(empty)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value).replace("\n", "\\n")
