"""Text that would kill or stall the process is refused at once, the process lives, and nothing is written."""

import time

import pytest

import kalamdb
from kalamdb.errors import Error, StatementTooLarge
from tests.security import growing_shapes

DEADLINE_S = 20
"""Generous: it catches a hang. What a refusal takes is measured in bench/."""

TOO_LARGE = {
    "10 MB of text": lambda: "SELECT '" + "x" * 10_000_000 + "'",
    "depth 100,000 of parentheses": lambda: "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
    "depth 101": lambda: "SELECT " + "(" * 101 + "1" + ")" * 101,
    "depth 100,000 of CASE": lambda: "SELECT " + "CASE WHEN TRUE THEN " * 100_000,
    "20,000 terms of OR": lambda: "SELECT 1 WHERE " + " OR ".join(f"1 = {n}" for n in range(20_000)),
    "5,000 + 1": lambda: "SELECT 1" + " + 1" * 5_000,
    "20,000 of ||": lambda: "SELECT 'a'" + "||'a'" * 20_000,
    "10,000 NOT": lambda: "SELECT " + "NOT " * 10_000 + "TRUE",
    "10,000 minus signs": lambda: "SELECT " + "- " * 10_000 + "1",
    "201 arms of UNION": lambda: " UNION ALL ".join(["SELECT 1"] * 201),
    "DELETE with 20,000 terms": lambda: (
        "DELETE FROM t WHERE " + " OR ".join(f"id = {n}" for n in range(20_000))
    ),
    "UPDATE with 5,000 + 1": lambda: "UPDATE t SET id = id" + " + 1" * 5_000,
    "a DEFAULT with 5,000 + 1": lambda: (
        "CREATE TABLE u (id BIGINT PRIMARY KEY DEFAULT 1" + " + 1" * 5_000 + ")"
    ),
    "RETURNING with 5,000 + 1": lambda: "DELETE FROM t RETURNING id" + " + 1" * 5_000,
    "a view with 20,000 terms": lambda: "CREATE VIEW v AS SELECT 1" + " + 1" * 20_000,
    "an INSERT of 17 MB": lambda: (
        "INSERT INTO t VALUES " + ", ".join(f"({n}, 'xxxxxxxxxx')" for n in range(10, 700_000))
    ),
}


@pytest.fixture
def table(db):
    db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute("INSERT INTO t VALUES (1, 'kept')")
    return db


@pytest.mark.parametrize("text", TOO_LARGE)
def test_a_statement_beyond_a_limit_is_refused_and_writes_nothing(table, text):
    sql = TOO_LARGE[text]()
    started = time.monotonic()
    with pytest.raises(StatementTooLarge):
        table.execute(sql)

    assert time.monotonic() - started < DEADLINE_S
    assert table.execute("SELECT * FROM t").fetchall() == [(1, "kept")]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('a', 2000000000)",
        "SELECT length(repeat(body, 2000000000)) FROM t",
        "SELECT lpad('a', 2000000000, 'b')",
        "SELECT rpad('a', 2000000000)",
        "SELECT array_repeat(1, 500000000)",
        "SELECT count(*) FROM generate_series(1, 1000001)",
        "SELECT count(*) FROM range(0, 100000000000)",
        "SELECT generate_series(1, 100000000000)",
        "SELECT range(1, 100000000000)",
        "UPDATE t SET body = repeat('a', 2000000000)",
        "INSERT INTO t VALUES (2, repeat('a', 2000000000))",
        "DELETE FROM t RETURNING repeat('a', 2000000000)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM generate_series(1, 100000) a CROSS JOIN generate_series(1, 100000) b",
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a.value < b.value",
    ],
)
def test_a_statement_that_would_take_everything_is_an_error_in_time(tmp_path, sql):
    with kalamdb.open(tmp_path / "data", statement_timeout_s=5) as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO t VALUES (1, 'kept')")
        started = time.monotonic()
        with pytest.raises(Error):
            db.execute(sql)

        assert time.monotonic() - started < DEADLINE_S
        assert db.execute("SELECT * FROM t").fetchall() == [(1, "kept")]


def test_what_is_just_within_the_limits_is_answered(table):
    assert table.execute("SELECT " + "(" * 95 + "1" + ")" * 95).fetchall() == [(1,)]
    assert table.execute("SELECT 1" + " + 1" * 500).fetchall() == [(501,)]
    assert table.execute("SELECT 1 WHERE " + " OR ".join(f"1 = {n}" for n in range(480))).fetchall() == [(1,)]
    assert table.execute(" UNION ALL ".join(["SELECT 1"] * 100)).rowcount == 100
    table.execute("UPDATE t SET id = id" + " + 1" * 900)
    assert table.execute("SELECT id FROM t").fetchall() == [(901,)]


def test_an_insert_of_literal_rows_may_be_large(table):
    rows = ", ".join(f"({n}, 'xxxxxxxxxx')" for n in range(10, 60_010))
    assert len(rows) > 1_000_000

    assert table.execute(f"INSERT INTO t VALUES {rows}").rowcount == 60_000
    assert table.execute("SELECT count(*) FROM t").fetchall() == [(60_001,)]


def test_a_row_beyond_16_mb_is_refused(table):
    with pytest.raises(Error, match="16"):
        table.execute("INSERT INTO t VALUES (2, ?)", ["x" * 17_000_000])
    assert table.execute("SELECT count(*) FROM t").fetchall() == [(1,)]


def test_a_table_has_a_thousand_columns_at_most(db):
    columns = ", ".join(f"c{n} INT" for n in range(999))
    db.execute(f"CREATE TABLE wide (id BIGINT PRIMARY KEY, {columns})")
    db.execute("INSERT INTO wide (id, c998) VALUES (1, 7)")
    assert db.execute("SELECT c998, c0 FROM wide").fetchall() == [(7, None)]
    with pytest.raises(Error, match="1000"):
        db.execute("ALTER TABLE wide ADD COLUMN one_more INT")
    with pytest.raises(Error, match="1000"):
        db.execute(f"CREATE TABLE wider (id BIGINT PRIMARY KEY, {columns}, one_more INT)")


def test_an_array_that_is_nested_too_deeply_for_a_result_is_refused(table):
    assert table.execute("SELECT " + "[" * 20 + "1" + "]" * 20).rowcount == 1
    with pytest.raises(StatementTooLarge, match="array"):
        table.execute("SELECT " + "[" * 90 + "1" + "]" * 90)


def test_a_text_that_grows_is_answered_or_refused_on_any_thread(seed):
    figures = growing_shapes.prove(seed, 6)
    assert figures.tried == 6 * len(growing_shapes.SIZES)
    assert not figures.wrong, figures.findings
