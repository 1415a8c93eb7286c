"""Reading part of a segment: look-ups, ranges, projection, and rows of older schema versions."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import random
import uuid

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given as samples
from hypothesis import settings
from hypothesis import strategies as st

from kalamdb.engine.segments import ColumnRange, KeyRange, SegmentReader, row_schema
from kalamdb.engine.segments.bounds import as_type, encode_bound, lower_bytes, upper_bytes
from kalamdb.engine.segments.writer import encoded_key
from kalamdb.errors import Corruption
from kalamdb.schema import Column
from kalamdb.types import (
    BIGINT,
    BYTES,
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    JSON,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    UUID,
    DataType,
    TypeName,
    arrow_type,
)
from tests.engine.segments.memory_storage import MemoryStorage
from tests.engine.segments.samples import EVERY_TYPE, FOLDER, keys, rows, table, value, wide_table, written

SMALL = {"row_group_rows": 200}
DECIMAL = DataType(TypeName.DECIMAL, precision=24, scale=2)


@pytest.fixture
def storage():
    return MemoryStorage()


@pytest.fixture
def reader(storage):
    return SegmentReader(storage)


def one_row(schema, **values):
    """A batch of a single row, key 1."""
    named = {"id": 1, "_seq": 1, "_deleted": False, **values}
    return pa.RecordBatch.from_pylist([named], schema=row_schema(schema))


# ---- look-ups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [BIGINT, TEXT], ids=str)
@pytest.mark.parametrize("count", [150, 3000])
def test_every_key_is_found_in_its_row_group_alone(storage, reader, key, count):
    schema = table(key=key)
    batch = rows(schema, count)
    (segment,) = written(storage, schema, [batch], **SMALL)

    for number, one in enumerate(batch.column("id").to_pylist()):
        assert reader.candidates(FOLDER, segment, encoded_key(one, key), key) == [number // 200]


@pytest.mark.parametrize("key", [BIGINT, TEXT], ids=str)
@pytest.mark.parametrize("count", [150, 3000, 20_000])
def test_most_keys_that_are_not_there_are_known_to_be_missing(storage, reader, key, count):
    schema = table(key=key)
    batch = rows(schema, count)
    (segment,) = written(storage, schema, [batch], **SMALL)
    there = set(batch.column("id").to_pylist())
    others = [one for one in keys(key, 3000, random.Random(9)) if one not in there]

    taken = sum(bool(reader.candidates(FOLDER, segment, encoded_key(one, key), key)) for one in others)

    assert len(others) > 1000
    assert taken < 0.1 * len(others)


def test_a_small_segment_answers_for_missing_keys_without_its_storage(storage, reader):
    schema = table(key=TEXT)
    (segment,) = written(storage, schema, [rows(schema, 1000)])
    others = [f"k-{number:09}x" for number in range(0, 100_000, 100)]

    asked = [one for one in others if reader.candidates(FOLDER, segment, one.encode(), TEXT)]

    assert len(asked) < 100
    assert not storage.reads


def test_keys_that_begin_alike_beyond_what_is_kept_of_them_are_found(storage, reader):
    schema = table(key=TEXT)
    texts = [f"{'é' * 40}{number:05}" for number in range(1000)]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(texts), pa.nulls(1000, pa.string()), pa.array(range(1000)), pa.array([False] * 1000)],
        schema=row_schema(schema),
    )
    (segment,) = written(storage, schema, [batch], **SMALL)

    for number, text in enumerate(texts):
        assert number // 200 in reader.candidates(FOLDER, segment, text.encode(), TEXT, filtered=False)
        assert number // 200 in reader.candidates(FOLDER, segment, text.encode(), TEXT)
    assert not segment.may_hold("é".encode() * 41, TEXT) or segment.max_key >= "é".encode() * 40


# ---- ranges ------------------------------------------------------------------------------------------------


def test_a_range_of_keys_reads_the_row_groups_that_hold_it(storage, reader):
    schema = table()
    batch = rows(schema, 2000)
    (segment,) = written(storage, schema, [batch], **SMALL)
    ids = batch.column("id").to_pylist()
    key = [encoded_key(one, BIGINT) for one in ids]

    def found(low, high):
        return reader.row_groups(FOLDER, segment, KeyRange(low, high))

    assert found(None, None) == list(range(10))
    assert found(key[200], key[399]) in ([1], [0, 1])
    assert found(key[250], key[350]) == [1]
    assert found(None, key[0]) == [0]
    assert found(key[-1], None) == [9]
    assert found(encoded_key(ids[-1] + 1, BIGINT), None) == []
    assert found(None, encoded_key(ids[0] - 1, BIGINT)) == []


@pytest.mark.parametrize("type_", EVERY_TYPE, ids=str)
def test_no_row_in_range_is_pruned(storage, reader, type_):
    schema = table([("c", type_)])
    batch = rows(schema, 400, nulls=0.3)
    # In its order, so that row groups differ.
    batch = batch.set_column(1, "c", batch.column("c").take(pc.array_sort_indices(batch.column("c"))))
    (segment,) = written(storage, schema, [batch], row_group_rows=20)
    values = [None if one is None else as_type(one, type_) for one in batch.column("c").to_pylist()]
    dice = random.Random(4)

    pruned = 0
    for _ in range(200):
        low, high = (as_type(value(type_, dice), type_) for _ in range(2))
        range_ = ColumnRange(2, dice.choice([None, low]), dice.choice([None, high]))
        groups = reader.row_groups(FOLDER, segment, ranges=[range_], columns=schema.columns)
        for number, one in enumerate(values):
            if one is not None and range_.meets(one, one):
                assert number // 20 in groups
        pruned += 20 - len(groups)

    assert pruned > 1000


def test_row_groups_out_of_a_columns_range_are_not_read(storage, reader):
    schema = table([("at", TIMESTAMP), ("body", TEXT)])
    at = [
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=n) for n in range(1000)
    ]
    body = [f"{n:04}" if n < 500 else None for n in range(1000)]
    batch = pa.RecordBatch.from_pydict(
        {"id": range(1000), "at": at, "body": body, "_seq": range(1000), "_deleted": [False] * 1000},
        schema=row_schema(schema),
    )
    (segment,) = written(storage, schema, [batch], **SMALL)

    def found(*ranges):
        return reader.row_groups(FOLDER, segment, ranges=ranges, columns=schema.columns)

    assert found(ColumnRange(2, at[450], at[650])) == [2, 3]
    assert found(ColumnRange(2, at[450], None), ColumnRange(3, "0000", None)) == [2]
    assert found(ColumnRange(3, "0450", "0460")) == [2]
    assert found(ColumnRange(3, None, None)) == [0, 1, 2]
    assert found(ColumnRange(2, at[-1] + datetime.timedelta(1), None)) == []


@pytest.mark.parametrize("type_", [FLOAT, DOUBLE], ids=str)
def test_a_nan_is_never_pruned(storage, reader, type_):
    schema = table([("c", type_)])
    number = float("nan")
    values = [1.0] * 40 + [number] * 20 + [-number, 2.0] * 10
    batch = pa.RecordBatch.from_pydict(
        {"id": range(80), "c": values, "_seq": range(80), "_deleted": [False] * 80}, schema=row_schema(schema)
    )
    (segment,) = written(storage, schema, [batch], row_group_rows=20)

    assert segment.columns[2].min is segment.columns[2].max is None
    for range_ in (ColumnRange(2, 100.0, None), ColumnRange(2, None, -100.0)):
        assert reader.row_groups(FOLDER, segment, ranges=[range_], columns=schema.columns) == [0, 1, 2, 3]


def test_bounds_of_a_wrong_type_are_corruption(storage):
    schema = table()
    (segment,) = written(storage, schema, [rows(schema, 10)])
    bounds = dataclasses.replace(segment.columns[1], min="x", max="y")
    forged = dataclasses.replace(segment, columns={1: bounds})

    with pytest.raises(Corruption, match=r"segment-1\.parquet.*column 1"):
        forged.may_match(ranges=[ColumnRange(1, 5, 6)], columns=schema.columns)


@settings(max_examples=300, deadline=None)
@samples(st.one_of(st.text(max_size=100), st.text("\U0010ffff\ud7ff\ue000a", min_size=20, max_size=70)))
def test_a_bound_of_a_text_is_short_and_on_its_side(text):
    low, high = (encode_bound(text, TEXT, upper=upper) for upper in (False, True))

    assert low <= text
    assert len(low.encode()) <= 64
    assert high is None or (text <= high and len(high.encode()) <= 70)


@samples(st.binary(max_size=100) | st.binary(max_size=3).map(lambda end: b"\xff" * 70 + end))
def test_a_bound_of_bytes_is_short_and_on_its_side(data):
    high = upper_bytes(data)

    assert lower_bytes(data) <= data
    assert high is None or (data <= high and len(high) <= 64)
    assert as_type(encode_bound(data, BYTES, upper=False), BYTES) == lower_bytes(data)


# ---- projection --------------------------------------------------------------------------------------------


def test_only_the_wanted_columns_of_a_row_group_are_fetched(storage, reader):
    schema = table([("body", TEXT), ("n", INT), ("text", TEXT)])
    dice = random.Random(2)
    count = 20_000
    texts = [dice.randbytes(20).hex() for _ in range(count)]
    batch = pa.RecordBatch.from_pydict(
        {
            "id": range(count),
            "body": texts,
            "n": [dice.randrange(100) for _ in range(count)],
            "text": texts[::-1],
            "_seq": range(count),
            "_deleted": [False] * count,
        },
        schema=row_schema(schema),
    )
    (segment,) = written(storage, schema, [batch])
    reader.candidates(FOLDER, segment, encoded_key(1, BIGINT), BIGINT, filtered=False)
    storage.reads.clear()

    found = reader.read_row_group(FOLDER, segment, 1, [schema.columns[2]], ())

    assert found.equals(batch.slice(8192, 8192).select(["n"]))
    assert sum(length for _, _, length in storage.reads) < 20_000 < segment.size_bytes / 20
    assert reader.read_row_group(FOLDER, segment, 2, [], ["_seq"]).equals(
        batch.slice(16_384).select(["_seq"])
    )


def test_columns_come_in_the_order_asked_for(storage, reader):
    schema = wide_table()
    batch = rows(schema, 100)
    (segment,) = written(storage, schema, [batch])
    wanted = [schema.columns[5], schema.columns[0], schema.columns[2]]

    found = reader.read_row_group(FOLDER, segment, 0, wanted, ["_deleted"])

    assert found.equals(batch.select([*(column.name for column in wanted), "_deleted"]))


def test_many_row_groups_take_few_requests(storage, reader):
    schema = table()
    batch = rows(schema, 20_000)
    (segment,) = written(storage, schema, [batch], **SMALL)

    found = reader.read_all(FOLDER, segment, schema.columns)

    assert found.num_rows == 20_000
    assert len(storage.reads) == 2


# ---- older schema versions ---------------------------------------------------------------------------------

WIDENED = [
    (SMALLINT, INT, -32_768, -32_768),
    (SMALLINT, BIGINT, 5, 5),
    (INT, BIGINT, -(2**31), -(2**31)),
    (INT, DOUBLE, 7, 7.0),
    (SMALLINT, DECIMAL, -5, decimal.Decimal("-5.00")),
    (BIGINT, DECIMAL, 2**63 - 1, decimal.Decimal(2**63 - 1).scaleb(0).quantize(decimal.Decimal("0.01"))),
    (FLOAT, DOUBLE, 0.5, 0.5),
    (
        DataType(TypeName.DECIMAL, precision=5, scale=1),
        DECIMAL,
        decimal.Decimal("-1234.5"),
        decimal.Decimal("-1234.50"),
    ),
    (DataType(TypeName.TEXT, length=4), TEXT, "ab", "ab"),
    (DataType(TypeName.TEXT, length=4), DataType(TypeName.TEXT, length=9), "ab", "ab"),
    (JSON, TEXT, '{"a": 1}', '{"a": 1}'),
    (
        DATE,
        TIMESTAMP,
        datetime.date(1969, 7, 20),
        datetime.datetime(1969, 7, 20, tzinfo=datetime.UTC),
    ),
]


@pytest.mark.parametrize(("narrow", "wide", "stored", "read"), WIDENED, ids=lambda one: str(one))
def test_a_widened_column_reads_old_values_in_its_present_type(storage, reader, narrow, wide, stored, read):
    schema = table([("c", narrow)])
    (segment,) = written(storage, schema, [one_row(schema, c=stored)])
    columns = [schema.columns[0], dataclasses.replace(schema.columns[1], type=wide)]

    found = reader.read_all(FOLDER, segment, columns)

    assert found.schema.field("c").type == arrow_type(wide)
    assert found["c"].to_pylist() == [read]
    for group in (
        lambda range_: segment.may_match(ranges=[range_], columns=columns),
        lambda range_: reader.row_groups(FOLDER, segment, ranges=[range_], columns=columns),
    ):
        assert group(ColumnRange(2, read, read))
    if wide in (BIGINT, DECIMAL, TIMESTAMP):
        later = read + (datetime.timedelta(1) if wide == TIMESTAMP else 1)
        assert not segment.may_match(ranges=[ColumnRange(2, later, None)], columns=columns)


def test_an_added_column_reads_its_missing_value_and_a_dropped_one_does_not_come_back(storage, reader):
    schema = table([("body", TEXT), ("n", INT)])
    (segment,) = written(storage, schema, [one_row(schema, body="old", n=7)])
    identity = uuid.UUID(int=7)
    columns = [
        schema.columns[0],
        Column(4, "body", TEXT, missing="none yet"),
        Column(5, "token", UUID, missing=identity),
        Column(6, "empty", JSON),
        dataclasses.replace(schema.columns[2], name="renamed"),
    ]

    (row,) = reader.read_all(FOLDER, segment, columns, ()).to_pylist()

    assert row == {"id": 1, "body": "none yet", "token": identity.bytes, "empty": None, "renamed": 7}
    assert segment.may_match(ranges=[ColumnRange(4, "none yet", None)], columns=columns)
    assert not segment.may_match(ranges=[ColumnRange(4, "nothing", None)], columns=columns)
    assert not segment.may_match(ranges=[ColumnRange(6, "", None)], columns=columns)


def test_columns_that_a_segment_has_not_need_no_others(storage, reader):
    schema = table()
    (segment,) = written(storage, schema, [rows(schema, 450)], **SMALL)

    found = reader.read_all(FOLDER, segment, [Column(9, "added", INT, missing=3)], ())

    assert pc.sum(found["added"]).as_py() == 1350
