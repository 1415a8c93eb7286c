"""The store: commits that are whole or not at all, in one order, and what is there when it opens again."""

import contextlib
import errno
import itertools
import threading
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE, OTHER, STREAM = 1, 2, 3
SECOND_US = 1_000_000
NOW_US = 1_900_000_000 * SECOND_US
COLUMNS = [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)]
LAYOUT = Layout(1, COLUMNS, 0)
READER = Reader([LAYOUT], [None, ""])
seeds = itertools.count(1)


def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("data")
    return files


def opened(files: FileSystem, clock: Clock | None = None, **options: Any) -> Store:
    store = Store(
        files,
        "data",
        clock=clock or Clock.manual(NOW_US),
        random=RandomSource.seeded(next(seeds)),
        **{"wal_file_bytes": 1 << 20, **options},
    )
    for table_id in (TABLE, OTHER):
        store.define_table(table_id, 1)
    return store


def key(n: int) -> bytes:
    return encode_key(BIGINT, n)


def insert(
    store: Store, n: int, text: str = "a", *, table: int = TABLE, user: bytes = b"", sync: bool = True
) -> int:
    batch = WriteBatch(store.snapshot())
    batch.insert(table, user, LAYOUT, (n, text))
    return store.commit(batch, sync=sync)


def change(store: Store, n: int, text: str | None, *, table: int = TABLE, snapshot: int | None = None) -> int:
    """Replaces a row, or deletes it where `text` is None."""
    batch = WriteBatch(store.snapshot() if snapshot is None else snapshot)
    if text is None:
        batch.delete(table, b"", LAYOUT, (n, "gone"))
    else:
        batch.replace(table, b"", LAYOUT, (n, text))
    return store.commit(batch)


def rows(store: Store, table: int = TABLE, user: bytes = b"", **options: Any) -> list[tuple[Any, ...]]:
    snapshot = options.pop("snapshot", store.snapshot())
    return store.scan(table, user, snapshot, READER, **options)


@pytest.fixture
def store() -> Store:
    return opened(memory())


def test_a_row_is_there_once_its_commit_returned(store: Store) -> None:
    before = store.snapshot()
    sequence = insert(store, 5, "five")

    assert store.snapshot() == sequence > before
    assert store.get(TABLE, b"", key(5), store.snapshot(), READER) == (5, "five")
    assert store.get(TABLE, b"", key(5), store.snapshot(), READER, [1, -1]) == ("five", sequence)
    assert store.get(TABLE, b"", key(5), before, READER) is None
    assert store.get(TABLE, b"", key(6), store.snapshot(), READER) is None
    assert store.get(OTHER, b"", key(5), store.snapshot(), READER) is None
    assert store.get(TABLE, b"someone", key(5), store.snapshot(), READER) is None


def test_sequence_numbers_carry_the_clock_and_never_step_back_with_it() -> None:
    clock = Clock.manual(NOW_US)
    store = opened(memory(), clock)

    first = insert(store, 1)
    assert first >> 22 == NOW_US // 1000 - 1_704_067_200_000
    clock.set(NOW_US - 3600 * SECOND_US)
    assert insert(store, 2) == first + 1
    clock.set(NOW_US + SECOND_US)
    assert insert(store, 3) >> 22 == (first >> 22) + 1000


def test_a_live_key_is_refused_and_names_its_operation(store: Store) -> None:
    insert(store, 1)
    batch = WriteBatch(store.snapshot())
    batch.insert_many(TABLE, b"", LAYOUT, [(2, "b"), (3, "c"), (1, "again"), (4, "d")])

    with pytest.raises(DuplicateKeyError) as refused:
        store.commit(batch)
    assert refused.value.operation == 2
    assert rows(store) == [(1, "a")]
    assert store.count(TABLE, b"", store.snapshot()) == 1


