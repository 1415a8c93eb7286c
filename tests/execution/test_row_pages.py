"""Session.stream: the rows that SELECT gives, a page after the other, as they were when it was called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    DatabaseClosed,
    InvalidParameter,
    SerializationFailure,
    UndefinedTable,
)
from kalamdb.execution import row_pages
from kalamdb.result import tuples
from tests.execution.test_simple_select import KEYS, make

ROWS = 300
PLACES = ["memory", "hot", "cold", "all three"]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 7)


def key(table: str, number: int) -> Any:
    return f"{number:03}" + "ä" * (number % 40) if table == "texts" else number * 3 - ROWS


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[kalamdb.Database]:
    """Tables `numbers` and `texts` with rows in the place, some of them updated and some deleted."""
    place = request.param
    with kalamdb.open(tmp_path / "data", durability="normal") as db:
        db.cold.row_group_rows = 16
        for table, kind in (("numbers", "BIGINT"), ("texts", "TEXT")):
            db.execute(f"CREATE TABLE {table} (id {kind} PRIMARY KEY, n INT, doc JSON, token UUID)")
        for start in (0, ROWS // 3, 2 * ROWS // 3):
            for table in ("numbers", "texts"):
                some = [(key(table, number), number) for number in range(start, start + ROWS // 3)]
                db.executemany(f"INSERT INTO {table} (id, n, doc) VALUES (?, ?, '{{}}')", some)
                if start:
                    db.execute(f"UPDATE {table} SET n = n + 1000 WHERE n % 5 = 0")
                    db.execute(f"DELETE FROM {table} WHERE n % 7 = 0")
            if place == "hot" or (place == "all three" and start):
                db.checkpoint()
            if place == "cold" or (place == "all three" and not start):
                for table in ("numbers", "texts"):
                    db.flush(table)
        yield db


def streamed(session: Any, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    reader = session.stream(sql, parameters)
    return tuples(list(reader), reader.schema)


@pytest.mark.parametrize("table", ["numbers", "texts"])
@pytest.mark.parametrize(
    ("rest", "parameters"),
    [
        ("", None),
        (" WHERE n > 100 AND n <= 1200", None),
        (" WHERE n = ? OR n IN (5, 6, 8)", [3]),
        (" WHERE NOT (n < 250) AND id IS NOT NULL", None),
        (" WHERE n = -1", None),
    ],
)
def test_it_gives_the_rows_of_the_select(
    world: kalamdb.Database, small_pages: None, table: str, rest: str, parameters: list[Any] | None
) -> None:
    for columns in ("*", "n, doc", "id AS n, n AS id, token"):
        sql = f"SELECT {columns} FROM {table}{rest}"
        reader, whole = world._root.row_pages(sql, parameters), world.execute(sql, parameters)
        assert reader is not None
        assert reader.schema.equals(whole.arrow().schema, check_metadata=True)
        batches = list(reader)
        assert all(batch.num_rows <= 7 for batch in batches)
        assert Counter(map(repr, tuples(batches, reader.schema))) == Counter(map(repr, whole.fetchall()))


@pytest.mark.parametrize("bound", ["id = ?", "id > ?", "id <= ? AND n > 3", "? < id"])
def test_a_condition_on_the_key_holds_beside_that_of_the_pages(
    world: kalamdb.Database, small_pages: None, bound: str
) -> None:
    for table in ("numbers", "texts"):
        sql, parameters = f"SELECT id FROM {table} WHERE {bound}", [key(table, 122)]
        assert Counter(streamed(world, sql, parameters)) == Counter(world.execute(sql, parameters).fetchall())


def test_what_is_done_meanwhile_is_not_seen(world: kalamdb.Database, small_pages: None) -> None:
    before = Counter(world.execute("SELECT id, n FROM numbers").fetchall())
    reader = world.stream("SELECT id, n FROM numbers")
    seen = Counter(tuples([next(reader)], reader.schema))
    world.execute("UPDATE numbers SET n = 0")
    world.execute("DELETE FROM numbers WHERE id > 0")
    world.execute("INSERT INTO numbers (id, n) VALUES (10001, 1)")
    world.checkpoint()
    world.execute("ALTER TABLE numbers ADD COLUMN more TEXT DEFAULT 'x'")
    seen += Counter(tuples(list(reader), reader.schema))

    assert seen == before


def test_rows_that_a_flush_and_a_compaction_move_meanwhile_are_seen(
    world: kalamdb.Database, small_pages: None
) -> None:
    before = Counter(world.execute("SELECT id, n FROM texts").fetchall())
    reader = world.stream("SELECT id, n FROM texts")
    seen = Counter(tuples([next(reader)], reader.schema))
    world.execute("UPDATE texts SET n = 0")
    world.flush("texts")
    seen += Counter(tuples([next(reader)], reader.schema))
    world.compact("texts")
    seen += Counter(tuples(list(reader), reader.schema))

    assert seen == before


def test_it_reads_what_is_cold_by_parts(world: kalamdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 40)
    whole = world.execute("SELECT id FROM numbers").fetchall()
    asked = []
    fits = world.fits_in_cache
    monkeypatch.setattr(world, "fits_in_cache", lambda miss: asked.append(len(miss.blocks)) or fits(miss))
    world.cold._partitions.clear()

    assert sorted(streamed(world, "SELECT id FROM numbers")) == sorted(whole)
    # Blocks of 16 rows; where segments overlap, one more of each.
    assert max(asked, default=0) <= 8


def test_every_type_and_table_comes_as_the_select_has_it(small_pages: None) -> None:
    with kalamdb.open(":memory:") as db:
        make(db)
        for table in (*KEYS, "stream"):
            for user in ("alice", "bob", "nobody"):
                session = db.session(user)
                reader, whole = (
                    session.row_pages(f"SELECT * FROM {table}"),
                    session.execute(f"SELECT * FROM {table}"),
                )
                assert reader is not None
                assert reader.schema.equals(whole.arrow().schema, check_metadata=True)
                assert Counter(map(repr, tuples(list(reader), reader.schema))) == Counter(map(repr, whole))


def test_pages_of_large_rows_have_fewer_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_BYTES_MAX", 100_000)
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
        db.executemany(
            "INSERT INTO t VALUES (?, ?)", [(n, "x" * (30_000 if n % 3 else 3)) for n in range(100)]
        )
        reader = db.stream("SELECT * FROM t")
        batches = list(reader)

        assert sum(batch.num_rows for batch in batches) == 100
        assert max(batch.nbytes for batch in batches) < 150_000
        assert len(batches) < 60


def test_a_row_larger_than_a_page_is_told_or_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_BYTES_MAX", 1000)
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO t VALUES (1, ?)", ["x" * 5000])
        assert db._root.row_pages("SELECT * FROM t") is None
        assert streamed(db, "SELECT * FROM t") == [(1, "x" * 5000)]
        db.execute("INSERT INTO t VALUES (0, 'y')")
        with pytest.raises(kalamdb.errors.ResourcesExceeded, match="takes more than"):
            streamed(db, "SELECT * FROM t")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT 1 AS one", None),
        ("SELECT count(*) FROM t", None),
        ("SELECT id FROM t ORDER BY id DESC", None),
        ("SELECT id FROM t LIMIT 2", None),
        ("SELECT id + 1 AS more FROM t WHERE id % 2 = 1", None),
        ("SELECT id FROM t WHERE id = 'x'", None),
        ("VALUES (1), (2)", None),
        ("SHOW TABLES", None),
    ],
)
def test_of_any_other_query_the_rows_are_made_first(sql: str, parameters: Any) -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.execute("INSERT INTO t VALUES (1), (2), (3)")
        assert db._root.row_pages(sql, parameters) is None
        try:
            expected: Any = db.execute(sql, parameters).fetchall()
        except kalamdb.Error as error:
            expected = str(error)
        try:
            found: Any = streamed(db, sql, parameters)
        except kalamdb.Error as error:
            found = str(error)
        assert found == expected


def test_what_is_wrong_is_told_as_execute_tells_it() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute("CREATE SHARED TABLE app.secret (id BIGINT PRIMARY KEY) WITH (ACCESS = 'private')")
        for run in ("execute", "stream"):
            with pytest.raises(UndefinedTable):
                getattr(db, run)("SELECT * FROM nowhere")
            with pytest.raises((AccessDenied, UndefinedTable)):
                getattr(db.session("ann"), run)("SELECT * FROM app.secret")
            with pytest.raises(InvalidParameter):
                getattr(db, run)("SELECT * FROM app.secret WHERE id = ?")
        told = [repr(row) for row in db.execute("SELECT outcome FROM system.audit_log").fetchall()]
        assert "('denied',)" in told


def test_a_transaction_sees_its_own_writes() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        with db._root.transaction() as session:
            session.execute("INSERT INTO t VALUES (1)")
            assert session.row_pages("SELECT * FROM t") is None
            assert streamed(session, "SELECT * FROM t") == [(1,)]


def test_reading_on_from_a_closed_database_says_so(tmp_path: Path, small_pages: None) -> None:
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(50)])
        reader = db.stream("SELECT * FROM t")
        assert next(reader).num_rows == 7
    with pytest.raises(DatabaseClosed):
        list(reader)


def test_a_reader_that_waited_for_too_long_is_told_or_sees_its_rows(
    tmp_path: Path, small_pages: None
) -> None:
    with kalamdb.open(tmp_path / "data", transaction_timeout_s=0.1) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
        db.executemany("INSERT INTO t VALUES (?, 0)", [(n,) for n in range(50)])
        db.flush("t")
        reader = db.stream("SELECT n FROM t")
        first = next(reader)
        db.execute("UPDATE t SET n = 1")
        db.flush("t")
        import time

        time.sleep(0.15)
        db.compact("t")
        try:
            rows = tuples([first, *reader], reader.schema)
        except SerializationFailure:
            return
        assert rows == [(0,)] * 50


def test_others_that_speak_arrow_read_it(small_pages: None) -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(50)])
        assert pa.table(db.stream("SELECT * FROM t")).num_rows == 50
        db.execute("CREATE TABLE copy (id BIGINT PRIMARY KEY)")
        assert db.insert("copy", db.stream("SELECT * FROM t")).rowcount == 50


def test_a_directory_beside_its_owner_is_read_by_pages(tmp_path: Path, small_pages: None) -> None:
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(50)])
        db.flush("t")
        with kalamdb.open(tmp_path / "data", read_only=True) as beside:
            assert sorted(streamed(beside, "SELECT * FROM t")) == [(n,) for n in range(50)]
