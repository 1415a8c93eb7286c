"""Hot segments apart from checkpoints: held for a backup, erased, taken in from another database; the log purged."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from kalamcore.errors import CoreError, CorruptionError, IoError, PoisonedError
from kalamcore.rows import BIGINT, TEXT, Layout, Reader
from kalamcore.store import Store, WriteBatch, hot_segment_name
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE, OTHER = 100, 101
NOW_US = 1_900_000_000_000_000
LAYOUT = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)], 0)
READER = Reader([LAYOUT], [None, ""])
NAMES = ("id", "body")


def opened(files: FileSystem, *, tables: tuple[int, ...] = (TABLE, OTHER), **options: Any) -> Store:
    """A store in d, with these tables."""
    for folder in ("d/wal", "d/hot"):
        files.make_directory(folder)
    store = Store(
        files,
        "d/wal",
        hot_directory="d/hot",
        clock=Clock.manual(NOW_US),
        random=RandomSource.seeded(1),
        **{"wal_file_bytes": 1 << 20, **options},
    )
    for table_id in tables:
        store.define_table(table_id, 1, reader=READER, column_names=NAMES)
    return store


def write(store: Store, numbers: range, *, table: int = TABLE, user: bytes = b"", body: str = "x") -> None:
    """Rows of these numbers."""
    batch = WriteBatch(store.snapshot())
    batch.insert_many(table, user, LAYOUT, [(number, body) for number in numbers])
    store.commit(batch)


def rows(store: Store, table: int = TABLE, user: bytes = b"", *columns: int, deleted: bool = False) -> Any:
    """What is there."""
    return store.scan(table, user, store.snapshot(), READER, list(columns) or [0, 1], deleted=deleted)


def segments(files: FileSystem) -> set[str]:
    """The files of hot segments."""
    return {name for name in files.list("d/hot") if name.endswith(".arrow")}


def content(files: FileSystem) -> bytes:
    """Every byte of log and hot segments."""
    return b"".join(
        files.read_file(f"d/{folder}/{name}")
        for folder in ("wal", "hot")
        for name in files.list(f"d/{folder}")
    )


def test_held_segments_stay_until_the_last_holder_has_let_go():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(10))
    held = store.hold_segments()
    again = store.hold_segments()
    names = {hot_segment_name(number) for number, *_ in held["segments"]}
    assert names == segments(files)
    for start in range(10, 60, 10):
        write(store, range(start, start + 10))
        store.checkpoint()
    store.drop_flushed(TABLE, {b"": 1 << 62})
    assert names <= segments(files)
    store.release_segments()
    assert names <= segments(files)
    store.release_segments()
    assert not names & segments(files)
    assert held["segments"] == again["segments"]
    assert all(files.exists(f"d/hot/{name}") for name in segments(files))
    store.close()


def test_what_was_held_at_a_crash_goes_at_the_next_opening():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(10))
    held = store.hold_segments()
    store.drop_flushed(TABLE, {b"": 1 << 62})
    after = files.crash("all")
    with_held = segments(after)
    opened(after).close()

    assert {hot_segment_name(number) for number, *_ in held["segments"]} <= with_held
    assert segments(after) == set()


def test_a_partition_is_erased_from_memory_and_segments_and_others_stay():
    files = FileSystem.memory()
    store = opened(files)
    for start in (0, 100):
        for user in (b"a", b"b"):
            write(store, range(start, start + 10), user=user, body=f"canary-{user.decode()}")
        store.checkpoint()
    write(store, range(200, 205), user=b"a", body="canary-a")
    view = store.view()

    erased = store.erase_partition([TABLE, OTHER], b"a")

    assert erased == 25
    assert rows(store, user=b"a") == []
    assert len(rows(store, user=b"b")) == 20
    assert len(view.scan(TABLE, b"a", view.snapshot, READER)) == 25
    store.purge_log()
    assert b"canary-a" not in content(files)
    assert b"canary-b" in content(files)
    assert store.erase_partition([TABLE], b"a") == 0
    store.close()
    again = opened(files)
    assert rows(again, user=b"a") == []
    assert len(rows(again, user=b"b")) == 20
    again.close()


def test_erasing_is_refused_while_segments_are_held():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(3))
    store.hold_segments()
    with pytest.raises(CoreError, match="held by a backup"):
        store.erase_partition([TABLE], b"")
    store.release_segments()
    assert store.erase_partition([TABLE], b"") == 3
    store.close()


def test_a_purged_log_holds_only_what_came_after_and_goes_on():
    files = FileSystem.memory()
    store = opened(files, wal_file_bytes=4 << 20)
    for number in range(6):
        write(store, range(number, number + 1), body="canary" * 200_000)
    store.checkpoint()
    write(store, range(10, 11), body="canary")
    store.purge_log()
    assert not any(b"canary" in files.read_file(f"d/wal/{name}") for name in files.list("d/wal"))
    write(store, range(20, 21), body="later")
    store.purge_log()
    store.purge_log()
    write(store, range(30, 31), body="last")
    after = files.crash("all")
    again = opened(after, wal_file_bytes=4 << 20)

    assert [number for (number,) in rows(again, TABLE, b"", 0)] == [0, 1, 2, 3, 4, 5, 10, 20, 30]
    again.close()
    store.close()


def test_a_purge_survives_power_loss_after_each_of_its_operations():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(5))
    store.checkpoint()
    write(store, range(5, 9))
    files.record()
    store.purge_log()
    for number in range(files.recorded()):
        for loss in ("all", "none", "subset"):
            again = opened(files.crash(loss, 7, after=number))
            assert [number for (number,) in rows(again, TABLE, b"", 0)] == list(range(9))
            again.close()
    store.close()


def test_a_purge_without_room_changes_nothing_and_is_done_later():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(5))
    files.fail(["preallocate", "write"], errno=errno.ENOSPC, sticky=True)
    with pytest.raises(IoError):
        store.purge_log()
    files.forgive()
    write(store, range(5, 6))
    store.purge_log()
    assert len(rows(store)) == 6
    store.close()


def test_a_failed_sync_in_a_purge_poisons():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(5))
    files.fail(["sync"])
    with pytest.raises(CoreError):
        store.purge_log()
    with pytest.raises(PoisonedError):
        write(store, range(5, 6))
    assert len(rows(store)) == 5


def source() -> tuple[FileSystem, dict[str, Any]]:
    """Another store's files, with updates and a tombstone across segments, and what it holds."""
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(5), user=b"u", body="old")
    store.checkpoint()
    batch = WriteBatch(store.snapshot())
    batch.replace(TABLE, b"u", LAYOUT, (1, "new"))
    batch.delete(TABLE, b"u", LAYOUT, (2, "old"))
    store.commit(batch)
    return files, {**store.hold_segments(), "rows": rows(store, TABLE, b"u", 0, 1, -1, -3, deleted=True)}


