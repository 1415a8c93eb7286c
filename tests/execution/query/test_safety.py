"""What a query cannot do: reach files, write, run away, take the process down, or see another user's rows."""

import os
import threading
from types import SimpleNamespace

import pyarrow as pa
import pytest

from kalamdb.errors import (
    AccessDenied,
    DatabaseClosed,
    Error,
    InternalError,
    ProgrammingError,
    ResourcesExceeded,
    StatementTimeout,
    StatementTooLarge,
)
from kalamdb.execution.query import QueryEngine
from kalamdb.execution.query.errors import translate
from kalamdb.execution.query.threads import DeepThreads
from tests.execution.query.world import relation_of, table

CANARY = "canary-7d1f"


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary.csv"
    path.write_text(f"a,b\n{CANARY},2\n")
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "COPY notes TO '{out}'",
        "COPY (SELECT * FROM notes) TO '{out}' STORED AS CSV",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "SELECT * FROM '{file}'",
        'SELECT * FROM "{file}"',
        "SELECT * FROM 'file://{file}'",
        'SELECT * FROM "file://{file}"',
        "SELECT * FROM 's3://bucket/key'",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM parquet_metadata('{file}')",
        "SELECT read_text('{file}')",
        "SELECT input_file_name() FROM notes",
        "WITH x AS (SELECT * FROM '{file}') SELECT * FROM x",
        "SELECT (SELECT count(*) FROM '{file}')",
        "SELECT * INTO t FROM notes",
        "SET datafusion.execution.target_partitions = 8",
        "RESET ALL",
        "SHOW ALL",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "INSERT INTO notes VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO notes SELECT * FROM x",
        "WITH x AS (SELECT 1) DELETE FROM notes",
        "UPDATE notes SET id = 1",
        "DELETE FROM notes",
        "DROP TABLE notes",
        "TRUNCATE TABLE notes",
        "LOAD DATA INPATH '{file}' INTO TABLE notes",
        "EXPLAIN ANALYZE COPY notes TO '{out}'",
        "SELECT 1; COPY notes TO '{out}'",
        "(COPY notes TO '{out}')",
        "DESCRIBE notes",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM datafusion.public.notes",
    ],
)
def test_files_and_settings_are_out_of_reach(rows, canary, tmp_path, sql):
    with pytest.raises(Error) as raised:
        rows(sql.format(file=canary, out=tmp_path / "out.csv"))

    assert not isinstance(raised.value, InternalError)
    assert CANARY not in str(raised.value)
    assert os.listdir(tmp_path) == ["canary.csv"]


@pytest.mark.parametrize(
    "sql", ["COPY notes TO '{out}'", "INSERT INTO notes VALUES (1)", "ANALYZE SELECT 1; SELECT 2"]
)
def test_explain_takes_queries_alone(engine, context, tmp_path, sql):
    with pytest.raises(ProgrammingError) if "ANALYZE" in sql else pytest.raises(Error):
        engine.explain(context, sql.format(out=tmp_path / "out.csv"), (), analyze=True)
    assert os.listdir(tmp_path) == []


def test_eight_threads_of_two_users_never_see_each_other(engine, new_context):
    wrong, errors = [], []

    def read(user):
        try:
            for number in range(60):
                answer = engine.select(
                    new_context(user),
                    "SELECT n.owner, current_user() AS me, o.id FROM notes n JOIN others o ON n.id = o.id "
                    "WHERE o.id >= ?",
                    (number % 3,),
                )
                for batch in answer.batches:
                    for row in batch.to_pylist():
                        if (row["owner"], row["me"]) != (user, user):
                            wrong.append(row)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(("alice", "bob")[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (wrong, errors) == ([], [])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('a', 2000000000)",
        "SELECT length(repeat(repeat('a', 1000000), 1000000))",
        "SELECT repeat(owner, 9000000000000000000) FROM notes",
        "SELECT lpad('x', 2000000000)",
        "SELECT rpad(owner, 2000000000, 'ab') FROM notes",
        "SELECT length(lpad(owner, 10000000)) FROM big",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "SELECT array_repeat(1, 500000000)",
        "SELECT * FROM generate_series(1, 1000001)",
        "SELECT count(*) FROM range(0, 9000000000000000000)",
        "SELECT range(0, 1000000) FROM notes",
        "SELECT count(*) FROM generate_series(TIMESTAMP '2020-01-01', TIMESTAMP '2030-01-01', INTERVAL '1 second')",
        "SELECT a.id FROM big a JOIN big b ON a.id < b.id",
        "SELECT a.id FROM big a, big b, big c",
        "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000) b ON a.value > b.value",
    ],
)
def test_what_asks_for_too_much_is_refused_before_it_is_made(rows, sql):
    with pytest.raises(ResourcesExceeded):
        rows(sql)


