"""Arrow, as a stream or a file, and Parquet: rows that have types already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kalamdb.cli.loading.file_rows import ROWS_AT_ONCE, Piece
from kalamdb.cli.loading.source import Source
from kalamdb.errors import InvalidValue

_MAGIC = b"ARROW1"


class ArrowFile:
    """Rows are numbered from 1. `parquet`: whether it is Parquet; else an Arrow IPC stream or file."""

    unit = "row"
    texts = False
    malformed_count = 0

    def __init__(self, source: Source, *, parquet: bool) -> None:
        self._source = source
        self._parquet = parquet

    def pieces(self) -> Iterator[Piece]:
        """The rows. Raises InvalidValue, StorageUnavailable."""
        import numpy as np
        import pyarrow as pa

        number = 1
        try:
            schema, batches = self._batches()
            empty = True
            for batch in batches:
                for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                    part = batch.slice(start, ROWS_AT_ONCE)
                    numbers = np.arange(number, number + part.num_rows, dtype=np.int64)
                    yield Piece(pa.Table.from_batches([part]), pa.array(numbers))
                    number += part.num_rows
                    empty = False
            if empty:
                yield Piece(schema.empty_table(), pa.array([], pa.int64()))
        except (pa.ArrowInvalid, OSError) as error:
            what = "Parquet file" if self._parquet else "Arrow file or stream"
            raise InvalidValue(f"{self._source.name} is no {what}: {error}") from None

    def told(self, bad: Mapping[int, str], most: int) -> dict[int, str]:
        """The first of what is bad: its numbers are what a person calls it."""
        return {number: bad[number] for number in sorted(bad)[:most]}

    def _batches(self) -> tuple[Any, Iterator[Any]]:
        import pyarrow as pa

        if self._parquet:
            from kalamdb.engine.segments.plain_file import parquet_stream

            reader = parquet_stream(self._source.file(), rows=ROWS_AT_ONCE)
            return reader.schema, iter(reader)
        file = self._source.file()
        begin = file.read(len(_MAGIC))
        file.seek(0)
        if begin != _MAGIC:
            reader = pa.ipc.open_stream(file)
            return reader.schema, iter(reader)
        whole = pa.ipc.open_file(file)
        return whole.schema, (whole.get_batch(at) for at in range(whole.num_record_batches))
