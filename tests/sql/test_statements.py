"""Queries, SHOW, transactions, and statements that are not offered."""

import pytest

from kalamdb.errors import EmptyStatement, NotSupportedError
from kalamdb.sql.live import KillLiveQuery
from kalamdb.sql.names import TableName
from kalamdb.sql.query import Explain, Query
from kalamdb.sql.show import DescribeTable, ShowNamespaces, ShowStats, ShowTables
from kalamdb.sql.transaction import Begin, Commit, Rollback


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        (
            "SELECT * FROM nowhere WHERE a = ? AND b = '?'",
            Query("SELECT * FROM nowhere WHERE a = $1 AND b = '?'"),
        ),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Query("WITH x AS (SELECT 1) SELECT * FROM x")),
        ("VALUES (1), (2)", Query("VALUES (1), (2)")),
        ("(SELECT 1) UNION (SELECT 2)", Query("(SELECT 1) UNION (SELECT 2)")),
        ("EXPLAIN SELECT 1", Explain(False, Query("SELECT 1"))),
        ("EXPLAIN ANALYZE (SELECT ?)", Explain(True, Query("(SELECT $1)"))),
        ("SHOW NAMESPACES", ShowNamespaces()),
        ("SHOW TABLES", ShowTables()),
        ("SHOW TABLES IN app", ShowTables("app")),
        ("SHOW STATS FOR TABLE app.t", ShowStats(TableName("t", "app"))),
        ("DESCRIBE TABLE t", DescribeTable(TableName("t"))),
        ("DESCRIBE t HISTORY", DescribeTable(TableName("t"), history=True)),
        ("DESC system.users", DescribeTable(TableName("users", "system"))),
        ("BEGIN", Begin()),
        ("begin transaction", Begin()),
        ("START TRANSACTION", Begin()),
        ("BEGIN WORK", Begin()),
        ("KILL LIVE QUERY 'x'", KillLiveQuery("x")),
        ("COMMIT", Commit()),
        ("COMMIT WORK", Commit()),
        ("end", Commit()),
        ("END TRANSACTION", Commit()),
        ("ROLLBACK", Rollback()),
        ("ROLLBACK TRANSACTION", Rollback()),
    ],
)
def test_reads(read, sql, statement):
    assert read(sql) == statement


def test_subscribe_says_how_it_is_opened(read):
    with pytest.raises(NotSupportedError, match=r"open it with Session\.subscribe, or over a WebSocket"):
        read("SUBSCRIBE TO t")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t TO '/tmp/x'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SET x = 1",
        "TRUNCATE t",
        "PREPARE p AS SELECT 1",
        "CREATE INDEX i ON t (a)",
        "MERGE INTO t",
        "CREATE SCHEMA x",
    ],
)
def test_statements_that_are_never_offered_name_what_to_do(read, sql):
    with pytest.raises(NotSupportedError, match="is not offered; "):
        read(sql)


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing", "/* nothing */"])
def test_nothing_is_no_statement(read, sql):
    with pytest.raises(EmptyStatement):
        read(sql)
