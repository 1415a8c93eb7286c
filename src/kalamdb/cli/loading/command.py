"""`kalam import`: a file's rows into a table, all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Connection, Target, open_connection
from kalamdb.cli.loading.bad_rows import BadRows
from kalamdb.cli.loading.columns import typed_rows
from kalamdb.cli.loading.file_rows import FileRows
from kalamdb.cli.loading.keys import keys_in_the_way
from kalamdb.cli.loading.read_rows import ReadRows
from kalamdb.cli.loading.source import PACKED, Source
from kalamdb.cli.progress import Progress
from kalamdb.cli.table_name import TableColumn, checked_table_name, columns_of
from kalamdb.errors import Error, InvalidValue, UndefinedColumn
from kalamdb.types import DataType

THREADS = 4
FORMATS = ("csv", "tsv", "ndjson", "json", "arrow", "parquet")
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".arrow": "arrow",
            ".arrows": "arrow", ".feather": "arrow", ".parquet": "parquet"}  # fmt: skip


@click.command(name="import")
@click.argument("table")
@click.argument("file", type=click.Path(readable=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Instead of what the file's name says.")
@click.option("--delimiter", default=None, help="What stands between cells of CSV (a comma).")
@click.option(
    "--no-header",
    is_flag=True,
    help="The first line is a row; cells are in the order of the table's columns.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave out rows that cannot be read or whose key is there already, and say which.",
)
@choosing_database
def import_file(
    table: str,
    file: str,
    form: str | None,
    delimiter: str | None,
    no_header: bool,
    skip_bad: bool,
    target: Target,
) -> None:
    """Insert the rows of FILE into TABLE, all of them or none: CSV, JSON lines, JSON, Arrow or Parquet.

    Columns go by their names; those that the file has not take their defaults. FILE may be - for standard input, and
    packed (.gz, .zst, …).
    """
    form = form or _format_of(file)
    connection = open_connection(target)
    try:
        checked_table_name(table)
        columns = columns_of(connection, table)
        if delimiter is not None and len(delimiter) != 1:
            raise click.UsageError("--delimiter is one character")
        source = Source(file)
        types = {name: column.kind for name, column in columns.items()}
        rows = _rows_of(source, form, types, delimiter, header=not no_header)
        with Progress() as progress:
            done, left_out = _load(connection, table, source, rows, columns, progress, skip_bad=skip_bad)
    finally:
        connection.close()
    click.echo(f"{done:,} rows imported" + (f", {left_out:,} left out" if left_out else ""), err=True)


def _format_of(file: str) -> str:
    path = Path(file)
    if path.suffix.lower() in PACKED:
        path = path.with_suffix("")
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        if file == "-":
            return "csv"
        raise click.UsageError(f"what is {file}? Say it with --format {'|'.join(FORMATS)}")
    return found


def _rows_of(
    source: Source, form: str, types: dict[str, DataType], delimiter: str | None, *, header: bool
) -> FileRows:
    if form in ("csv", "tsv"):
        from kalamdb.cli.loading.csv_file import CsvFile

        chosen = delimiter or ("\t" if form == "tsv" else ",")
        return CsvFile(source, delimiter=chosen, header=header, columns=list(types))
    if form in ("json", "ndjson"):
        from kalamdb.cli.loading.json_file import JsonFile

        return JsonFile(source, types, lines=form == "ndjson")
    from kalamdb.cli.loading.arrow_file import ArrowFile

    return ArrowFile(source, parquet=form == "parquet")


def _load(
    connection: Connection,
    table: str,
    source: Source,
    rows: FileRows,
    columns: dict[str, TableColumn],
    progress: Progress,
    *,
    skip_bad: bool,
) -> tuple[int, int]:
    """How many rows are in, and how many were left out. Raises kalamdb.Error; then none is in, over a server not more
    than was said."""
    bad = BadRows()
    with ReadRows() as good, ThreadPoolExecutor(THREADS) as threads:
        for piece in rows.pieces():
            unknown = [name for name in piece.table.column_names if name not in columns]
            if unknown:
                raise UndefinedColumn(
                    f"{source.name} has columns that {table} has not: {', '.join(unknown)}; it has {', '.join(columns)}"
                )
            typed, wrong = typed_rows(piece, columns, threads) if rows.texts else (piece.table, {})
            bad.add(piece.malformed | wrong)
            if skip_bad or not bad.count(rows):
                good.add(typed, piece.numbers, wrong)
            progress.tell_share("import, reading", int(piece.numbers[-1].as_py()) if len(piece.numbers) else 0,
                               source.read_bytes, source.size)  # fmt: skip
        if skip_bad:
            key = next((name for name, column in columns.items() if column.is_key), None)
            if key is not None:
                good.leave_out(bad, keys_in_the_way(connection, table, key, columns[key].kind, good))
        count = bad.count(rows)
        if count:
            bad.tell(source.name, rows)
            if not skip_bad:
                raise InvalidValue(
                    f"{count:,} of the rows of {source.name} cannot be read, so none was imported; mend them, or leave "
                    "them out with --skip-bad"
                )
        return _insert(connection, table, good, progress), count


def _insert(connection: Connection, table: str, good: ReadRows, progress: Progress) -> int:
    if not good.num_rows:
        return 0
    try:
        return connection.insert(
            table, good.reader(), lambda done, _: progress.tell_rows("import", done, good.num_rows)
        )
    except Error as error:
        inserted = getattr(error, "rows_inserted", 0)
        if inserted:
            error.message += f"; {inserted:,} rows are in: over a server each request is a commit of its own"
            error.args = (error.message,)
        raise
