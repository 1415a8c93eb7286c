"""The memtable against a dictionary of versions, and beside readers that do not wait for its writer."""

import random
import threading
import time
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore.errors import CoreError
from kalamcore.memtable import MemTable

TABLE = 7
LATEST = 2**63 - 1

keys = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"", b"\0", b"a", b"a\0", b"a\0\0\0\0\0\0\0", b"aaaaaaaa", b"aaaaaaaa\0", b"aaaaaaab"]),
    st.integers(0, 400).map(lambda n: n.to_bytes(8, "big")),
)
puts = st.lists(st.tuples(keys, st.binary(max_size=9), st.booleans()), max_size=200)


class Model:
    """Versions by key, oldest first."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[tuple[int, bool, bytes]]] = {}

    def put(self, key: bytes, sequence: int, row: bytes, deleted: bool) -> None:
        self.versions.setdefault(key, []).append((sequence, deleted, row))

    def get(self, key: bytes, snapshot: int) -> tuple[int, bool, bytes] | None:
        versions = self.versions.get(key, [])
        at = bisect_right(versions, snapshot, key=lambda version: version[0])
        return versions[at - 1] if at else None

    def scan(
        self, snapshot: int, low: bytes | None, high: bytes | None, reverse: bool, deleted: bool
    ) -> list[tuple[bytes, int, bool, bytes]]:
        found = []
        for key in sorted(self.versions, reverse=reverse):
            if (low is not None and key < low) or (high is not None and key > high):
                continue
            version = self.get(key, snapshot)
            if version is not None and (deleted or not version[1]):
                found.append((key, *version))
        return found


@settings(deadline=None, max_examples=150)
@given(puts, st.data())
def test_it_answers_like_a_dictionary_of_versions(
    written: list[tuple[bytes, bytes, bool]], data: st.DataObject
) -> None:
    table, model = MemTable(), Model()
    for sequence, (key, row, deleted) in enumerate(written, start=1):
        table.put(TABLE, b"alice", key, sequence, row, deleted)
        table.put(TABLE, b"bob", key[::-1], sequence, b"other")
        model.put(key, sequence, row, deleted)

    for snapshot in {0, len(written) // 2, len(written), LATEST}:
        for key in model.versions:
            assert table.get(TABLE, b"alice", key, snapshot) == model.get(key, snapshot)
        low, high = data.draw(st.none() | keys), data.draw(st.none() | keys)
        for reverse in (False, True):
            for deleted in (False, True):
                found = list(
                    table.scan(
                        TABLE, b"alice", snapshot, low=low, high=high, reverse=reverse, deleted=deleted
                    )
                )
                assert found == model.scan(snapshot, low, high, reverse, deleted)
    assert table.get(TABLE, b"alice", b"no such key at all", LATEST) is None


def test_versions_that_come_twice_or_out_of_order_find_their_place() -> None:
    table = MemTable()
    for sequence in (5, 9, 5, 2, 7, 9):
        table.put(TABLE, b"", b"k", sequence, b"%d" % sequence)

    assert table.entries == 4
    assert [table.get(TABLE, b"", b"k", snapshot) for snapshot in (1, 2, 6, 8, 9)] == [
        None,
        (2, False, b"2"),
        (5, False, b"5"),
        (7, False, b"7"),
        (9, False, b"9"),
    ]


def test_partitions_and_tables_do_not_see_each_other() -> None:
    table = MemTable()
    for user in range(500):
        table.put(1 + user % 2, b"user-%d" % user, b"key", user + 1, b"row of %d" % user)

    assert table.partitions(1) == sorted(b"user-%d" % user for user in range(0, 500, 2))
    assert table.get(1, b"user-8", b"key", LATEST) == (9, False, b"row of 8")
    assert table.get(2, b"user-8", b"key", LATEST) is None
    assert list(table.scan(2, b"user-8", LATEST)) == []
    assert table.partitions(3) == []


def test_ten_thousand_small_partitions_take_little_memory() -> None:
    table = MemTable()
    for user in range(10_000):
        for row in range(3):
            table.put(1, b"user-%05d" % user, row.to_bytes(8, "big"), user * 3 + row + 1, b"x" * 40)

    assert table.bytes < 10_000 * 1000
    assert table.entries == 30_000


def test_partitions_written_by_turns_keep_their_rows_and_take_little_more_memory_than_one_after_the_other() -> (
    None
):
    users, rows = 50, 400

    def written(places: list[tuple[int, int]]) -> MemTable:
        table = MemTable()
        for sequence, (user, row) in enumerate(places, start=1):
            value = b"%d of %d " % (row, user) * (row % 30 + 1)
            table.put(1, b"user-%d" % user, row.to_bytes(8, "big"), sequence, value)
        return table

    by_turns = written([(user, row) for row in range(rows) for user in range(users)])
    in_blocks = written([(user, row) for user in range(users) for row in range(rows)])

    for table in (by_turns, in_blocks):
        for reverse in (False, True):
            found = list(table.scan(1, b"user-7", LATEST, reverse=reverse))
            order = range(rows)[::-1] if reverse else range(rows)
            assert [(key, value) for key, _, _, value in found] == [
                (row.to_bytes(8, "big"), b"%d of 7 " % row * (row % 30 + 1)) for row in order
            ]
    assert by_turns.bytes < in_blocks.bytes * 1.2


def test_a_row_larger_than_the_memory_partitions_take_at_once_is_kept_whole() -> None:
    table = MemTable()
    for sequence, size in enumerate([10, 2_000, 40, 700_000, 40, 5_000_000, 40], start=1):
        table.put(TABLE, b"p", b"%d" % sequence, sequence, b"x" * size)

    assert [len(row) for *_, row in table.scan(TABLE, b"p", LATEST)] == [
        10,
        2_000,
        40,
        700_000,
        40,
        5_000_000,
        40,
    ]


def test_a_frozen_memtable_takes_no_more_writes_and_still_reads() -> None:
    table = MemTable()
    table.put(TABLE, b"", b"k", 1, b"row")
    table.freeze()

    with pytest.raises(CoreError, match="frozen"):
        table.put(TABLE, b"", b"k", 2, b"row")
    assert table.get(TABLE, b"", b"k", LATEST) == (1, False, b"row")


@pytest.mark.parametrize("step", [1, 7919])
def test_readers_beside_a_writer_see_each_key_of_their_snapshot_once_and_in_order(step: int) -> None:
    rows = 10_007
    table, published, problems = MemTable(), [0], []

    def read(reverse: bool) -> None:
        while published[0] < rows:
            snapshot = published[0]
            expected = sorted((n * step) % rows for n in range(snapshot))
            found = [
                int.from_bytes(key, "big") for key, *_ in table.scan(TABLE, b"p", snapshot, reverse=reverse)
            ]
            if found != (expected[::-1] if reverse else expected):
                problems.append((snapshot, reverse))
                return

    readers = [threading.Thread(target=read, args=(reverse,)) for reverse in (False, True, False, True)]
    for reader in readers:
        reader.start()
    for n in range(rows):
        table.put(TABLE, b"p", ((n * step) % rows).to_bytes(8, "big"), n + 1, b"row")
        published[0] = n + 1
    for reader in readers:
        reader.join()

    assert problems == []


def test_readers_beside_a_writer_see_what_a_dictionary_of_versions_holds(seed: int) -> None:
    """Replaced and deleted keys too, at the newest snapshot and at older ones, whole and in ranges."""
    dice = random.Random(seed)
    names = sorted(
        {b"", b"a", b"a\0", b"aaaaaaaab", *(dice.randbytes(dice.randrange(12)) for _ in range(60))}
    )
    puts = [(dice.choice(names), b"row %d" % sequence, dice.random() < 0.3) for sequence in range(1, 6001)]
    model = Model()
    for sequence, put in enumerate(puts, start=1):
        model.put(put[0], sequence, put[1], put[2])
    table = MemTable()
    published = 0
    problems: list[object] = []
    done = threading.Event()

    def read(seat: int) -> None:
        own = random.Random(seed + seat)
        while not done.is_set() and not problems:
            snapshot = published if own.random() < 0.5 else own.randint(0, published)
            low, high = (own.choice([None, *names]) for _ in range(2))
            reverse, deleted = own.random() < 0.5, own.random() < 0.5
            found = list(
                table.scan(TABLE, b"p", snapshot, low=low, high=high, reverse=reverse, deleted=deleted)
            )
            if found != model.scan(snapshot, low, high, reverse, deleted):
                problems.append(("scan", snapshot, low, high, reverse, deleted))
            key = own.choice(names)
            if table.get(TABLE, b"p", key, snapshot) != model.get(key, snapshot):
                problems.append(("get", snapshot, key))

    readers = [threading.Thread(target=read, args=(seat,)) for seat in range(4)]
    for reader in readers:
        reader.start()
    for sequence, (key, row, deleted) in enumerate(puts, start=1):
        table.put(TABLE, b"p", key, sequence, row, deleted)
        published = sequence
        if sequence % 100 == 0:
            time.sleep(0.001)  # lets the readers have their turn
    done.set()
    for reader in readers:
        reader.join()

    assert problems == []
