"""No SQL text reaches a file of the host: nothing is read, nothing is written, whatever it is called."""

import os

import pytest

import kalamdb
from kalamdb.errors import UndefinedFunction

CANARY = "canary-7f3a"


@pytest.fixture
def canary(tmp_path):
    """A file of the host, beside the database."""
    path = tmp_path / "host" / "secret.csv"
    path.parent.mkdir()
    path.write_text(f"a,b\n1,{CANARY}\n")
    return path


STATEMENTS = [
    "SELECT * FROM '{path}'",
    'SELECT * FROM "{path}"',
    "SELECT * FROM `{path}`",
    "SELECT * FROM 'file://{path}'",
    'SELECT * FROM "file://{path}"',
    "SELECT * FROM read_csv('{path}')",
    "SELECT * FROM read_parquet('{path}')",
    "SELECT * FROM csv_scan('{path}')",
    "SELECT * FROM parquet_metadata('{path}')",
    "SELECT * FROM glob('{directory}/*')",
    "SELECT * FROM 's3://bucket/key'",
    "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
    "SELECT pg_read_file('{path}')",
    "SELECT readfile('{path}')",
    "WITH t AS (SELECT * FROM '{path}') SELECT * FROM t",
    "SELECT (SELECT b FROM '{path}')",
    "EXPLAIN SELECT * FROM '{path}'",
    "EXPLAIN ANALYZE SELECT * FROM '{path}'",
    "COPY (SELECT 1) TO '{out}'",
    "COPY t TO '{out}'",
    "COPY t FROM '{path}'",
    "EXPLAIN COPY (SELECT 1) TO '{out}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "/* SELECT */ COPY (SELECT 1) TO '{out}'",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{path}'",
    "CREATE UNBOUNDED EXTERNAL TABLE x STORED AS CSV LOCATION '{path}'",
    "CREATE TABLE x AS SELECT * FROM '{path}'",
    "SELECT * INTO x FROM t",
    "INSERT INTO t SELECT * FROM '{path}'",
    "INSERT INTO t (id) VALUES ((SELECT a FROM '{path}'))",
    "UPDATE t SET body = (SELECT b FROM '{path}')",
    "DELETE FROM t WHERE id IN (SELECT a FROM '{path}')",
    "CREATE VIEW v AS SELECT * FROM '{path}'",
    "SET datafusion.catalog.location = '{directory}'",
    "SET datafusion.catalog.information_schema = true",
    "RESET datafusion.catalog.location",
    "SHOW ALL",
    "SHOW datafusion.catalog.location",
    "PREPARE p AS SELECT * FROM '{path}'",
    "EXECUTE p",
    "DEALLOCATE p",
    "LOAD DATA INPATH '{path}' INTO TABLE t",
    "ATTACH '{path}' AS other",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "CREATE FUNCTION f() RETURNS TEXT LANGUAGE c AS '{path}'",
    "CREATE CATALOG c LOCATION '{directory}'",
    "SELECT * FROM datafusion.public.x",
    "SELECT * FROM kalam.datafusion.x",
]


FORMS = ["{}", "/* SELECT 1 */ -- nothing\n{}", "SELECT 1; {}", "EXECUTE AS USER 'mallory' ({})"]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("role", ["user", "service", "dba", "system"])
def test_no_statement_reads_or_writes_a_host_file(db, canary, tmp_path, statement, role):
    db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    session = db.session("mallory", role=role)
    out = tmp_path / "out.csv"
    before = sorted(os.listdir(tmp_path))
    sql = statement.format(path=canary, directory=canary.parent, out=out)

    for form in FORMS:
        with pytest.raises(kalamdb.Error) as caught:
            session.execute(form.format(sql))
        assert CANARY not in caught.value.message
    assert sorted(os.listdir(tmp_path)) == before
    assert db.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    assert db.execute("SELECT count(*) FROM system.tables").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "call", ["version()", "input_file_name()", "file_row_index()", "with_metadata(1, 'a', 'b')"]
)
def test_no_function_tells_of_the_engine_or_of_its_files(db, call):
    with pytest.raises(UndefinedFunction):
        db.session("mallory").execute(f"SELECT {call}")


@pytest.mark.parametrize(
    "call", ["_kalam_json_get_str_t({}, body, 'a')", "\"_kalam_json_get_str_t\"({}, body, 'a')"]
)
def test_no_statement_borrows_the_context_of_another_s_function(db, call):
    """Also where the function behind a call is there already, for somebody has called it."""
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    session = db.session("mallory")
    session.execute('INSERT INTO t VALUES (1, \'{"a": "b"}\')')
    assert session.execute("SELECT json_get_str(body, 'a') FROM t WHERE id + 0 = 1").fetchall() == [("b",)]
    for number in range(5):
        with pytest.raises(UndefinedFunction):
            session.execute(f"SELECT {call.format(number)} FROM t")
