"""The group of all commands, and how an error of any of them is told."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from kalamdb.cli.choosing_database import database_options
from kalamdb.cli.entry import USAGE_ERROR
from kalamdb.cli.sql.command import run_sql, sql_options
from kalamdb.errors import Error, InvalidSetting, NotSupportedError
from kalamdb.version import __version__

FAILURE = 1
INTERRUPTED = 130
CLOSED_PIPE = 141
"""As a shell tells of a process that SIGPIPE ended."""


_COMMANDS: Mapping[str, tuple[str, str]] = {
    "backup": ("backup", "backup"),
    "bench": ("bench", "bench"),
    "check": ("check", "check"),
    "completions": ("completions", "completions"),
    "export": ("export", "export"),
    "import": ("loading", "import_file"),
    "login": ("log_in", "login"),
    "logout": ("log_in", "logout"),
    "repair": ("check", "repair"),
    "restore": ("backup", "restore"),
    "serve": ("serve", "serve"),
    "settings": ("settings", "settings"),
    "sql": ("sql.command", "sql"),
    "users": ("users", "users"),
}
"""Module and function. One that is not asked for is not imported: all of them take longer than most of them run."""


class _Commands(click.Group):
    """Errors of kalamdb end a command with their message, and not with a traceback."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Their names."""
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a name, if there is one."""
        if name not in _COMMANDS:
            return None
        module, function = _COMMANDS[name]
        found: click.Command = getattr(importlib.import_module(f"kalamdb.cli.{module}"), function)
        return found

    def invoke(self, context: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            _end_quietly()
        except (KeyboardInterrupt, click.Abort):
            # Abort: while something was asked.
            click.echo("", err=True)
            context.exit(INTERRUPTED)
        except Error as error:
            click.echo(f"kalam: {error.message}", err=True)
            usage = isinstance(error, (InvalidSetting, NotSupportedError))
            context.exit(USAGE_ERROR if usage else FAILURE)


def _end_quietly() -> None:
    """Whoever read standard output has had enough. What is still in its buffer must not fail at the exit again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(CLOSED_PIPE)


@click.group(
    cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="kalam %(version)s")
@database_options
@sql_options
@click.pass_context
def kalam(context: click.Context, /, **options: Any) -> None:
    """One small, private, live SQL database per user.

    kalam -c and kalam -f run SQL and end; kalam sql talks. --db, --user and --token may stand before a command's name,
    or behind it.
    """
    if context.invoked_subcommand is None:
        if not any(options.values()):
            click.echo(context.get_help())
            context.exit(USAGE_ERROR)
        run_sql(None, options)
