"""Very many rows from Arrow: past log and memtable to a hot segment of their own, in one commit.

The rows are cast and written some at a time, so that no second copy of the data is ever in memory. Nothing is there
before the segment is whole and a checkpoint names it; a failure on the way leaves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamdb import interrupts
from kalamdb.execution import dml
from kalamdb.schema import TableKind

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema

ROWS_MIN = 200_000
BYTES_MIN = 32 << 20
ROWS_AT_ONCE = 65_536
COLD_BLOCKS_HELD = 64
"""Blocks of cold segments that stay in memory while keys are looked up in them."""

Progress = Callable[[int, int], object]
Columns = Callable[["pa.Table"], list[Any]]
"""Some rows of the data as the table's columns in their canonical types."""


def is_worth_a_segment(schema: TableSchema, table: pa.Table, context: Context) -> bool:
    """Whether so much is better written to a segment at once than through the log."""
    if context.transaction is not None or schema.kind is TableKind.STREAM:
        return False
    return bool(table.num_rows >= ROWS_MIN or (table.num_rows > 1 and table.nbytes >= BYTES_MIN))


def load(
    schema: TableSchema,
    table: pa.Table,
    keys: pa.ChunkedArray,
    columns: Columns,
    context: Context,
    progress: Progress | None,
) -> None:
    """Write the rows, all or none. `keys`: the key's column in its canonical type.

    Raises as an INSERT; the core's WriteConflictError where the table was changed meanwhile.
    """
    from kalamcore.segment_load import SegmentLoad

    rows = context.rows_of(schema)
    order = _order(keys)
    try:
        made = SegmentLoad(
            context.services.engine.store,
            schema.table_id,
            context.partition(schema),
            rows.reader,
            rows.column_names,
        )
        for batch, start in _batches(schema, table, order, columns):
            try:
                numbers = None if order is None else order.slice(start, batch.num_rows)
                made.add(batch, None if numbers is None else _memory(numbers))
            except (core.NullValueError, core.ValueMismatchError, core.ValueOutOfRangeError) as error:
                if error.row >= 0:
                    error.row += start
                    error.row = error.row if order is None else order[error.row].as_py()
                raise
            interrupts.check()
            if progress is not None:
                progress(len(made), table.num_rows)
        context.services.wrote(table.num_rows)
        _commit(made, context)
    except core.DuplicateKeyError as error:
        raise dml.duplicate_key_of(schema, keys[error.operation].as_py()) from error
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


def _order(keys: pa.ChunkedArray) -> pa.Array | None:
    """Which row stands where in order of the keys, as int64; None where they are in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(keys) < 2 or pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py() is True:
        return None
    order = pc.sort_indices(keys)
    return pa.Array.from_buffers(pa.int64(), len(order), order.buffers(), offset=order.offset)


def _memory(numbers: pa.Array) -> memoryview:
    first, size = numbers.offset * 8, len(numbers) * 8
    return memoryview(numbers.buffers()[1])[first : first + size]


def _batches(
    schema: TableSchema, table: pa.Table, order: pa.Array | None, columns: Columns
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The rows in order of their keys, and where each batch begins among them."""
    import pyarrow as pa

    names = [column.name for column in schema.columns]
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        some = (
            table.slice(start, ROWS_AT_ONCE)
            if order is None
            else table.take(order.slice(start, ROWS_AT_ONCE))
        )
        # A batch for every chunk of a finely cut table would be a block for every chunk.
        whole = pa.table(columns(some), names=names).combine_chunks()
        for batch in whole.to_batches():
            yield batch, start
            start += batch.num_rows
