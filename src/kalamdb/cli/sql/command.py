"""`kalam sql`, and `kalam -c` and `kalam -f`, which are the same without the word."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from kalamdb.cli.choosing_database import NAMES, database_options, target_of
from kalamdb.cli.connection import Target
from kalamdb.cli.output import FORMATS
from kalamdb.cli.preferences import load_preferences

Command = TypeVar("Command", bound=Callable[..., Any])
FAILURE = 1

_OPTIONS = (
    click.option("--null", "null", help="How NULL is shown in tables (NULL)."),
    click.option(
        "--output",
        "-o",
        type=click.Path(dir_okay=False),
        help="Answers to a file, in the format of its name.",
    ),
    click.option(
        "--format", "form", type=click.Choice(list(FORMATS)), help="How answers are written (table)."
    ),
    click.option(
        "--file",
        "-f",
        "files",
        multiple=True,
        type=click.Path(readable=False, allow_dash=True),
        metavar="FILE",
        help="Run the statements of a file; - is standard input.",
    ),
    click.option(
        "--command", "-c", "commands", multiple=True, metavar="SQL", help="Run statements, and end."
    ),
)
OPTION_NAMES = ("null", "output", "form", "files", "commands")


def sql_options(command: Command) -> Command:
    """The options that say what is run and how it looks."""
    for option in _OPTIONS:
        command = option(command)
    return command


@click.command(name="sql")
@click.argument("place", required=False, metavar="[DIR|URL]", type=click.Path(readable=False))
@database_options
@sql_options
def sql(place: str | None, **options: Any) -> None:
    """Run SQL against a directory or a server: with a person at a terminal, or from -c, -f and standard input.

    Without a database it is one in memory, which is gone at the end.
    """
    run_sql(place, options)


def run_sql(place: str | None, options: dict[str, Any]) -> None:
    """What was said by options, here and before the command's name, which is everything but the place."""
    context = click.get_current_context()
    outer = context.find_root().params
    options = options | {name: options.get(name) or outer.get(name) for name in OPTION_NAMES}
    preferences = load_preferences()
    target = target_of(context, {name: options.get(name) for name in NAMES}, preferences, place)
    runs = bool(options["commands"] or options["files"])
    talks = not runs and sys.stdin.isatty()
    from kalamdb.cli.sql.shell import Leave, Shell
    from kalamdb.cli.sql.statement import statements

    shell = Shell(target or Target(), preferences, talks=talks)
    good = False
    try:
        if options["output"]:
            shell.write_to(options["output"])
        if options["form"]:
            shell.format = FORMATS[options["form"]]
        if options["null"] is not None:
            shell.null = options["null"]
        try:
            if talks:
                from kalamdb.cli.sql.talk import talk

                talk(shell)
                good = True
            else:
                good = all(
                    shell.run_all(statements(text.splitlines(keepends=True))) for text in options["commands"]
                ) and all(map(shell.run_file, options["files"] or (() if runs else ("-",))))
        except Leave:
            good = True
        shell.sink.flush()
    finally:
        shell.close()
    if not good:
        context.exit(FAILURE)
