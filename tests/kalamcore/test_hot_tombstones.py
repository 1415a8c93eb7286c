"""Tombstones in hot segments: past the table's retention they go with a merge, where nothing older is behind them."""

from __future__ import annotations

import pytest

from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE = 1
RETENTION_MS = 60_000
LAYOUT = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)], 0)
READER = Reader([LAYOUT], [None, ""])
SEGMENTS_MERGED = 4


@pytest.fixture
def clock():
    return Clock.manual(1_900_000_000_000_000)


def opened(files, clock, retention_ms=RETENTION_MS):
    store = Store(
        files,
        "data/wal",
        clock=clock,
        random=RandomSource.seeded(1),
        wal_file_bytes=1 << 20,
        hot_directory="data/hot",
    )
    store.define_table(
        TABLE, 1, reader=READER, column_names=["id", "body"], deleted_retention_ms=retention_ms
    )
    return store


@pytest.fixture
def files():
    files = FileSystem.memory()
    for name in ("data", "data/wal", "data/hot"):
        files.make_directory(name)
    return files


def write(store, verb, n, body="x"):
    batch = WriteBatch(store.snapshot())
    getattr(batch, verb)(TABLE, b"alice", LAYOUT, (n, body))
    return store.commit(batch)


def tombstones(store):
    view = store.view()
    found = view.scan(TABLE, b"alice", view.snapshot, READER, [0, -3], deleted=True)
    return [n for n, deleted in found if deleted]


def merge(store, first):
    """Checkpoints of a new row each, until their segments are merged with what was there."""
    for n in range(first, first + SEGMENTS_MERGED):
        write(store, "insert", n)
        store.checkpoint()
        if n > first and store.statistics()["hot_segments"] == 1:
            return
    raise AssertionError("the segments were not merged")


@pytest.mark.parametrize(
    ("retention_ms", "left"), [(RETENTION_MS, []), (RETENTION_MS + 2, [1]), (-1, [1]), (0, [])]
)
def test_they_go_past_the_retention(files, clock, retention_ms, left):
    store = opened(files, clock, retention_ms)
    write(store, "insert", 1)
    write(store, "delete", 1)
    clock.advance((RETENTION_MS + 1) * 1000)
    assert tombstones(store) == [1]
    merge(store, 10)

    assert tombstones(store) == left
    assert store.statistics()["hot_rows"] == SEGMENTS_MERGED + len(left)
    assert store.statistics()["memtable_entries"] == 0
    store.close()
    assert tombstones(opened(files, clock, retention_ms)) == left


def test_one_that_may_hide_an_older_segment_stays(files, clock):
    store = opened(files, clock)
    for n in range(2000):
        write(store, "insert", 1000 + n, "a long row " * 10)
    write(store, "insert", 1)
    store.checkpoint()
    write(store, "delete", 1)
    clock.advance(10 * RETENTION_MS * 1000)
    for n in range(2, 2 + SEGMENTS_MERGED):
        write(store, "insert", n)
        store.checkpoint()

    # The small segments were merged, the large one was left alone.
    assert store.statistics()["hot_segments"] == 2
    assert tombstones(store) == [1]
    assert store.view().get(TABLE, b"alice", encode_key(BIGINT, 1), store.snapshot(), READER) is None


def test_none_goes_of_a_table_with_cold_rows(files, clock):
    store = opened(files, clock)
    store.set_nothing_cold(TABLE, b"alice")
    write(store, "insert", 1)
    write(store, "delete", 1)
    clock.advance(10 * RETENTION_MS * 1000)
    store.add_cold_table(TABLE)
    store.set_nothing_cold(TABLE, b"alice")
    merge(store, 10)

    assert tombstones(store) == [1]


def test_a_view_keeps_those_that_it_shows(files, clock):
    store = opened(files, clock)
    write(store, "insert", 1)
    store.checkpoint()
    before = store.view()
    write(store, "delete", 1)
    between = store.view()
    clock.advance(10 * RETENTION_MS * 1000)
    merge(store, 10)

    assert tombstones(store) == []
    assert before.count(TABLE, b"alice", before.snapshot) == 1
    assert between.scan(TABLE, b"alice", between.snapshot, READER, [0, -3], deleted=True) == [(1, True)]


def test_a_table_with_nothing_else_has_no_segment_left(files, clock):
    store = opened(files, clock)
    for n in range(SEGMENTS_MERGED):
        write(store, "insert", n)
        write(store, "delete", n)
        clock.advance(2 * RETENTION_MS * 1000)
        store.checkpoint()

    assert store.statistics()["hot_segments"] == 0
    assert files.list("data/hot") == ["checkpoint"]
    assert tombstones(store) == []
    write(store, "insert", 1, "again")
    store.checkpoint()
    store.close()
    again = opened(files, clock)
    assert again.view().get(TABLE, b"alice", encode_key(BIGINT, 1), again.snapshot(), READER) == (1, "again")
