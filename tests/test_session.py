"""Statements through a session: parameters, batches, prepared statements, bulk data, results."""

import datetime
import decimal
import signal
import threading
import time
import uuid

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    EmptyStatement,
    Error,
    InvalidParameter,
    InvalidSyntax,
    InvalidValue,
    NotNullViolation,
    NumericOutOfRange,
    StatementTimeout,
    TypeMismatch,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from kalamdb.interrupts import Interrupt

UTC = datetime.UTC
EVERY_TYPE = (
    "CREATE SHARED TABLE every_type (id BIGINT PRIMARY KEY, flag BOOLEAN, small SMALLINT, number INT, big BIGINT, "
    "single FLOAT, ratio DOUBLE, price DECIMAL(20,4), body TEXT, raw BYTES, at TIMESTAMP, day DATE, clock TIME, "
    "token UUID, payload JSON)"
)
EVERY_VALUE = (
    1,
    True,
    -32768,
    2147483647,
    -(2**63),
    1.5,
    2.25,
    decimal.Decimal("12.3400"),
    "hi \U0001f600 \x00 'quoted'",
    b"\x00\xff",
    datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    datetime.date(2025, 1, 2),
    datetime.time(23, 59, 59, 999999),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    {"a": [1, None, "x"]},
)


@pytest.fixture
def app(db):
    db.execute("CREATE NAMESPACE app")
    db.execute(
        "CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), role TEXT NOT NULL, "
        "content TEXT NOT NULL, at TIMESTAMP DEFAULT NOW())"
    )
    return db


def test_every_type_comes_back_as_it_went_in(db):
    db.execute(EVERY_TYPE)
    db.execute(f"INSERT INTO every_type VALUES ({', '.join('?' * 15)})", EVERY_VALUE)
    db.execute(f"INSERT INTO every_type VALUES (2{', NULL' * 14})")

    rows = db.execute("SELECT * FROM every_type ORDER BY id").fetchall()
    assert rows == [EVERY_VALUE, (2, *[None] * 14)]
    returned = db.execute("UPDATE every_type SET flag = flag WHERE id = 1 RETURNING *").fetchall()
    assert returned == [EVERY_VALUE]


def test_literals_of_every_type_are_read(db):
    db.execute(EVERY_TYPE)
    db.execute(
        "INSERT INTO every_type VALUES (1, TRUE, -32768, 2147483647, -9223372036854775808, 1.5, 2.25, 12.34, "
        "'hi', X'00ff', '2025-01-02T03:04:05.678901Z', '2025-01-02', '23:59:59.999999', "
        "'12345678-1234-5678-1234-567812345678', '{\"a\": [1, null, \"x\"]}')"
    )

    row = db.execute("SELECT * FROM every_type").fetchone()
    assert row[:8] == EVERY_VALUE[:8]
    assert row[8] == "hi"
    assert row[9:] == EVERY_VALUE[9:]


def test_parameters_are_counted_and_bound_by_value(app):
    alice = app.session("alice")
    hostile = "'); DROP TABLE app.messages; --"
    alice.execute("INSERT INTO app.messages (role, content) VALUES ($2, $1)", [hostile, "user"])

    assert alice.execute("SELECT content FROM app.messages WHERE content = ?", [hostile]).fetchall() == [
        (hostile,)
    ]
    assert alice.execute("SELECT $1, $2, $1", ["a", None]).fetchall() == [("a", None, "a")]
    for parameters in ([], ["one"], ["one", "two", "three"], None):
        with pytest.raises(InvalidParameter, match="takes 2"):
            alice.execute("SELECT content FROM app.messages WHERE content = ? AND role = ?", parameters)
    with pytest.raises(InvalidParameter):
        alice.execute("SELECT ?", "text")
    with pytest.raises(InvalidParameter):
        alice.execute("SELECT 1; SELECT ?", ["x"])


