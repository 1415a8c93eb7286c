"""Very many rows from Arrow: past log and memtable to a hot segment of their own, in one commit.

The rows are cast and written some at a time, so that no second copy of the data is ever in memory. Nothing is there
before the segment is whole and a checkpoint names it; a failure on the way leaves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from kalamcore import errors as core
from kalamdb import interrupts
from kalamdb.execution import dml
from kalamdb.execution.sorted_runs import SortedRuns, order_of
from kalamdb.schema import TableKind

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema

ROWS_MIN = 200_000
BYTES_MIN = 32 << 20
ROWS_AT_ONCE = 65_536
BYTES_AT_ONCE = 16 << 20
COLD_BLOCKS_HELD = 64
"""Blocks of cold segments that stay in memory while keys are looked up in them."""

Progress = Callable[[int, int], object]
Columns = Callable[["pa.Table"], list[Any]]
"""Some rows of the data as the table's columns in their canonical types."""


def may_have_a_segment(schema: TableSchema, context: Context) -> bool:
    """Whether rows that are written here may pass by the log."""
    return context.transaction is None and schema.kind is not TableKind.STREAM


def is_worth_a_segment(schema: TableSchema, table: pa.Table, context: Context) -> bool:
    """Whether so much is better written to a segment at once than through the log."""
    if not may_have_a_segment(schema, context):
        return False
    return bool(table.num_rows >= ROWS_MIN or (table.num_rows > 1 and table.nbytes >= BYTES_MIN))


class Rows(Protocol):
    """What a load writes."""

    @property
    def num_rows(self) -> int:
        """How many."""

    def batches(self) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
        """The table's columns in canonical types, in order of their keys, with the number of each row among all, as
        int64; None where they come in the order of their numbers."""

    def key_of(self, number: int) -> Any:
        """The key of a row."""


def load(schema: TableSchema, rows: Rows, context: Context, progress: Progress | None) -> None:
    """Write the rows, all or none.

    Raises as an INSERT; the core's WriteConflictError where the table was changed meanwhile.
    """
    from kalamcore.segment_load import SegmentLoad

    table = context.rows_of(schema)
    try:
        made = SegmentLoad(
            context.services.engine.store,
            schema.table_id,
            context.partition(schema),
            table.reader,
            table.column_names,
        )
        for batch, numbers in rows.batches():
            try:
                made.add(batch, None if numbers is None else _memory(numbers))
            except (core.NullValueError, core.ValueMismatchError, core.ValueOutOfRangeError) as error:
                if error.row >= 0:
                    error.row = len(made) + error.row if numbers is None else numbers[error.row].as_py()
                raise
            interrupts.check()
            if progress is not None:
                progress(len(made), rows.num_rows)
        context.services.wrote(rows.num_rows)
        _commit(made, context)
    except core.DuplicateKeyError as error:
        raise dml.duplicate_key_of(schema, rows.key_of(error.operation)) from error
    except core.WriteConflictError:
        raise
    except core.CoreError as error:
        raise dml.value_error(error, schema) from error


def _commit(made: Any, context: Context) -> None:
    held: deque[object] = deque(maxlen=COLD_BLOCKS_HELD)
    while True:
        try:
            made.commit()
            return
        except core.ColdMissError as miss:
            # What it lacks comes block by block, in order; it goes on where it was.
            held.extend(context.services.engine.load_cold(miss))


def _memory(numbers: pa.Array) -> memoryview:
    first, size = numbers.offset * 8, len(numbers) * 8
    return memoryview(numbers.buffers()[1])[first : first + size]


class TableRows:
    """The rows of a table in memory. `keys`: the key's column in its canonical type."""

    def __init__(self, schema: TableSchema, table: pa.Table, keys: pa.ChunkedArray, columns: Columns) -> None:
        self._names = [column.name for column in schema.columns]
        self._table = table
        self._keys = keys
        self._columns = columns

    @property
    def num_rows(self) -> int:
        """How many."""
        return int(self._table.num_rows)

    def key_of(self, number: int) -> Any:
        """The key of a row."""
        return self._keys[number].as_py()

    def batches(self) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
        """As a load wants them."""
        table, order = self._table, order_of(self._keys)
        for start in range(0, table.num_rows, ROWS_AT_ONCE):
            if order is None:
                yield from _whole(self._names, self._columns(table.slice(start, ROWS_AT_ONCE)), None)
            else:
                numbers = order.slice(start, ROWS_AT_ONCE)
                yield from _whole(self._names, self._columns(table.take(numbers)), numbers)


class StreamedRows:
    """The rows of a stream, which are outside of memory."""

    def __init__(self, schema: TableSchema, runs: SortedRuns, columns: Columns) -> None:
        self._names = [column.name for column in schema.columns]
        self._runs = runs
        self._columns = columns

    @property
    def num_rows(self) -> int:
        """How many."""
        return self._runs.num_rows

    def key_of(self, number: int) -> Any:
        """The key of a row."""
        return self._runs.key_of(number)

    def batches(self) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
        """As a load wants them."""
        waiting: list[pa.Table] = []
        rows = size = 0
        for table in self._runs.tables():
            waiting.append(table)
            rows += table.num_rows
            size += table.nbytes
            if rows >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
                yield from self._made(waiting)
                waiting, rows, size = [], 0, 0
        if waiting:
            yield from self._made(waiting)

    def _made(self, tables: list[pa.Table]) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
        import pyarrow as pa

        table = pa.concat_tables(tables)
        last = table.num_columns - 1
        numbers = table.column(last).combine_chunks()
        yield from _whole(self._names, self._columns(table.remove_column(last)), numbers)


def _whole(
    names: list[str], columns: list[Any], numbers: pa.Array | None
) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
    import pyarrow as pa

    start = 0
    # A batch for every chunk of a finely cut table would be a block for every chunk.
    for batch in pa.table(columns, names=names).combine_chunks().to_batches():
        yield batch, None if numbers is None else numbers.slice(start, batch.num_rows)
        start += batch.num_rows
