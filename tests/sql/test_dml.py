"""Statements that change rows."""

import pytest

from kalamdb.errors import DuplicateObject, InvalidDefinition, InvalidSyntax
from kalamdb.sql.dml import (
    Assignment,
    Condition,
    DefaultValue,
    DefaultValues,
    Delete,
    LiteralRows,
    OnConflict,
    QuerySource,
    SelectItem,
    Star,
    Update,
    ValuesRows,
)
from kalamdb.sql.expressions import Binary, ColumnReference, FunctionCall, Lifted, Opaque, Parameter, walk
from kalamdb.sql.names import TableName


def test_rows_of_literals_are_left_to_the_scanner(read_all):
    parsed = read_all("INSERT INTO app.t (a, b) VALUES (1, 'x'), (-2, NULL)")

    assert parsed.statement.table == TableName("t", "app")
    assert parsed.statement.columns == ("a", "b")
    assert parsed.statement.source == LiteralRows()
    assert parsed.rows == [(1, "x"), (-2, None)]


def test_a_long_insert_is_read_from_its_shape(read_all):
    rows = ", ".join(f"({n}, 'x')" for n in range(5000))
    parsed = read_all(f"INSERT INTO t (a, b) VALUES {rows} ON CONFLICT (a) DO UPDATE SET b = 'new'")

    assert parsed.statement.source == LiteralRows()
    assert len(parsed.rows) == 5000
    assert parsed.statement.on_conflict.assignments == (Assignment("b", Lifted(0)),)
    assert list(parsed.literals) == ["new"]


def test_other_rows_are_expressions(read_all):
    parsed = read_all("INSERT INTO t VALUES (?, now(), DEFAULT, 5)")

    assert parsed.statement.columns is None
    assert parsed.statement.source == ValuesRows(
        ((Parameter(0), FunctionCall("now"), DefaultValue(), Lifted(0)),)
    )
    assert list(parsed.literals) == [5]


def test_default_values(read):
    assert read("INSERT INTO t DEFAULT VALUES").source == DefaultValues()


@pytest.mark.parametrize("query", ["SELECT a FROM b", "WITH x AS (SELECT 1) SELECT * FROM x", "(SELECT 1)"])
def test_a_query_is_a_source(read, query):
    assert read(f"INSERT INTO t (a) {query}").source == QuerySource(query)


def test_a_query_ends_where_the_insert_goes_on(read):
    insert = read("INSERT INTO t SELECT a FROM b JOIN c ON b.x = c.x ON CONFLICT DO NOTHING RETURNING a")

    assert insert.source == QuerySource("SELECT a FROM b JOIN c ON b.x = c.x")
    assert insert.on_conflict == OnConflict(None, None)
    assert insert.returning == (SelectItem(ColumnReference("a"), None, "a"),)


def test_question_marks_in_a_query_keep_their_count(read):
    insert = read("INSERT INTO t SELECT ?, '?' FROM b WHERE c = ? ON CONFLICT (a) DO UPDATE SET b = ?")

    assert insert.source == QuerySource("SELECT $1, '?' FROM b WHERE c = $2")
    assert insert.on_conflict.assignments == (Assignment("b", Parameter(2)),)


def test_on_conflict_updates(read):
    conflict = read(
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) "
        "DO UPDATE SET b = excluded.b, c = DEFAULT WHERE t.d > excluded.d"
    ).on_conflict

    assert conflict.key == "a"
    assert conflict.assignments == (
        Assignment("b", ColumnReference("b", "excluded")),
        Assignment("c", DefaultValue()),
    )
    assert conflict.where == Condition(
        Binary(">", ColumnReference("d", "t"), ColumnReference("d", "excluded"))
    )


def test_returning(read):
    returning = read("DELETE FROM t RETURNING *, a, b AS x, c + 1 y, (d)").returning

    assert [(item.alias, item.sql) for item in returning] == [
        (None, "*"),
        (None, "a"),
        ("x", "b"),
        ("y", "c + 1"),
        (None, "(d)"),
    ]
    assert returning[0].expression == Star()


def test_update(read):
    assert read("UPDATE app.t AS x SET a = x.a, b = DEFAULT WHERE c") == Update(
        TableName("t", "app"),
        "x",
        (Assignment("a", ColumnReference("a", "x")), Assignment("b", DefaultValue())),
        Condition(ColumnReference("c")),
    )


def test_delete(read):
    assert read("DELETE FROM t") == Delete(TableName("t"), None)
    assert read("DELETE FROM t x WHERE x.a IS NULL").alias == "x"


def test_what_only_datafusion_reads_keeps_its_text(read):
    update = read("UPDATE t SET a = 1 WHERE sum(b) OVER (ORDER BY c) > ? RETURNING d")

    assert update.where.expression is None
    assert update.where.text() == "sum(b) OVER (ORDER BY c) > $1"
    assert update.returning is not None


@pytest.mark.parametrize(
    "condition",
    [
        "id IN (SELECT x FROM y WHERE z = ?)",
        "EXISTS (SELECT 1)",
        "a = (SELECT max(b) FROM c)",
        "a = ANY (SELECT 1)",
    ],
)
def test_subqueries_are_opaque(read, condition):
    where = read(f"DELETE FROM t WHERE a AND {condition}").where

    assert any(isinstance(node, Opaque) for node in walk(where.expression))
    assert where.text() == f"a AND {condition}".replace("?", "$1")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO t (a, A) VALUES (1, 2)", DuplicateObject),
        ("UPDATE t SET a = 1, a = 2", DuplicateObject),
        ("INSERT INTO t VALUES (now(), 1), (now())", InvalidSyntax),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", InvalidSyntax),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a, b) DO NOTHING", InvalidDefinition),
    ],
)
def test_statements_that_contradict_themselves(read, sql, error):
    with pytest.raises(error):
        read(sql)