@pytest.mark.parametrize(
    ("sql", "parameters", "rows"),
    [
        ("UPDATE notes SET body = ? WHERE size > 15", ["new"], [(1, "a"), (2, "new"), (3, "new")]),
        ("UPDATE notes SET body = ? WHERE id IN (SELECT id FROM notes WHERE size < 15)", ["new"], None),
        ("UPDATE notes SET body = $2 WHERE size < $1 AND size < 15", [20, "new"], None),
        ("UPDATE notes SET body = ? || lower('EW') WHERE size < ?", ["n", 15], None),
        ("UPDATE notes SET body = CAST(? AS TEXT), size = ? WHERE id = ?", ["new", 10, 1], None),
        ("DELETE FROM notes WHERE size > ? RETURNING body || ?", [15, "!"], [(1, "a")]),
        ("INSERT INTO notes VALUES (?, upper(?), ?)", [4, "d", 40], [(1, "a"), (2, "b"), (3, "c"), (4, "D")]),
    ],
)
def test_a_part_of_a_statement_may_need_some_of_its_parameters_alone(db, sql, parameters, rows):
    """A WHERE, a SET or a value may be asked of the query engine, which is then given every parameter."""
    db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT, size INT)")
    db.execute("INSERT INTO notes VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")

    db.execute(sql, parameters)

    expected = [(1, "new"), (2, "b"), (3, "c")] if rows is None else rows
    assert db.execute("SELECT id, body FROM notes ORDER BY id").fetchall() == expected
    with pytest.raises(InvalidParameter, match=f"takes {len(parameters)} parameter"):
        db.execute(sql, [*parameters, 1])


def test_a_batch_runs_in_order_and_names_the_statement_that_failed(app):
    root = app
    result = root.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t VALUES (1); SELECT ';' AS semi, id FROM t;"
    )
    assert result.fetchall() == [(";", 1)]

    with pytest.raises(
        UniqueViolation, match=r"Statement 2 failed: duplicate key value violates primary key of default.t: 1"
    ):
        root.execute("INSERT INTO t VALUES (2); INSERT INTO t VALUES (1); INSERT INTO t VALUES (3)")
    assert root.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,)]


def test_a_batch_with_a_statement_the_caller_may_not_run_runs_nothing(app):
    alice = app.session("alice")
    with pytest.raises(AccessDenied):
        alice.execute(
            "INSERT INTO app.messages (role, content) VALUES ('user', 'x'); DROP TABLE app.messages"
        )

    assert alice.execute("SELECT count(*) FROM app.messages").fetchall() == [(0,)]


def test_text_without_a_statement_is_refused(db):
    for text in ("", "   ", "-- nothing", ";;", "/* */ ;"):
        with pytest.raises(EmptyStatement):
            db.execute(text)


def test_a_prepared_statement_runs_any_number_of_times(app):
    alice = app.session("alice")
    insert = alice.prepare("INSERT INTO app.messages (id, role, content) VALUES (?, 'user', ?)")
    for n in range(5):
        assert insert.execute([n, f"m{n}"]).rowcount == 1
    lookup = alice.prepare("SELECT content FROM app.messages WHERE id = $1")

    assert [lookup.execute([n]).fetchall() for n in range(6)] == [[(f"m{n}",)] for n in range(5)] + [[]]
    app.execute("ALTER TABLE app.messages ADD COLUMN extra TEXT DEFAULT 'e'")
    insert.execute([9, "later"])
    assert alice.execute("SELECT extra FROM app.messages WHERE id = 9").fetchall() == [("e",)]


def test_executemany_of_an_insert_is_one_commit(app):
    alice = app.session("alice")
    sql = "INSERT INTO app.messages (id, role, content) VALUES (?, ?, ?)"
    result = alice.executemany(sql, [(n, "user", f"m{n}") for n in range(1000)])
    assert result.rowcount == 1000

    with pytest.raises(NotNullViolation, match="row 3"):
        alice.executemany(sql, [(1001, "user", "a"), (1002, "user", "b"), (1003, "user", None)])
    with pytest.raises(UniqueViolation, match="500"):
        alice.executemany(sql, [(1001, "user", "a"), (500, "user", "b")])
    assert alice.execute("SELECT count(*) FROM app.messages").fetchall() == [(1000,)]
    assert (
        alice.executemany(
            "UPDATE app.messages SET role = ? WHERE id = ?", [("tool", 1), ("tool", 2)]
        ).rowcount
        == 2
    )
    assert alice.executemany(sql, []).rowcount == 0


