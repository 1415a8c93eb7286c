"""Loads: many rows to a segment at once, all of them or none, in one order with all other commits."""

import array
import errno
import itertools
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from kalamcore.errors import (
    CoreError,
    CorruptionError,
    DuplicateKeyError,
    IoError,
    NullValueError,
    OutcomeUnknownError,
    PoisonedError,
    WriteConflictError,
)
from kalamcore.rows import BIGINT, BOOLEAN, TEXT, UUID, Layout, Reader, encode_key
from kalamcore.segment_load import SegmentLoad
from kalamcore.store import Readable, Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE, OTHER = 1, 2
NOW_US = 1_900_000_000_000_000
COLUMNS = [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)]
LAYOUT = Layout(1, COLUMNS, 0)
READER = Reader([LAYOUT], [None, None])
NAMES = ("id", "body")
SEQUENCE = -1
seeds = itertools.count(1)

Row = tuple[int, str | None]


def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("data/wal")
    files.make_directory("data/hot")
    return files


def opened(files: FileSystem, **options: Any) -> Store:
    store = Store(
        files,
        "data/wal",
        clock=Clock.manual(NOW_US),
        random=RandomSource.seeded(next(seeds)),
        hot_directory="data/hot",
        **{"wal_file_bytes": 1 << 20, **options},
    )
    for table_id in (TABLE, OTHER):
        store.define_table(table_id, 1, reader=READER, column_names=NAMES)
    return store


@pytest.fixture
def files() -> FileSystem:
    return memory()


@pytest.fixture
def store(files: FileSystem) -> Store:
    return opened(files)


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    keys, bodies = [row[0] for row in rows], [row[1] for row in rows]
    return pa.record_batch([pa.array(keys, pa.int64()), pa.array(bodies, pa.string())], names=NAMES)


def begun(
    store: Store, numbers: Sequence[int], body: str | None = "loaded", user: bytes = b""
) -> SegmentLoad:
    load = SegmentLoad(store, TABLE, user, READER, NAMES)
    load.add(batch_of([(number, body) for number in numbers]))
    return load


def insert(store: Store, number: int, body: str = "one", *, table: int = TABLE) -> int:
    batch = WriteBatch(store.snapshot())
    batch.insert(table, b"", LAYOUT, (number, body))
    return store.commit(batch)


def change(store: Store, number: int, body: str | None) -> int:
    batch = WriteBatch(store.snapshot())
    if body is None:
        batch.delete(TABLE, b"", LAYOUT, (number, "gone"))
    else:
        batch.replace(TABLE, b"", LAYOUT, (number, body))
    return store.commit(batch)


def rows(store: Readable, snapshot: int, user: bytes = b"") -> list[Row]:
    found = store.scan(TABLE, user, snapshot, READER)
    assert store.count(TABLE, user, snapshot) == len(found)
    parts = [pa.record_batch(part) for part in store.scan_arrow(TABLE, user, snapshot, READER, [0, 1])]
    in_any_order = [tuple(row.values()) for part in parts for row in part.to_pylist()]
    assert sorted(in_any_order, key=lambda row: row[0]) == found
    return found  # type: ignore[return-value]


def now(store: Store) -> list[Row]:
    return rows(store, store.snapshot())


def test_a_load_is_there_whole_when_it_returns_and_in_every_life_after(files: FileSystem) -> None:
    store = opened(files)
    before = store.view()
    first = insert(store, -5)
    load = begun(store, range(3000))
    load.add(batch_of([(number, None) for number in range(3000, 5000)]))
    assert len(load) == 5000
    assert now(store) == [(-5, "one")]
    last = load.commit()

    expected = [(-5, "one"), *((n, "loaded") for n in range(3000)), *((n, None) for n in range(3000, 5000))]
    assert store.snapshot() == last
    assert now(store) == expected
    assert rows(before, before.snapshot) == []
    assert store.get(TABLE, b"", encode_key(BIGINT, 4999), last, READER) == (4999, None)
    sequences = [row[0] for row in store.scan(TABLE, b"", last, READER, [SEQUENCE])][1:]
    assert sequences == list(range(last - 4999, last + 1))
    assert sequences[0] == first + 1
    assert store.snapshot() < insert(store, 9000)

    for _ in range(2):
        store = opened(files.crash())
        assert now(store) == [*expected, (9000, "one")]
        assert store.scan(TABLE, b"", store.snapshot(), READER, [SEQUENCE])[-2] == (last,)


def test_numbers_go_on_above_a_load_after_a_crash(files: FileSystem) -> None:
    last = begun(opened(files), range(10_000)).commit()
    assert insert(opened(files.crash()), 20_000) > last


