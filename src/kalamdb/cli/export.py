"""`kalam export`: a table's rows to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Connection, Target, open_connection
from kalamdb.cli.output import FORMATS, Look, Writer, format_of_file
from kalamdb.cli.output.formats import ROWS_AT_ONCE
from kalamdb.cli.progress import Progress
from kalamdb.cli.table_name import checked_table_name
from kalamdb.errors import StorageUnavailable

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@click.argument("table")
@click.argument("file", type=click.Path(dir_okay=False, readable=False, allow_dash=True))
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
        with Progress() as progress:
            if file == "-":
                _export(connection, sql, chosen, sys.stdout.buffer, progress)
                return
            partial = f"{file}.partial"
            try:
                with open(partial, "wb") as sink:
                    rows = _export(connection, sql, chosen, sink, progress)
                os.replace(partial, file)
            except OSError as error:
                raise StorageUnavailable(f"{file} cannot be written: {error.strerror}") from None
            finally:
                with suppress(OSError):
                    os.remove(partial)
        click.echo(f"{rows:,} rows exported", err=True)
    finally:
        connection.close()


def _export(connection: Connection, sql: str, form: Writer, sink: BinaryIO, progress: Progress) -> int:
    """Write the rows, and say how many. Memory holds some of them, unless the format needs a look at all."""
    if form.table is not None:
        answer = connection.execute(sql)[-1]
        _write(form.table(answer, Look(expanded="off")), sink)
        return answer.rowcount
    rows = _Counted(connection.stream(sql), progress)
    if form.file is not None:
        form.file(rows.reader(), sink)
    else:
        assert form.lines is not None
        _write(form.lines(rows.columns, rows.tuples()), sink)
    sink.flush()
    return rows.count


def _write(pieces: Iterator[str], sink: BinaryIO) -> None:
    for piece in pieces:
        sink.write(piece.encode("utf-8", "backslashreplace"))
    sink.flush()


class _Counted:
    """Rows on their way, as Arrow or as tuples."""

    def __init__(self, source: pa.RecordBatchReader, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self.count = 0

    @property
    def columns(self) -> list[str]:
        """Their names."""
        return list(self._source.schema.names)

    def reader(self) -> pa.RecordBatchReader:
        """The rows as they come."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._source.schema, self._batches())

    def tuples(self) -> Iterator[list[tuple[Any, ...]]]:
        """The rows as Python values, some at a time."""
        from kalamdb.result import tuples

        for batch in self._batches():
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield tuples([batch.slice(start, ROWS_AT_ONCE)], batch.schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            yield batch
            self.count += batch.num_rows
            self._progress.tell(f"export: {self.count:,} rows")
