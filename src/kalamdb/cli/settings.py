"""`kalam settings`: every setting, its value, and where that comes from."""

from __future__ import annotations

import os

import click

from kalamdb.cli.choosing import choosing_settings
from kalamdb.settings import Source, settings_and_sources


@click.command()
@choosing_settings
@click.option("--all", "every", is_flag=True, help="What has its default, too.")
def settings(config: str | None, chosen: dict[str, str], every: bool) -> None:
    """Say which settings a command here would have, and where each comes from.

    A flag wins over the environment (KALAM_<NAME>), the environment over the file, and the file over the default.
    """
    found, sources = settings_and_sources(config, os.environ, chosen)
    rows = [
        (row.name, row.value, _where(row.name, sources[row.name], config))
        for row in found.described()
        if every or sources[row.name] is not Source.DEFAULT
    ]
    if not rows:
        click.echo("every setting has its default; --all shows them")
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, value, where in rows:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {where}")


def _where(name: str, source: Source, config: str | None) -> str:
    match source:
        case Source.FILE:
            return f"file {config}"
        case Source.ENVIRONMENT:
            return f"environment KALAM_{name.upper()}"
        case Source.GIVEN:
            return "flag"
    return "default"
