"""`kalam check` and `kalam repair`, of a directory that is not open."""

from __future__ import annotations

import sys

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Target

FAILURE = 1
HARMLESS = frozenset({"torn", "kept"})
"""What a crash left, and the database knows how to deal with."""


def _directory(target: Target) -> str:
    if target.is_server:
        raise click.UsageError(
            "this is for a directory that is not open: end the server, and name its directory"
        )
    return target.place


@click.command()
@choosing_database
def check(target: Target) -> None:
    """Look through the directory for damage, and change nothing. Status 1 where something is wrong."""
    from kalamdb.mending import check as check_directory

    findings = check_directory(_directory(target))
    for finding in findings:
        click.echo(str(finding))
    if any(finding.kind not in HARMLESS for finding in findings):
        click.get_current_context().exit(FAILURE)
    click.echo("no damage", err=True)


@click.command()
@click.option("--yes", is_flag=True, help="Do it without asking.")
@choosing_database
def repair(yes: bool, target: Target) -> None:
    """Say what must be dropped for the directory to open again, ask, and drop it.

    Where nobody can be asked, and without --yes, nothing is changed, and the status is 1.
    """
    from kalamdb.mending import repair as repair_directory

    directory = _directory(target)
    would = repair_directory(directory)
    for finding in would.findings:
        click.echo(str(finding))
    click.echo(str(would))
    if not (would.needed or would.cold):
        return
    if not yes and not (sys.stdin.isatty() and click.confirm("Do it?", err=True)):
        click.echo("nothing was changed; --yes does it", err=True)
        click.get_current_context().exit(FAILURE)
    click.echo(str(repair_directory(directory, apply=True)))
