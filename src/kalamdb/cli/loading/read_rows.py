"""The rows of a file that fit, between reading and writing: few in memory, more of them in a temporary file.

So nothing is written before all of the file was seen, and of no file all of it is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kalamdb.cli.loading.bad_rows import BadRows
from kalamdb.execution.kept_tables import KeptTable, KeptTables

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_BYTES = 16 << 20
NUMBER = "number of the row"


class ReadRows:
    """Takes tables, whose later ones may have columns that earlier ones have not; gives one stream of them."""

    def __init__(self) -> None:
        self._kept = KeptTables()
        self._in_memory: list[pa.Table] = []
        self._in_file: list[KeptTable] = []
        self._bytes = 0
        self._types: dict[str, Any] = {}
        self._left_out: Any = None
        self.num_rows = 0

    def __enter__(self) -> ReadRows:
        return self

    def __exit__(self, *error: object) -> None:
        self._kept.close()

    def add(self, table: pa.Table, numbers: pa.Array, without: Mapping[int, str]) -> None:
        """Some rows, and the number of each; those `without` are not for a table."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = table.append_column(NUMBER, numbers)
        if without:
            table = table.filter(pc.invert(pc.is_in(numbers, pa.array(list(without), pa.int64()))))
        for field in table.schema:
            if field.name != NUMBER and not (field.name in self._types and pa.types.is_null(field.type)):
                self._types[field.name] = field.type
        self.num_rows += table.num_rows
        self._bytes += table.nbytes
        if self._bytes <= MEMORY_BYTES:
            self._in_memory.append(table)
        else:
            self._in_file.append(self._kept.keep(table))

    def leave_out(self, bad: BadRows, why: Mapping[int, str]) -> None:
        """Leave out rows by number, too."""
        import pyarrow as pa

        if why:
            self._left_out = pa.array(list(why), pa.int64())
            self.num_rows -= len(why)
            bad.add(why)

    def column(self, name: str) -> Iterator[tuple[pa.ChunkedArray, pa.ChunkedArray]]:
        """The column, and the numbers of its rows, some at a time; nothing where no row has it."""
        for table in self._tables():
            if name in table.column_names:
                yield table.column(name), table.column(table.num_columns - 1)

    def reader(self) -> pa.RecordBatchReader:
        """The rows, once. What a piece has no column for is NULL."""
        import pyarrow as pa

        schema = pa.schema(list(self._types.items()))
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for table in self._tables():
            if self._left_out is not None:
                numbers = table.column(table.num_columns - 1)
                table = table.filter(pc.invert(pc.is_in(numbers, self._left_out)))
            columns = [
                table.column(field.name).cast(field.type)
                if field.name in table.column_names
                else pa.nulls(table.num_rows, field.type)
                for field in schema
            ]
            yield from pa.table(columns, schema=schema).to_batches()

    def _tables(self) -> Iterator[pa.Table]:
        yield from self._in_memory
        yield from map(self._kept.read, self._in_file)