@pytest.mark.parametrize("form", ["pyarrow", "batch", "pandas", "polars", "dicts"])
def test_insert_takes_tables_frames_and_dicts(app, form):
    columns = {"id": [1, 2, 3], "content": ["a", "b", "c"], "role": ["user", "tool", "user"]}
    table = pa.table(columns)
    match form:
        case "pyarrow":
            data = table
        case "batch":
            data = table.to_batches()[0]
        case "pandas":
            pytest.importorskip("pandas")
            data = table.to_pandas()
        case "polars":
            polars = pytest.importorskip("polars")
            data = polars.DataFrame(columns)
        case "dicts":
            data = table.to_pylist()
    alice = app.session("alice")

    assert alice.insert("app.messages", data).rowcount == 3
    assert alice.execute("SELECT id, role, content FROM app.messages ORDER BY id").fetchall() == [
        (1, "user", "a"),
        (2, "tool", "b"),
        (3, "user", "c"),
    ]
    assert alice.execute("SELECT count(at) FROM app.messages").fetchall() == [(3,)]
    assert app.session("bob").execute("SELECT * FROM app.messages").fetchall() == []


def test_insert_of_data_is_whole_or_not_at_all(app):
    alice = app.session("alice")
    alice.insert("app.messages", [{"id": 2, "role": "user", "content": "there"}])

    with pytest.raises(UniqueViolation, match="2"):
        alice.insert("app.messages", pa.table({"id": [1, 2], "role": ["u", "u"], "content": ["a", "b"]}))
    with pytest.raises(NotNullViolation, match=r"content.*row 2"):
        alice.insert("app.messages", pa.table({"id": [1, 3], "role": ["u", "u"], "content": ["a", None]}))
    with pytest.raises(UndefinedColumn, match="nope"):
        alice.insert("app.messages", pa.table({"nope": [1]}))
    with pytest.raises(NotNullViolation, match="role"):
        alice.insert("app.messages", [{"content": "x"}])
    with pytest.raises(UndefinedTable):
        alice.insert("app.nothing", [])
    with pytest.raises(InvalidParameter):
        alice.insert("app.messages", 42)
    assert alice.execute("SELECT count(*) FROM app.messages").fetchall() == [(1,)]


def test_insert_of_arrow_casts_to_the_columns_types_and_back(db):
    db.execute(EVERY_TYPE)
    source = pa.table(
        {
            "id": pa.array([1, 2], pa.int32()),
            "flag": [True, None],
            "small": pa.array([1, None], pa.int64()),
            "body": pa.array(["x", None], pa.large_string()),
            "at": pa.array([datetime.datetime(2025, 1, 1), None], pa.timestamp("ns")),
            "price": pa.array([1, None], pa.int64()),
            "token": [str(EVERY_VALUE[13]), None],
            "payload": ['{"a": 1}', None],
        }
    )
    db.insert = db.session("root").insert
    db.insert("every_type", source)
    result = db.execute("SELECT id, flag, small, body, at, price, token, payload FROM every_type ORDER BY id")

    assert result.fetchall() == [
        (
            1,
            True,
            1,
            "x",
            datetime.datetime(2025, 1, 1, tzinfo=UTC),
            decimal.Decimal("1.0000"),
            EVERY_VALUE[13],
            {"a": 1},
        ),
        (2, *[None] * 7),
    ]
    with pytest.raises(NumericOutOfRange):
        db.insert("every_type", pa.table({"id": [3], "small": [40000]}))
    with pytest.raises(InvalidValue):
        db.insert("every_type", pa.table({"id": [3], "payload": ["{"]}))
    with pytest.raises(TypeMismatch):
        db.insert("every_type", pa.table({"id": [3], "flag": [datetime.date(2025, 1, 1)]}))
    assert db.execute("SELECT count(*) FROM every_type").fetchall() == [(2,)]


