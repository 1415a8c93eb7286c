"""`kalam export`: a table's rows to a file."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Target, open_connection
from kalamdb.cli.output import FORMATS, Look, format_of_file
from kalamdb.cli.table_name import checked_table_name
from kalamdb.errors import StorageUnavailable


@click.command()
@click.argument("table")
@click.argument("file")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), help="Instead of what the file's name says."
)
@click.option("--where", help="Which rows: a condition, as in SQL.")
@choosing_database
def export(table: str, file: str, form: str | None, where: str | None, target: Target) -> None:
    """Write the rows of TABLE, those that the user may read, to FILE; - is standard output.

    The file is there when all of it is. For the answer of any other query: kalam -c "…" --output FILE.
    """
    chosen = FORMATS[form] if form else format_of_file(file) or (FORMATS["csv"] if file == "-" else None)
    if chosen is None:
        raise click.UsageError(f"which format? Say it with --format {'|'.join(FORMATS)}")
    sql = f"SELECT * FROM {checked_table_name(table)}" + (f" WHERE {where}" if where else "")
    connection = open_connection(target)
    try:
        answer = connection.execute(sql)[-1]
        if file == "-":
            _write(answer, chosen, sys.stdout.buffer)
            return
        partial = f"{file}.partial"
        try:
            with open(partial, "wb") as sink:
                _write(answer, chosen, sink)
            os.replace(partial, file)
        except OSError as error:
            raise StorageUnavailable(f"{file} cannot be written: {error.strerror}") from None
        click.echo(f"{answer.rowcount:,} rows exported", err=True)
    finally:
        connection.close()


def _write(answer: Any, form: Any, sink: Any) -> None:
    if form.whole is not None:
        form.whole(answer, sink)
    else:
        for piece in form.pieces(answer, Look(expanded="off")):
            sink.write(piece.encode("utf-8", "backslashreplace"))
    sink.flush()
