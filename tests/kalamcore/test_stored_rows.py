"""Rows of a result, copied as the store has them, are the values that were written, and stay so."""

from __future__ import annotations

import gc

import pyarrow as pa
import pytest

from kalamcore.errors import CorruptionError
from kalamcore.rows import BIGINT, INT, TEXT, Layout, Reader
from kalamcore.select_plan import SelectPlan
from kalamcore.store import Store, WriteBatch
from kalamcore.stored_rows import StoredRows
from kalamcore.system import FileSystem

TABLE = 7
LAYOUT = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
READER = Reader([LAYOUT], [None, None])
ROWS = [(number, f"é{number}" if number % 3 else None) for number in range(100)]


def test_rows_are_read_as_values_and_as_arrow_any_number_of_times() -> None:
    kept = StoredRows(READER, [LAYOUT.encode(row) for row in ROWS])
    batches = [pa.record_batch(batch) for batch in kept.batches()]

    assert len(kept) == 100
    assert kept.tuples() == kept.tuples() == ROWS
    assert [tuple(row.values()) for batch in batches for row in batch.to_pylist()] == ROWS
    assert StoredRows(READER, []).tuples() == StoredRows(READER, []).batches() == []


def test_columns_are_those_that_were_asked_for() -> None:
    kept = StoredRows(READER, [LAYOUT.encode((1, "a"))], [1, -1, 0], [9])

    assert kept.tuples() == [("a", 9, 1)]
    with pytest.raises(IndexError):
        StoredRows(READER, [], [2])


def test_rows_of_an_older_version_are_read_as_the_newest() -> None:
    old = Layout(1, [(1, INT, 0, 0, False)], 0)
    new = Layout(2, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
    kept = StoredRows(Reader([old, new], [None, "added"]), [old.encode((1,)), new.encode((2, None))])

    assert kept.tuples() == [(1, "added"), (2, None)]


def test_a_damaged_row_is_corruption() -> None:
    for damaged in (b"", LAYOUT.encode((1, "a"))[:-1], b"\x07"):
        kept = StoredRows(READER, [LAYOUT.encode((1, "a")), damaged])
        with pytest.raises(CorruptionError):
            kept.tuples()
        with pytest.raises(CorruptionError):
            kept.batches()


def test_a_result_outlives_its_rows_and_its_store() -> None:
    files = FileSystem.memory()
    files.make_directory("/wal")
    store = Store(files, "/wal")
    store.define_table(TABLE, 1, reader=READER, column_names=("id", "name"))
    batch = WriteBatch(store.snapshot())
    batch.insert_many(TABLE, b"me", LAYOUT, ROWS)
    store.commit(batch, sync=False)
    answer = SelectPlan(READER, TABLE, shared=False, columns=range(2)).answer(store, "me", (), (), 0)
    batch = WriteBatch(store.snapshot())
    for row in ROWS:
        batch.delete(TABLE, b"me", LAYOUT, row)
    store.commit(batch, sync=False)
    store.close()
    del store, batch
    gc.collect()

    assert answer.rowcount == 100
    assert answer._encoded.tuples() == ROWS