def test_a_result_is_arrow_without_a_detour(app):
    alice = app.session("alice")
    alice.insert("app.messages", [{"id": n, "role": "user", "content": "x"} for n in range(3)])
    result = alice.execute("SELECT id, content, at FROM app.messages ORDER BY id")
    table = result.arrow()

    assert table.schema.types == [pa.int64(), pa.string(), pa.timestamp("us", tz="UTC")]
    assert table.column("id").to_pylist() == [0, 1, 2]
    assert pa.table(result).equals(table)
    assert pa.RecordBatchReader.from_stream(result).read_all().equals(table)
    assert result.arrow_reader().read_all().equals(table)
    assert [len(row) for row in result] == [3, 3, 3]
    returned = alice.execute("UPDATE app.messages SET role = 'tool' RETURNING id, upper(role)")
    assert returned.arrow().num_rows == 3


def test_a_result_is_fetched_in_pieces(db):
    result = db.execute("SELECT value AS n FROM generate_series(1, 5)")

    assert result.fetchone() == (1,)
    assert result.fetchmany(2) == [(2,), (3,)]
    assert list(result) == [(4,), (5,)]
    assert result.fetchone() is None
    assert result.fetchall() == []
    assert (result.columns, result.rowcount) == (("n",), 5)
    assert [column[0] for column in result.description] == ["n"]
    assert result.took_ms > 0


def test_a_description_tells_types_with_their_digits_and_lengths(db):
    db.execute(EVERY_TYPE)
    db.execute("ALTER TABLE every_type ADD COLUMN short VARCHAR(5)")
    told = {name: rest for name, *rest in db.execute("SELECT * FROM every_type").description}

    assert told["price"] == ["DECIMAL(20,4)", None, None, 20, 4, None]
    assert told["short"] == ["VARCHAR(5)", None, 5, None, None, None]
    assert told["payload"] == ["JSON", *[None] * 5]
    summed = db.execute("SELECT sum(price) AS total, NULL AS nothing FROM every_type").description
    assert [(name, code, precision) for name, code, _, _, precision, _, _ in summed] == [
        ("total", "DECIMAL(30,4)", 30),
        ("nothing", "TEXT", None),
    ]
    returned = db.execute(
        "INSERT INTO every_type (id) VALUES (1) RETURNING id, id + 1 AS next, NULL AS nothing"
    )
    assert [code for _, code, *_ in returned.description] == ["BIGINT", "BIGINT", "TEXT"]
    assert returned.fetchall() == [(1, 2, None)]


def test_a_session_tells_whether_a_transaction_is_open(db):
    session = db.session("alice")
    assert not session.in_transaction
    with session.transaction():
        assert session.in_transaction
    session.execute("BEGIN")
    assert session.in_transaction
    session.rollback()
    assert not session.in_transaction


def test_statements_without_rows_carry_a_message_and_a_count(app):
    alice = app.session("alice")
    inserted = alice.execute("INSERT INTO app.messages (role, content) VALUES ('a', 'x'), ('b', 'y')")

    assert (inserted.rowcount, inserted.message, inserted.description) == (2, "Inserted 2 row(s)", None)
    assert alice.execute("UPDATE app.messages SET role = role").message == "Updated 2 row(s)"
    assert alice.execute("DELETE FROM app.messages").message == "Deleted 2 row(s)"
    assert inserted.took_ms > 0
    with pytest.raises(Error):
        inserted.arrow()


def test_errors_carry_code_sqlstate_and_position(db):
    with pytest.raises(InvalidSyntax) as caught:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY,, x INT)")
    assert (caught.value.code, caught.value.sqlstate, caught.value.position) == ("INVALID_SQL", "42601", 38)
    assert 'syntax error at or near ","' in caught.value.message
    with pytest.raises(UndefinedTable) as caught:
        db.execute("SELECT * FROM nowhere")
    assert (caught.value.message, caught.value.sqlstate) == ('relation "nowhere" does not exist', "42P01")
    with pytest.raises(UndefinedColumn) as caught:
        db.execute("SELECT nothing FROM system.namespaces")
    assert 'column "nothing" does not exist' in caught.value.message


