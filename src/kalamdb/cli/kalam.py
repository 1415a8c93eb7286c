"""The group of all commands, and how an error of any of them is told."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from kalamdb.cli.backup import backup, restore
from kalamdb.cli.bench import bench
from kalamdb.cli.check import check, repair
from kalamdb.cli.choosing_database import database_options
from kalamdb.cli.completions import completions
from kalamdb.cli.entry import USAGE_ERROR
from kalamdb.cli.export import export
from kalamdb.cli.loading import import_file
from kalamdb.cli.log_in import login, logout
from kalamdb.cli.serve import serve
from kalamdb.cli.settings import settings
from kalamdb.cli.sql.command import run_sql, sql, sql_options
from kalamdb.cli.users import users
from kalamdb.errors import Error, InvalidSetting, NotSupportedError
from kalamdb.version import __version__

FAILURE = 1
INTERRUPTED = 130
CLOSED_PIPE = 141
"""As a shell tells of a process that SIGPIPE ended."""


class _Commands(click.Group):
    """Errors of kalamdb end a command with their message, and not with a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            _end_quietly()
        except KeyboardInterrupt:
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


for command in (
    backup, bench, check, completions, export, import_file, login, logout, repair, restore, serve, settings, sql, users,
):  # fmt: skip
    kalam.add_command(command)