def test_a_refused_batch_leaves_no_trace_in_the_log_either() -> None:
    files = memory()
    store = opened(files)
    insert(store, 1)
    batch = WriteBatch(store.snapshot())
    batch.insert(TABLE, b"", LAYOUT, (7, "first"))
    batch.insert(OTHER, b"bob", LAYOUT, (8, "second"))
    batch.insert(TABLE, b"", LAYOUT, (1, "duplicate"))
    with pytest.raises(DuplicateKeyError):
        store.commit(batch)
    last = insert(store, 9)
    assert store.partitions(OTHER) == []

    again = opened(files.crash())
    assert rows(again) == [(1, "a"), (9, "a")]
    assert again.partitions(OTHER) == []
    assert again.snapshot() == last


def test_replace_and_delete_keep_what_older_snapshots_see(store: Store) -> None:
    first = insert(store, 1, "one")
    second = change(store, 1, "uno")
    third = change(store, 1, None)
    fourth = insert(store, 1, "eins")

    seen = [rows(store, snapshot=snapshot) for snapshot in (first, second, third, fourth)]
    assert seen == [[(1, "one")], [(1, "uno")], [], [(1, "eins")]]
    assert [store.count(TABLE, b"", s) for s in (first - 1, first, second, third, fourth)] == [0, 1, 1, 0, 1]
    assert rows(store, snapshot=third, deleted=True, columns=[0, 1, -1, -3]) == [(1, "gone", third, True)]
    assert store.get(TABLE, b"", key(1), third, READER) is None
    assert store.get(TABLE, b"", key(1), third, READER, deleted=True) == (1, "gone")


def test_a_change_of_what_changed_since_the_snapshot_is_a_conflict(store: Store) -> None:
    insert(store, 1)
    snapshot = store.snapshot()
    change(store, 1, "theirs")

    for text in ("mine", None):
        with pytest.raises(WriteConflictError) as refused:
            change(store, 1, text, snapshot=snapshot)
        assert refused.value.operation == 0
    with pytest.raises(WriteConflictError, match="not there"):
        change(store, 2, "never was")
    assert rows(store) == [(1, "theirs")]


def test_a_batch_may_write_a_key_again_and_again(store: Store) -> None:
    batch = WriteBatch(store.snapshot())
    batch.insert(TABLE, b"", LAYOUT, (1, "a"))
    batch.replace(TABLE, b"", LAYOUT, (1, "b"))
    batch.delete(TABLE, b"", LAYOUT, (1, "b"))
    batch.insert(TABLE, b"", LAYOUT, (1, "c"))
    last = store.commit(batch)

    assert len(batch) == 4
    assert rows(store, columns=[0, 1, -1]) == [(1, "c", last)]
    with pytest.raises(CoreError, match="committed"):
        store.commit(batch)


def test_scans_keep_bounds_order_and_limit(store: Store) -> None:
    batch = WriteBatch(store.snapshot())
    batch.insert_many(TABLE, b"", LAYOUT, [(n, str(n)) for n in (3, -1, 500, 7, 20)])
    store.commit(batch)

    assert rows(store, columns=[0]) == [(-1,), (3,), (7,), (20,), (500,)]
    assert rows(store, columns=[0], reverse=True, limit=2) == [(500,), (20,)]
    assert rows(store, columns=[0], low=key(3), high=key(20)) == [(3,), (7,), (20,)]
    assert rows(store, columns=[0], low=key(4), high=key(19), reverse=True) == [(7,)]
    assert rows(store, limit=0) == rows(store, low=key(8), high=key(9)) == []
    assert rows(store, user=b"nobody") == []
    with pytest.raises(ValueError, match="limit"):
        rows(store, limit=-1)


def test_arrow_goes_in_and_comes_out(store: Store) -> None:
    ids = list(range(10_000))
    table = pyarrow.record_batch({"id": pyarrow.array(ids), "text": pyarrow.array([f"t{n}" for n in ids])})
    batch = WriteBatch(store.snapshot())
    batch.insert_arrow(TABLE, b"u", LAYOUT, table)
    last = store.commit(batch, sync=False)

    found = [
        pyarrow.record_batch(piece)
        for piece in store.scan_arrow(TABLE, b"u", last, READER, [1, 0, -1], low=key(10), batch_rows=4000)
    ]
    assert [piece.num_rows for piece in found] == [4000, 4000, 1990]
    whole = pyarrow.Table.from_batches(found)
    assert whole["f1"].to_pylist() == ids[10:]
    assert whole["f0"].to_pylist() == [f"t{n}" for n in ids[10:]]
    assert whole["f2"].to_pylist() == [last - 9_999 + n for n in ids[10:]]
    assert store.scan_arrow(TABLE, b"", last, READER, [0]) == []