def test_a_function_of_the_application_works_in_every_place(db):
    db.register_function("shout", lambda text: text.upper() + "!", ["TEXT"], "TEXT", "immutable")
    db.register_function("answer", lambda: 42, [], "BIGINT", "volatile")
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT answer(), body TEXT DEFAULT shout('hi'))")

    assert db.execute("INSERT INTO t (body) VALUES (shout('a')) RETURNING shout(body), id").fetchall() == [
        ("A!!", 42)
    ]
    db.execute("INSERT INTO t (id) VALUES (1)")
    assert db.execute("SELECT id, shout(body) FROM t WHERE body = shout('hi')").fetchall() == [(1, "HI!!")]
    db.execute("UPDATE t SET body = shout(body) WHERE shout(body) = 'HI!!'")
    assert db.execute("SELECT body FROM t ORDER BY id").fetchall() == [("HI!!",), ("A!",)]
    assert db.execute("SELECT answer() FROM t").fetchall() == [(42,), (42,)]


def test_a_million_ids_in_one_select_are_new_and_in_order(db):
    for function, kind in (
        ("SNOWFLAKE_ID()", pa.int64()),
        ("UUID_V7()", pa.string()),
        ("ULID()", pa.string()),
    ):
        column = db.execute(f"SELECT {function} AS id FROM generate_series(1, 1000000)").arrow().column("id")
        assert column.type == kind
        assert len(column.unique()) == 1_000_000
        assert column.to_pylist() == sorted(column.to_pylist())


def test_alices_rows_do_not_exist_for_bob(app):
    alice, bob = app.session("alice"), app.session("bob")
    alice.execute("INSERT INTO app.messages (id, role, content) VALUES (1, 'user', 'secret')")

    assert bob.execute("SELECT * FROM app.messages").fetchall() == []
    assert bob.execute("UPDATE app.messages SET content = 'x'").rowcount == 0
    assert bob.execute("DELETE FROM app.messages").rowcount == 0
    assert (
        bob.execute("INSERT INTO app.messages (id, role, content) VALUES (1, 'user', 'mine')").rowcount == 1
    )
    assert app.execute("SELECT * FROM app.messages").fetchall() == []
    with pytest.raises(AccessDenied):
        bob.execute("SELECT * FROM all_users.app.messages")
    everything = app.execute("SELECT _user, content FROM all_users.app.messages ORDER BY _user").fetchall()
    assert everything == [("alice", "secret"), ("bob", "mine")]
    for change in (
        "DELETE FROM all_users.app.messages",
        "UPDATE all_users.app.messages SET role = 'x'",
        "INSERT INTO all_users.app.messages (role, content) VALUES ('a', 'b')",
    ):
        with pytest.raises(AccessDenied):
            app.execute(change)


def test_an_interrupt_from_the_keyboard_stops_a_query_and_the_session_goes_on() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    with kalamdb.open(":memory:") as db:
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                db.execute(
                    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
                )
        finally:
            timer.join()
            signal.signal(signal.SIGINT, before)

        assert db.execute("SELECT 1 + 1").fetchone() == (2,)
        threads = db.queries._threads
        until = time.monotonic() + 30
        while threads._started > len(threads._idle):
            assert time.monotonic() < until, "the query still runs"
            time.sleep(0.01)


def test_an_interrupt_stops_a_scan_of_the_core_and_the_session_goes_on() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE notes (id BIGINT PRIMARY KEY, text TEXT)")
        db.executemany("INSERT INTO notes VALUES (?, ?)", [(number, "x") for number in range(50_000)])
        scan = "SELECT id FROM notes WHERE text = ? LIMIT 1"
        with Interrupt() as interrupt:
            interrupt.request()
            with pytest.raises(StatementTimeout, match="interrupted"):
                db.execute(scan, ["y"])
            assert db.execute(scan, ["x"]).fetchone() == (0,), "what is done at once is done"

        assert db.execute(scan, ["y"]).fetchall() == []
