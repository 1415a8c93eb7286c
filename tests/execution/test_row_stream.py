"""Streams of Arrow: the same rows and refusals as of a table in memory, whatever order they come in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import InvalidValue, NotNullViolation, UndefinedColumn, UniqueViolation
from kalamdb.execution import row_stream, segment_load, sorted_runs

NOTES = "CREATE TABLE {} (id {} PRIMARY KEY, body TEXT, n INT DEFAULT 7, extra JSON)"


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with kalamdb.open(tmp_path / "data") as database:
        yield database


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of two rows and more are loaded, in runs of some rows, with pieces of a few."""
    for module in (segment_load, row_stream):
        monkeypatch.setattr(module, "ROWS_MIN", 2)
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 70)
    monkeypatch.setattr(sorted_runs, "RUN_BYTES", 4000)
    monkeypatch.setattr(sorted_runs, "PIECE_BYTES", 300)


def stream(*tables: pa.Table) -> pa.RecordBatchReader:
    batches = [batch for table in tables for batch in table.to_batches(max_chunksize=31)]
    return pa.RecordBatchReader.from_batches(tables[0].schema, iter(batches))


def notes(keys: list[Any]) -> pa.Table:
    return pa.table({"id": keys, "body": [f"text of {key}" for key in keys]})


ORDERS = {
    "in order": lambda keys: keys,
    "the other way": lambda keys: keys[::-1],
    "in no order": lambda keys: random.Random(3).sample(keys, len(keys)),
    "almost in order": lambda keys: [*keys[:1500], keys[2900], *keys[1500:2900], *keys[2901:]],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["BIGINT", "TEXT"])
def test_a_stream_is_what_a_table_is(db: Any, small: None, order: str, kind: str) -> None:
    keys: list[Any] = ORDERS[order](list(range(3000)))
    if kind == "TEXT":
        keys = [f"{'öz'[key % 2]}{key}" for key in keys]
    before = db.engine.store.statistics()["hot_rows"]
    told: list[tuple[int, int]] = []
    db.execute(NOTES.format("t", kind))
    result = db.session("root").insert("t", stream(notes(keys)), progress=lambda *both: told.append(both))

    assert result.rowcount == 3000
    assert told[-1] == (3000, 3000)
    assert db.engine.store.statistics()["hot_rows"] == before + 3000
    rows = db.execute("SELECT id, body, n FROM t ORDER BY id").fetchall()
    assert rows == [(key, f"text of {key}", 7) for key in sorted(keys)]
    assert [row[0] for row in db.execute("SELECT id FROM t ORDER BY _seq")] == keys


def test_a_key_that_comes_twice_or_is_there_refuses_all_and_is_named(db: Any, small: None) -> None:
    db.execute(NOTES.format("t", "BIGINT"))
    session = db.session("root")
    with pytest.raises(UniqueViolation, match=r"\b17$"):
        session.insert("t", stream(notes([*range(1000)]), notes([17])))
    session.execute("INSERT INTO t (id) VALUES (-4)")
    db.checkpoint()
    with pytest.raises(UniqueViolation, match=r"-4$"):
        session.insert("t", stream(notes([*range(1000, 0, -1), -4])))

    assert db.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_values_that_do_not_fit_are_named_by_the_row_that_came(db: Any, small: None) -> None:
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT NOT NULL, extra JSON)")
    session = db.session("root")
    keys = [*range(500, 0, -1)]
    bodies: list[str | None] = ["x"] * 500
    bodies[444] = None
    with pytest.raises(NotNullViolation, match=r"body.*row 445"):
        session.insert("t", stream(pa.table({"id": keys, "body": bodies})))
    with pytest.raises(NotNullViolation, match=r"id.*row 301"):
        session.insert("t", stream(pa.table({"id": [*keys[:300], None], "body": ["x"] * 301})))
    with pytest.raises(InvalidValue, match=r"extra"):
        session.insert(
            "t", stream(pa.table({"id": keys[:100], "body": ["x"] * 100, "extra": ["{}"] * 99 + ["{"]}))
        )
    with pytest.raises(UndefinedColumn, match="bodi"):
        session.insert("t", stream(pa.table({"bodi": ["x"]})))

    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_what_the_stream_raises_is_raised_and_leaves_nothing(db: Any, small: None) -> None:
    db.execute(NOTES.format("t", "BIGINT"))

    def failing() -> Iterator[pa.RecordBatch]:
        yield from notes([*range(500)]).to_batches()
        raise LookupError("no more of it")

    with pytest.raises(LookupError, match="no more of it"):
        db.session("root").insert("t", pa.RecordBatchReader.from_batches(notes([1]).schema, failing()))

    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_stream_may_go_to_a_transaction_and_be_empty_or_short(db: Any) -> None:
    db.execute(NOTES.format("t", "BIGINT"))
    session = db.session("root")
    session.begin()
    assert session.insert("t", stream(notes([*range(500)]))).rowcount == 500
    session.rollback()
    assert (
        session.insert("t", stream(notes([])).cast(pa.schema({"id": "int64", "body": "string"}))).rowcount
        == 0
    )
    assert session.insert("t", stream(notes([1]))).rowcount == 1

    assert db.execute("SELECT id FROM t").fetchall() == [(1,)]


def test_a_table_that_changes_meanwhile_has_all_rows_all_the_same(db: Any, small: None) -> None:
    db.execute(NOTES.format("t", "BIGINT"))
    session = db.session("root")

    def alter(done: int, of: int) -> None:
        if done == of and len(db.execute("SELECT * FROM t LIMIT 1").columns) == 4:
            db.execute("ALTER TABLE t ADD COLUMN added TEXT DEFAULT 'new'")

    session.insert("t", stream(notes([*range(500, 0, -1)])), progress=alter)

    assert db.execute("SELECT count(*), min(added), max(n) FROM t").fetchone() == (500, "new", 7)


def test_no_temporary_file_stays(db: Any, small: None) -> None:
    db.execute(NOTES.format("t", "BIGINT"))
    db.session("root").insert("t", stream(notes([*range(500, 0, -1)])))

    assert not [path for path in Path(db.path).rglob("tmp*") if path.is_file()]