def test_a_row_that_cannot_be_encoded_leaves_the_batch_as_it_was(store: Store) -> None:
    batch = WriteBatch(store.snapshot())
    batch.insert(TABLE, b"a", LAYOUT, (1, "kept"))
    with pytest.raises(NullValueError) as refused:
        batch.insert_many(TABLE, b"b", LAYOUT, [(2, "x"), (3, None)])
    assert (refused.value.row, refused.value.column) == (1, 1)
    with pytest.raises(CoreError):
        batch.insert_arrow(TABLE, b"b", LAYOUT, pyarrow.record_batch({"id": pyarrow.array([1])}))
    assert len(batch) == 1
    batch.insert(TABLE, b"a", LAYOUT, (2, "kept too"))
    store.commit(batch)

    assert rows(store, user=b"a") == [(1, "kept"), (2, "kept too")]
    assert store.partitions(TABLE) == [b"a"]


def test_only_the_schema_version_that_is_in_force_is_taken(store: Store) -> None:
    snapshot = store.snapshot()
    late = WriteBatch(snapshot)
    late.insert(OTHER, b"", LAYOUT, (1, "fine"))
    late.insert(TABLE, b"", LAYOUT, (1, "of version 1"))
    alter = WriteBatch(snapshot)
    alter.insert(OTHER, b"", LAYOUT, (100, "the catalog's row"))
    alter.define_table(TABLE, 2)
    store.commit(alter)

    with pytest.raises(WriteConflictError, match="version 2") as refused:
        store.commit(late)
    assert refused.value.operation == 1
    newer = WriteBatch(store.snapshot())
    newer.insert(TABLE, b"", Layout(2, COLUMNS, 0), (1, "of version 2"))
    store.commit(newer)
    drop = WriteBatch(store.snapshot())
    drop.drop_table(TABLE)
    store.commit(drop)
    with pytest.raises(WriteConflictError, match="dropped"):
        insert(store, 5)
    with pytest.raises(WriteConflictError, match="not known"):
        insert(store, 5, table=99)
    assert rows(store, OTHER) == [(100, "the catalog's row")]


def test_a_refused_commit_changes_no_schema_version(store: Store) -> None:
    insert(store, 1)
    alter = WriteBatch(store.snapshot())
    alter.define_table(OTHER, 2)
    alter.define_table(77, 1)
    alter.insert(TABLE, b"", LAYOUT, (1, "duplicate"))
    with pytest.raises(DuplicateKeyError):
        store.commit(alter)

    insert(store, 1, table=OTHER)
    with pytest.raises(WriteConflictError, match="not known"):
        insert(store, 1, table=77)


def test_everything_is_there_with_the_same_sequences_after_a_reopen(tmp_path: Path) -> None:
    with_columns: dict[str, Any] = {"columns": [0, 1, -1, -3], "deleted": True}
    files = FileSystem.posix()
    for closed in (True, False):
        directory = str(tmp_path / str(closed))
        files.make_directory(directory)
        store = Store(files, directory)
        for table_id in (TABLE, OTHER):
            store.define_table(table_id, 1)
        for n in range(300):
            insert(store, n, "x" * n, user=b"user-%d" % (n % 7), sync=n % 50 == 0)
        change_me = WriteBatch(store.snapshot())
        change_me.delete(TABLE, b"user-0", LAYOUT, (7, "tombstone"))
        change_me.replace(TABLE, b"user-1", LAYOUT, (8, "new"))
        change_me.insert(OTHER, b"", LAYOUT, (0, ""))
        store.commit(change_me)
        before = {user: rows(store, user=user, **with_columns) for user in store.partitions(TABLE)}
        snapshot = store.snapshot()
        if closed:
            store.close()

        again = Store(files, directory)
        assert {user: rows(again, user=user, **with_columns) for user in again.partitions(TABLE)} == before
        assert rows(again, OTHER) == [(0, "")]
        assert again.snapshot() == snapshot
        assert again.count(TABLE, b"user-0", snapshot) == 42
        assert again.recovery["torn_bytes"] == 0
        again.define_table(TABLE, 1)
        assert insert(again, 1000) > snapshot


