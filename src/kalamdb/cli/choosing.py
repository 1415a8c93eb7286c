"""Options that choose settings: a file, and single ones by name, which win over all else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

CONFIG_ENVIRONMENT_NAME = "KALAM_CONFIG"


def choosing_settings(command: Command) -> Command:
    """Give a command the options --config and --set, as `config` and `chosen`."""
    command = click.option(
        "--set",
        "chosen",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_pairs,
        help="A setting by name, for this time; `kalam settings` lists them.",
    )(command)
    return click.option(
        "--config",
        type=click.Path(dir_okay=False),
        envvar=CONFIG_ENVIRONMENT_NAME,
        help=f"A TOML file of settings, or {CONFIG_ENVIRONMENT_NAME}.",
    )(command)


def _pairs(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one} has no =; settings are given as NAME=VALUE")
        found[name.strip()] = value
    return found