@pytest.mark.parametrize("settled", [False, True], ids=["in memory", "in a segment"])
def test_a_key_with_a_live_row_refuses_all_of_the_load(files: FileSystem, settled: bool) -> None:
    store = opened(files)
    insert(store, 700)
    if settled:
        store.checkpoint()
    hot = files.list("data/hot")
    load = begun(store, range(1000))
    with pytest.raises(DuplicateKeyError) as refused:
        load.commit()
    assert refused.value.operation == 700
    del load
    assert now(store) == [(700, "one")]
    # A checkpoint may have come about on the way.
    assert len(set(files.list("data/hot")) - set(hot) - {"checkpoint"}) <= (0 if settled else 1)
    begun(store, range(701, 1000)).commit()
    assert len(now(store)) == 300
    assert len(now(opened(files.crash()))) == 300


@pytest.mark.parametrize("many", [10, 20_000])
def test_keys_are_found_whichever_side_has_more_of_them(store: Store, many: int) -> None:
    begun(store, range(0, 3 * many, 3)).commit()
    begun(store, range(1, 3000, 3)).commit()
    with pytest.raises(DuplicateKeyError) as refused:
        begun(store, [2, 5, 9, 11]).commit()
    assert refused.value.operation == 2
    assert len(now(store)) == many + 1000


@pytest.mark.parametrize("settled", ["in memory", "deleted in memory", "in segments"])
def test_a_deleted_key_is_loaded_anew(files: FileSystem, settled: str) -> None:
    store = opened(files)
    insert(store, 5)
    insert(store, 6)
    if settled != "in memory":
        store.checkpoint()
    change(store, 5, None)
    if settled == "in segments":
        store.checkpoint()
    begun(store, [4, 5]).commit()
    expected = [(4, "loaded"), (5, "loaded"), (6, "one")]
    assert now(store) == expected
    store.checkpoint()
    assert now(store) == expected
    assert now(opened(files.crash())) == expected


def test_rows_of_a_load_change_like_any_other(files: FileSystem) -> None:
    store = opened(files)
    begun(store, range(6)).commit()
    change(store, 1, "changed")
    change(store, 2, None)
    with pytest.raises(DuplicateKeyError):
        insert(store, 3)
    insert(store, 2, "again")
    expected = [(0, "loaded"), (1, "changed"), (2, "again"), *((n, "loaded") for n in (3, 4, 5))]
    assert now(store) == expected
    for _ in range(5):
        store.checkpoint()
        change(store, 5, "loaded")
    assert now(store) == expected
    assert now(opened(files.crash())) == expected


def test_the_order_gives_each_row_its_number(store: Store) -> None:
    load = SegmentLoad(store, TABLE, b"", READER, NAMES)
    load.add(batch_of([(10, "c"), (20, "a")]), array.array("q", [2, 0]))
    load.add(batch_of([(30, "b")]), array.array("q", [1]))
    last = load.commit()
    found = store.scan(TABLE, b"", last, READER, [0, SEQUENCE])
    assert found == [(10, last), (20, last - 2), (30, last - 1)]


@pytest.mark.parametrize("order", [[0, 0], [1, 2], [5, 0]])
def test_an_order_that_is_none_is_refused(store: Store, order: list[int]) -> None:
    load = SegmentLoad(store, TABLE, b"", READER, NAMES)
    load.add(batch_of([(1, "a"), (2, "b")]), array.array("q", order))
    if order == [0, 0]:
        load.add(batch_of([(3, "c")]), array.array("q", [1]))
    with pytest.raises(CoreError, match="numbers its rows"):
        load.commit()
    with pytest.raises(CoreError, match="one number for each row"):
        begun(store, [1]).add(batch_of([(2, "b")]), array.array("q", [1, 2]))


def test_rows_out_of_order_and_the_same_key_twice_are_refused(store: Store) -> None:
    load = begun(store, [1, 5])
    for numbers in ([7, 6], [4]):
        with pytest.raises(CoreError, match="sort them first"):
            load.add(batch_of([(number, "x") for number in numbers]))
    for numbers, refused_at in (([6, 7, 7], 4), ([5], 2)):
        with pytest.raises(DuplicateKeyError) as refused:
            load.add(batch_of([(number, "x") for number in numbers]))
        assert refused.value.operation == refused_at
    load.add(batch_of([(6, "x")]))
    load.commit()
    assert [row[0] for row in now(store)] == [1, 5, 6]


def test_a_refused_value_leaves_the_load_as_it_was(store: Store) -> None:
    load = begun(store, [1])
    keys = pa.array([2, None, 4], pa.int64())
    with pytest.raises(NullValueError) as refused:
        load.add(pa.record_batch([keys, pa.nulls(3, pa.string())], names=NAMES))
    assert (refused.value.row, refused.value.column) == (1, 0)
    load.commit()
    assert now(store) == [(1, "loaded")]
    with pytest.raises(CoreError, match="over"):
        load.commit()