@pytest.mark.parametrize("loss", ["all", "subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros"])
def test_a_power_cut_loses_no_synced_commit_and_tears_none(loss: str) -> None:
    files = memory()
    store = opened(files)
    for n in range(20):
        batch = WriteBatch(store.snapshot())
        batch.insert_many(TABLE, b"", LAYOUT, [(n * 10 + i, "row") for i in range(5)])
        store.commit(batch, sync=n < 15)

    again = opened(files.crash(loss, 7))
    found = {row[0] for row in rows(again)}
    commits = [n for n in range(20) if n * 10 in found]
    assert commits[:15] == list(range(15))
    assert commits == list(range(len(commits)))
    assert found == {n * 10 + i for n in commits for i in range(5)}


def test_a_clock_that_was_set_back_between_two_lives_gives_no_number_twice() -> None:
    files = memory()
    store = opened(files)
    last = insert(store, 1)
    given = store.snowflake_id()
    store.close()

    again = opened(files, Clock.manual(NOW_US - 86400 * SECOND_US))
    assert insert(again, 2) == last + 1
    assert again.snowflake_id() > given


@pytest.mark.parametrize("clean", [True, False])
def test_snowflakes_of_the_next_life_lie_above_all_before(clean: bool) -> None:
    files = memory()
    store = opened(files)
    ids = [store.snowflake_id() for _ in range(100)]
    many = memoryview(store.snowflake_ids(5000)).cast("q").tolist()
    insert(store, 1)
    if clean:
        store.close()

    again = opened(files.crash("none"))
    after = again.snowflake_id()
    assert sorted(ids + many) == ids + many
    assert after > many[-1]
    ahead_ms = (after >> 22) - (many[-1] >> 22)
    assert ahead_ms <= (1 if clean else 20_001)


def test_eight_threads_insert_side_by_side_and_all_of_it_survives(tmp_path: Path) -> None:
    files = FileSystem.posix()
    store = Store(files, str(tmp_path))
    store.define_table(TABLE, 1)
    sequences: list[int] = []
    problems: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for n in range(100):
                sequences.append(insert(store, thread * 1000 + n, user=b"%d" % (thread % 3), sync=n % 3 > 0))
                snapshot = store.snapshot()
                assert snapshot >= sequences[-1] or snapshot > 0
                assert store.get(TABLE, b"%d" % (thread % 3), key(thread * 1000 + n), snapshot, READER)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(set(sequences)) == 800
    store.close()

    again = Store(files, str(tmp_path))
    found = [row for user in again.partitions(TABLE) for row in rows(again, user=user, columns=[0, -1])]
    assert sorted(row[0] for row in found) == sorted(t * 1000 + n for t in range(8) for n in range(100))
    assert {row[1] for row in found} == set(sequences)


