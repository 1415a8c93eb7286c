"""Transactions of the core: own writes laid over a snapshot, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore.errors import CoreError, DuplicateKeyError, WriteConflictError
from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Readable, Store, Transaction, WriteBatch
from kalamcore.system import Clock, FileSystem

TABLE, STREAM = 1, 2
SECOND_US = 1_000_000
NOW_US = 1_900_000_000 * SECOND_US
LAYOUT = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)], 0)
READER = Reader([LAYOUT], [None, ""])

Change = tuple[str, int, str]


def opened(clock: Clock | None = None) -> Store:
    files = FileSystem.memory()
    files.make_directory("data")
    store = Store(files, "data", clock=clock or Clock.manual(NOW_US))
    store.define_table(TABLE, 1)
    store.define_table(STREAM, 1, stream_ttl_us=60 * SECOND_US)
    return store


def batch_of(snapshot: int, changes: list[Change], table: int = TABLE) -> WriteBatch:
    batch = WriteBatch(snapshot)
    for kind, key, text in changes:
        getattr(batch, kind)(table, b"", LAYOUT, (key, text))
    return batch


def committed(store: Store, *changes: Change, table: int = TABLE) -> int:
    return store.commit(batch_of(store.snapshot(), list(changes), table), sync=False)


def written(transaction: Transaction, *changes: Change, table: int = TABLE) -> int:
    return transaction.write(batch_of(transaction.snapshot, list(changes), table))


def rows(of: Readable, snapshot: int, table: int = TABLE, **options: Any) -> list[tuple[Any, ...]]:
    return of.scan(table, b"", snapshot, READER, **options)


def test_own_rows_stand_over_those_of_the_snapshot() -> None:
    store = opened()
    committed(store, ("insert", 1, "a"), ("insert", 2, "b"), ("insert", 4, "d"))
    transaction = Transaction(store)
    committed(store, ("insert", 9, "later"))
    written(transaction, ("insert", 3, "own"), ("replace", 2, "own"), ("delete", 4, "d"))
    assert rows(transaction, transaction.snapshot) == [(1, "a"), (2, "own"), (3, "own")]
    assert transaction.count(TABLE, b"", transaction.snapshot) == 3
    assert rows(transaction, 0, deleted=True, columns=[0, -3]) == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
    assert rows(store, store.snapshot()) == [(1, "a"), (2, "b"), (4, "d"), (9, "later")]


def test_sequence_numbers_are_above_all_that_is_seen_and_in_the_order_of_writing() -> None:
    store = opened()
    last = committed(store, ("insert", 1, "a"))
    transaction = Transaction(store)
    first = written(transaction, ("insert", 5, "x"), ("insert", 3, "y"))
    second = written(transaction, ("insert", 4, "z"))
    sequences = dict(rows(transaction, 0, columns=[0, -1]))
    assert last < sequences[5] < sequences[3] == first < sequences[4] == second


def test_what_is_refused_leaves_the_transaction_as_it_was() -> None:
    store = opened()
    committed(store, ("insert", 1, "a"))
    transaction = Transaction(store)
    written(transaction, ("insert", 2, "b"))
    for changes, error, operation in (
        ([("insert", 3, "c"), ("insert", 1, "x")], DuplicateKeyError, 1),
        ([("replace", 2, "x"), ("insert", 2, "x")], DuplicateKeyError, 1),
        ([("delete", 1, "x"), ("insert", 4, "x"), ("replace", 1, "x")], WriteConflictError, 2),
        ([("delete", 8, "x")], WriteConflictError, 0),
    ):
        with pytest.raises(error) as caught:
            written(transaction, *changes)
        assert caught.value.operation == operation
        assert rows(transaction, 0) == [(1, "a"), (2, "b")]
        assert len(transaction) == 1


def test_back_to_an_earlier_length_takes_back_what_came_after() -> None:
    store = opened()
    committed(store, ("insert", 1, "a"))
    transaction = Transaction(store)
    written(transaction, ("replace", 1, "b"), ("insert", 2, "b"))
    mark = len(transaction)
    written(transaction, ("delete", 1, "b"), ("replace", 2, "c"), ("insert", 3, "c"))
    written(transaction, ("insert", 1, "again"))
    transaction.back_to(mark)
    assert rows(transaction, 0) == [(1, "b"), (2, "b")]
    transaction.back_to(0)
    assert rows(transaction, 0) == [(1, "a")]
    assert len(transaction.batch()) == 0
    with pytest.raises(ValueError, match="not as many"):
        transaction.back_to(1)


def test_what_it_comes_to_is_one_operation_a_key() -> None:
    store = opened()
    committed(store, ("insert", 1, "a"), ("insert", 2, "b"))
    transaction = Transaction(store)
    written(transaction, ("insert", 5, "x"), ("replace", 1, "y"), ("insert", 6, "gone"))
    written(transaction, ("delete", 1, "y"), ("insert", 1, "z"), ("delete", 6, "gone"), ("delete", 2, "b"))
    batch = transaction.batch()
    assert [batch.place(at)[2] for at in range(len(batch))] == [encode_key(BIGINT, key) for key in (5, 1, 2)]
    with pytest.raises(IndexError):
        batch.place(3)
    assert store.commit(batch, sync=False) - store.snapshot() == 0
    assert rows(store, store.snapshot()) == [(1, "z"), (5, "x")]


@pytest.mark.parametrize(
    ("own", "others", "conflicts"),
    [
        ([("replace", 1, "x")], [("replace", 1, "y")], True),
        ([("replace", 1, "x")], [("delete", 1, "a")], True),
        ([("delete", 1, "a")], [("replace", 1, "y")], True),
        ([("delete", 1, "a"), ("insert", 1, "x")], [("replace", 1, "y")], True),
        ([("insert", 2, "x")], [("insert", 2, "y")], True),
        ([("insert", 2, "x")], [("insert", 2, "y"), ("delete", 2, "y")], True),
        ([("insert", 2, "x"), ("delete", 2, "x")], [("insert", 2, "y")], False),
        ([("replace", 1, "x")], [("insert", 2, "y")], False),
    ],
)
@pytest.mark.parametrize("table", [TABLE, STREAM])
def test_the_first_to_commit_wins(
    own: list[Change], others: list[Change], conflicts: bool, table: int
) -> None:
    store = opened()
    committed(store, ("insert", 1, "a"), table=table)
    transaction = Transaction(store)
    written(transaction, *own, table=table)
    committed(store, *others, table=table)
    after = rows(store, store.snapshot(), table)
    if not conflicts:
        store.commit(transaction.batch(), sync=False)
        return
    with pytest.raises((DuplicateKeyError, WriteConflictError)):
        store.commit(transaction.batch(), sync=False)
    assert rows(store, store.snapshot(), table) == after


def test_a_table_of_another_version_is_a_conflict() -> None:
    store = opened()
    transaction = Transaction(store)
    written(transaction, ("insert", 1, "a"))
    store.define_table(TABLE, 2)
    with pytest.raises(WriteConflictError, match="version"):
        store.commit(transaction.batch())


def test_rows_of_a_stream_end_in_a_transaction_too() -> None:
    clock = Clock.manual(NOW_US)
    store = opened(clock)
    committed(store, ("insert", 1, "a"), table=STREAM)
    transaction = Transaction(store)
    clock.advance(30 * SECOND_US)
    written(transaction, ("insert", 2, "b"), table=STREAM)
    assert rows(transaction, 0, STREAM) == [(1, "a"), (2, "b")]
    assert rows(transaction, 0, STREAM, reverse=True, limit=1) == [(2, "b")]
    clock.advance(31 * SECOND_US)
    assert rows(transaction, 0, STREAM) == [(2, "b")]
    store.commit(transaction.batch(), sync=False)
    assert rows(store, store.snapshot(), STREAM) == [(2, "b")]


def test_partitions_are_those_of_both() -> None:
    store = opened()
    batch = WriteBatch(store.snapshot())
    batch.insert(TABLE, b"a", LAYOUT, (1, ""))
    store.commit(batch, sync=False)
    transaction = Transaction(store)
    for name in (b"a", b"b", b"c"):
        own = WriteBatch(transaction.snapshot)
        own.insert(TABLE, name, LAYOUT, (2, ""))
        transaction.write(own)
    transaction.back_to(2)
    assert transaction.partitions(TABLE) == [b"a", b"b"]


def test_a_batch_is_taken_once_and_defines_no_tables() -> None:
    store = opened()
    transaction = Transaction(store)
    batch = batch_of(transaction.snapshot, [("insert", 1, "a")])
    transaction.write(batch)
    with pytest.raises(CoreError, match="committed"):
        transaction.write(batch)
    batch = WriteBatch(transaction.snapshot)
    batch.define_table(3, 1)
    with pytest.raises(CoreError, match="defines no tables"):
        transaction.write(batch)


def test_nothing_is_read_through_a_closed_store() -> None:
    store = opened()
    transaction = Transaction(store)
    store.close()
    for call in (
        lambda: rows(transaction, 0),
        lambda: transaction.batch(),
        lambda: transaction.write(WriteBatch(0)),
        lambda: transaction.count(TABLE, b"", 0),
    ):
        with pytest.raises(CoreError, match="closed"):
            call()


KEYS = st.integers(0, 300)


@settings(max_examples=100, deadline=None)
@given(
    below=st.sets(KEYS, max_size=200),
    dead=st.sets(KEYS, max_size=20),
    statements=st.lists(st.lists(st.tuples(KEYS, st.booleans()), min_size=1, max_size=60), max_size=6),
    low=st.none() | KEYS,
    high=st.none() | KEYS,
    reverse=st.booleans(),
    limit=st.none() | st.integers(0, 100),
    undone=st.integers(0, 6),
)
def test_reads_agree_with_a_dictionary(
    below: set[int],
    dead: set[int],
    statements: list[list[tuple[int, bool]]],
    low: int | None,
    high: int | None,
    reverse: bool,
    limit: int | None,
    undone: int,
) -> None:
    store = opened()
    model = dict.fromkeys(sorted(below), "below")
    committed(store, *(("insert", key, "below") for key in model))
    gone = [key for key in sorted(dead) if key in model]
    committed(store, *(("delete", key, "below") for key in gone))
    for key in gone:
        del model[key]
    before = set(model)
    transaction = Transaction(store)
    for number, statement in enumerate(statements):
        changes: list[Change] = []
        changed = dict(model)
        for key, keep in statement:
            if key not in changed:
                changes.append(("insert", key, f"own {number}"))
                changed[key] = f"own {number}"
            elif keep:
                changes.append(("replace", key, f"own {number}"))
                changed[key] = f"own {number}"
            else:
                changes.append(("delete", key, changed.pop(key)))
        mark = len(transaction)
        written(transaction, *changes)
        if number == undone:
            transaction.back_to(mark)
        else:
            model = changed
    bounds = {
        "low": None if low is None else encode_key(BIGINT, low),
        "high": None if high is None else encode_key(BIGINT, high),
    }
    inside = [key for key in range(301) if (low is None or key >= low) and (high is None or key <= high)]
    if reverse:
        inside.reverse()
    expected = [(key, model[key]) for key in inside if key in model]
    assert rows(transaction, 0, reverse=reverse, limit=limit, **bounds) == expected[:limit]
    # Tombstones are those of the snapshot's rows, and those that were there before.
    tombs = (set(gone) | before) - set(model)
    with_deleted = rows(transaction, 0, columns=[0, -3], reverse=reverse, deleted=True, **bounds)
    assert with_deleted == [(key, key in tombs) for key in inside if key in model or key in tombs]
    assert transaction.count(TABLE, b"", 0) == len(model)
    for key in inside[:50]:
        found = transaction.get(TABLE, b"", encode_key(BIGINT, key), 0, READER)
        assert found == ((key, model[key]) if key in model else None)
    store.commit(transaction.batch(), sync=False)
    assert rows(store, store.snapshot()) == sorted(model.items())