def test_partitions_are_apart(store: Store) -> None:
    begun(store, range(100), user=b"alice").commit()
    begun(store, range(50, 60), user=b"bob").commit()
    assert len(rows(store, store.snapshot(), b"alice")) == 100
    assert [row[0] for row in rows(store, store.snapshot(), b"bob")] == list(range(50, 60))
    assert sorted(store.partitions(TABLE)) == [b"alice", b"bob"]


def test_a_table_that_changed_meanwhile_is_a_conflict(store: Store) -> None:
    for end in (2, None):
        load = begun(store, range(10))
        batch = WriteBatch(store.snapshot())
        if end is None:
            batch.drop_table(TABLE)
        else:
            batch.define_table(TABLE, end, reader=READER, column_names=NAMES)
        store.commit(batch)
        with pytest.raises(WriteConflictError):
            load.commit()


def test_a_load_that_is_forgotten_leaves_no_file(files: FileSystem, store: Store) -> None:
    load = begun(store, range(10_000))
    assert files.list("data/hot") != []
    del load
    assert files.list("data/hot") == []


def test_what_a_crash_left_of_a_load_is_removed(files: FileSystem, store: Store) -> None:
    load = begun(store, range(10_000))
    crashed = files.crash("none")
    assert any(name.endswith(".tmp") for name in crashed.list("data/hot"))
    again = opened(crashed)
    assert crashed.list("data/hot") == []
    assert now(again) == []
    del load


def test_a_load_ends_with_its_store(files: FileSystem, store: Store) -> None:
    load = begun(store, range(10))
    store.close()
    with pytest.raises(CoreError, match="closed"):
        load.commit()
    with pytest.raises(CoreError, match="closed"):
        load.add(batch_of([(11, "x")]))
    again = opened(files)
    mine = begun(again, range(5))
    del load
    mine.commit()
    assert len(now(again)) == 5


@pytest.mark.parametrize("loss", ["none", "all", "subset", "reorder", "torn_512", "zeros"])
def test_whenever_power_goes_all_of_it_is_there_or_none(files: FileSystem, loss: str) -> None:
    store = opened(files)
    insert(store, 50)
    insert(store, 51)
    change(store, 50, None)
    files.record()
    begun(store, range(40, 51)).commit()
    insert(store, 90)
    committed = files.recorded()
    store.checkpoint()
    before = [(51, "one")]
    loaded = [*((n, "loaded") for n in range(40, 51)), (51, "one")]
    seen = []
    for moment in range(files.recorded()):
        found = now(opened(files.crash(loss, moment, after=moment)))
        seen.append(found)
        assert found in (before, loaded, [*loaded, (90, "one")])
        if moment >= committed:
            assert found == [*loaded, (90, "one")]
    assert before in seen
    assert loaded in seen


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_directory", "open", "read"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whatever_fails_all_of_it_is_there_or_none(operation: str, code: int) -> None:
    for at in range(1, 12):
        files = memory()
        store = opened(files)
        insert(store, 1)
        insert(store, 2)
        change(store, 1, None)
        files.fail([operation], at=at, errno=code)
        failed = True
        try:
            begun(store, [0, 1]).commit()
            failed = False
        except (IoError, PoisonedError, OutcomeUnknownError, CoreError):
            assert now(store) == [(2, "one")]
        files.forgive()
        expected = [(0, "loaded"), (1, "loaded"), (2, "one")]
        if code == errno.ENOSPC and operation in ("write", "open") and failed:
            # Nothing is lost by a full disk, and it goes on once there is room.
            begun(store, [0, 1]).commit()
            failed = False
        if not failed:
            assert now(store) == expected
        again = now(opened(files.crash()))
        assert again in ([expected] if not failed else [expected, [(2, "one")]])


def test_loads_and_commits_stand_in_one_order(files: FileSystem) -> None:
    """Each writer of single rows sees its own rows and whole loads, whenever it looks."""
    store = opened(files, memtable_bytes=64 << 10)
    problems: list[str] = []
    over = threading.Event()

    def load(seat: int) -> None:
        for round_ in range(6):
            start = (round_ * 2 + seat) * 1000
            begun(store, range(start, start + 1000)).commit()

    def write() -> None:
        number = 1_000_000
        while not over.is_set():
            number += 1
            last = insert(store, number, "x" * 500)
            view = store.view()
            if view.snapshot < last:
                problems.append("a commit is published when it returns")
            if view.count(TABLE, b"", view.snapshot) % 1000 != (number - 1_000_000) % 1000:
                problems.append("a load is seen whole")

    loaders = [threading.Thread(target=load, args=(seat,)) for seat in range(2)]
    writer = threading.Thread(target=write)
    for thread in (*loaders, writer):
        thread.start()
    for thread in loaders:
        thread.join()
    over.set()
    writer.join()
    assert problems == []
    found = now(store)
    assert [row[0] for row in found if row[0] < 1_000_000] == list(range(12_000))
    assert now(opened(files.crash())) == found


