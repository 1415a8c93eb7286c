"""Rows to segments and back, for our reader and for others'."""

from __future__ import annotations

import dataclasses
import random

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalamdb.engine.segments import SegmentReader, row_schema
from kalamdb.errors import InternalError
from kalamdb.types import BIGINT, DOUBLE, TEXT
from tests.engine.segments.memory_storage import MemoryStorage
from tests.engine.segments.samples import FOLDER, OWNER, rows, table, wide_table, written

SMALL = {"row_group_rows": 300}


@pytest.fixture
def storage():
    return MemoryStorage()


@pytest.fixture
def reader(storage):
    return SegmentReader(storage)


@pytest.mark.parametrize("key", [BIGINT, TEXT], ids=str)
@pytest.mark.parametrize("count", [1, 100, 1000])
def test_every_type_and_null_comes_back_as_it_was(storage, reader, key, count):
    schema = wide_table(key)
    given = rows(schema, count)
    (segment,) = written(storage, schema, [given], **SMALL)

    found = reader.read_all(FOLDER, segment, schema.columns)

    assert found.schema == row_schema(schema)
    assert found.equals(pa.Table.from_batches([given]))
    found.validate(full=True)
    assert (segment.rows, segment.row_groups) == (count, -(-count // 300))


def test_a_large_file_comes_back_through_ranges_as_it_was(storage, reader):
    schema = wide_table()
    given = rows(schema, 4000)
    (segment,) = written(storage, schema, [given], **SMALL)

    found = reader.read_all(FOLDER, segment, schema.columns)

    assert segment.size_bytes > 256 << 10
    assert found.equals(pa.Table.from_batches([given]))


def test_batches_of_any_size_make_full_row_groups(storage, reader):
    schema = table()
    given = rows(schema, 1000)
    pieces = [given.slice(at, 7) for at in range(0, 1000, 7)]
    (segment,) = written(storage, schema, [*pieces, given.slice(1000)], **SMALL)

    sizes = [reader.read_row_group(FOLDER, segment, n, schema.columns).num_rows for n in range(4)]

    assert sizes == [300, 300, 300, 100]
    assert reader.read_all(FOLDER, segment, schema.columns).equals(pa.Table.from_batches([given]))


def test_long_rows_make_smaller_row_groups_and_more_segments(storage, reader):
    schema = table()
    dice = random.Random(3)
    texts = [dice.randbytes(dice.choice([10, 20_000, 200_000])).hex() for _ in range(60)]
    given = pa.RecordBatch.from_arrays(
        [pa.array(range(60)), pa.array(texts), pa.array(range(1, 61)), pa.array([False] * 60)],
        schema=row_schema(schema),
    )

    segments = written(
        storage, schema, [given], row_group_bytes=300_000, segment_bytes_max=1_000_000, first=7
    )

    assert len(segments) > 3
    assert [segment.file for segment in segments[:2]] == ["segment-7.parquet", "segment-8.parquet"]
    assert all(segment.size_bytes <= 1_000_000 for segment in segments)
    found = pa.concat_tables(reader.read_all(FOLDER, segment, schema.columns) for segment in segments)
    assert found.combine_chunks().equals(pa.Table.from_batches([given]).combine_chunks())
    for segment in segments:
        for group in range(segment.row_groups):
            batch = reader.read_row_group(FOLDER, segment, group, schema.columns)
            assert batch.num_rows == 1 or batch.nbytes <= 300_000


def test_names_with_dots_are_names_and_no_paths(storage, reader):
    schema = table([("role.x", TEXT), ("role", TEXT), ("at.x", BIGINT)])
    named = dataclasses.replace(schema.columns[0], name="k.e y")
    schema = dataclasses.replace(schema, columns=(named, *schema.columns[1:]), primary_key="k.e y")
    columns = [range(900), ["user", "tool", None] * 300, ["a"] * 900, range(900), range(900), [False] * 900]
    given = pa.RecordBatch.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, row_schema(schema))],
        schema=row_schema(schema),
    )
    (segment,) = written(storage, schema, [given])

    chunks = pq.read_metadata(pa.BufferReader(storage.files[f"{FOLDER}/{segment.file}"])).row_group(0)

    assert reader.read_all(FOLDER, segment, schema.columns).equals(pa.Table.from_batches([given]))
    assert reader.read_all(FOLDER, segment, schema.columns[2:3], ()).column_names == ["role"]
    assert chunks.column(0).bloom_filter_offset is not None
    assert "RLE_DICTIONARY" in chunks.column(1).encodings
    assert "DELTA_BINARY_PACKED" in chunks.column(3).encodings


def test_no_rows_are_no_segment(storage):
    assert written(storage, table(), []) == []
    assert written(storage, table(), [rows(table(), 3).slice(3)]) == []
    assert not storage.files


