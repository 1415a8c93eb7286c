"""Statements that differ in nothing but literals share one tree."""

import pytest

from kalamdb.errors import InvalidSyntax
from kalamdb.sql.parser import StatementCache, parse, scan_statement


def both(first, second):
    """Two texts through one cache."""
    cache = StatementCache()
    return [parse(scan_statement(sql), sql, cache) for sql in (first, second)]


def test_literals_do_not_matter():
    one, other = both("UPDATE t SET a = 1 WHERE b = 'x'", "update t set a = 22 -- comment\n where b = 'y'")

    assert one.statement is other.statement
    assert list(one.literals) == [1, "x"]
    assert list(other.literals) == [22, "y"]
    assert other.statement.where.text(other.literals) == "(\"b\" = 'y')"


def test_the_number_of_literal_rows_does_not_matter():
    one, other = both("INSERT INTO t (a) VALUES (1)", "INSERT INTO t (a) VALUES (2), (3)")

    assert one.statement is other.statement
    assert other.rows == [(2,), (3,)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DELETE FROM t WHERE a IN (SELECT 1)", "DELETE FROM t WHERE a IN (SELECT 2)"),
        ("DELETE FROM t WHERE sum(a) OVER () = 1", "DELETE FROM t WHERE sum(a) OVER () = 2"),
        ("DELETE FROM t RETURNING a + 1", "DELETE FROM t RETURNING a + 2"),
        ("UPDATE t SET a = substring('x' FROM 1)", "UPDATE t SET a = substring('x' FROM 2)"),
        ("UPDATE t SET a = INTERVAL 1 DAY", "UPDATE t SET a = INTERVAL 2 DAY"),
        ("UPDATE t SET a = b::VARCHAR(1)", "UPDATE t SET a = b::VARCHAR(2)"),
        ("UPDATE t SET a = b - INTERVAL '1 day'", "UPDATE t SET a = b - INTERVAL '2 day'"),
        ("UPDATE t SET a = [1, 2]", "UPDATE t SET a = [1, 3]"),
        ("INSERT INTO t SELECT 1", "INSERT INTO t SELECT 2"),
        ("CREATE TABLE t (a INT DEFAULT 1)", "CREATE TABLE t (a INT DEFAULT 2)"),
    ],
)
def test_trees_that_depend_on_a_literal_are_not_shared(first, second):
    one, other = both(first, second)
    again, same = both(first, first)

    assert repr(one.statement) != repr(other.statement)
    assert again.statement is same.statement


def test_positions_of_a_shared_tree_are_told_in_each_text():
    one, other = both("UPDATE t SET a = 1, b = 2", "UPDATE t SET a = 11111, b = 2")
    position = one.statement.assignments[1].position

    assert one.locate(position) == 20
    assert other.locate(position) == 24


def test_positions_behind_rows_are_told_in_each_text():
    one, other = both(
        "INSERT INTO t VALUES (1) RETURNING a", "INSERT INTO t VALUES (1), (2), (3) RETURNING a"
    )
    position = one.statement.returning[0].expression.position

    assert other.locate(position) == 45


def test_the_cache_forgets_the_least_recently_used():
    cache = StatementCache(2)
    for sql in ("DELETE FROM a", "DELETE FROM b", "DELETE FROM a", "DELETE FROM c", "DELETE FROM d"):
        parse(scan_statement(sql), sql, cache)

    assert len(cache) == 2


def test_errors_are_not_kept():
    cache = StatementCache()
    for _ in range(2):
        with pytest.raises(InvalidSyntax):
            parse(scan_statement("DELETE t"), "DELETE t", cache)

    assert len(cache) == 0
