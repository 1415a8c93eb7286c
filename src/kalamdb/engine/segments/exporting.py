"""Rows that leave the database: one plain Parquet file, for whoever opens it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kalamdb.engine.segments.layout import SEQUENCE
from kalamdb.schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa


def parquet_of(parts: Iterable[Sequence[pa.Array]], schema: TableSchema) -> tuple[int, bytes]:
    """How many rows, and the file: the table's columns in the types that queries give, then `_seq`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from kalamdb.types import query_field

    fields = [query_field(column.name, column.type) for column in schema.columns]
    expected = pa.schema([*fields, pa.field(SEQUENCE, pa.int64())])
    sink = pa.BufferOutputStream()
    rows = 0
    with pq.ParquetWriter(sink, expected, compression="zstd") as writer:
        for columns in parts:
            batch = pa.RecordBatch.from_arrays(
                [array.cast(field.type) for array, field in zip(columns, expected)], schema=expected
            )
            rows += batch.num_rows
            writer.write_batch(batch)
    return rows, sink.getvalue().to_pybytes()
