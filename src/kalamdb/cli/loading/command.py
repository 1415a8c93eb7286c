"""`kalam import`: a file's rows into a table, all or none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Connection, Target, open_connection
from kalamdb.cli.loading.rows import FileRows
from kalamdb.cli.progress import Progress
from kalamdb.cli.table_name import checked_table_name, columns_of
from kalamdb.errors import Error, InvalidValue, StorageUnavailable, UndefinedColumn
from kalamdb.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

FAILURE = 1
SHOWN_MAX = 20
FORMATS = ("csv", "tsv", "ndjson", "json", "arrow", "parquet")
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".arrow": "arrow",
            ".arrows": "arrow", ".feather": "arrow", ".parquet": "parquet"}  # fmt: skip
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}


@click.command(name="import")
@click.argument("table")
@click.argument("file")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Instead of what the file's name says.")
@click.option("--delimiter", default=None, help="What stands between cells of CSV (a comma).")
@click.option(
    "--no-header",
    is_flag=True,
    help="The first line is a row; cells are in the order of the table's columns.",
)
@click.option(
    "--skip-bad", is_flag=True, help="Leave out rows that cannot be read as the table's types, and say which."
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
        data = _opened(file)
        types = {name: kind for name, (kind, _) in columns.items()}
        rows, again = _read(data, file, form, types, delimiter, header=not no_header)
        done, left_out = _load(connection, table, file, rows, columns, again, skip_bad=skip_bad)
    finally:
        connection.close()
    click.echo(f"{done:,} rows imported" + (f", {left_out:,} left out" if left_out else ""), err=True)


def _format_of(file: str) -> str:
    path = Path(file)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        if file == "-":
            return "csv"
        raise click.UsageError(f"what is {file}? Say it with --format {'|'.join(FORMATS)}")
    return found


def _opened(file: str) -> bytes:
    """The whole file, unpacked. Raises StorageUnavailable."""
    import pyarrow as pa

    try:
        if file == "-":
            return sys.stdin.buffer.read()
        packed = _PACKED.get(Path(file).suffix.lower())
        with pa.input_stream(file, compression=packed) as stream:
            found: bytes = stream.read()
            return found
    except OSError as error:
        raise StorageUnavailable(f"{file} cannot be read: {error.strerror or error}") from None


def _read(
    data: bytes, file: str, form: str, types: dict[str, DataType], delimiter: str | None, *, header: bool
) -> tuple[FileRows, Any]:
    """The rows, and what finds the line of each of them where the reader has not counted."""
    from io import BytesIO

    stream = BytesIO(data)
    if form in ("csv", "tsv"):
        from kalamdb.cli.loading.csv_file import csv_lines_of, read_csv

        chosen = delimiter or ("\t" if form == "tsv" else ",")
        rows = read_csv(stream, file, delimiter=chosen, header=header, columns=list(types))
        return rows, lambda: csv_lines_of(data, chosen, rows.table.num_columns, header=header)[0]
    if form in ("json", "ndjson"):
        from kalamdb.cli.loading.json_file import read_json

        return read_json(stream, file, types, lines=form == "ndjson"), None
    from kalamdb.cli.loading import arrow_file

    read = arrow_file.read_arrow if form == "arrow" else arrow_file.read_parquet
    rows = read(stream, file)
    rows.lines = range(1, rows.table.num_rows + 1)
    return rows, None


def _load(
    connection: Connection,
    table: str,
    file: str,
    rows: FileRows,
    columns: dict[str, tuple[DataType, bool]],
    find_lines: Any,
    *,
    skip_bad: bool,
) -> tuple[int, int]:
    """How many rows are in, and how many were left out. Raises kalamdb.Error; then none is in."""
    unknown = [name for name in rows.table.column_names if name not in columns]
    if unknown:
        raise UndefinedColumn(
            f"{file} has columns that {table} has not: {', '.join(unknown)}; it has {', '.join(columns)}"
        )
    typed, wrong = _typed(rows, columns) if rows.texts else (rows.table, {})
    if wrong and rows.lines is None:
        rows.lines = find_lines()
    bad = dict(rows.malformed)
    for place, why in wrong.items():
        assert rows.lines is not None
        bad.setdefault(rows.lines[place], why)
    if bad:
        _tell(bad, file, rows.unit)
        if not skip_bad:
            raise InvalidValue(
                f"{len(bad):,} of the rows of {file} cannot be read, so none was imported; mend them, or leave them "
                "out with --skip-bad"
            )
        typed = _without(typed, wrong)
    with Progress() as progress:
        try:
            done = connection.insert(table, typed, lambda some, of: progress.tell_rows("import", some, of))
        except Error as error:
            inserted = getattr(error, "rows_inserted", 0)
            if inserted:
                error.message += (
                    f"; {inserted:,} rows are in: over a server each request is a commit of its own"
                )
                error.args = (error.message,)
            raise
    return done, len(bad)


def _typed(rows: FileRows, columns: dict[str, tuple[DataType, bool]]) -> tuple[pa.Table, dict[int, str]]:
    import pyarrow as pa

    from kalamdb.cli.loading.columns import typed

    arrays: list[Any] = []
    wrong: dict[int, str] = {}
    for name, texts in zip(rows.table.column_names, rows.table.columns):
        kind, required = columns[name]
        array, unfit = typed(texts, kind)
        if required and texts.null_count:
            places = (place for place, text in enumerate(texts.to_pylist()) if text is None)
            unfit |= dict.fromkeys(places, "it is NOT NULL, and there is no value")
        for place, why in unfit.items():
            wrong.setdefault(place, f'column "{name}": {why}')
        arrays.append(array)
    return pa.table(arrays, names=rows.table.column_names), wrong


def _without(table: pa.Table, wrong: dict[int, str]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    if not wrong:
        return table
    kept = np.ones(table.num_rows, dtype=bool)
    kept[list(wrong)] = False
    return table.filter(pa.array(kept))


def _tell(bad: dict[int, str], file: str, unit: str) -> None:
    from kalamdb.cli.output.width import shown

    for line in sorted(bad)[:SHOWN_MAX]:
        click.echo(f"{file}: {unit} {line}: {shown(bad[line])}", err=True)
    if len(bad) > SHOWN_MAX:
        click.echo(f"{file}: and {len(bad) - SHOWN_MAX:,} more", err=True)
