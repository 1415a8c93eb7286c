"""What a shell is, with or without a person: a connection, how answers look, where they go; a statement at a time."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from kalamdb.cli.connection import Answer, Connection, Target, open_connection
from kalamdb.cli.output import FORMATS, Writer, format_of_file
from kalamdb.cli.output.width import shown
from kalamdb.cli.preferences import Preferences
from kalamdb.cli.sql.error_text import error_text
from kalamdb.cli.sql.sink import Sink
from kalamdb.cli.sql.statement import Statement, statements
from kalamdb.errors import Error, InvalidParameter, StorageUnavailable

_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
_CHANGES_CATALOG = frozenset({"create", "alter", "drop", "use", "restore", "grant", "revoke"})
_BEGIN_JOBS = frozenset({"storage", "flush", "compact", "backup"})
_PLAN = ("plan_type", "plan")
DEPTH_MAX = 16
"""Files that name files that name files."""


class Leave(Exception):
    """A person, or a script, has had enough."""


class Shell:
    """Runs statements and commands. `talks`: whether a person is at it, who is told what happened."""

    def __init__(self, target: Target, preferences: Preferences, *, talks: bool = False) -> None:
        self.target = target
        self.preferences = preferences
        self.talks = talks
        self.sink = Sink(pager=preferences.pager)
        self.format: Writer = (
            FORMATS[preferences.format] if preferences.format in FORMATS else FORMATS["table"]
        )
        self.expanded = preferences.expanded
        self.null = preferences.null
        self.timing = preferences.timing
        self.catalog_changed = False
        """Whether a statement may have changed what exists, since somebody last looked."""
        self.last: Statement | None = None
        """The last statement, for \\watch."""
        self._format_before: Writer | None = None
        """The format that holds again when answers no longer go to a file whose name chose another."""
        self._depth = 0
        self._wholes = 0
        self.connection: Connection = open_connection(target)

    def connect(self, target: Target) -> None:
        """Go on with another database. Where that cannot be reached, stay with this one. Raises kalamdb.Error."""
        if Path(target.place).absolute() == Path(self.target.place).absolute() and not target.is_server:
            # A directory is open once at a time.
            self._tell_of_the_transaction()
            self.connection.close()
            try:
                connection = open_connection(target)
            except BaseException:
                self.connection = open_connection(self.target)
                raise
        else:
            connection = open_connection(target)
            self._tell_of_the_transaction()
            self.connection.close()
        self.connection, self.target = connection, target
        self.catalog_changed = True

    def write_to(self, path: str | None) -> None:
        """Have answers go to a file, whose name may choose the format; None: back. Raises StorageUnavailable."""
        self.sink.to_file(path)
        self._wholes = 0
        if self._format_before is not None:
            self.format, self._format_before = self._format_before, None
        if path is not None and (by_name := format_of_file(path)) is not None:
            self._format_before, self.format = self.format, by_name

    def run(self, statement: Statement) -> None:
        """Run one. Raises kalamdb.Error, Leave, click.UsageError."""
        if statement.is_command:
            from kalamdb.cli.sql.meta_commands import run_command

            run_command(self, statement.text)
            return
        self.last = statement
        first = _FIRST_WORD.match(statement.text)
        word = first[1].lower() if first else ""
        if word == "subscribe":
            from kalamdb.cli.sql.live import show_events

            show_events(self, statement.text)
            return
        for answer in self.connection.execute(statement.text):
            self.show(answer)
            if word in _BEGIN_JOBS and "job_id" in answer.columns:
                from kalamdb.cli.sql.jobs import wait_for_jobs

                wait_for_jobs(self, answer)
        if word in _CHANGES_CATALOG:
            self.catalog_changed = True

    def try_to_run(self, statement: Statement) -> bool:
        """Run one, and tell what was wrong; whether nothing was. Raises Leave, click.UsageError."""
        try:
            self.run(statement)
        except Error as error:
            self.sink.flush()
            click.echo(error_text(error, statement, colour=self._colours_errors()), err=True)
            return False
        return True

    def run_all(self, found: Iterable[Statement]) -> bool:
        """Run them up to the first that fails; whether none did."""
        return all(self.try_to_run(statement) for statement in found)

    def run_file(self, path: str) -> bool:
        """Run a file, `-` for standard input. Raises StorageUnavailable."""
        if self._depth >= DEPTH_MAX:
            raise InvalidParameter(f"{path}: files that run files are {DEPTH_MAX} deep; does one run itself?")
        self._depth += 1
        try:
            if path == "-":
                return self.run_all(statements(_lines(sys.stdin), "stdin"))
            with open(path, encoding="utf-8-sig") as file:
                return self.run_all(statements(file, path))
        except OSError as error:
            raise StorageUnavailable(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise InvalidParameter(f"{path} is no UTF-8: {error.reason} at byte {error.start}") from None
        finally:
            self._depth -= 1

    def show(self, answer: Answer) -> None:
        """Write an answer; what is not data is told to a person alone."""
        if not answer.columns:
            if self.sink.is_terminal:
                self.sink.write(f"{answer.message}{self._took(answer, ', ')}\n")
            return
        form = self.format
        if form.file is not None:
            self._wholes += 1
            if self._wholes > 1:
                raise InvalidParameter(
                    f"{form.name} is a file of one answer, and this is a second one; write it to a file of its own"
                )
            with self.sink.binary() as stream:
                form.file(answer.arrow().to_reader(), stream)
            return
        if form.name == "table" and answer.columns == _PLAN:
            self.sink.write_all(_plan_lines(answer))
        else:
            self.sink.write_all(form.pieces(answer, self.sink.look(self.expanded, self.null)))
        if form.name == "table" and self.sink.is_terminal:
            rows = "1 row" if answer.rowcount == 1 else f"{answer.rowcount:,} rows"
            self.sink.write(f"{rows}{self._took(answer, ', ')}\n")

    def tell(self, text: str) -> None:
        """Something that is not data: for a person, and never where a program reads."""
        if self.talks:
            click.echo(text)

    def close(self) -> None:
        """End it all. An open transaction is rolled back, and that is said."""
        self._tell_of_the_transaction()
        self.sink.close()
        self.connection.close()

    def _tell_of_the_transaction(self) -> None:
        """Before the connection is closed."""
        if self.connection.in_transaction:
            click.echo("kalam: the open transaction was rolled back; end it with COMMIT to keep it", err=True)

    def _took(self, answer: Answer, before: str) -> str:
        return f"{before}{duration(answer.took_ms)}" if self.timing and answer.took_ms else ""

    def _colours_errors(self) -> bool:
        return sys.stderr.isatty() and self.sink.look("off", "").colour


def duration(took_ms: float) -> str:
    """`0.412 ms`, `12.3 ms`, `4.56 s`."""
    if took_ms < 1000:
        return f"{took_ms:.3f} ms" if took_ms < 10 else f"{took_ms:.1f} ms"
    return f"{took_ms / 1000:.2f} s"


def _plan_lines(answer: Answer) -> Iterator[str]:
    """A plan is a text of many lines that no table holds."""
    for kind, plan in answer.fetchall():
        yield f"{kind}:\n"
        for line in str(plan).splitlines():
            yield f"  {shown(line)}\n"


def _lines(stream: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line.removeprefix("\ufeff") if number == 0 else line
