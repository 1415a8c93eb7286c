"""Parquet files that are not the database's own: what users bring, and what they take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 128 * 1024
GROUP_BYTES = 32 * 1024 * 1024


def write_parquet(rows: pa.RecordBatchReader, sink: Any) -> None:
    """Write rows to a path or a binary file, compressed with zstd. Memory holds a row group of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as file:
        group: list[pa.RecordBatch] = []
        for batch in rows:
            group.append(batch)
            if (
                sum(one.num_rows for one in group) >= GROUP_ROWS
                or sum(one.nbytes for one in group) >= GROUP_BYTES
            ):
                file.write_table(pa.Table.from_batches(group), row_group_size=GROUP_ROWS)
                group.clear()
        if group:
            file.write_table(pa.Table.from_batches(group), row_group_size=GROUP_ROWS)


def parquet_stream(source: Any, *, rows: int) -> pa.RecordBatchReader:
    """A file, by its path or as a binary file that can be sought in, as it is, at most `rows` rows a batch: nothing of
    it is verified by us, and pyarrow's errors are the caller's to tell. Memory holds a row group of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source, memory_map=True, pre_buffer=False)
    return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(batch_size=rows))