def test_bounded_functions_give_what_datafusions_gave(rows):
    assert rows(
        "SELECT repeat('ab', 2), repeat('ab', -1), lpad('x', 3), rpad('xy', 5, 'ab'), lpad('xyz', 2), "
        "replace('aa', 'a', 'bb'),"
        " repeat(NULL, 2)"
    ) == [("abab", "", "  x", "xyaba", "xy", "bbbb", None)]


def test_series_of_allowed_length_run(rows):
    assert rows("SELECT count(*) FROM generate_series(1, 1000000)") == [(1_000_000,)]
    assert rows("SELECT count(*) FROM range(?)", 5) == [(5,)]
    assert rows("SELECT unnest(range(3))") == [(0,), (1,), (2,)]


def test_a_join_without_an_equality_runs_when_small(rows):
    assert rows("SELECT count(*) FROM notes a JOIN others b ON a.id < b.id") == [(9,)]
    assert rows("SELECT count(*) FROM big WHERE id > (SELECT avg(id) FROM big)") == [(5000,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
        "SELECT 1" + " + 1" * 5000,
        "SELECT id FROM notes WHERE id = 0" + " OR id = 1" * 20_000,
        "SELECT 1" + " UNION ALL SELECT 1" * 1000,
        "SELECT '" + "x" * 10_000_000 + "'",
        "SELECT id FROM notes WHERE id IN " + "(SELECT id FROM notes WHERE id IN " * 30 + "(1)" + ")" * 30,
        "WITH c0 AS (SELECT id FROM notes)"
        + "".join(
            f", c{n} AS (SELECT a.id FROM c{n - 1} a JOIN c{n - 1} b ON a.id = b.id)" for n in range(1, 20)
        )
        + " SELECT * FROM c19",
    ],
)
def test_text_beyond_a_limit_is_refused(rows, sql):
    with pytest.raises(StatementTooLarge):
        rows(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id" + " + 1" * 900 + " FROM notes",
        "SELECT id FROM notes WHERE id = 0" + " OR id = 1" * 900,
        "SELECT owner" + " || owner" * 900 + " FROM notes",
        "SELECT 1" + " UNION ALL SELECT 1" * 190,
        "SELECT " + "upper(" * 90 + "owner" + ")" * 90 + " FROM notes",
    ],
)
def test_text_within_the_limits_runs_from_a_thread_with_a_small_stack(engine, context, sql):
    outcome = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: outcome.append(engine.select(context, sql)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()

    assert len(outcome) == 1


def test_views_on_views_have_a_limit(rows, world):
    world.views.update({("app", f"v{n}"): f"SELECT id FROM v{n - 1}" for n in range(1, 30)})
    world.views["app", "v0"] = "SELECT id FROM notes"

    assert len(rows("SELECT * FROM v10")) == 3
    with pytest.raises(Error, match="deep"):
        rows("SELECT * FROM v29")


def test_views_that_multiply_have_a_limit(rows, world):
    world.views.update(
        {("app", f"w{n}"): f"SELECT a.id FROM w{n - 1} a, w{n - 1} b WHERE a.id = b.id" for n in range(1, 15)}
    )
    world.views["app", "w0"] = "SELECT id FROM notes"

    with pytest.raises(StatementTooLarge):
        rows("SELECT * FROM w14")


def test_a_statement_that_takes_too_long_is_stopped(world, functions, context):
    engine = QueryEngine(
        functions,
        world.relation,
        SimpleNamespace(memory_limit_bytes=64 << 20, query_memory_bytes=64 << 20),
    )
    context.timeout_s = 0.3
    with pytest.raises(StatementTimeout):
        engine.select(
            context, "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
        )
    assert engine.select(context, "SELECT 1").batches[0].num_rows == 1
    engine.close()


def test_a_result_beyond_the_memory_limit_is_refused(world, functions, context):
    engine = QueryEngine(
        functions,
        world.relation,
        SimpleNamespace(memory_limit_bytes=1 << 20, query_memory_bytes=1 << 20),
    )
    with pytest.raises(ResourcesExceeded, match="memory_limit_bytes"):
        engine.select(context, "SELECT a.value, b.value AS v FROM generate_series(1, 1000000) a, range(1) b")
    engine.close()


def test_what_the_relation_raises_arrives_unchanged(functions, settings, context):
    raised = AccessDenied("permission denied for table secrets")

    def relation(*arguments):
        raise raised

    engine = QueryEngine(functions, relation, settings)
    for sql in (
        "SELECT * FROM secrets",
        "SELECT (SELECT max(id) FROM secrets)",
        "WITH x AS (SELECT * FROM secrets) SELECT 1 FROM x",
    ):
        with pytest.raises(AccessDenied) as caught:
            engine.select(context, sql)
        assert caught.value is raised
    engine.close()


def test_a_name_is_resolved_once_for_a_statement(rows, world):
    rows("SELECT a.id FROM notes a JOIN app.notes b ON a.id = b.id WHERE a.id IN (SELECT id FROM notes)")

    assert len(world.asked) == 1


def test_a_cte_hides_a_table_of_its_name(rows, world):
    assert rows("WITH notes AS (SELECT 7 AS id) SELECT id FROM notes") == [(7,)]
    assert world.asked == []


def test_a_view_reads_as_its_reader(engine, world, new_context):
    world.views["ops", "mine"] = "SELECT owner, CURRENT_USER() AS me FROM app.notes"
    for user in ("alice", "bob"):
        answer = engine.select(new_context(user), "SELECT DISTINCT * FROM ops.mine")
        assert answer.batches[0].to_pylist() == [{"owner": user, "me": user}]


def test_a_view_resolves_names_where_it_was_made(rows, world):
    world.views["ops", "here"] = "SELECT owner FROM notes"

    assert rows("SELECT h.owner, n.id FROM ops.here h, notes n ORDER BY n.id") == [
        ("ops", 0),
        ("ops", 1),
        ("ops", 2),
    ]


def test_a_panic_is_an_internal_error():
    class PanicException(BaseException):
        pass

    answer = translate(PanicException("index out of bounds at /home/x/src/lib.rs"))

    assert isinstance(answer, InternalError)
    assert "/home" not in str(answer)
    assert translate(KeyboardInterrupt()).__class__ is KeyboardInterrupt


def test_plans_show_no_hidden_names(engine, context):
    plan = engine.explain(
        context, "SELECT snowflake_id(), body->>'k' FROM notes WHERE owner = current_user", (), analyze=False
    )

    assert [kind for kind, _ in plan] == ["logical_plan", "physical_plan"]
    assert not any(
        word in text for _, text in plan for word in ("_kalam_", "_session", "random()", "statistics=")
    )


def test_explain_analyze_runs_the_query(engine, context):
    rows = engine.explain(context, "SELECT count(*) FROM notes WHERE id > ?", (0,), analyze=True)

    assert rows[0][0] == "Plan with Metrics"
    assert "output_rows" in rows[0][1]


def test_a_closed_engine_says_so(engine, context):
    engine.close()
    with pytest.raises(DatabaseClosed):
        engine.select(context, "SELECT 1")


def test_threads_carry_results_and_exceptions():
    threads = DeepThreads()

    assert threads.call(lambda: 41 + 1) == 42
    with pytest.raises(SystemExit):
        threads.call(lambda: (_ for _ in ()).throw(SystemExit()))
    assert threads.call(threading.current_thread).daemon
    threads.close()


def test_no_rows_still_have_columns(functions, settings, context):
    empty = table(0)
    engine = QueryEngine(functions, lambda *_: relation_of(schema=empty.schema, batches=[]), settings)
    answer = engine.select(context, "SELECT id, owner, SNOWFLAKE_ID(), upper(owner) AS u FROM notes")

    assert answer.schema.names == ["id", "owner", "snowflake_id", "u"]
    assert sum(batch.num_rows for batch in answer.batches) == 0
    assert pa.Table.from_batches(answer.batches, schema=answer.schema).num_rows == 0
    engine.close()
