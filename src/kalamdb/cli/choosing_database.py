"""Options that choose a database: on the command itself, before its name, in the environment, or preferred."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from kalamdb.cli.connection import Target
from kalamdb.cli.preferences import Preferences, load_preferences

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--read-only", is_flag=True, help="Open a directory beside who has it, as of its last checkpoint."
    ),
    click.option("--namespace", "-n", help="What names without a namespace mean, or KALAM_NAMESPACE."),
    click.option(
        "--token", help="An access token for a server; better as KALAM_TOKEN, which nobody else sees."
    ),
    click.option(
        "--user", "-u", help="As whom, or KALAM_USER: any user of a directory; who logs in to a server."
    ),
    click.option(
        "--db",
        "-d",
        metavar="DIR|URL",
        type=click.Path(readable=False),
        help="The database: a directory or a server's URL; or KALAM_DB.",
    ),
)
NAMES = ("db", "user", "token", "namespace", "read_only")


def database_options(command: Command) -> Command:
    """The options themselves."""
    for option in _OPTIONS:
        command = option(command)
    return command


def choosing_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, and call it with `target`, which must name a database."""

    @functools.wraps(command)
    def chosen(*arguments: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in NAMES}
        target = target_of(click.get_current_context(), given, load_preferences())
        if target is None:
            raise no_database()
        return command(*arguments, target=target, **options)

    return database_options(chosen)


def no_database() -> click.UsageError:
    """Where no database is named."""
    return click.UsageError("which database? Name it with --db DIR|URL, KALAM_DB, or db in config.toml.")


def target_of(
    context: click.Context, given: dict[str, Any], preferences: Preferences, place: str | None = None
) -> Target | None:
    """What the options of this command, those before its name, the environment and the preferences come to; None where
    no database is named. `place`: named by an argument."""
    outer = context.find_root().params

    def one(name: str, preferred: str | None = None) -> str | None:
        found = given.get(name) or outer.get(name) or os.environ.get(f"KALAM_{name.upper()}")
        return found or preferred

    place = place or one("db", preferences.db)
    if place is None:
        return None
    return Target(
        place=place,
        user=one("user", preferences.user),
        token=one("token") if Target(place).is_server else given.get("token") or outer.get("token"),
        namespace=one("namespace", preferences.namespace),
        read_only=bool(given.get("read_only") or outer.get("read_only")),
    )
