"""Which SELECTs the recogniser takes for simple, and what it makes of them."""

import pytest

from kalamcore.select_plan import GIVEN, LITERAL, PARAMETER
from kalamdb.sql.parser import StatementCache, scan_statement
from kalamdb.sql.query import (
    AggregateItem,
    AllColumns,
    Call,
    Column,
    ColumnItem,
    Combined,
    Comparison,
    ConstantItem,
    ConstantSelect,
    InList,
    IsNull,
    Minus,
    Negated,
    Operation,
    Ordering,
    Prefix,
    SimpleQuery,
    SimpleSelect,
    Value,
)
from kalamdb.sql.simple_select import recognise


def read(sql: str) -> SimpleSelect:
    found = recognise(scan_statement(sql), sql)
    assert isinstance(found, SimpleSelect), sql
    return found


def name(column: str) -> Column:
    return Column(None, column)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a + 1 FROM t",
        "SELECT DISTINCT a FROM t",
        "SELECT a b FROM t",
        "SELECT a AS 'b' FROM t",
        "SELECT lower(a) FROM t",
        "SELECT count(DISTINCT a) FROM t",
        "SELECT count(*), a FROM t",
        "SELECT sum(a) FROM t",
        "SELECT t.* FROM t",
        "SELECT * EXCLUDE a FROM t",
        "SELECT a::TEXT FROM t",
        "SELECT session_user FROM t",
        "SELECT current_timestamp FROM t",
        "SELECT 1 two",
        "SELECT 1 = 1",
        "SELECT 1 WHERE TRUE",
        "SELECT lower('A')",
        "SELECT now",
        "SELECT * FROM a.b.t",
        "SELECT * FROM t, u",
        "SELECT * FROM t JOIN u ON t.a = u.a",
        "SELECT * FROM t CROSS JOIN u",
        "SELECT * FROM (SELECT * FROM t)",
        "SELECT * FROM generate_series(1, 2)",
        "SELECT * FROM t WHERE a",
        "SELECT * FROM t WHERE a = b",
        "SELECT * FROM t WHERE 1 = 1",
        "SELECT * FROM t WHERE a = 1 + 1",
        "SELECT * FROM t WHERE a = -?",
        "SELECT * FROM t WHERE a = now()",
        "SELECT * FROM t WHERE a = TIMESTAMP '2026-01-01'",
        "SELECT * FROM t WHERE a = 'x' 'y'",
        "SELECT * FROM t WHERE (a) = 1",
        "SELECT * FROM t WHERE (a, b) = (1, 2)",
        "SELECT * FROM t WHERE a = 1 = TRUE",
        "SELECT * FROM t WHERE a IN (SELECT 1)",
        "SELECT * FROM t WHERE a IN ()",
        "SELECT * FROM t WHERE a LIKE 'x%' ESCAPE '!'",
        "SELECT * FROM t WHERE a ILIKE 'x%'",
        "SELECT * FROM t WHERE a IS TRUE",
        "SELECT * FROM t WHERE a IS DISTINCT FROM 1",
        "SELECT * FROM t WHERE a -> 'b' = 1",
        "SELECT * FROM t WHERE EXISTS (SELECT 1)",
        "SELECT * FROM t GROUP BY a",
        "SELECT count(*) FROM t GROUP BY a",
        "SELECT count(*) FROM t ORDER BY 1",
        "SELECT * FROM t ORDER BY a, b",
        "SELECT * FROM t ORDER BY a + 1",
        "SELECT * FROM t ORDER BY lower(a)",
        "SELECT * FROM t LIMIT 1 + 1",
        "SELECT * FROM t LIMIT ALL",
        "SELECT * FROM t LIMIT NULL",
        "SELECT * FROM t OFFSET 1 ROWS",
        "SELECT * FROM t LIMIT 1 LIMIT 2",
        "SELECT * FROM t UNION SELECT * FROM t",
        "SELECT * FROM t WHERE a = $2",
        "SELECT a INTO u FROM t",
        "WITH t AS (SELECT 1) SELECT * FROM t",
        "VALUES (1)",
    ],
)
def test_what_is_more_than_one_plain_select_is_not_simple(sql: str) -> None:
    assert recognise(scan_statement(sql), sql) is None


def test_a_look_up_by_key_is_simple() -> None:
    found = read("SELECT * FROM app.t WHERE id = ?")
    assert (found.namespace, found.table, found.alias, found.parameters) == ("app", "t", None, 1)
    assert found.items == (AllColumns(),)
    assert found.where == Comparison(name("id"), "=", Value(PARAMETER, 0, False))
    assert not found.literals


