"""CSV by pyarrow, which is quick; and by Python's csv where the lines of rows are asked for, which it knows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kalamdb.cli.loading.file_rows import Piece
from kalamdb.cli.loading.source import Source
from kalamdb.errors import InvalidValue

BLOCK_BYTES = 8 << 20
"""No row is longer."""


class CsvFile:
    """All cells are text; nothing between two delimiters is NULL, and `""` the empty text. Rows of another number of
    cells are not numbered."""

    unit = "line"
    texts = True

    def __init__(self, source: Source, *, delimiter: str, header: bool, columns: Sequence[str]) -> None:
        """`columns`: those of the table, for files without a header. Raises InvalidValue, StorageUnavailable."""
        self._source = source
        self._delimiter = delimiter
        self._header = header
        self.names = self._names() if header else list(columns)
        self.malformed_count = 0
        if len(set(self.names)) != len(self.names):
            raise InvalidValue(f"{source.name} has two columns of one name: {', '.join(self.names)}")

    def pieces(self) -> Iterator[Piece]:
        """The rows. Raises InvalidValue, StorageUnavailable."""
        import numpy as np
        import pyarrow as pa

        number = 0
        try:
            for batch in self._reader():
                numbers = np.arange(number, number + batch.num_rows, dtype=np.int64)
                yield Piece(pa.Table.from_batches([batch]), pa.array(numbers))
                number += batch.num_rows
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise InvalidValue(f"{self._source.name} is no CSV in UTF-8: {error}") from None
        except OSError as error:
            raise self._source.error(error) from None

    def _reader(self) -> Any:
        import pyarrow as pa
        import pyarrow.csv

        def keep(row: Any) -> str:
            self.malformed_count += 1
            return "skip"

        return pa.csv.open_csv(
            self._source.stream(),
            read_options=pa.csv.ReadOptions(
                column_names=self.names,
                skip_rows_after_names=1 if self._header else 0,
                block_size=BLOCK_BYTES,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=keep
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def told(self, bad: Mapping[int, str], most: int) -> dict[int, str]:
        """The first of what is bad, by the line on which it begins: the file is read once more up to there."""
        found: dict[int, str] = {}
        number = before = 0
        reader = csv.reader(self._text(), delimiter=self._delimiter)
        for place, row in enumerate(reader):
            if row and not (self._header and place == 0):
                if len(row) != len(self.names):
                    found[before + 1] = f"it has {len(row)} cells where the others have {len(self.names)}"
                else:
                    if number in bad:
                        found[before + 1] = bad[number]
                    number += 1
                if len(found) == most:
                    break
            before = reader.line_num
        return found

    def _text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._source.stream(), "utf-8-sig", "replace", newline="")

    def _names(self) -> list[str]:
        try:
            names = next(csv.reader(self._text(), delimiter=self._delimiter), [])
        except csv.Error as error:
            raise InvalidValue(f"{self._source.name} is no CSV: {error}") from None
        except OSError as error:
            raise self._source.error(error) from None
        if not names:
            raise InvalidValue(
                f"{self._source.name} is empty; a CSV file begins with the names of its columns, or give --no-header"
            )
        return [one.strip() for one in names]
