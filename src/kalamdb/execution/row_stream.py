"""Rows that come as a stream of Arrow batches, and are read once.

A statement may have to run again, when others changed its table meanwhile. So what was read stays with the stream: few
rows as a table, many sorted and outside of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kalamdb.execution.kept_tables import KeptTables
from kalamdb.execution.segment_load import BYTES_MIN, ROWS_AT_ONCE, ROWS_MIN
from kalamdb.execution.sorted_runs import SortedRuns

if TYPE_CHECKING:
    import pyarrow as pa


class RowStream:
    """The stream, and what was read of it. For one thread."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self.schema = reader.schema
        self._reader = reader
        self._head: list[pa.RecordBatch] = []
        self._head_is_all = False
        self._kept: KeptTables | None = None
        self.runs: SortedRuns | None = None
        """All rows in order of their keys, once they were."""

    def few(self) -> pa.Table | None:
        """The rows as a table, where there are fewer than a load has; None where there are more."""
        import pyarrow as pa

        rows = sum(batch.num_rows for batch in self._head)
        size = sum(batch.nbytes for batch in self._head)
        while not self._head_is_all and rows < ROWS_MIN and size < BYTES_MIN:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                self._head_is_all = True
                break
            self._head.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        return pa.Table.from_batches(self._head, self.schema) if self._head_is_all else None

    def all(self) -> pa.Table:
        """The rows as a table, however many."""
        import pyarrow as pa

        self._head += self._reader
        self._head_is_all = True
        return pa.Table.from_batches(self._head, self.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows some at a time, once; nothing of them stays."""
        head, self._head = self._head, []
        head.reverse()
        while head:
            yield from _parts(head.pop())
        for batch in self._reader:
            yield from _parts(batch)

    def new_runs(self, directory: str, key: str) -> SortedRuns:
        """What sorts them, in a file beside `directory`'s."""
        self.close()
        self._kept = KeptTables(directory)
        return SortedRuns(self._kept, key)

    def close(self) -> None:
        """Let go of what was read."""
        if self._kept is not None:
            self._kept.close()


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, ROWS_AT_ONCE):
        yield batch.slice(start, ROWS_AT_ONCE)


def incoming(data: Any) -> Any:
    """A RowStream where `data` is a stream; what has a length is in memory already, and stays what it is."""
    if not hasattr(data, "__arrow_c_stream__") or hasattr(data, "__len__"):
        return data
    import pyarrow as pa

    # Of a reader of ours what it raises comes as it was raised, not as the text of it.
    return RowStream(
        data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
    )
