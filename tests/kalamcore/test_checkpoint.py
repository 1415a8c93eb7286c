"""Checkpoints: rows leave memory for hot segments, and whoever reads or writes does not notice."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from typing import Any

import pyarrow
import pytest

from kalamcore.errors import (
    CoreError,
    CorruptionError,
    DuplicateKeyError,
    IoError,
    PoisonedError,
    UnknownFormatError,
    WriteConflictError,
)
from kalamcore.rows import BIGINT, DOUBLE, INT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Readable, Store, Transaction, View, WriteBatch, check_segments
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE, OTHER, STREAM = 1, 2, 3
NOW_US = 1_900_000_000_000_000
COLUMNS = [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)]
LAYOUT = Layout(1, COLUMNS, 0)
READER = Reader([LAYOUT], [None, None])
EVERYTHING = [0, 1, -1, -3]
seeds = itertools.count(1)


def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("data")
    files.make_directory("hot")
    return files


def opened(files: FileSystem, *, define: bool = True, **options: Any) -> Store:
    store = Store(
        files,
        "data",
        clock=Clock.manual(NOW_US),
        random=RandomSource.seeded(next(seeds)),
        **{"wal_file_bytes": 64 << 10, "hot_directory": "hot", **options},
    )
    if define:
        for table_id in (TABLE, OTHER):
            store.define_table(table_id, 1, reader=READER, column_names=["id", "body"])
    return store


def key(n: int) -> bytes:
    return encode_key(BIGINT, n)


def insert(store: Store, *rows: tuple[int, str | None], table: int = TABLE, user: bytes = b"") -> int:
    batch = WriteBatch(store.snapshot())
    batch.insert_many(table, user, LAYOUT, rows)
    return store.commit(batch)


def change(store: Store, n: int, text: str | None, *, user: bytes = b"", snapshot: int | None = None) -> int:
    """Replaces a row, or deletes it where `text` is None."""
    batch = WriteBatch(store.snapshot() if snapshot is None else snapshot)
    if text is None:
        batch.delete(TABLE, user, LAYOUT, (n, "gone"))
    else:
        batch.replace(TABLE, user, LAYOUT, (n, text))
    return store.commit(batch)


def snapshot_of(readable: Readable) -> int:
    return readable.snapshot() if isinstance(readable, Store) else readable.snapshot  # type: ignore[attr-defined,no-any-return]


def rows(readable: Readable, table: int = TABLE, user: bytes = b"", **options: Any) -> list[tuple[Any, ...]]:
    reader = options.pop("reader", READER)
    return readable.scan(table, user, options.pop("snapshot", snapshot_of(readable)), reader, **options)


def arrow_rows(readable: Readable, **options: Any) -> list[tuple[Any, ...]]:
    """What scan_arrow answers, in key order: it gives what segments hold as it lies there."""
    reader = options.pop("reader", READER)
    columns = options.pop("columns", [0, 1])
    user = options.pop("user", b"")
    found = []
    for piece in readable.scan_arrow(TABLE, user, snapshot_of(readable), reader, columns, **options):
        found += [tuple(row.values()) for row in pyarrow.record_batch(piece).to_pylist()]
    return sorted(found, key=lambda row: row[0])


def hot_files(files: FileSystem) -> list[str]:
    return sorted(name for name in files.list("hot") if name != "checkpoint")


def write_file(files: FileSystem, path: str, content: bytes) -> None:
    files.write_atomic(path, content)


class Layered:
    """A store whose rows lie in every tier, beside what they are.

    Rows 0 to 2999 of three segments and the memtable: some of each were replaced, deleted or inserted again in a
    later one.
    """

    def __init__(self) -> None:
        self.files = memory()
        self.store = opened(self.files)
        self.live: dict[int, str] = {}
        self.gone: dict[int, str] = {}
        for layer in range(4):
            if layer:
                self.store.checkpoint()
            batch = WriteBatch(self.store.snapshot())
            for n in range(3000):
                # The first layer has every second key, so that later ones have keys between those too.
                if layer == 0 and n % 2 == 0:
                    self.put(batch, n, f"first {n}")
                elif layer and n % (5 + layer) == layer:
                    if n in self.live and n % 3 == 0:
                        batch.delete(TABLE, b"u", LAYOUT, (n, f"deleted {layer}"))
                        del self.live[n]
                        self.gone[n] = f"deleted {layer}"
                    else:
                        self.put(batch, n, f"layer {layer} of {n}")
            self.store.commit(batch)

    def put(self, batch: WriteBatch, n: int, text: str) -> None:
        (batch.replace if n in self.live else batch.insert)(TABLE, b"u", LAYOUT, (n, text))
        self.live[n] = text
        self.gone.pop(n, None)


@pytest.fixture(scope="module")
def layered() -> Layered:
    return Layered()


@pytest.fixture(params=["the store", "a view", "a transaction"])
def layered_reads(request: pytest.FixtureRequest, layered: Layered) -> Readable:
    kinds: dict[str, Any] = {"the store": lambda s: s, "a view": Store.view, "a transaction": Transaction}
    return kinds[request.param](layered.store)  # type: ignore[no-any-return]


def test_rows_are_read_the_same_after_a_checkpoint_and_after_a_reopen() -> None:
    files = memory()
    store = opened(files)
    insert(store, (3, "c"), (1, None), (2, ""))
    insert(store, (5, "of another"), user=b"bob")
    change(store, 3, "see")
    change(store, 2, None)
    before = {
        user: rows(store, user=user, columns=EVERYTHING, deleted=True) for user in store.partitions(TABLE)
    }

    assert store.checkpoint() == 4
    assert store.statistics()["memtable_entries"] == 0
    for again in (store, opened(files.crash("none")), opened(files.crash("all"))):
        after = {
            user: rows(again, user=user, columns=EVERYTHING, deleted=True) for user in again.partitions(TABLE)
        }
        assert after == before
        assert again.count(TABLE, b"", again.snapshot()) == 2
        assert again.snapshot() == store.snapshot()
        assert hot_files(files) == ["00000001.arrow"]


def test_what_is_committed_after_a_checkpoint_is_replayed_over_it() -> None:
    files = memory()
    store = opened(files)
    insert(store, (1, "a"), (2, "b"))
    store.checkpoint()
    change(store, 1, "changed")
    change(store, 2, None)
    insert(store, (3, "new"))

    again = opened(files.crash())
    assert rows(again) == [(1, "changed"), (3, "new")]
    assert again.recovery["records"] == 4
    again.checkpoint()
    assert rows(opened(files.crash())) == [(1, "changed"), (3, "new")]


def test_a_checkpoint_of_nothing_writes_nothing() -> None:
    files = memory()
    store = opened(files)
    assert store.checkpoint() == 0
    assert not files.exists("hot/checkpoint")
    insert(store, (1, "a"))
    assert store.checkpoint() == 1
    content = files.read_file("hot/checkpoint")

    assert store.checkpoint() == 0
    assert files.read_file("hot/checkpoint") == content


def test_a_store_without_a_directory_for_segments_makes_no_checkpoint() -> None:
    store = opened(memory(), hot_directory=None)
    insert(store, (1, "a"))

    with pytest.raises(CoreError, match="without a directory for hot segments"):
        store.checkpoint()
    assert rows(store) == [(1, "a")]


def test_a_table_that_cannot_be_written_stays_in_memory_and_in_the_log() -> None:
    files = memory()
    store = opened(files, define=False)
    store.define_table(TABLE, 1)
    insert(store, (1, "a"))
    with pytest.raises(CoreError, match=r"table 1 .* without a reader"):
        store.checkpoint()
    again = opened(files.crash("none"), define=False)
    with pytest.raises(CoreError, match=r"table 1 .* is not known; define it first"):
        again.checkpoint()

    assert rows(store) == rows(again) == [(1, "a")]
    store.define_table(TABLE, 1, reader=READER)
    assert store.checkpoint() == 1
    assert rows(opened(files.crash())) == [(1, "a")]


def test_scans_of_all_tiers_show_the_newest_version_of_each_row(
    layered: Layered, layered_reads: Readable
) -> None:
    expected = sorted(layered.live.items())
    everything = sorted({**layered.live, **layered.gone}.items())

    assert layered.store.statistics()["hot_segments"] == 3
    assert rows(layered_reads, user=b"u") == expected
    assert rows(layered_reads, user=b"u", reverse=True) == expected[::-1]
    assert rows(layered_reads, user=b"u", deleted=True) == everything
    assert arrow_rows(layered_reads, user=b"u") == expected
    assert arrow_rows(layered_reads, user=b"u", deleted=True) == everything
    assert layered_reads.count(TABLE, b"u", snapshot_of(layered_reads)) == len(expected)
    assert layered_reads.partitions(TABLE) == [b"u"]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (None, 7),
        (1, 1),
        (100, 1999),
        (1023, 1025),
        (2990, None),
        (-5, 9999),
        (3000, None),
        (9, 8),
        (None, -1),
    ],
)
def test_bounds_are_kept_across_tiers(
    layered: Layered, layered_reads: Readable, low: int | None, high: int | None
) -> None:
    bounds: dict[str, Any] = {"low": None if low is None else key(low)}
    bounds["high"] = None if high is None else key(high)
    expected = [
        row
        for row in sorted(layered.live.items())
        if (low is None or row[0] >= low) and (high is None or row[0] <= high)
    ]

    assert rows(layered_reads, user=b"u", **bounds) == expected
    assert rows(layered_reads, user=b"u", reverse=True, **bounds) == expected[::-1]
    assert rows(layered_reads, user=b"u", limit=3, **bounds) == expected[:3]
    assert arrow_rows(layered_reads, user=b"u", **bounds) == expected


def test_a_look_up_finds_the_newest_version_in_whatever_tier(
    layered: Layered, layered_reads: Readable
) -> None:
    snapshot = snapshot_of(layered_reads)
    for n in [*range(-2, 400), 1023, 1024, 1025, *range(2900, 3003)]:
        text = layered.live.get(n)
        found = layered_reads.get(TABLE, b"u", key(n), snapshot, READER)
        assert found == (None if text is None else (n, text))
        if n in layered.gone:
            assert layered_reads.get(TABLE, b"u", key(n), snapshot, READER, deleted=True) == (
                n,
                layered.gone[n],
            )
    assert layered_reads.get(TABLE, b"v", key(0), snapshot, READER) is None
    assert layered_reads.get(OTHER, b"u", key(0), snapshot, READER) is None


def test_segments_give_system_columns_as_memory_does() -> None:
    store = opened(memory())
    insert(store, *((n, str(n)) for n in range(20)))
    change(store, 4, None)
    columns = [1, -1, -2, -3]
    before = rows(store, columns=columns, deleted=True)
    arrow_before = arrow_rows(store, columns=[0, *columns[1:]], deleted=True)
    store.checkpoint()

    assert rows(store, columns=columns, deleted=True) == before
    assert arrow_rows(store, columns=[0, *columns[1:]], deleted=True) == arrow_before


def test_a_hot_row_refuses_a_second_insert_until_it_is_deleted() -> None:
    store = opened(memory())
    insert(store, (1, "a"), (2, "b"))
    store.checkpoint()

    with pytest.raises(DuplicateKeyError) as refused:
        insert(store, (5, "new"), (2, "again"))
    assert refused.value.operation == 1
    change(store, 2, None)
    store.checkpoint()
    insert(store, (2, "anew"))
    store.checkpoint()
    with pytest.raises(DuplicateKeyError):
        insert(store, (2, "again"))
    assert rows(store) == [(1, "a"), (2, "anew")]


def test_a_change_of_a_hot_row_conflicts_as_one_in_memory() -> None:
    store = opened(memory())
    insert(store, (1, "a"), (2, "b"))
    old = store.snapshot()
    change(store, 1, "theirs")
    change(store, 2, None)
    store.checkpoint()

    for text in ("mine", None):
        with pytest.raises(WriteConflictError, match="changed meanwhile"):
            change(store, 1, text, snapshot=old)
        with pytest.raises(WriteConflictError, match="not there any more"):
            change(store, 2, text)
        with pytest.raises(WriteConflictError, match="not there any more"):
            change(store, 99, text)
    change(store, 1, "mine")
    assert rows(store) == [(1, "mine")]


def test_a_batch_that_was_begun_before_a_checkpoint_meets_what_it_moved() -> None:
    store = opened(memory())
    insert(store, (1, "a"))
    replace, again = WriteBatch(store.snapshot()), WriteBatch(store.snapshot())
    replace.replace(TABLE, b"", LAYOUT, (1, "changed"))
    again.insert(TABLE, b"", LAYOUT, (1, "twice"))
    store.checkpoint()
    insert(store, (2, "b"))
    store.checkpoint()

    store.commit(replace)
    with pytest.raises(DuplicateKeyError):
        store.commit(again)
    assert rows(store) == [(1, "changed"), (2, "b")]


def test_a_batch_may_write_a_hot_key_again_and_again() -> None:
    store = opened(memory())
    insert(store, (1, "a"))
    store.checkpoint()
    batch = WriteBatch(store.snapshot())
    batch.replace(TABLE, b"", LAYOUT, (1, "b"))
    batch.delete(TABLE, b"", LAYOUT, (1, "b"))
    batch.insert(TABLE, b"", LAYOUT, (1, "c"))
    store.commit(batch)
    store.checkpoint()

    assert rows(store) == [(1, "c")]
    assert store.statistics()["hot_rows"] == 2


def test_pinned_readers_see_their_snapshot_across_checkpoints() -> None:
    store = opened(memory())
    readers: list[tuple[Readable, list[tuple[Any, ...]]]] = []
    expected: dict[int, str] = {}
    for life in range(9):
        insert(store, (life, "new"))
        expected[life] = "new"
        if life > 2:
            change(store, life - 2, f"changed {life}")
            expected[life - 2] = f"changed {life}"
        if life % 3 == 2:
            change(store, life - 2, None)
            del expected[life - 2]
        readers += [(store.view(), sorted(expected.items())), (Transaction(store), sorted(expected.items()))]
        store.checkpoint()

    for reader, seen in readers:
        assert isinstance(reader, View | Transaction)
        assert rows(reader) == seen
        assert rows(reader, reverse=True) == seen[::-1]
        assert arrow_rows(reader) == seen
        assert reader.count(TABLE, b"", reader.snapshot) == len(seen)
        for n in range(9):
            assert reader.get(TABLE, b"", key(n), reader.snapshot, READER) == next(
                (row for row in seen if row[0] == n), None
            )


def test_a_snapshot_that_nobody_pinned_is_refused_and_never_half_shown() -> None:
    store = opened(memory())
    insert(store, (1, "a"), (2, "b"))
    old = store.snapshot()
    change(store, 1, "changed")
    store.checkpoint()

    for read in (
        lambda: rows(store, snapshot=old),
        lambda: rows(store, snapshot=old, reverse=True),
        lambda: store.get(TABLE, b"", key(1), old, READER),
        lambda: store.count(TABLE, b"", old),
        lambda: store.scan_arrow(TABLE, b"", old, READER, [0]),
    ):
        with pytest.raises(WriteConflictError, match="snapshot is not kept"):
            read()
    assert store.get(TABLE, b"", key(2), old, READER) == (2, "b")


def test_a_transaction_commits_over_rows_that_moved_meanwhile() -> None:
    store = opened(memory())
    insert(store, (1, "a"), (2, "b"), (3, "c"))
    mine, late = Transaction(store), Transaction(store)
    store.checkpoint()
    for transaction, text in ((mine, "mine"), (late, "late")):
        batch = WriteBatch(transaction.snapshot)
        batch.replace(TABLE, b"", LAYOUT, (1, text))
        batch.delete(TABLE, b"", LAYOUT, (2, "b"))
        batch.insert(TABLE, b"", LAYOUT, (7 if text == "mine" else 8, text))
        transaction.write(batch)
        again = WriteBatch(transaction.snapshot)
        again.insert(TABLE, b"", LAYOUT, (3, "twice"))
        with pytest.raises(DuplicateKeyError):
            transaction.write(again)

    assert rows(mine) == [(1, "mine"), (3, "c"), (7, "mine")]
    store.commit(mine.batch())
    store.checkpoint()
    with pytest.raises(WriteConflictError):
        store.commit(late.batch())
    assert rows(store) == [(1, "mine"), (3, "c"), (7, "mine")]


def test_a_key_that_came_and_went_meanwhile_is_a_conflict_for_a_transaction() -> None:
    store = opened(memory())
    transaction = Transaction(store)
    batch = WriteBatch(transaction.snapshot)
    batch.insert(TABLE, b"", LAYOUT, (1, "mine"))
    transaction.write(batch)
    insert(store, (1, "theirs"))
    change(store, 1, None)
    store.checkpoint()

    with pytest.raises(WriteConflictError, match="came and went"):
        store.commit(transaction.batch())


def test_segments_of_like_size_are_merged_and_lose_nothing() -> None:
    files = memory()
    store = opened(files)
    most = 0
    expected: dict[int, str] = {}
    earlier: tuple[View, list[tuple[int, str]]] = (store.view(), [])
    for n in range(40):
        insert(store, (n, "new"), (1000 + n, "kept"))
        expected |= {n: "new", 1000 + n: "kept"}
        if n:
            change(store, n - 1, None if n % 4 == 0 else f"changed {n}")
            expected[n - 1] = f"changed {n}"
            if n % 4 == 0:
                del expected[n - 1]
        view, seen = store.view(), sorted(expected.items())
        store.checkpoint()
        most = max(most, store.statistics()["hot_segments"])
        assert rows(store) == seen
        assert len(hot_files(files)) == store.statistics()["hot_segments"]
        # Over files that this checkpoint may have removed.
        assert rows(earlier[0]) == earlier[1]
        earlier = view, seen

    assert most <= 8
    assert rows(opened(files.crash())) == sorted(expected.items())


def test_a_dropped_table_leaves_no_segment() -> None:
    files = memory()
    store = opened(files)
    insert(store, (1, "a"))
    insert(store, (1, "b"), table=OTHER)
    store.checkpoint()
    insert(store, (2, "never written"))
    view = store.view()
    drop = WriteBatch(store.snapshot())
    drop.drop_table(TABLE)
    drop.insert(OTHER, b"", LAYOUT, (2, "the catalog's row"))
    store.commit(drop)
    assert len(hot_files(files)) == 2

    store.checkpoint()
    assert store.statistics()["hot_rows"] == 2
    assert len(hot_files(files)) == 2
    assert rows(view) == [(1, "a"), (2, "never written")]
    again = opened(files.crash(), define=False)
    assert again.partitions(TABLE) == []
    assert rows(again, OTHER) == [(1, "b"), (2, "the catalog's row")]


def test_a_table_that_was_dropped_in_an_earlier_life_leaves_no_segment_either() -> None:
    files = memory()
    store = opened(files)
    insert(store, (1, "a"))
    store.checkpoint()
    insert(store, (2, "in the log"))
    store.close()
    again = opened(files, define=False)
    again.define_table(OTHER, 1, reader=READER)
    again.drop_table(TABLE)
    assert len(hot_files(files)) == 1

    again.checkpoint()
    assert hot_files(files) == []
    with pytest.raises(WriteConflictError, match="dropped"):
        insert(again, (3, "c"))


def test_rows_of_every_schema_version_are_read_through_the_newest() -> None:
    files = memory()
    store = opened(files)
    layouts = [
        LAYOUT,
        # A column is added, then one is dropped and another widened, then one comes under a dropped one's name.
        Layout(2, [*COLUMNS, (3, INT, 0, 0, True)], 0),
        Layout(3, [(1, BIGINT, 0, 0, False), (3, BIGINT, 0, 0, True)], 0),
        Layout(4, [(4, TEXT, 0, 0, True), (1, BIGINT, 0, 0, False), (3, DOUBLE, 0, 0, True)], 1),
    ]
    readers = [
        READER,
        Reader(layouts[:2], [None, None, 33]),
        Reader(layouts[:3], [None, 33]),
        Reader(layouts, ["missing", None, 33.0]),
    ]
    values: list[Any] = [(1, "one"), (2, "two", 22), (3, 2**40), ("four", 4, 0.5)]
    for version, (layout, reader, row) in enumerate(zip(layouts, readers, values, strict=True), 1):
        define = WriteBatch(store.snapshot())
        define.define_table(TABLE, version, reader=reader)
        define.insert(TABLE, b"", layout, row)
        store.commit(define)
        store.checkpoint()
        late = WriteBatch(store.snapshot())
        late.insert(TABLE, b"late", layout, row)
        store.commit(late)

    expected = [("missing", 1, 33.0), ("missing", 2, 22.0), ("missing", 3, 2.0**40), ("four", 4, 0.5)]
    for again in (store, opened(files.crash(), define=False)):
        for user in (b"", b"late"):
            assert rows(again, user=user, reader=readers[3]) == expected
            assert sorted(
                arrow_rows(again, user=user, reader=readers[3], columns=[1, 0, 2], batch_rows=2)
            ) == [(n, text, number) for text, n, number in expected]
            assert again.get(TABLE, user, key(2), again.snapshot(), readers[3]) == ("missing", 2, 22.0)
    assert store.statistics()["hot_segments"] == 1, "four of like size were merged, in the newest version"


def test_a_checkpoint_waits_until_readers_know_of_new_definitions() -> None:
    store = opened(memory())
    insert(store, (1, "a"))
    wider = Layout(2, [*COLUMNS, (3, INT, 0, 0, True)], 0)
    store.hold_definitions()
    alter = WriteBatch(store.snapshot())
    alter.define_table(TABLE, 2, reader=Reader([LAYOUT, wider], [None, None, 7]))
    alter.insert(OTHER, b"", LAYOUT, (1, "the catalog's row"))
    store.commit(alter)
    checkpoint = threading.Thread(target=store.checkpoint)
    checkpoint.start()
    checkpoint.join(0.05)
    assert store.statistics()["hot_segments"] == 0
    assert rows(store) == [(1, "a")], "who knows the old definition alone can read"

    store.tell_definitions()
    checkpoint.join()
    assert store.statistics()["hot_segments"] == 2
    with pytest.raises(CorruptionError, match="no layout of its schema version 2"):
        rows(store)


def test_a_checkpoint_that_waits_for_definitions_ends_with_the_store() -> None:
    store = opened(memory())
    insert(store, (1, "a"))
    store.hold_definitions()
    refused: list[str] = []

    def checkpoint() -> None:
        try:
            store.checkpoint()
        except CoreError as error:
            refused.append(str(error))

    waiting = threading.Thread(target=checkpoint)
    waiting.start()
    waiting.join(0.05)
    store.close()
    waiting.join()

    assert refused == ["the store is closed"]


def test_streams_stay_in_memory() -> None:
    files = memory()
    store = opened(files)
    store.define_table(STREAM, 1, stream_ttl_us=3_600_000_000, stream_rows_max=10)
    insert(store, (1, "a"), table=STREAM)
    assert store.checkpoint() == 0
    insert(store, (1, "a"))
    assert store.checkpoint() == 1

    assert rows(store, STREAM) == [(1, "a")]


def test_a_small_memtable_writes_itself_and_releases_its_log() -> None:
    files = memory()
    store = opened(files, memtable_bytes=8 << 10, wal_file_bytes=32 << 10)
    for n in range(400):
        insert(store, (n, "x" * 500))
    store.checkpoint()

    assert store.statistics()["hot_rows"] == 400
    assert store.statistics()["memtable_entries"] == 0
    assert len([name for name in files.list("data") if name.startswith("0")]) < 4
    assert rows(store, columns=[0]) == [(n,) for n in range(400)]
    assert rows(opened(files.crash()), columns=[0]) == [(n,) for n in range(400)]


def test_ids_and_sequence_numbers_go_on_after_the_log_has_gone() -> None:
    files = memory()
    store = opened(files)
    given = store.snowflake_id()
    for n in range(40):
        last = insert(store, (n, "x" * 4000))
    store.checkpoint()

    again = opened(files.crash())
    assert again.snapshot() == last
    assert insert(again, (1000, "new")) > last
    assert again.snowflake_id() > given


def test_a_checkpoint_that_fails_changes_nothing_where_there_was_no_room() -> None:
    files = memory()
    reached = True
    at = 0
    while reached:
        at += 1
        files = memory()
        store = opened(files)
        insert(store, (1, "a"))
        store.checkpoint()
        insert(store, (2, "b" * 300))
        files.fail(["open", "write"], at=at, errno=errno.ENOSPC)
        try:
            store.checkpoint()
            reached = False
        except IoError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - the last round raises nothing
        assert rows(opened(files.crash("all")), columns=[0]) == [(1,), (2,)]
        assert rows(store, columns=[0]) == [(1,), (2,)]
        files.forgive()
        change(store, 1, "changed")
        store.checkpoint()
        assert rows(store) == rows(opened(files.crash("all"))) == [(1, "changed"), (2, "b" * 300)]
        assert len(hot_files(files)) == store.statistics()["hot_segments"]
    assert at > 3


@pytest.mark.parametrize("operation", ["write", "sync", "close", "rename", "sync_directory", "remove"])
@pytest.mark.parametrize("sticky", [False, True])
def test_any_other_failure_of_a_checkpoint_poisons_and_loses_nothing(operation: str, sticky: bool) -> None:
    reached = True
    at = 0
    while reached:
        at += 1
        files = memory()
        store = opened(files)
        for n in range(4):
            insert(store, (n, "a" * 100))
            if n < 3:
                store.checkpoint()
        files.fail([operation], at=at, errno=errno.EIO, sticky=sticky)
        try:
            store.checkpoint()
            reached = False
            files.forgive()
            insert(store, (9, "later"))
        except (IoError, PoisonedError):
            files.forgive()
            with pytest.raises(PoisonedError):
                insert(store, (9, "later"))
            with pytest.raises(PoisonedError):
                store.checkpoint()
        expected = [(n,) for n in range(4)] + ([] if reached else [(9,)])
        assert rows(store, columns=[0]) == expected
        for loss in ("none", "all", "subset", "torn_512"):
            again = opened(files.crash(loss, at))
            assert rows(again, columns=[0]) == expected
            assert len(hot_files(files.crash(loss, at))) >= again.statistics()["hot_segments"]
    assert at > 1


def test_a_power_cut_at_any_moment_of_checkpoints_loses_nothing() -> None:
    files = memory()
    store = opened(files)
    files.record()
    expected: list[tuple[int, list[tuple[Any, ...]]]] = []
    live: dict[int, str] = {}
    for n in range(6):
        insert(store, (n, f"row {n}"), (100 + n, "kept"))
        live |= {n: f"row {n}", 100 + n: "kept"}
        if n:
            change(store, n - 1, "changed")
            live[n - 1] = "changed"
        expected.append((files.recorded(), sorted(live.items())))
        store.checkpoint()

    for loss in ("none", "all", "subset", "reorder", "torn_1", "torn_4096", "zeros"):
        for moment in range(files.recorded()):
            acknowledged = [seen for count, seen in expected if count <= moment + 1]
            disk = files.crash(loss, moment, after=moment)
            again = opened(disk)
            if acknowledged:
                found = dict(rows(again))
                # The commits in flight may be there too.
                for n, text in acknowledged[-1]:
                    assert found[n] == text or text.startswith("row"), (loss, moment, n)
            named = again.statistics()["hot_segments"]
            assert len(hot_files(disk)) == named, "what no checkpoint names is removed by an opening"
            before = rows(again, columns=EVERYTHING)
            assert rows(opened(disk.crash("all")), columns=EVERYTHING) == before


def test_leftovers_are_removed_and_other_files_left_alone() -> None:
    files = memory()
    store = opened(files)
    insert(store, (1, "a"))
    store.checkpoint()
    segment = files.read_file("hot/00000001.arrow")
    write_file(files, "hot/00000007.arrow", segment)
    write_file(files, "hot/00000008.arrow.tmp", b"half")
    write_file(files, "hot/notes.txt", b"somebody's")

    again = opened(files.crash("none"), define=True)
    assert rows(again) == [(1, "a")]
    disk = files.crash("none")
    opened(disk)
    assert sorted(disk.list("hot")) == ["00000001.arrow", "checkpoint", "notes.txt"]


def damaged(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 0x41
    return bytes(changed)


@pytest.fixture
def small() -> FileSystem:
    """A disk with a checkpoint of one small segment, closed."""
    files = memory()
    store = opened(files)
    insert(store, (1, "one"), (2, None), (3, "three"))
    change(store, 3, None)
    store.checkpoint()
    store.close()
    return files


def everything(store: Store) -> list[Any]:
    """All that a small store holds, by every way of reading."""
    snapshot = store.snapshot()
    return [
        rows(store, columns=EVERYTHING, deleted=True),
        rows(store, reverse=True),
        store.count(TABLE, b"", snapshot),
        [store.get(TABLE, b"", key(n), snapshot, READER) for n in range(5)],
        arrow_rows(store),
        store.partitions(TABLE),
    ]


def found_by_check(files: FileSystem) -> list[str]:
    """The files in which check_segments finds damage."""
    try:
        return [file for file, _, _ in check_segments(files, "hot")["findings"]]
    except UnknownFormatError as error:
        return [str(error).split()[0].removeprefix("hot/")]


def test_a_sound_directory_has_nothing_to_find(small: FileSystem, layered: Layered) -> None:
    assert check_segments(small, "hot")["findings"] == []
    assert check_segments(small, "hot")["lsn"] > 0
    assert check_segments(layered.files.crash("all"), "hot")["findings"] == []
    assert check_segments(memory(), "hot") == {"findings": [], "lsn": 0}


def test_every_flipped_byte_of_a_checkpoint_is_found_and_named(small: FileSystem) -> None:
    content = small.read_file("hot/checkpoint")
    for at in range(len(content)):
        write_file(small, "hot/checkpoint", damaged(content, at))
        with pytest.raises((CorruptionError, UnknownFormatError), match="hot/checkpoint"):
            opened(small.crash("none"))
        assert found_by_check(small) == ["checkpoint"]


def test_every_flipped_byte_of_a_segment_is_found_or_changes_no_row(small: FileSystem) -> None:
    sound = everything(opened(small.crash("none")))
    content = small.read_file("hot/00000001.arrow")
    found = 0
    for at in range(len(content)):
        disk = small.crash("none")
        write_file(disk, "hot/00000001.arrow", damaged(content, at))
        checked = found_by_check(disk)
        try:
            assert everything(opened(disk)) == sound, at
        except (CorruptionError, UnknownFormatError) as error:
            found += 1
            assert "hot/00000001.arrow" in str(error)  # noqa: PT017 - some bytes nobody reads
            assert checked == ["00000001.arrow"]
    # The rest is Arrow's own: its messages and footer, and padding between, which nothing here reads.
    assert found > 500


@pytest.mark.parametrize("name", ["checkpoint", "00000001.arrow"])
def test_a_file_of_any_other_length_is_found_and_named(small: FileSystem, name: str) -> None:
    content = small.read_file(f"hot/{name}")
    for length in [*range(len(content)), len(content) + 1, len(content) + 64]:
        write_file(small, f"hot/{name}", (content + bytes(64))[:length])
        with pytest.raises(CorruptionError, match=f"hot/{name}"):
            opened(small.crash("none"))


def test_a_segment_that_is_missing_or_anothers_is_found_and_named(small: FileSystem) -> None:
    store = opened(small)
    insert(store, (4, "four"))
    insert(store, (5, "one"), table=OTHER)
    store.checkpoint()
    store.close()
    contents = {name: small.read_file(f"hot/{name}") for name in hot_files(small)}
    assert len(contents) == 3
    for name in contents:
        disk = small.crash("none")
        disk.remove(f"hot/{name}")
        with pytest.raises(CorruptionError, match=f"hot/{name}.*is not there"):
            opened(disk)
        for other, content in contents.items():
            if other == name:
                continue
            disk = small.crash("none")
            write_file(disk, f"hot/{name}", content)
            with pytest.raises(CorruptionError, match=f"hot/{name}"):
                opened(disk)


def test_a_newer_format_is_refused_with_both_versions(small: FileSystem) -> None:
    checkpoint, segment = small.read_file("hot/checkpoint"), small.read_file("hot/00000001.arrow")
    newer = small.crash("none")
    write_file(newer, "hot/checkpoint", checkpoint[:8] + b"\2\0\0\0" + checkpoint[12:])
    with pytest.raises(UnknownFormatError, match=r"hot/checkpoint has format 2.*reads up to 1"):
        opened(newer)
    newer = small.crash("none")
    at = segment.index(b"KALAMHOT") + 8
    write_file(newer, "hot/00000001.arrow", segment[:at] + b"\2\0\0\0" + segment[at + 4 :])
    with pytest.raises(UnknownFormatError, match=r"hot/00000001.arrow has format 2.*reads up to 1"):
        opened(newer)


def test_a_log_of_another_time_than_the_checkpoint_is_refused() -> None:
    files = memory()
    store = opened(files)
    insert(store, (1, "a"))
    early = {name: files.read_file(f"data/{name}") for name in files.list("data")}
    for n in range(60):
        insert(store, (n + 2, "x" * 2000))
    store.checkpoint()
    store.close()
    disk = files.crash("none")
    for name in disk.list("data"):
        disk.remove(f"data/{name}")
    for name, content in early.items():
        write_file(disk, f"data/{name}", content)
    with pytest.raises(CorruptionError, match="of another time"):
        opened(disk)

    disk = files.crash("none")
    disk.remove("hot/checkpoint")
    assert min(disk.list("data")) > "00000001.log", "the checkpoint has released the first file"
    with pytest.raises(CorruptionError):
        opened(disk)


def test_many_segments_take_no_more_descriptors_than_some(tmp_path) -> None:
    """Beyond a number of them a segment's file is opened for each read."""
    files = FileSystem.posix()
    for name in ("data", "hot"):
        files.make_directory(str(tmp_path / name))
    options = {"hot_directory": str(tmp_path / "hot"), "hot_cache_bytes": 0}
    store = Store(files, str(tmp_path / "data"), **options)
    tables = range(100, 400)
    batch = WriteBatch(store.snapshot())
    for table_id in tables:
        store.define_table(table_id, 1, reader=READER, column_names=["id", "body"])
        batch.insert(table_id, b"", LAYOUT, (table_id, f"of {table_id}"))
    store.commit(batch)
    store.checkpoint()
    pinned = store.view()

    def of_segments() -> int:
        open_files = (os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_symlink())
        return sum(path.startswith(options["hot_directory"]) for path in open_files)

    assert 0 < of_segments() <= 128
    for table_id in tables:
        assert store.scan(table_id, b"", store.snapshot(), READER) == [(table_id, f"of {table_id}")]
    assert of_segments() <= 128
    for table_id in tables:
        store.drop_table(table_id)
    store.checkpoint()

    # What was open is read on; what is gone and was not open is told to be evaluated anew.
    assert any(pinned.count(table_id, b"", pinned.snapshot) for table_id in tables)
    with pytest.raises(WriteConflictError, match="snapshot is not kept"):
        pinned.scan(tables[-1], b"", pinned.snapshot, READER)
    store.close()
