"""Parquet files that are not the database's own: what users bring, and what they take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def write_parquet(table: pa.Table, sink: Any) -> None:
    """Write a table to a path or a binary file, compressed with zstd."""
    import pyarrow.parquet as pq

    pq.write_table(table, sink, compression="zstd")


def parquet_stream(source: Any, *, rows: int) -> pa.RecordBatchReader:
    """A file, by its path or as a binary file that can be sought in, as it is, at most `rows` rows a batch: nothing of
    it is verified by us, and pyarrow's errors are the caller's to tell. Memory holds a row group of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source, memory_map=True, pre_buffer=False)
    return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(batch_size=rows))
