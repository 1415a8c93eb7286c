"""The group of all commands, and how an error of any of them is told."""

from __future__ import annotations

from typing import Any

import click

from kalamdb.cli.entry import USAGE_ERROR
from kalamdb.cli.serve import serve
from kalamdb.cli.settings import settings
from kalamdb.errors import Error, InvalidSetting, NotSupportedError
from kalamdb.version import __version__

FAILURE = 1


class _Commands(click.Group):
    """Errors of kalamdb end a command with their message, and not with a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(context)
        except Error as error:
            click.echo(f"kalam: {error.message}", err=True)
            usage = isinstance(error, (InvalidSetting, NotSupportedError))
            context.exit(USAGE_ERROR if usage else FAILURE)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kalam %(version)s")
def kalam() -> None:
    """One small, private, live SQL database per user."""


kalam.add_command(serve)
kalam.add_command(settings)