def test_one_of_many_racing_for_a_key_wins(store: Store) -> None:
    outcomes: list[str] = []

    def race(name: str) -> None:
        try:
            insert(store, 1, name)
            outcomes.append("won")
        except DuplicateKeyError:
            outcomes.append("lost")

    threads = [threading.Thread(target=race, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]
    assert store.count(TABLE, b"", store.snapshot()) == 1


@pytest.mark.parametrize("sync", [True, False])
def test_a_commit_without_room_is_undone_and_the_next_goes_on(sync: bool) -> None:
    files = memory()
    store = opened(files)
    insert(store, 1, "kept")
    files.fail(["preallocate"], errno=errno.ENOSPC, sticky=True)
    batch = WriteBatch(store.snapshot())
    batch.replace(TABLE, b"", LAYOUT, (1, "lost"))
    batch.insert(TABLE, b"", LAYOUT, (2, "lost" * 100_000))
    with pytest.raises(IoError) as refused:
        store.commit(batch, sync=sync)
    assert refused.value.errno == errno.ENOSPC
    assert rows(store) == [(1, "kept")]
    with pytest.raises(IoError):
        insert(store, 3, "x" * 400_000, sync=sync)

    files.forgive()
    insert(store, 2, "there is room again")
    expected = [(1, "kept"), (2, "there is room again")]
    assert rows(store) == expected
    assert store.count(TABLE, b"", store.snapshot()) == 2
    assert rows(opened(files.crash())) == expected


def test_threads_without_room_are_all_undone() -> None:
    files = memory()
    store = opened(files, wal_file_bytes=64 << 20)
    insert(store, 0)
    outcomes: dict[int, bool] = {}

    def work(thread: int) -> None:
        for n in range(40):
            number = thread * 100 + n + 1
            if number % 23 == 0:
                # Where there is no room for a large step, a small one is tried.
                files.fail(["preallocate"], errno=errno.ENOSPC)
                files.fail(["preallocate"], at=2, errno=errno.ENOSPC)
            try:
                insert(store, number, "x" * 30_000, sync=n % 2 == 0)
                outcomes[number] = True
            except IoError as problem:
                outcomes[number] = problem.errno != errno.ENOSPC

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files.forgive()
    insert(store, 10_000)

    expected = [0, *sorted(n for n, done in outcomes.items() if done), 10_000]
    assert len(expected) < 322
    assert [row[0] for row in rows(store)] == expected
    assert store.count(TABLE, b"", store.snapshot()) == len(expected)
    assert [row[0] for row in rows(opened(files.crash()))] == expected


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_disk_publishes_nothing_and_refuses_what_comes_later(operation: str) -> None:
    files = memory()
    store = opened(files)
    store.define_table(STREAM, 1, stream_ttl_us=SECOND_US)
    insert(store, 1)
    snapshot = store.snapshot()
    files.fail([operation], errno=errno.EIO)
    with pytest.raises((OutcomeUnknownError, PoisonedError)):
        insert(store, 2)

    assert store.snapshot() == snapshot
    assert rows(store) == [(1, "a")]
    for table in (TABLE, STREAM):
        with pytest.raises(PoisonedError):
            insert(store, 3, table=table)
    store.close()
    assert (1, "a") in rows(opened(files.crash()))


def test_a_record_that_makes_no_sense_is_corruption(tmp_path: Path) -> None:
    from kalamcore.wal import COMMIT, Log

    good = b"\1" + bytes(7) + b"\1\1" + b"\0\1\1p\1k\1r"
    bad = [
        b"",
        good[:-1],
        good + b"x",
        good[:8] + b"\0\0",
        good[:8] + b"\1\2" + good[10:],
        good[:10] + b"\4\1k\1r",
        good[:10] + b"\3" + good[11:],
        good[:10] + b"\x10" + good[11:],
        good[:10] + b"\x08\5" + good[11:],
        good[:11] + b"\xff" * 11,
        good[:13] + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        bytes(8) + good[8:],
    ]
    for payload in [good, *bad]:
        files = memory()
        log = Log(files, "data", random=RandomSource.seeded(1))
        log.flush(log.append(COMMIT, payload), sync=True)
        log.close()
        if payload is good:
            assert opened(files).statistics()["memtable_entries"] == 1
        else:
            with pytest.raises(CorruptionError):
                opened(files)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_of_a_record_kill_the_process(payload: bytes) -> None:
    from kalamcore.wal import COMMIT, Log

    files = memory()
    log = Log(files, "data", random=RandomSource.seeded(1))
    log.flush(log.append(COMMIT, b"\1" + bytes(7) + payload), sync=True)
    log.close()
    with contextlib.suppress(CorruptionError):
        opened(files)


def streaming(clock: Clock, rows_max: int = 0, **options: Any) -> Store:
    store = opened(memory(), clock, **options)
    store.define_table(STREAM, 1, stream_ttl_us=10 * SECOND_US, stream_rows_max=rows_max)
    return store


def test_rows_of_a_stream_are_hidden_the_moment_their_time_is_over() -> None:
    clock = Clock.manual(NOW_US)
    store = streaming(clock)
    insert(store, 1, table=STREAM)
    clock.advance(6 * SECOND_US)
    insert(store, 2, table=STREAM)

    clock.advance(4 * SECOND_US - 1)
    assert rows(store, STREAM) == [(1, "a"), (2, "a")]
    clock.advance(1)
    assert rows(store, STREAM) == [(2, "a")]
    assert store.count(STREAM, b"", store.snapshot()) == 1
    assert store.get(STREAM, b"", key(1), store.snapshot(), READER, deleted=True) is None
    insert(store, 1, "anew", table=STREAM)
    clock.set(NOW_US)
    assert rows(store, STREAM) == [(1, "anew"), (2, "a")]
    clock.advance(60 * SECOND_US)
    assert rows(store, STREAM) == []


def test_expired_rows_are_freed() -> None:
    clock = Clock.manual(NOW_US)
    store = streaming(clock)
    for n in range(3000):
        insert(store, n, table=STREAM, user=b"%d" % (n % 5))
    assert store.statistics()["stream_rows"] == 3000
    clock.advance(11 * SECOND_US)
    for _ in range(200):
        if store.statistics()["stream_bytes"] == 0:
            break
        threading.Event().wait(0.05)

    assert store.statistics()["stream_bytes"] == store.statistics()["stream_rows"] == 0
    store.close()


def test_a_stream_has_versions_conflicts_and_order_like_any_table() -> None:
    store = streaming(Clock.manual(NOW_US))
    first = insert(store, 1, "one", table=STREAM)
    insert(store, 2, "two", table=STREAM)
    with pytest.raises(DuplicateKeyError):
        insert(store, 1, table=STREAM)
    second = change(store, 1, "uno", table=STREAM)
    with pytest.raises(WriteConflictError):
        change(store, 1, "late", table=STREAM, snapshot=first)
    third = change(store, 1, None, table=STREAM)

    seen = [rows(store, STREAM, snapshot=snapshot) for snapshot in (first, second, third)]
    assert seen == [[(1, "one")], [(1, "uno"), (2, "two")], [(2, "two")]]
    assert rows(store, STREAM, deleted=True, reverse=True, columns=[0, -3]) == [(2, False), (1, True)]
    assert rows(store, STREAM, low=key(2), high=key(1)) == []
    [batch] = store.scan_arrow(STREAM, b"", third, READER, [0])
    assert pyarrow.record_batch(batch).to_pydict() == {"f0": [2]}


def test_the_oldest_rows_of_a_partition_go_first() -> None:
    store = streaming(Clock.manual(NOW_US), rows_max=3)
    for n in (5, 1, 4, 2):
        insert(store, n, table=STREAM)
        insert(store, n, table=STREAM, user=b"other")
    change(store, 1, "touched", table=STREAM)
    insert(store, 9, table=STREAM)

    assert rows(store, STREAM) == [(1, "touched"), (2, "a"), (9, "a")]
    assert rows(store, STREAM, b"other") == [(1, "a"), (2, "a"), (4, "a")]


def test_all_streams_together_stay_within_their_bytes() -> None:
    store = streaming(Clock.manual(NOW_US), stream_bytes_max=100_000)
    for n in range(1000):
        insert(store, n, "x" * 400, table=STREAM, user=b"%d" % (n % 4))
        assert store.statistics()["stream_bytes"] <= 100_000

    left = sorted(row[0] for user in store.partitions(STREAM) for row in rows(store, STREAM, user))
    assert left == list(range(1000 - len(left), 1000))
    assert len(left) > 50


def test_streams_are_gone_after_a_reopen_and_their_neighbours_are_not() -> None:
    files = memory()
    store = opened(files)
    store.define_table(STREAM, 1, stream_ttl_us=60 * SECOND_US)
    insert(store, 1, table=STREAM)
    mixed = WriteBatch(store.snapshot())
    mixed.insert(STREAM, b"u", LAYOUT, (1, "of the stream"))
    mixed.insert(TABLE, b"u", LAYOUT, (2, "of the table"))
    mixed.insert(TABLE, b"u", LAYOUT, (3, "of the table"))
    mixed.insert(STREAM, b"u", LAYOUT, (4, "of the stream"))
    mixed.insert(TABLE, b"v", LAYOUT, (5, "of the table"))
    last = store.commit(mixed)
    kept = rows(store, user=b"u", columns=[0, -1]), rows(store, user=b"v", columns=[0, -1])
    assert kept == ([(2, last - 3), (3, last - 2)], [(5, last)])
    assert rows(store, STREAM, b"u", columns=[0, -1]) == [(1, last - 4), (4, last - 1)]

    again = opened(files.crash())
    again.define_table(STREAM, 1, stream_ttl_us=60 * SECOND_US)
    assert (rows(again, user=b"u", columns=[0, -1]), rows(again, user=b"v", columns=[0, -1])) == kept
    assert again.partitions(STREAM) == []
    assert again.snapshot() == last


def test_a_refused_batch_leaves_nothing_in_a_stream() -> None:
    store = streaming(Clock.manual(NOW_US))
    insert(store, 1)
    mixed = WriteBatch(store.snapshot())
    mixed.insert(STREAM, b"", LAYOUT, (1, "of the stream"))
    mixed.replace(STREAM, b"", LAYOUT, (1, "of the stream"))
    mixed.insert(TABLE, b"", LAYOUT, (1, "duplicate"))
    with pytest.raises(DuplicateKeyError):
        store.commit(mixed)
    insert(store, 2)

    assert rows(store, STREAM) == []
    assert store.statistics()["stream_bytes"] == 0


def test_a_dropped_stream_takes_its_rows_along() -> None:
    store = streaming(Clock.manual(NOW_US))
    insert(store, 1, table=STREAM)
    drop = WriteBatch(store.snapshot())
    drop.drop_table(STREAM)
    store.commit(drop)

    assert rows(store, STREAM) == []
    assert store.statistics()["stream_bytes"] == 0


def test_a_closed_store_says_so(store: Store) -> None:
    insert(store, 1, sync=False)
    batch = WriteBatch(store.snapshot())
    batch.insert(TABLE, b"", LAYOUT, (2, "late"))
    store.close()
    store.close()

    for call in (
        store.snapshot,
        store.statistics,
        store.snowflake_id,
        lambda: store.snowflake_ids(1),
        lambda: store.commit(batch),
        lambda: store.define_table(9, 1),
        lambda: store.get(TABLE, b"", key(1), 1, READER),
        lambda: store.scan(TABLE, b"", 1, READER),
        lambda: store.count(TABLE, b"", 1),
        lambda: store.partitions(TABLE),
        lambda: store.recovery,
    ):
        with pytest.raises(CoreError, match="the store is closed"):
            call()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["insert", "replace", "delete"]),
                st.lists(st.integers(0, 12), min_size=1, max_size=4),
                st.booleans(),
            ),
            st.just(("reopen", [], True)),
            st.just(("crash", [], True)),
        ),
        max_size=40,
    )
)
def test_it_answers_like_a_dictionary_through_reopens_and_crashes(
    steps: list[tuple[str, list[int], bool]],
) -> None:
    files = memory()
    store = opened(files)
    model: dict[int, str] = {}
    history: list[tuple[int, dict[int, str]]] = []
    for at, (verb, numbers, sync) in enumerate(steps):
        if verb in ("reopen", "crash"):
            if verb == "reopen":
                store.close()
            files = files.crash("none")
            store = opened(files)
            assert rows(store) == sorted(model.items())
            continue
        batch, wanted = WriteBatch(store.snapshot()), dict(model)
        allowed = True
        for n in numbers:
            allowed = allowed and (n in wanted) == (verb != "insert")
            getattr(batch, verb)(TABLE, b"", LAYOUT, (n, f"step {at}"))
            if verb == "delete":
                wanted.pop(n, None)
            else:
                wanted[n] = f"step {at}"
        if allowed:
            history.append((store.commit(batch, sync=sync), wanted))
            model = wanted
        else:
            with pytest.raises((DuplicateKeyError, WriteConflictError)):
                store.commit(batch, sync=sync)
        assert rows(store) == sorted(model.items())
        assert rows(store, reverse=True) == sorted(model.items(), reverse=True)
        assert store.count(TABLE, b"", store.snapshot()) == len(model)
    for snapshot, then in history:
        assert rows(store, snapshot=snapshot) == sorted(then.items())
        assert store.count(TABLE, b"", snapshot) == len(then)
