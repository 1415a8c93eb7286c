"""The commands that begin with a backslash: one table of them, from which `\\?`, completion and the documents come."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kalamdb.cli.output import FORMATS
from kalamdb.cli.sql.shell import Leave, Shell
from kalamdb.errors import InvalidParameter

_NAME = re.compile(r'(?:(?:\w+|"[^"]+")\.)?(?:\w+|"[^"]+")')
_PATTERN = re.compile(r"[\w*.]+")


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """`arguments`: as the documents write them. `run` has what stands behind the name, without blanks around it."""

    name: str
    arguments: str
    what: str
    run: Callable[[Shell, str], None]


def _tables(shell: Shell, pattern: str) -> None:
    where = ""
    if pattern:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidParameter(
                "\\dt takes a table, namespace.table or a namespace.*, with * for any characters"
            )
        namespace, dot, name = pattern.rpartition(".")
        where = f" WHERE table_name LIKE '{_like(name)}'"
        if dot:
            where += f" AND namespace_id LIKE '{_like(namespace)}'"
    _list(
        shell,
        "SELECT namespace_id AS namespace, table_name AS name, table_type AS kind, access, storage_id AS storage, "
        f"flush_policy FROM system.tables{where} ORDER BY 1, 2",
    )


def _like(pattern: str) -> str:
    return pattern.lower().replace("_", "\\_").replace("*", "%")


def _describe(shell: Shell, name: str) -> None:
    if not name:
        _tables(shell, "")
        return
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"\\d takes a table, as t or namespace.t, not {name}")
    _list(shell, f"DESCRIBE TABLE {name}")


def _users(shell: Shell, argument: str) -> None:
    _list(shell, "SHOW USERS")


def _namespaces(shell: Shell, argument: str) -> None:
    _list(shell, "SHOW NAMESPACES")


def _list(shell: Shell, sql: str) -> None:
    """Beside what goes on: no part of an open transaction, and not what \\watch repeats."""
    beside = shell.connection.beside()
    try:
        for answer in beside.execute(sql):
            shell.show(answer)
    finally:
        beside.close()


def _expand(shell: Shell, argument: str) -> None:
    shell.expanded = _choice(argument, {"on", "off", "auto"}) or {"on": "auto"}.get(shell.expanded, "on")
    shell.tell(f"expanded is {shell.expanded}")


def _timing(shell: Shell, argument: str) -> None:
    shell.timing = {"on": True, "off": False}.get(_choice(argument, {"on", "off"}), not shell.timing)
    shell.tell(f"timing is {'on' if shell.timing else 'off'}")


def _format(shell: Shell, argument: str) -> None:
    if argument:
        shell.format = FORMATS[_choice(argument, set(FORMATS))]
    shell.tell(f"format is {shell.format.name}")


def _null(shell: Shell, argument: str) -> None:
    shell.null = argument
    shell.tell(f"NULL is shown as {argument!r}")


def _choice(argument: str, choices: set[str]) -> str:
    if argument and argument.lower() not in choices:
        raise InvalidParameter(f"{argument} is none of {', '.join(sorted(choices))}")
    return argument.lower()


def _output(shell: Shell, path: str) -> None:
    shell.write_to(_unquoted(path) or None)


def _include(shell: Shell, path: str) -> None:
    if not path:
        raise InvalidParameter("\\i takes the name of a file")
    if not shell.run_file(_unquoted(path)) and not shell.talks:
        raise InvalidParameter(f"{path} was not run to its end")


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _watch(shell: Shell, argument: str) -> None:
    try:
        interval_s = float(argument or 2)
        if not 0.01 <= interval_s <= 86400:
            raise ValueError
    except ValueError:
        raise InvalidParameter(f"\\watch takes seconds from 0.01 to 86400, not {argument}") from None
    if shell.last is None:
        raise InvalidParameter("\\watch repeats the last statement, and there is none yet")
    paged, shell.sink.paged = shell.sink.paged, False
    try:
        while True:
            shell.tell(time.strftime("%Y-%m-%d %H:%M:%S") + f", every {interval_s:g} s, until Ctrl-C")
            shell.run(shell.last)
            time.sleep(interval_s)
    except KeyboardInterrupt:
        shell.tell("")
    finally:
        shell.sink.paged = paged


def _connect(shell: Shell, argument: str) -> None:
    words = argument.split()
    if len(words) > 2:
        raise InvalidParameter("\\connect takes a directory or URL, and a user")
    target = shell.target
    if words and words[0] != "-":
        target = replace(target, place=words[0], token=None, namespace=None)
    if len(words) == 2:
        target = replace(target, user=words[1], token=None)
    shell.connect(target)
    shell.tell(f"connected to {shell.connection.place} as {shell.connection.user}")


def _help(shell: Shell, argument: str) -> None:
    shell.sink.write_all([help_text()])


def _quit(shell: Shell, argument: str) -> None:
    raise Leave


COMMANDS = (
    MetaCommand("\\d", "[table]", "the columns of a table; without one, the tables", _describe),
    MetaCommand("\\dt", "[pattern]", "tables and views, as app.* or mess*", _tables),
    MetaCommand("\\dn", "", "namespaces", _namespaces),
    MetaCommand("\\du", "", "users", _users),
    MetaCommand(
        "\\x",
        "[on|off|auto]",
        "cells one below the other: always, never, or where rows are too wide",
        _expand,
    ),
    MetaCommand("\\format", "[name]", f"how answers are written: {', '.join(FORMATS)}", _format),
    MetaCommand("\\null", "[text]", "how NULL is shown", _null),
    MetaCommand("\\timing", "[on|off]", "whether the time a statement took is told", _timing),
    MetaCommand(
        "\\o", "[file]", "answers to a file, in the format of its name; without one, back here", _output
    ),
    MetaCommand("\\i", "file", "run the statements of a file", _include),
    MetaCommand("\\watch", "[seconds]", "repeat the last statement until Ctrl-C", _watch),
    MetaCommand(
        "\\connect", "[DIR|URL|-] [user]", "go on with another database, or as another user", _connect
    ),
    MetaCommand("\\?", "", "these commands", _help),
    MetaCommand("\\q", "", "leave; so does Ctrl-D", _quit),
)
BY_NAME = {command.name: command for command in COMMANDS}


def run_command(shell: Shell, text: str) -> None:
    """Run one, as it was written. Raises kalamdb.Error, Leave."""
    name, _, argument = text.rstrip("; \t\r\n").partition(" ")
    command = BY_NAME.get(name)
    if command is None:
        near = difflib.get_close_matches(name, BY_NAME, 1)
        raise InvalidParameter(
            f"there is no command {name}; " + (f"did you mean {near[0]}?" if near else "see \\?")
        )
    command.run(shell, argument.strip())


def help_text() -> str:
    """A line a command."""
    heads = [f"{command.name} {command.arguments}".rstrip() for command in COMMANDS]
    size = max(map(len, heads))
    lines = [f"  {head:<{size}}  {command.what}" for head, command in zip(heads, COMMANDS)]
    return "\n".join(
        [*lines, "", "Statements end with ;", "SUBSCRIBE TO … shows what happens until Ctrl-C.", ""]
    )