def test_rows_out_of_order_are_refused_and_nothing_is_written(storage):
    schema = table()
    given = rows(schema, 10)
    for batches in (
        [given.take(pa.array([0, 2, 1]))],
        [given.slice(5), given.slice(0, 5)],
        [given, given.slice(9)],
    ):
        with pytest.raises(InternalError, match="not sorted by key"):
            written(storage, schema, batches)
    with pytest.raises(InternalError, match="other columns"):
        written(storage, schema, [given.select([0, 1, 2])])
    assert not storage.files


def test_the_manifest_knows_the_segments_rows(storage):
    schema = table([("body", TEXT), ("price", DOUBLE)])
    given = rows(schema, 500, nulls=0.5)
    (segment,) = written(storage, schema, [given], **SMALL)

    assert segment.tombstones == given.column("_deleted").true_count
    assert (segment.min_seq, segment.max_seq) == (
        min(given.column("_seq").to_pylist()),
        max(given.column("_seq").to_pylist()),
    )
    assert segment.columns[1].min == given.column("id")[0].as_py()
    assert segment.columns[1].max == given.column("id")[-1].as_py()
    assert segment.columns[2].nulls == given.column("body").null_count
    assert segment.schema_version == 1


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", None])
def test_the_tables_compression_is_the_files(storage, reader, compression):
    schema = table(compression=compression)
    given = rows(schema, 1100)
    (segment,) = written(storage, schema, [given])

    metadata = pq.read_metadata(pa.BufferReader(storage.files[f"{FOLDER}/{segment.file}"]))

    expected = {"none": "UNCOMPRESSED", None: "ZSTD"}.get(compression, str(compression).upper())
    assert {metadata.row_group(0).column(n).compression for n in range(4)} == {expected}
    assert reader.read_all(FOLDER, segment, schema.columns).equals(pa.Table.from_batches([given]))


@pytest.fixture
def file(storage, tmp_path):
    """A segment on the disk, with the rows that are in it."""
    schema = wide_table()
    given = rows(schema, 1000)
    (segment,) = written(storage, schema, [given], **SMALL)
    path = tmp_path / segment.file
    path.write_bytes(storage.files[f"{FOLDER}/{segment.file}"])
    return path, given


def test_pyarrow_reads_a_segment_with_its_types_and_ids(file):
    path, given = file

    found = pq.read_table(path)

    assert found.column_names == given.schema.names
    uuids = next(n for n, field in enumerate(given.schema) if field.type == pa.binary(16))
    assert found.schema.field(uuids).type == pa.uuid()
    assert (
        pq.read_table(path, arrow_extensions_enabled=False)
        .cast(given.schema)
        .equals(pa.Table.from_batches([given]))
    )
    ids = [field.metadata and field.metadata.get(b"PARQUET:field_id") for field in found.schema]
    assert ids[:3] == [b"1", b"2", b"3"]


def test_a_segment_has_statistics_page_index_order_and_a_bloom_filter(file):
    path, _ = file
    metadata = pq.read_metadata(path)
    group = metadata.row_group(0)

    assert group.sorting_columns == (pq.SortingColumn(0),)
    assert all(group.column(n).has_column_index and group.column(n).has_offset_index for n in range(3))
    assert all(group.column(n).is_stats_set for n in range(group.num_columns))
    assert group.column(0).bloom_filter_offset is not None
    assert OWNER.database_id.encode() in metadata.metadata[b"kalamdb"]


def test_duckdb_reads_a_segment(file):
    path, given = file

    found = duckdb.sql(f"SELECT * FROM '{path}'")

    types = dict(zip(found.columns, map(str, found.types)))
    assert types["_seq"] == "BIGINT"
    assert {"UUID", "DECIMAL(10,2)", "TIMESTAMP WITH TIME ZONE", "TIME", "DATE", "BLOB"} <= set(
        types.values()
    )
    assert [row[0] for row in found.fetchall()] == given.column("id").to_pylist()
    some = given.column("id")[700].as_py()
    assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE id = {some}").fetchall() == [(1,)]
    live = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE NOT _deleted").fetchall()
    assert live == [(given.num_rows - given.column("_deleted").true_count,)]


def test_polars_and_pandas_read_a_segment(file):
    path, given = file

    frame = pl.read_parquet(path)
    table = pd.read_parquet(path)

    assert frame["id"].to_list() == given.column("id").to_pylist()
    assert frame.columns == list(table.columns) == given.schema.names
    for name in given.schema.names:
        if pa.types.is_string(given.schema.field(name).type):
            assert frame[name].to_list() == given.column(name).to_pylist()
    some = given.column("id")[700].as_py()
    assert pl.scan_parquet(path).filter(pl.col("id") == some).collect().height == 1
    assert table["_seq"].tolist() == given.column("_seq").to_pylist()
    assert str(table["_deleted"].dtype) == "bool"
