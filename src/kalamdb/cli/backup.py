"""`kalam backup` and `kalam restore`."""

from __future__ import annotations

import os

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Target, open_connection
from kalamdb.cli.sql.jobs import wait_for


@click.command()
@click.argument("uri")
@choosing_database
def backup(uri: str, target: Target) -> None:
    """Make a backup of the database at URI, a path or s3://…, gs://…, az://…, and wait for it.

    What is there already is not copied again. Of a server's database it is made by the server, on its machine.
    """
    place = uri if "://" in uri or target.is_server else os.path.abspath(uri)
    connection = open_connection(target)
    try:
        answer = connection.execute(f"BACKUP DATABASE TO '{place.replace(chr(39), 2 * chr(39))}'")[-1]
        number = answer.columns.index("job_id")
        wait_for(connection, [str(row[number]) for row in answer.fetchall()])
    finally:
        connection.close()
    click.echo(f"backed up to {place}", err=True)


@click.command()
@click.argument("uri")
@click.argument("directory", type=click.Path(file_okay=False))
def restore(uri: str, directory: str) -> None:
    """Bring back the newest backup at URI in DIRECTORY, which must not be there yet."""
    from kalamdb.restoring import restore as restore_database

    restore_database(uri, directory)
    click.echo(f"restored to {directory}", err=True)
