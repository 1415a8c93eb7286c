"""Syntax errors name what stands where, and what to write instead."""

import pytest

from kalamdb.errors import InvalidSyntax, StatementTooLarge
from kalamdb.sql.parser import scan_statement, split_statements


@pytest.mark.parametrize(
    ("sql", "message", "position"),
    [
        ("CREATE TABEL t (a INT)", 'syntax error at or near "TABEL" (line 1, column 8)', 7),
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1, column 1)', 0),
        ("UPDATE t\nSET a = = 5", 'syntax error at or near "=" (line 2, column 9)', 17),
        ("UPDATE t SET", "syntax error at end of input", 12),
        ("UPDATE t SET a = (a + 1", "syntax error at end of input; expected )", 23),
        ("DELETE FROM t WHERE RETURNING a", 'syntax error at or near "RETURNING" (line 1, column 21)', 20),
        ("INSERT INTO t VALUE (1)", 'syntax error at or near "VALUE"', 14),
        ("CREATE TABLE t (a INT UNIQUE)", "only the PRIMARY KEY is unique", 22),
        ("DROP TABLE t; x", "more than one statement", 14),
        ("USE 'x'", "syntax error at or near \"'x'\"", 4),
        ("USE \u00e9\u00e9 x", 'syntax error at or near "x" (line 1, column 8)', 7),
    ],
)
def test_says_where(read, sql, message, position):
    with pytest.raises(InvalidSyntax) as caught:
        read(sql)

    assert message in caught.value.message
    assert caught.value.position == position


@pytest.mark.parametrize(
    "sql", ["SELECT 'x", 'SELECT "x', "SELECT /* x", "SELECT \x00", "SELECT '\ud800'", "SELECT $0"]
)
def test_texts_that_are_none(sql):
    with pytest.raises(InvalidSyntax):
        scan_statement(sql)


def test_limits_are_named():
    with pytest.raises(StatementTooLarge, match="100"):
        scan_statement("SELECT " + "(" * 101)
    with pytest.raises(StatementTooLarge):
        scan_statement("SELECT 1" + " + 1" * 5000)


def test_a_batch_is_split_outside_of_strings():
    assert split_statements("SELECT ';'; -- ;\n SELECT 2;;") == ["SELECT ';'", "SELECT 2"]


@pytest.mark.parametrize(
    "condition", ["(" * 99 + "1" + ")" * 99, "NOT " * 500 + "a", "a" + " OR (a)" * 999, "- " * 900 + "1"]
)
def test_deep_and_long_conditions_are_read(read, condition):
    where = read(f"DELETE FROM t WHERE {condition}").where

    assert where.expression is not None