def test_the_last_rows_of_a_partition_are_simple() -> None:
    found = read('SELECT id, t.body AS "What" FROM t WHERE c = 5 ORDER BY made DESC LIMIT 50 OFFSET $1')
    assert found.items == (ColumnItem(name("id"), None), ColumnItem(Column("t", "body"), "What"))
    assert found.ordering == Ordering(name("made"), True, True)
    assert (found.limit, found.offset) == (Value(LITERAL, 1, False), Value(PARAMETER, 0, False))


def test_order_says_where_nulls_go() -> None:
    assert read("SELECT a FROM t ORDER BY a").ordering == Ordering(name("a"), False, False)
    assert read("SELECT a FROM t ORDER BY a DESC NULLS LAST").ordering == Ordering(name("a"), True, False)
    assert read("SELECT a FROM t ORDER BY 1 ASC NULLS FIRST").ordering == Ordering(1, False, True)


def test_predicates_are_trees() -> None:
    found = read(
        "SELECT a FROM t WHERE (a = 1 OR 2 < b) AND NOT c IS NULL AND d BETWEEN -1 AND ?"
        " AND e NOT IN ('x', NULL, TRUE)"
        " AND f LIKE 'y%'"
    )
    assert found.where == Combined(
        "and",
        (
            Combined(
                "or",
                (
                    Comparison(name("a"), "=", Value(LITERAL, 0, False)),
                    Comparison(name("b"), ">", Value(LITERAL, 1, False)),
                ),
            ),
            Negated(IsNull(name("c"), False)),
            Comparison(name("d"), ">=", Value(LITERAL, 2, True)),
            Comparison(name("d"), "<=", Value(PARAMETER, 0, False)),
            Negated(
                InList(
                    name("e"),
                    (Value(LITERAL, 3, False), Value(GIVEN, None, False), Value(GIVEN, True, False)),
                )
            ),
            Prefix(name("f"), Value(LITERAL, 4, False)),
        ),
    )


def test_aggregates_are_named_as_they_are_written() -> None:
    assert read("SELECT Count(*), MIN( a ) AS least FROM t").items == (
        AggregateItem("count", None, "count(*)", True),
        AggregateItem("min", name("a"), "least", False),
    )


def test_values_without_a_from_are_trees_of_their_text() -> None:
    sql = "SELECT 1 - -2 * ? AS x, NOW ( ), 'it''s' || $2"
    found = recognise(scan_statement(sql.replace("?", "$1")), sql.replace("?", "$1"))
    assert isinstance(found, ConstantSelect)
    assert (found.parameters, found.literals) == (2, True)
    product = Operation("*", Minus(Value(GIVEN, 2, False)), Value(PARAMETER, 0, False))
    text = Operation("||", Value(GIVEN, "it's", False), Value(PARAMETER, 1, False))
    assert found.items == (
        ConstantItem(Operation("-", Value(GIVEN, 1, False), product), "x"),
        ConstantItem(Call("now"), "now"),
        ConstantItem(text, "'it''s' || $2"),
    )
    assert found.stands_for(found.text)
    assert not found.stands_for(found.text.lower())


def test_texts_of_one_shape_share_a_tree() -> None:
    cache = StatementCache()

    def simple(sql: str) -> SimpleQuery | None:
        return cache.simple(scan_statement(sql), sql)

    first = simple("SELECT a FROM t WHERE b = 1")
    assert first is not None
    assert simple("select a\nfrom t where b = 2 -- again") is first
    assert simple("SELECT a FROM t WHERE b = 'x'") is not first


def test_texts_whose_columns_are_called_otherwise_do_not_share_a_tree() -> None:
    cache = StatementCache()
    for written in ("count(*)", "count( *)", "COUNT(*)", "count(*)"):
        sql = f"SELECT {written} FROM t WHERE a = 1"
        found = cache.simple(scan_statement(sql), sql)
        assert found is not None
        assert found.items == (AggregateItem("count", None, written.lower(), True),)


def test_a_text_without_literals_is_found_by_itself() -> None:
    cache = StatementCache()
    sql = "SELECT a FROM t WHERE b = ?"
    assert cache.simple_of_text(sql) is None
    found = cache.simple(scan_statement(sql), sql)
    assert cache.simple_of_text(sql) is found is not None
    literal = "SELECT a FROM t WHERE b = 1"
    cache.simple(scan_statement(literal), literal)
    assert cache.simple_of_text(literal) is None
