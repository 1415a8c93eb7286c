"""The shell with a person: lines are edited, coloured and completed; nothing ends it but the person."""

from __future__ import annotations

import os
from typing import Any

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.lexers import PygmentsLexer

from kalamdb.cli.sql.completion import completer
from kalamdb.cli.sql.highlighting import KalamLexer
from kalamdb.cli.sql.history import history_of
from kalamdb.cli.sql.names import KeptNames
from kalamdb.cli.sql.shell import Leave, Shell
from kalamdb.cli.sql.statement import StatementReader, statements
from kalamdb.version import __version__


def talk(shell: Shell) -> None:
    """Ask, run, answer, until Ctrl-D or \\q."""
    shell.sink.paged = True
    where = (
        "a database in memory, gone at the end"
        if shell.target.place == ":memory:"
        else shell.connection.place
    )
    shell.tell(f"kalam {__version__}, {where}. Statements end with ;   \\? for help, \\q to leave")
    names = KeptNames()
    names.read(shell.connection)
    place = shell.target.place
    prompt = _prompt(shell, names)
    try:
        while True:
            try:
                if shell.target.place != place:
                    place = shell.target.place
                    prompt = _prompt(shell, names)
                text = prompt.prompt(lambda: _who_and_where(shell))
                _run(shell, text, names)
                if shell.catalog_changed or names.names.namespace != shell.connection.namespace:
                    names.read(shell.connection)
                    shell.catalog_changed = False
            except KeyboardInterrupt:
                # While a line was written, or just before or behind a statement.
                continue
            except EOFError:
                return
    except Leave:
        return
    finally:
        names.wait()


def _run(shell: Shell, text: str, names: KeptNames) -> None:
    """What was typed, up to the first statement that fails. Ctrl-C ends the statement, not the shell."""
    if text.lstrip().startswith("\\connect"):
        # The directory that the names are read from may be closed by it.
        names.wait()
    try:
        shell.run_all(statements(text.splitlines(keepends=True)))
    except (KeyboardInterrupt, click.Abort):
        # Abort: while a password was asked for.
        click.echo("cancelled", err=True)
    except click.UsageError as error:
        click.echo(f"kalam: {error.message}", err=True)


def is_complete(text: str) -> bool:
    """Whether Enter ends what was typed: nothing, a command of the shell, or statements that all have their `;`."""
    reader = StatementReader()
    for line in text.splitlines(keepends=True):
        reader.feed(line + ("" if line.endswith("\n") else "\n"))
    return not reader.pending


def _who_and_where(shell: Shell) -> FormattedText:
    connection = shell.connection
    in_transaction = connection.in_transaction
    return FormattedText(
        [
            ("bold", connection.name),
            ("", f" {connection.user}@{connection.namespace}"),
            ("fg:ansiyellow bold", "*" if in_transaction else ""),
            ("", "> "),
        ]
    )


def _prompt(shell: Shell, names: KeptNames) -> PromptSession[str]:
    keys = KeyBindings()

    @keys.add("enter", filter=Condition(lambda: not is_complete(prompt.default_buffer.text)))
    def _go_on(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    made: Any = completer(lambda: names.names)
    prompt: PromptSession[str] = PromptSession(
        history=history_of(shell.target, shell.preferences.history),
        lexer=None if "NO_COLOR" in os.environ else PygmentsLexer(KalamLexer),
        completer=ThreadedCompleter(made),
        complete_while_typing=False,
        key_bindings=keys,
        multiline=Condition(lambda: not is_complete(prompt.default_buffer.text)),
        prompt_continuation=lambda width, number, wrapped: "".rjust(max(0, width - 4)) + "... ",
        enable_open_in_editor=True,
    )
    return prompt
