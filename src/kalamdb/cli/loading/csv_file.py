"""CSV by pyarrow, which is quick; and by Python's csv where the lines of rows are asked for, which it knows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.cli.loading.rows import FileRows
from kalamdb.errors import InvalidValue

if TYPE_CHECKING:
    pass


def read_csv(data: Any, name: str, *, delimiter: str, header: bool, columns: Sequence[str]) -> FileRows:
    """The rows, all cells text; nothing between two delimiters is NULL, and `""` the empty text. `columns`: those of
    the table, for files without a header. Raises InvalidValue."""
    import pyarrow as pa
    import pyarrow.csv

    given = data.read()
    malformed: list[tuple[str, int, int]] = []

    def keep(row: Any) -> str:
        malformed.append((row.text, row.expected_columns, row.actual_columns))
        return "skip"

    names = _header(given, name, delimiter) if header else list(columns)
    if len(set(names)) != len(names):
        raise InvalidValue(f"{name} has two columns of one name: {', '.join(names)}")
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(given),
            read_options=pa.csv.ReadOptions(
                column_names=names, skip_rows_after_names=1 if header else 0, block_size=8 << 20
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            table = pa.table({name: pa.array([], pa.string()) for name in names})
        else:
            raise InvalidValue(f"{name} is no CSV in UTF-8: {error}") from None
    rows = FileRows(table, texts=True)
    if malformed:
        lines, wrong = csv_lines_of(given, delimiter, len(names), header=header)
        rows.malformed, rows.lines = wrong, lines
    return rows


def csv_lines_of(
    data: bytes, delimiter: str, count: int, *, header: bool
) -> tuple[list[int], dict[int, str]]:
    """The line on which each row of `count` cells begins, and of each other row why it is none."""
    text = io.StringIO(data.decode("utf-8-sig", "replace"), newline="")
    reader = csv.reader(text, delimiter=delimiter)
    lines: list[int] = []
    wrong: dict[int, str] = {}
    before = 0
    for number, row in enumerate(reader):
        if row and not (header and number == 0):
            if len(row) == count:
                lines.append(before + 1)
            else:
                wrong[before + 1] = f"it has {len(row)} cells where the others have {count}"
        before = reader.line_num
    return lines, wrong


def _header(data: bytes, name: str, delimiter: str) -> list[str]:
    try:
        names = next(
            csv.reader(
                io.StringIO(data[: 1 << 20].decode("utf-8-sig", "replace"), newline=""), delimiter=delimiter
            ),
            [],
        )
    except csv.Error as error:
        raise InvalidValue(f"{name} is no CSV: {error}") from None
    if not names:
        raise InvalidValue(
            f"{name} is empty; a CSV file begins with the names of its columns, or give --no-header"
        )
    return [one.strip() for one in names]