def test_one_of_a_load_and_an_insert_of_its_key_wins(store: Store) -> None:
    for round_ in range(20):
        start = round_ * 100
        outcomes: list[str] = []

        def single(number: int = start + 50, outcomes: list[str] = outcomes) -> None:
            try:
                insert(store, number)
                outcomes.append("won")
            except DuplicateKeyError:
                outcomes.append("lost")

        thread = threading.Thread(target=single)
        load = begun(store, range(start, start + 100))
        thread.start()
        try:
            load.commit()
            outcomes.append("won")
        except DuplicateKeyError:
            outcomes.append("lost")
        thread.join()
        assert sorted(outcomes) == ["lost", "won"]


def test_without_hot_segments_there_are_no_loads() -> None:
    files = memory()
    store = Store(files, "data/wal", clock=Clock.manual(NOW_US))
    with pytest.raises(CoreError, match="without a directory for hot segments"):
        SegmentLoad(store, TABLE, b"", READER, NAMES)


@pytest.mark.parametrize("batch_rows", [1, 100, 1024, 65536])
def test_a_scan_gathers_what_it_is_asked_for(store: Store, batch_rows: int) -> None:
    layout = Layout(1, [*COLUMNS, (3, BOOLEAN, 0, 0, True), (4, UUID, 0, 0, True)], 0)
    reader = Reader([layout], [None] * 4)
    names = ("id", "body", "flag", "token")
    store.define_table(OTHER, 1, reader=reader, column_names=names)
    load = SegmentLoad(store, OTHER, b"", reader, names)
    kinds = [pa.int64(), pa.string(), pa.bool_(), pa.binary(16)]
    columns = [
        [
            n,
            None if n % 3 == 0 else "é" * (n % 5),
            None if n % 2 else n % 4 == 0,
            None if n % 7 else bytes([n % 256]) * 16,
        ]
        for n in range(3001)
    ]
    arrays = [pa.array(list(one), kind) for one, kind in zip(zip(*columns, strict=True), kinds, strict=True)]
    load.add(pa.record_batch(arrays, names=names).slice(1))
    load.commit()
    batch = WriteBatch(store.snapshot())
    for number in range(5, 3000, 11):
        batch.delete(OTHER, b"", layout, (number, None, None, None))
    for number in range(7, 3000, 11):
        batch.replace(OTHER, b"", layout, (number, "new", True, None))
    store.commit(batch)

    for settled in (False, True):
        if settled:
            store.checkpoint()
        snapshot = store.snapshot()
        for low, high, deleted in (
            (None, None, False),
            (10, 2500, False),
            (1000, 1003, True),
            (None, None, True),
        ):
            options: dict[str, Any] = {
                "low": None if low is None else encode_key(BIGINT, low),
                "high": None if high is None else encode_key(BIGINT, high),
                "deleted": deleted,
            }
            positions = [1, 0, 3, 2, -1, -3]
            expected = store.scan(OTHER, b"", snapshot, reader, positions, **options)
            parts = store.scan_arrow(
                OTHER, b"", snapshot, reader, positions, batch_rows=batch_rows, **options
            )
            found = [tuple(row.values()) for part in parts for row in pa.record_batch(part).to_pylist()]
            texts = [(*row[:2], None if row[2] is None else str(row[2]), *row[3:]) for row in expected]
            assert sorted(found, key=lambda row: row[1]) == texts
            for part in parts:
                pa.record_batch(part).validate(full=True)


def test_a_column_that_rotted_is_told_to_who_reads_it(files: FileSystem) -> None:
    begun(opened(files), range(5000)).commit()
    (name,) = (name for name in files.list("data/hot") if name.endswith(".arrow"))
    path = f"data/hot/{name}"
    content = files.read_file(path)
    at = content.index(b"loadedloaded")
    files.write_atomic(path, content[:at] + b"X" + content[at + 1 :])
    store = opened(files)
    snapshot = store.snapshot()
    keys = store.scan_arrow(TABLE, b"", snapshot, READER, [0])
    assert sum(pa.record_batch(part).num_rows for part in keys) == 5000
    with pytest.raises(CorruptionError, match="checksum of a block"):
        store.scan_arrow(TABLE, b"", snapshot, READER, [1])
    with pytest.raises(CorruptionError, match="checksum of a block"):
        store.scan(TABLE, b"", snapshot, READER)