def copied(origin: FileSystem, files: FileSystem) -> None:
    """Its segments in `from`."""
    files.make_directory("from")
    for name in segments(origin):
        files.append(f"from/{name}", origin.read_file(f"d/hot/{name}"))


def test_adopted_rows_keep_their_sequence_numbers_and_are_seen_with_the_next_commit():
    origin, held = source()
    files = FileSystem.memory()
    store = opened(files, tables=(OTHER,))
    copied(origin, files)
    adopted = store.adopt(
        "from",
        [(TABLE + 50, READER, NAMES, held["segments"])],
        last_sequence=held["last_sequence"],
        lease_end_ms=NOW_US // 1000 + 60_000,
    )
    batch = WriteBatch(store.snapshot())
    batch.define_table(TABLE + 50, 1, reader=READER, column_names=NAMES)
    batch.insert(OTHER, b"", LAYOUT, (1, "x"))
    sequence = store.commit(batch)

    assert adopted == 5
    assert sequence > held["last_sequence"]
    assert rows(store, TABLE + 50, b"u", 0, 1, -1, -3, deleted=True) == held["rows"]
    assert (store.snowflake_id() >> 22) + 1_704_067_200_000 >= NOW_US // 1000 + 60_000
    store.close()
    again = opened(files, tables=(OTHER, TABLE + 50))
    assert rows(again, TABLE + 50, b"u", 0, 1, -1, -3, deleted=True) == held["rows"]
    again.close()


def test_a_damaged_segment_is_not_adopted_and_leaves_nothing():
    origin, held = source()
    for at in range(0, 400, 7):
        files = FileSystem.memory()
        store = opened(files, tables=(OTHER,))
        files.make_directory("from")
        for name in segments(origin):
            whole = bytearray(origin.read_file(f"d/hot/{name}"))
            whole[len(whole) * at // 400] ^= 1
            files.append(f"from/{name}", bytes(whole))
        try:
            store.adopt(
                "from",
                [(TABLE, READER, NAMES, held["segments"])],
                last_sequence=held["last_sequence"],
                lease_end_ms=0,
            )
        except CorruptionError:
            assert segments(files) == set()
        else:
            batch = WriteBatch(store.snapshot())
            batch.define_table(TABLE, 1, reader=READER, column_names=NAMES)
            batch.insert(OTHER, b"", LAYOUT, (1, "x"))
            store.commit(batch)
            # A byte that means nothing: Arrow's own footer, or padding.
            assert rows(store, TABLE, b"u", 0, 1, -1, -3, deleted=True) == held["rows"]
        store.close()


def test_a_store_beside_the_owner_changes_nothing_and_follows_no_log():
    files = FileSystem.memory()
    store = opened(files)
    write(store, range(5))
    store.checkpoint()
    write(store, range(5, 9))
    before = files.fingerprint()
    beside = opened(files, access="checkpoint")
    with_log = opened(files, access="log")

    assert len(rows(beside)) == 5
    assert len(rows(with_log)) == 9
    for reader in (beside, with_log):
        with pytest.raises(PoisonedError, match="read-only"):
            write(reader, range(20, 21))
        with pytest.raises(PoisonedError, match="read-only"):
            reader.checkpoint()
        with pytest.raises(PoisonedError, match="read-only"):
            reader.snowflake_id()
        reader.close()
    assert files.fingerprint() == before
    store.close()


def test_an_unknown_access_is_refused():
    with pytest.raises(ValueError, match="own, checkpoint or log"):
        opened(FileSystem.memory(), access="all")
