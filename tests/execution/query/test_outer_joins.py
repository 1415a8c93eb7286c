"""Outer joins, unions and what is counted, where DataFusion by itself answers wrongly."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import NotSupportedError


@pytest.fixture(scope="module")
def db() -> Iterator[kalamdb.Database]:
    """Two tables with columns of the same names, and one of more rows than a batch has."""
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE p (id BIGINT PRIMARY KEY, a BIGINT, s TEXT)")
        db.execute("CREATE TABLE q (id BIGINT PRIMARY KEY, a BIGINT, s TEXT, at TIME, u UUID, j JSON)")
        db.execute("CREATE TABLE many (id BIGINT PRIMARY KEY, a BIGINT)")
        db.execute("INSERT INTO p VALUES (1, 1, 'x'), (2, 2, 'y'), (3, NULL, 'z'), (4, 9, NULL)")
        db.executemany(
            "INSERT INTO q VALUES (?, ?, ?, ?, ?, '{}')",
            [
                (key, a, s, datetime.time(key), uuid.UUID(int=key))
                for key, a, s in [(1, 1, "b"), (2, 2, "y"), (5, 2, "b"), (6, None, "x"), (7, 3, None)]
            ],
        )
        db.insert("many", pa.table({"id": range(20_000), "a": [key % 2 for key in range(20_000)]}))
        yield db


def ask(db: kalamdb.Database, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    return db.execute(sql, parameters).fetchall()


def test_a_filter_over_a_right_join_tells_columns_of_one_name_apart(db):
    found = ask(
        db, "SELECT q.id FROM p RIGHT JOIN q ON p.a = q.a WHERE p.a IS DISTINCT FROM q.a AND q.id < 100"
    )

    assert sorted(found) == [(7,)]


def test_a_filter_over_a_full_join_does_so_too(db):
    found = ask(db, "SELECT p.id, q.id FROM p FULL JOIN q ON p.a = q.a WHERE q.s IS NOT NULL AND p.s IS NULL")

    assert found == [(None, 6)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM p RIGHT JOIN q ON p.a = q.a RIGHT JOIN many ON many.a = q.a",
        "SELECT count(*) FROM p JOIN q w ON w.a = p.a RIGHT OUTER JOIN many ON many.a = w.a",
        "SELECT count(*) FROM p, (q RIGHT JOIN many ON many.a = q.a) WHERE p.id = 1",
        "WITH r AS (SELECT many.id FROM q RIGHT JOIN many ON many.a = q.a AND q.s = 'b') SELECT count(*) FROM r",
    ],
)
def test_a_right_join_may_stand_anywhere(db, sql):
    assert ask(db, sql) == [(20_000,)]


def test_star_over_a_right_join_keeps_the_order_of_the_columns(db):
    answer = db.execute(
        "SELECT * FROM p AS x RIGHT JOIN (SELECT id AS k, a FROM q) y ON x.a = y.a WHERE y.k = 7"
    )

    assert answer.columns == ("id", "a", "s", "k", "a")
    assert answer.fetchall() == [(None, None, None, 7, 3)]
    assert db.execute("SELECT *, 1 FROM p RIGHT JOIN q ON p.a = q.a LIMIT 1").columns[-1] == "1"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM p RIGHT JOIN (SELECT id AS k FROM q) ON p.id = k", "a name for each subquery"),
        ("SELECT p.id FROM p RIGHT JOIN q JOIN many ON q.id = many.id ON p.id = q.id", "around another join"),
        ("SELECT * EXCLUDE (s) FROM p RIGHT JOIN q ON p.id = q.id", "name the columns"),
    ],
)
def test_what_cannot_be_turned_round_is_refused(db, sql, said):
    with pytest.raises(NotSupportedError, match=said):
        ask(db, sql)


@pytest.mark.parametrize(
    "on", ["{} AND q.s = 'b'", "{} AND 'b' = q.s", "({} AND q.s = ?)", "(({}) AND (q.s = 'b' AND q.id > 0))"]
)
def test_groups_of_an_optional_column_that_a_condition_fixed_come_once(db, on):
    found = ask(
        db,
        f"SELECT q.s, count(*) FROM many LEFT JOIN q ON {on.format('many.a = q.a')} GROUP BY q.s",
        ("b",) if "?" in on else (),
    )

    assert sorted(found, key=str) == [("b", 10_000), (None, 10_000)]


def test_such_a_column_orders_rows(db):
    found = ask(
        db,
        "SELECT p.id, q.s FROM p LEFT JOIN q ON p.a = q.a AND q.s = 'b' ORDER BY q.s NULLS FIRST, p.id DESC",
    )

    assert found == [(4, None), (3, None), (2, "b"), (1, "b")]


def test_a_parameter_that_is_null_equals_nothing(db):
    assert ask(db, "SELECT count(q.id) FROM p LEFT JOIN q ON p.a = q.a AND q.s = ?", (None,)) == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT p.id FROM p LEFT JOIN (SELECT a, 1 AS k FROM q) t ON p.a = t.a ORDER BY t.k, p.id",
        "SELECT p.id, t.k AS x FROM p FULL JOIN (SELECT max(a) AS k FROM q) t ON p.a = t.k ORDER BY x, p.id",
        "SELECT row_number() OVER (PARTITION BY t.k ORDER BY p.id) "
        "FROM p LEFT JOIN (SELECT a, 1 AS k FROM q) t ON p.a = t.a",
        "SELECT 'B' AS x, s FROM p UNION ALL SELECT 'A', s FROM q ORDER BY x, s LIMIT 3",
    ],
)
def test_to_order_by_what_only_seems_the_same_in_all_rows_is_refused(db, sql):
    with pytest.raises(NotSupportedError, match="have a column decide what it is"):
        ask(db, sql)


def test_to_order_by_something_else_is_not(db):
    found = ask(
        db, "SELECT p.id, t.k FROM p LEFT JOIN (SELECT a, 1 AS k FROM q) t ON p.a = t.a ORDER BY p.id"
    )

    assert found == [(1, 1), (2, 1), (2, 1), (3, None), (4, None)]
    assert ask(db, "SELECT 'B' AS x, s FROM p UNION ALL SELECT 'A', 'c' ORDER BY s NULLS FIRST LIMIT 2") == [
        ("B", None),
        ("A", "c"),
    ]


def test_arms_of_a_union_with_one_value_each_are_ordered_without_a_limit(db):
    assert ask(db, "SELECT 2 AS x UNION ALL SELECT 1 UNION ALL SELECT 3 FROM p WHERE id = 1 ORDER BY x") == [
        (1,),
        (2,),
        (3,),
    ]
    assert ask(db, "SELECT 2 AS x UNION SELECT 1 ORDER BY x DESC LIMIT 1") == [(2,)]


def test_a_join_whose_condition_is_never_true_is_refused_over_an_aggregate(db):
    with pytest.raises(NotSupportedError, match="a join with a condition that is never true"):
        ask(db, "SELECT x.n FROM (SELECT count(*) AS n FROM p) x CROSS JOIN q WHERE NULL AND q.a > 1")


def test_groups_over_a_join_with_groups_are_ordered_by_every_key(db):
    found = ask(
        db,
        "SELECT x.a, q.id, count(*) FROM (SELECT DISTINCT a FROM many) x CROSS JOIN q GROUP BY x.a, q.id "
        "ORDER BY x.a, q.id DESC",
    )

    assert [key for _, key, _ in found] == [7, 6, 5, 2, 1] * 2


def test_an_expression_may_stand_twice_in_group_by(db):
    assert ask(db, "SELECT a, a, count(*) FROM many GROUP BY a, a ORDER BY a") == [
        (0, 0, 10_000),
        (1, 1, 10_000),
    ]
    with pytest.raises(NotSupportedError, match="write it once"):
        ask(db, "SELECT a, count(*) FROM many GROUP BY 1, a")


def test_rows_are_not_lost_to_columns_of_one_name(db):
    """A filter that one join pushes into another by the names of its columns."""
    found = ask(
        db,
        "SELECT many.id, sum(p.a) OVER (PARTITION BY p.s ORDER BY many.id), cume_dist() OVER (ORDER BY many.a) "
        "FROM many CROSS JOIN p WHERE many.a IN (SELECT a FROM q) AND many.id < 10",
    )

    assert len(found) == 20


@pytest.mark.parametrize("time", ["TIME '02:00:00'", "CAST('02:00:00' AS TIME)", "'02:00:00'::TIME"])
def test_times_are_compared_with_columns(db, time):
    assert ask(db, f"SELECT id FROM q WHERE at <= {time} AND a + 1 > 0 ORDER BY id") == [(1,), (2,)]
    assert ask(db, f"SELECT {time}") == [(datetime.time(2),)]


def test_a_window_ordered_by_one_time_is_refused_and_another_way_is_told(db):
    with pytest.raises(NotSupportedError, match="give it ROWS, or order it by"):
        ask(db, "SELECT sum(a) OVER (ORDER BY at) FROM q")
    assert ask(db, "SELECT sum(a) OVER (ORDER BY CAST(at AS TEXT)) FROM q")[-1] == (8,)


def test_ranks_are_integers_beside_others(db):
    answer = db.execute(
        "SELECT COALESCE(row_number() OVER (ORDER BY id), a), rank() OVER w, ntile(2) OVER (ORDER BY id), "
        "approx_distinct(a) FILTER (WHERE a > 0) OVER () FROM p WINDOW w AS (ORDER BY id) ORDER BY 1 LIMIT 1"
    )

    assert [str(one[1]) for one in answer.description] == ["BIGINT"] * 4
    assert answer.fetchall() == [(1, 1, 1, 3)]


def test_a_cast_to_text_is_text(db):
    answer = db.execute(
        "SELECT u, CAST(u AS TEXT), u::TEXT, upper(j::VARCHAR), CAST(id AS STRING) FROM q WHERE id = 1"
    )

    key = uuid.UUID(int=1)
    assert [str(one[1]) for one in answer.description] == ["UUID", "TEXT", "TEXT", "TEXT", "TEXT"]
    assert answer.fetchall() == [(key, str(key), str(key), "{}", "1")]
