"""Hot segments as files: every type as it was, open to other programs, one for ten thousand users."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore import rows as types
from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE = 1
BLOCK_ROWS_MAX = 1024
BLOCK_BYTES_MAX = 64 << 10
UTC = dt.UTC
seeds = itertools.count(1)

VALUES: dict[int, st.SearchStrategy[Any]] = {
    types.BOOLEAN: st.booleans(),
    types.SMALLINT: st.integers(-(2**15), 2**15 - 1),
    types.INT: st.integers(-(2**31), 2**31 - 1),
    types.BIGINT: st.integers(-(2**63), 2**63 - 1),
    types.FLOAT: st.floats(allow_nan=False, width=32),
    types.DOUBLE: st.floats(allow_nan=False),
    types.DECIMAL: st.integers(-(10**10) + 1, 10**10 - 1).map(lambda unscaled: Decimal(unscaled).scaleb(-2)),
    types.TEXT: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    types.BYTES: st.binary(max_size=20),
    types.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
    types.DATE: st.dates(),
    types.TIME: st.times(),
    types.UUID: st.uuids(),
    types.JSON: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
}
COLUMNS = [
    (code * 10, code, 10 if code == types.DECIMAL else 0, 2 if code == types.DECIMAL else 0, True)
    for code in VALUES
]
EVERY_TYPE = Layout(7, [(1, BIGINT, 0, 0, False), *COLUMNS], 0)
EVERY_READER = Reader([EVERY_TYPE], [None] * 15)
NAMES = ["id", *(f"c{code}" for code in VALUES)]
ROWS = st.tuples(st.integers(-(2**63), 2**63 - 1), *(st.none() | values for values in VALUES.values()))
TEXTS = Layout(1, [(1, TEXT, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
NUMBERS = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)], 0)


def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("data")
    files.make_directory("hot")
    return files


def opened(files: FileSystem, layout: Layout, reader: Reader, names: list[str], **options: Any) -> Store:
    store = Store(
        files,
        "data",
        clock=Clock.manual(1_900_000_000_000_000),
        random=RandomSource.seeded(next(seeds)),
        hot_directory="hot",
        **options,
    )
    store.define_table(TABLE, layout.version, reader=reader, column_names=names)
    return store


def written(
    layout: Layout, users: dict[bytes, list[Any]], names: list[str] | None = None
) -> tuple[FileSystem, Store]:
    """A store whose rows are all in one segment."""
    files = memory()
    width = len(next(row for rows in users.values() for row in rows))
    reader = Reader([layout], [None] * width)
    store = opened(files, layout, reader, names or ["id", "body"])
    batch = WriteBatch(store.snapshot())
    for user, rows in users.items():
        batch.insert_many(TABLE, user, layout, rows)
    store.commit(batch)
    store.checkpoint()
    assert files.list("hot") in (["00000001.arrow", "checkpoint"], ["checkpoint", "00000001.arrow"])
    return files, store


def arrow_file(files: FileSystem, name: str = "00000001.arrow") -> pa.Table:
    """A segment as any program opens it."""
    return pa.ipc.open_file(pa.BufferReader(files.read_file(f"hot/{name}"))).read_all()


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=12, unique_by=lambda row: row[0]))
def test_every_type_comes_back_as_it_went_in(rows: list[tuple[Any, ...]]) -> None:
    files, store = written(EVERY_TYPE, {b"": rows}, NAMES)
    expected = sorted(rows)

    assert store.scan(TABLE, b"", store.snapshot(), EVERY_READER) == expected
    again = opened(files.crash(), EVERY_TYPE, EVERY_READER, NAMES)
    assert again.scan(TABLE, b"", again.snapshot(), EVERY_READER) == expected
    batches = again.scan_arrow(TABLE, b"", again.snapshot(), EVERY_READER, list(range(15)))
    found = [row for one in batches for row in types.tuples_from_arrow(one)]
    assert [_plain(row) for row in found] == [_plain(row) for row in expected]


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=12, unique_by=lambda row: row[0]))
def test_other_programs_read_the_same_values_from_the_file(rows: list[tuple[Any, ...]]) -> None:
    files, _ = written(EVERY_TYPE, {b"": rows}, NAMES)
    table = arrow_file(files)

    assert table.column_names == [*NAMES, "_seq", "_deleted"]
    assert table.schema.field("_seq").type == pa.int64()
    assert table.schema.field("_deleted").type == pa.bool_()
    table.validate(full=True)
    found = [tuple(row.values())[:15] for row in table.to_pylist()]
    assert [_plain(row) for row in found] == [_plain(row) for row in sorted(rows)]


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(str(value) if isinstance(value, uuid.UUID) else value for value in row)


def test_the_file_tells_sequence_numbers_and_tombstones() -> None:
    files = memory()
    reader = Reader([NUMBERS], [None, None])
    store = opened(files, NUMBERS, reader, ["id", "body"])
    batch = WriteBatch(store.snapshot())
    batch.insert_many(TABLE, b"", NUMBERS, [(1, "a"), (2, "b")])
    batch.replace(TABLE, b"", NUMBERS, (1, "changed"))
    batch.delete(TABLE, b"", NUMBERS, (2, "gone"))
    last = store.commit(batch)
    store.checkpoint()

    assert arrow_file(files).to_pylist() == [
        {"id": 1, "body": "changed", "_seq": last - 1, "_deleted": False},
        {"id": 2, "body": "gone", "_seq": last, "_deleted": True},
    ]


def test_ten_thousand_users_with_three_rows_each_are_one_file() -> None:
    users = {b"user %d" % number: [(n, f"{number} {n}") for n in range(3)] for number in range(10_000)}
    files, _ = written(NUMBERS, users)
    reader = Reader([NUMBERS], [None, None])
    again = opened(files.crash(), NUMBERS, reader, ["id", "body"])

    assert arrow_file(files).num_rows == 30_000
    assert again.partitions(TABLE) == sorted(users)
    for number in (0, 1, 341, 342, 5000, 9999):
        user = b"user %d" % number
        assert again.scan(TABLE, user, again.snapshot(), reader) == users[user]
        assert again.get(TABLE, user, encode_key(BIGINT, 2), again.snapshot(), reader) == users[user][2]
        assert again.count(TABLE, user, again.snapshot()) == 3
    assert again.scan(TABLE, b"user 10000", again.snapshot(), reader) == []


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2048, 5000])
def test_rows_at_the_edges_of_blocks_are_found(count: int) -> None:
    rows = [(n * 2, str(n)) for n in range(count)]
    files, store = written(NUMBERS, {b"a": rows, b"b": rows[:3], b"c": rows})
    reader = Reader([NUMBERS], [None, None])
    batches = arrow_file(files).to_batches()
    assert all(batch.num_rows <= BLOCK_ROWS_MAX for batch in batches)
    snapshot = store.snapshot()

    for user in (b"a", b"c"):
        assert store.scan(TABLE, user, snapshot, reader) == rows
        assert store.scan(TABLE, user, snapshot, reader, reverse=True, limit=5) == rows[:-6:-1]
        for at in {0, 1, 2, 1022, 1023, 1024, 1025, 2046, 2047, 2048, count - 1} & set(range(count)):
            assert store.get(TABLE, user, encode_key(BIGINT, at * 2), snapshot, reader) == rows[at]
            assert store.get(TABLE, user, encode_key(BIGINT, at * 2 + 1), snapshot, reader) is None
            low = encode_key(BIGINT, at * 2)
            assert store.scan(TABLE, user, snapshot, reader, low=low, limit=3) == rows[at : at + 3]
            assert (
                store.scan(TABLE, user, snapshot, reader, high=low, reverse=True, limit=2)
                == (rows[max(0, at - 1) : at + 1][::-1])
            )
    assert store.scan(TABLE, b"b", snapshot, reader) == rows[:3]


def test_rows_larger_than_a_block_have_blocks_of_their_own() -> None:
    sizes = [10, BLOCK_BYTES_MAX + 1, 5, 3_000_000, 200_000, 200_000, 0, BLOCK_BYTES_MAX]
    rows = [(n, chr(97 + n) * size) for n, size in enumerate(sizes)]
    files, store = written(NUMBERS, {b"": rows})
    reader = Reader([NUMBERS], [None, None])

    assert 4 <= len(arrow_file(files).to_batches()) < len(rows)
    assert store.scan(TABLE, b"", store.snapshot(), reader) == rows
    assert store.scan(TABLE, b"", store.snapshot(), reader, reverse=True) == rows[::-1]
    # A cache too small for any of them.
    again = opened(files.crash(), NUMBERS, reader, ["id", "body"], hot_cache_bytes=0)
    for n in range(len(rows)):
        assert again.get(TABLE, b"", encode_key(BIGINT, n), again.snapshot(), reader) == rows[n]
    assert again.statistics()["hot_cache_bytes"] == 0


def test_keys_of_text_may_be_empty_long_and_beginnings_of_each_other() -> None:
    keys = [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "ab",
        "b" * 70_000,
        "b" * 70_001,
        "é",
        "\U0010ffff",
        *map(str, range(3000)),
    ]
    rows = [(key, key[:5]) for key in keys]
    files, store = written(TEXTS, {b"u": rows, b"": rows[:2]})
    reader = Reader([TEXTS], [None, None])
    expected = sorted(rows, key=lambda row: row[0].encode())

    for one in (store, opened(files.crash(), TEXTS, reader, ["id", "body"])):
        snapshot = one.snapshot()
        assert one.scan(TABLE, b"u", snapshot, reader) == expected
        assert one.scan(TABLE, b"", snapshot, reader) == [("", ""), ("\0", "\0")]
        for row in rows:
            assert one.get(TABLE, b"u", encode_key(TEXT, row[0]), snapshot, reader) == row
        for absent in ("c", "\0a", "b" * 69_999, "3000"):
            assert one.get(TABLE, b"u", encode_key(TEXT, absent), snapshot, reader) is None
        low, high = encode_key(TEXT, "a"), encode_key(TEXT, "b" * 70_000)
        assert [row[0] for row in one.scan(TABLE, b"u", snapshot, reader, low=low, high=high)] == [
            "a",
            "a\0",
            "ab",
            "b" * 70_000,
        ]


def test_the_cache_keeps_to_its_size() -> None:
    rows = [(n, "x" * 1000) for n in range(2000)]
    files, _ = written(NUMBERS, {b"": rows})
    reader = Reader([NUMBERS], [None, None])
    store = opened(files.crash(), NUMBERS, reader, ["id", "body"], hot_cache_bytes=600_000)
    for _ in range(3):
        assert store.scan(TABLE, b"", store.snapshot(), reader) == rows

    assert 0 < store.statistics()["hot_cache_bytes"] <= 600_000


def test_a_result_of_arrow_outlives_the_segment_it_came_from() -> None:
    files, store = written(NUMBERS, {b"": [(n, str(n)) for n in range(3000)]})
    reader = Reader([NUMBERS], [None, None])
    batches = [
        pa.record_batch(one) for one in store.scan_arrow(TABLE, b"", store.snapshot(), reader, [0, 1, -1])
    ]
    drop = WriteBatch(store.snapshot())
    drop.drop_table(TABLE)
    store.commit(drop)
    store.checkpoint()
    store.close()
    del store
    assert [name for name in files.list("hot") if name.endswith(".arrow")] == []

    table = pa.Table.from_batches(batches)
    table.validate(full=True)
    assert table["f0"].to_pylist() == list(range(3000))
    assert table["f1"].to_pylist() == [str(n) for n in range(3000)]


def test_indexes_take_of_the_cache_what_they_need() -> None:
    """Of many users with few rows the index is as large as the rows; both together stay within the setting."""
    users = {f"user{number:05}".encode(): [(1, "x" * 100), (2, "y" * 100)] for number in range(4_000)}
    files, _ = written(NUMBERS, users)
    reader = Reader([NUMBERS], [None, None])
    room = 1_000_000
    store = opened(files.crash(), NUMBERS, reader, ["id", "body"], hot_cache_bytes=room)
    for user in users:
        assert len(store.scan(TABLE, user, store.snapshot(), reader)) == 2

    found = store.statistics()
    assert found["hot_index_bytes"] > room // 4
    assert 0 < found["hot_cache_bytes"] + found["hot_index_bytes"] <= room


SPREAD_TYPES = {types.SMALLINT: 15, types.INT: 31, types.BIGINT: 63}


@st.composite
def spread_keys(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A type, and more than a few of its numbers: runs, steps, and some at the ends of what there is."""
    code, bits = draw(st.sampled_from(list(SPREAD_TYPES.items())))
    low, high = -(2**bits), 2**bits - 1
    keys = set(draw(st.lists(st.integers(low, high), max_size=20)))
    for _ in range(draw(st.integers(1, 4))):
        first, count = draw(st.integers(low, high)), draw(st.integers(1, 1_500))
        step = draw(st.sampled_from([1, 2, 7, 2 ** (bits // 2)]))
        keys |= {key for key in range(first, first + count * step, step) if key <= high}
    keys |= set(draw(st.lists(st.sampled_from([low, low + 1, -1, 0, high - 1, high]), max_size=4)))
    return code, sorted(keys)


@settings(max_examples=40, deadline=None)
@given(spread_keys(), st.data())
def test_integer_keys_are_found_however_they_are_spread(spread: tuple[int, list[int]], data: Any) -> None:
    code, keys = spread
    layout = Layout(1, [(1, code, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
    reader = Reader([layout], [None, None])
    rows = [(key, str(key)) for key in keys]
    _, store = written(layout, {b"": rows})
    snapshot, present = store.snapshot(), set(keys)
    bits = SPREAD_TYPES[code]

    asked = [*data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=30)), keys[0], keys[-1]]
    for key in {near for one in asked for near in (one - 1, one, one + 1) if -(2**bits) <= near < 2**bits}:
        found = store.get(TABLE, b"", encode_key(code, key), snapshot, reader)
        assert found == ((key, str(key)) if key in present else None)
        low = encode_key(code, key)
        first = [row for row in rows if row[0] >= key][:2]
        assert store.scan(TABLE, b"", snapshot, reader, low=low, limit=2) == first


def test_a_block_that_is_used_outstays_those_that_pass() -> None:
    """The cache has room for few blocks; one is asked for again and again while a look-up goes through all others."""
    rows = [(n, "x" * 1000) for n in range(2000)]
    files, _ = written(NUMBERS, {b"": rows})
    reader = Reader([NUMBERS], [None, None])
    again = files.crash()
    store = opened(again, NUMBERS, reader, ["id", "body"], hot_cache_bytes=600_000)
    snapshot = store.snapshot()
    for row in rows:
        assert store.get(TABLE, b"", encode_key(BIGINT, row[0]), snapshot, reader) == row
        assert store.get(TABLE, b"", encode_key(BIGINT, 0), snapshot, reader) == rows[0]

    reads = again.count("read")
    assert store.get(TABLE, b"", encode_key(BIGINT, 0), snapshot, reader) == rows[0]
    assert again.count("read") == reads, "the one in use was given up"
    assert store.get(TABLE, b"", encode_key(BIGINT, 700), snapshot, reader) == rows[700]
    assert again.count("read") > reads, "the cache had room for all of them"
