"""`x IN (…)` in words that DataFusion answers rightly, beside SQLite; and what is refused for want of any."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest

import kalamdb
from kalamcore import statements
from kalamdb.errors import NotSupportedError, StatementTooLarge, UndefinedColumn
from kalamdb.execution.query import memberships
from kalamdb.execution.query.memberships import with_sound_memberships
from kalamdb.execution.query.tokens import Tokens

ROWS = {
    "t": [(1, "a", "b"), (2, None, "x"), (3, "x", None), (4, None, None), (5, "c", "c"), (6, "x", "x")],
    "u": [(1, "a"), (2, None), (3, "c"), (9, "z"), (10, None), (11, "a")],
    "w": [(1, "a"), (3, "c")],
    "empty": [],
}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[kalamdb.Database, sqlite3.Connection]]:
    """Tables with NULL in them, here and in SQLite."""
    with kalamdb.open(":memory:") as ours, sqlite3.connect(":memory:") as theirs:
        for table, rows in ROWS.items():
            columns = (
                "(id BIGINT PRIMARY KEY, s TEXT, t TEXT)"
                if table == "t"
                else "(id BIGINT PRIMARY KEY, s TEXT)"
            )
            for connection in (ours, theirs):
                connection.execute(f"CREATE TABLE {table} {columns}")
                connection.executemany(
                    f"INSERT INTO {table} VALUES (?, ?{', ?' if table == 't' else ''})", rows
                )
        yield ours, theirs


@pytest.mark.parametrize(
    "condition",
    [
        "s NOT IN (s, s) OR s NOT IN (t, 'x')",
        "s IN (s, s) AND s IN (t, 'x')",
        "s NOT IN (s, 'q') OR s NOT IN ('x')",
        "lower(s) NOT IN (s, 'q') OR lower(s) NOT IN ('x', t)",
        "s NOT IN (t, 'x') IS NULL",
        "NOT s IN (t, 'x')",
        "(s IN (t, 'x')) NOT IN (t IS NULL, FALSE)",
        "CASE WHEN s IN (t, 'x') THEN 1 ELSE 2 END IN (id, 2)",
        "id IN (id, 1) AND id NOT IN (id + 1, 3) AND id IN (-1, 2 + 0, 4)",
        "s || '' IN (t, 'x', NULL) OR s || '' IN (s, 'y')",
    ],
)
def test_lists_of_more_than_literals(both, condition):
    _same(both, condition)


@pytest.mark.parametrize(
    "rows",
    [
        "SELECT s FROM u",
        "SELECT s FROM w",
        "SELECT s FROM empty",
        "SELECT s FROM (SELECT s FROM w UNION ALL SELECT t FROM t) AS q",
    ],
)
@pytest.mark.parametrize(
    "condition",
    [
        "{} OR id = 2",
        "NOT {} OR id = 2",
        "id = 2 OR (id < 9 AND NOT {})",
        "NOT ({} OR id = 2)",
        "NOT ({} AND id > 0)",
        "NOT (id = 2 OR (id > 0 AND {}))",
        "({}) IS NULL",
        "({}) IS NOT TRUE",
        "({}) = (id > 2)",
        "CASE WHEN {} THEN id > 1 ELSE id > 3 END",
        "CASE WHEN id > 0 AND NOT {} THEN TRUE ELSE FALSE END",
        "NOT {} AND (id > 1 OR s IN (t, 'x'))",
        "id IN (1, 2, id) AND ({} OR NOT {})",
    ],
)
@pytest.mark.parametrize("word", ["IN", "NOT IN"])
def test_a_subquery_with_null_among_other_conditions(both, rows, condition, word):
    _same(both, condition.format(*[f"s {word} ({rows})"] * 2))


def test_one_not_in_the_other(both):
    _same(both, "s NOT IN (SELECT s FROM u WHERE id NOT IN (SELECT id FROM w) OR s = 'a') OR id = 5")


def test_parameters_and_having(both):
    ours, theirs = both
    query = "SELECT s, count(*) FROM t GROUP BY s HAVING s IN (max(t), ?) AND s IN (min(s), ?) OR count(*) IN (?, 7)"

    assert Counter(ours.execute(query, ["x", "c", 3]).fetchall()) == Counter(
        theirs.execute(query, ["x", "c", 3])
    )


@pytest.mark.parametrize(
    ("condition", "written"),
    [
        ("a IN (1, ?, -2, 'x', DATE '2026-01-01', NULL)", None),
        ("a IN (SELECT b FROM u) OR c", None),
        ("a NOT IN (SELECT b FROM u) AND c", None),
        ("NOT a IN (SELECT b FROM u)", None),
        ("position(a IN (b)) = 1", None),
        ("(a, b) IN ((c, 1))", None),
        pytest.param(f"a IN (1{', b' * 101})", None, id="too many to be compared"),
        ("anew() IN (b, 1)", None),
        ("a IS NOT NULL IN (b, TRUE)", None),
        ("a LIKE b IN (c, d)", None),
        ("a BETWEEN 1 AND b IN (c, d)", None),
        ("a = b IN (c, TRUE)", "( ( a = b ) in ( true ) or ( a = b ) = ( c ) )"),
        ("a.b::text NOT IN (c)", "( not ( ( a.b::text ) = ( c ) ) )"),
        ("NOT a || b IN (c, 'x')", "not ( ( a || b ) in ( 'x' ) or ( a || b ) = ( c ) )"),
    ],
)
def test_what_is_written_otherwise(condition, written):
    sql = f"SELECT * FROM t WHERE {condition}"
    tokens = Tokens(statements.scan(sql)).read(sql)
    plain = tokens.print()
    found, _ = with_sound_memberships(tokens, sql, lambda name: name == "anew")

    assert found.print() == (plain if written is None else f"select * from t where {written}")


def test_an_error_is_shown_where_it_stands_in_what_was_written(both):
    sql = "SELECT id FROM t WHERE s IN (t, 'x') OR s IN (nowhere, 'x')"
    with pytest.raises(UndefinedColumn) as raised:
        both[0].execute(sql)

    assert raised.value.position == sql.index("nowhere")


def test_subqueries_that_come_to_too_much_are_refused(both, monkeypatch):
    monkeypatch.setattr(memberships, "TOKENS_MAX", 200)
    condition = "s = 'a'"
    for _ in range(4):
        condition = f"s NOT IN (SELECT s FROM u WHERE {condition}) OR id = 1"
    with pytest.raises(StatementTooLarge, match="NOT EXISTS"):
        both[0].execute(f"SELECT id FROM t WHERE {condition}")


def test_a_subquery_of_not_in_that_names_columns_around_it_is_refused_with_the_remedy(both):
    ours, _ = both
    with pytest.raises(NotSupportedError, match="use NOT EXISTS"):
        ours.execute("SELECT id FROM t WHERE s NOT IN (SELECT s FROM u WHERE u.id = t.id)")
    with pytest.raises(NotSupportedError, match="use NOT EXISTS"):
        ours.execute("SELECT id FROM t WHERE s NOT IN (SELECT s FROM u WHERE u.s = t.s) AND id < 9")
    with pytest.raises(NotSupportedError, match="use NOT EXISTS"):
        ours.execute("SELECT id FROM t WHERE NOT (id = 9 OR s IN (SELECT s FROM u WHERE u.id = t.id))")
    with pytest.raises(NotSupportedError, match="use NOT EXISTS"):
        ours.execute("SELECT id FROM t WHERE NOT (s IN (SELECT s FROM u WHERE u.s = t.s))")
    with pytest.raises(UndefinedColumn, match="use NOT EXISTS"):
        ours.execute("SELECT id FROM t AS o WHERE s NOT IN (SELECT s FROM u WHERE s = t) OR id = 9")
    _same(both, "s IN (SELECT s FROM u WHERE u.id = t.id) OR id = 9")
    with pytest.raises(NotSupportedError, match="IN with a subquery is not supported in this place"):
        ours.execute("SELECT s IN (SELECT s FROM u) FROM t")
    _same(both, "NOT EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.s = t.s) OR id = 9")


@pytest.mark.parametrize("word", ["INTERSECT", "EXCEPT"])
def test_what_counts_equal_rows_is_refused(both, word):
    ours, _ = both
    with pytest.raises(NotSupportedError, match=f"{word} ALL is not supported; use {word}"):
        ours.execute(f"SELECT s FROM t {word} ALL SELECT s FROM u")
    with pytest.raises(NotSupportedError, match=f"{word} ALL"):
        ours.execute(f"SELECT * FROM (SELECT s FROM t {word} ALL SELECT s FROM u) AS q")

    assert ours.execute(f"SELECT s FROM t {word} SELECT s FROM u UNION ALL SELECT s FROM w").fetchall()


@pytest.mark.parametrize(
    "join",
    [
        "RIGHT JOIN u USING (id)",
        "FULL OUTER JOIN u USING (id)",
        "NATURAL RIGHT JOIN u",
        "NATURAL FULL OUTER JOIN u",
        "JOIN w ON t.id = w.id RIGHT OUTER JOIN (SELECT * FROM u) AS q USING (id)",
        "RIGHT JOIN u JOIN w ON u.id = w.id USING (id)",
    ],
)
def test_a_join_by_name_that_keeps_rows_of_the_right_is_refused(both, join):
    with pytest.raises(NotSupportedError, match="use ON, and COALESCE"):
        both[0].execute(f"SELECT * FROM t {join}")


@pytest.mark.parametrize(
    "join",
    [
        "LEFT JOIN u USING (id)",
        "JOIN u USING (id) RIGHT JOIN w ON w.id = u.id",
        "RIGHT JOIN u ON t.id = u.id LEFT JOIN (SELECT t.id AS other FROM t JOIN w USING (id)) AS q ON TRUE",
    ],
)
def test_other_joins_by_name_are_not(both, join):
    ours, theirs = both
    query = f"SELECT count(*) FROM t {join}"

    assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()


def _same(both: tuple[kalamdb.Database, sqlite3.Connection], condition: str) -> None:
    ours, theirs = both
    query = f"SELECT id FROM t WHERE {condition} ORDER BY id"

    assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()
