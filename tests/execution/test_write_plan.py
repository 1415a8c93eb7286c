"""Plain writes on the short way of the core: the same rows, results and errors as on the general way."""

import datetime
import decimal
import threading
import time
import uuid

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kalamdb
from kalamcore.system import Clock, FileSystem
from kalamdb.database import Database
from kalamdb.errors import (
    AccessDenied,
    DatabaseClosed,
    Error,
    InvalidParameter,
    InvalidTransactionState,
    SerializationFailure,
    UndefinedTable,
    UniqueViolation,
)
from kalamdb.execution import write_plan
from kalamdb.execution.write_plan import WritePlans
from kalamdb.settings import Settings

NOON = 1_780_000_000_123_456


class NoPlans(WritePlans):
    """Knows no statement, so that everything goes the general way."""

    def find(self, sql, scan):
        return None

    def of(self, session, sql, scan, statement):
        return None


def in_memory(*, plans: bool) -> Database:
    database = Database(FileSystem.memory(), "/kalamdb", Settings(), clock=Clock.manual(NOON))
    if not plans:
        database.write_plans = NoPlans(database)
    return database


def outcome(run):
    try:
        result = run()
    except Error as error:
        return type(error).__name__, error.message, error.position
    return result.rowcount, result.message, result.columns, result.fetchall()


TYPES = {
    "BOOLEAN": [True, False, "yes", "perhaps", 1],
    "SMALLINT": [0, -5, 32_767, 32_768, "12", "x", 1.5],
    "INT": [0, 7, 2**31, "-4", True],
    "BIGINT": [0, 2**63 - 1, 2**63, "99", decimal.Decimal(3), 2.0],
    "FLOAT": [0.5, 3, 1e39, "1.5", "x"],
    "DOUBLE": [0.1, 10**400, 5, decimal.Decimal("0.25"), "nan"],
    "DECIMAL(6, 2)": [
        decimal.Decimal("1.005"),
        decimal.Decimal("12345.6"),
        3,
        1.25,
        "7.1",
        decimal.Decimal("nan"),
    ],
    "TEXT": ["", "plain", "größer", "\ud800", 5, b"bytes"],
    "VARCHAR(3)": ["abc", "abcd", "äöü", 1],
    "BYTES": [b"", b"\x00\xff", bytearray(b"x"), memoryview(b"y"), "text"],
    "TIMESTAMP": [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 678, datetime.UTC),
        datetime.datetime(2026, 1, 2),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=5))),
        datetime.date(2026, 1, 2),
        "2026-01-02T03:04:05.5+02:00",
        "2026-13-01",
        17,
    ],
    "DATE": [
        datetime.date(2026, 1, 2),
        datetime.datetime(2026, 1, 2),
        datetime.datetime(2026, 1, 2, 3),
        "2026-02-30",
    ],
    "TIME": [datetime.time(1, 2, 3), datetime.time(1, tzinfo=datetime.UTC), "12:30", "25:00"],
    "UUID": [uuid.UUID(int=5), str(uuid.UUID(int=6)), "none", 5],
    "JSON": ['{"a": 1}', "{", {"b": [1, None]}, [1, 2], 3, float("nan")],
}
DEFAULTS = {
    "BOOLEAN": ["TRUE"],
    "INT": ["5", "-5"],
    "BIGINT": ["7"],
    "DOUBLE": ["1"],
    "DECIMAL(6, 2)": ["1.5"],
    "TEXT": ["'none'", "CURRENT_USER", "CURRENT_ROLE()", "upper('x')"],
    "TIMESTAMP": ["NOW()", "CURRENT_TIMESTAMP", "'2026-01-01'"],
    "JSON": ["'{}'"],
}


def literal(value) -> str:
    """The value as SQL, where there is such a literal."""
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, (int, decimal.Decimal)) or (isinstance(value, float) and value == value):
        return str(value)
    return "'" + str(value).replace("'", "''").replace("\ud800", "?") + "'"


@st.composite
def histories(draw):
    """A table, and statements over it with their parameters."""
    columns = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(list(TYPES)))
        required = draw(st.booleans())
        default = draw(st.none() | st.sampled_from(DEFAULTS.get(kind, [None])))
        columns.append((f"c{number}", kind, required, default))
    key_type = draw(st.sampled_from(["BIGINT", "TEXT", "VARCHAR(2)"]))
    table = "CREATE {} TABLE t (k {} PRIMARY KEY, {})".format(
        draw(st.sampled_from(["SHARED", "USER"])),
        key_type,
        ", ".join(
            f"{name} {kind}" + " NOT NULL" * required + (f" DEFAULT {default}" if default else "")
            for name, kind, required, default in columns
        ),
    )
    keys = st.integers(0, 3) if key_type == "BIGINT" else st.sampled_from(["a", "b", "abc"])
    keys = keys | st.none() | st.just("7") | st.just(2**70)

    def value(kind):
        return draw(st.none() | st.sampled_from(TYPES[kind]) | st.sampled_from(TYPES[kind][:2]))

    statements = []
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.integers(0, 3)) == 0:
            statements.append(
                ("execute", draw(st.sampled_from(["BEGIN", "BEGIN", "COMMIT", "ROLLBACK"])), None)
            )
            continue
        way = draw(st.sampled_from(["execute", "prepare", "literals", "many"]))
        verb = draw(st.sampled_from(["insert", "insert", "insert", "update", "delete"]))
        if verb == "insert":
            chosen = draw(st.lists(st.sampled_from(columns), unique=True)) if draw(st.booleans()) else columns
            kinds = [kind for _, kind, _, _ in chosen]
            rows = [(draw(keys), *map(value, kinds)) for _ in range(draw(st.integers(1, 3)))]
            names = f" (k{''.join(', ' + name for name, *_ in chosen)})" if chosen is not columns else ""
            tail = draw(st.sampled_from(["", "", "", " ON CONFLICT DO NOTHING", " RETURNING *"]))
            places = ", ".join("?" for _ in rows[0])
            if way == "literals":
                cells = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
                statements.append(("execute", f"INSERT INTO t{names} VALUES {cells}{tail}", None))
            elif way == "many":
                statements.append(("many", f"INSERT INTO t{names} VALUES ({places}){tail}", rows))
            else:
                every = ", ".join(f"({places})" for _ in rows)
                values = [cell for row in rows for cell in row]
                statements.append((way, f"INSERT INTO t{names} VALUES {every}{tail}", values))
            continue
        key = draw(keys)
        chosen = draw(st.lists(st.sampled_from(columns), unique=True, min_size=1))
        values = [value(kind) for _, kind, _, _ in chosen]
        given_key = literal(key) if way == "literals" else "?"
        where = draw(st.sampled_from([f"k = {given_key}", f"{given_key} = k", f"t.k = {given_key}"]))
        if verb == "delete":
            statements.append((way, f"DELETE FROM t WHERE {where}", [key]))
        else:
            cells = [literal(one) for one in values] if way == "literals" else ["?"] * len(values)
            settings_ = ", ".join(f"{name} = {cell}" for (name, *_), cell in zip(chosen, cells))
            statements.append((way, f"UPDATE t SET {settings_} WHERE {where}", [*values, key]))
    return table, [(way, sql, None if way == "literals" else given) for way, sql, given in statements]


def run(session, way, sql, given):
    if way == "many":
        return outcome(lambda: session.executemany(sql, given))
    if way == "prepare":
        return outcome(lambda: session.prepare(sql).execute(given))
    return outcome(lambda: session.execute(sql, given))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_both_ways_give_the_same_rows_results_and_errors(history):
    table, statements = history
    with in_memory(plans=True) as short, in_memory(plans=False) as general:
        short.execute(table)
        general.execute(table)
        sessions = short.session("ada"), general.session("ada")
        for way, sql, given_values in statements:
            # Twice, for the first makes the plan.
            for _ in range(2):
                assert run(sessions[0], way, sql, given_values) == run(sessions[1], way, sql, given_values), (
                    sql
                )
            # What the session sees, in its transaction or not, and what everybody else does.
            for readers in (sessions, (short.session("ada"), general.session("ada"))):
                rows = [sorted(map(repr, reader.execute("SELECT * FROM t"))) for reader in readers]
                assert rows[0] == rows[1]


@pytest.fixture
def short_ways(monkeypatch):
    """How often the short way answered, and how often it gave up."""
    counts = {"answered": 0, "gave up": 0}

    def counted(way):
        def call(*arguments):
            result = way(*arguments)
            counts["gave up" if result is None else "answered"] += 1
            return result

        return call

    monkeypatch.setattr(write_plan, "run", counted(write_plan.run))
    monkeypatch.setattr(write_plan, "insert_many", counted(write_plan.insert_many))
    return counts


def test_plain_statements_take_the_short_way(notes, short_ways):
    statement = notes._root.prepare("INSERT INTO app.notes VALUES (?, ?)")
    statement.execute((1, "a"))
    statement.execute([2, "b"])
    statement.executemany([(3, "c"), (4, "d")])
    for number in range(5, 9):
        notes.execute(f"INSERT INTO app.notes (body, id) VALUES ('text {number}', {number})")
        notes.execute("UPDATE app.notes SET body = ? WHERE id = ?", (f"new {number}", number))
        notes.execute(f"DELETE FROM app.notes WHERE id = {number - 4}")
    assert short_ways == {"answered": 12, "gave up": 0}
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(n, f"new {n}") for n in range(5, 9)]


def test_generated_defaults_are_filled_on_the_short_way(db, short_ways):
    db.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), u TEXT DEFAULT UUID_V7(), "
        "l TEXT DEFAULT ULID(), at TIMESTAMP DEFAULT NOW(), again TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
        "who TEXT DEFAULT CURRENT_USER, "
        "n BIGINT DEFAULT 3, body TEXT)"
    )
    session = db.session("ada", role="service")
    insert = session.prepare("INSERT INTO t (body) VALUES (?), ('second')")
    for number in range(10):
        assert insert.execute([str(number)]).rowcount == 2
    assert short_ways["answered"] == 10
    rows = session.execute("SELECT id, u, l, at, again, who, n FROM t ORDER BY id").fetchall()
    assert (
        len({row[0] for row in rows}) == len({row[1] for row in rows}) == len({row[2] for row in rows}) == 20
    )
    assert all(row[3] == row[4] and row[5:] == ("ada", 3) for row in rows)
    assert all(one[3] == two[3] for one, two in zip(rows[::2], rows[1::2], strict=True))


def test_a_change_of_the_table_takes_effect_on_the_next_statement(notes):
    session = notes.session("ada", role="service")
    insert = session.prepare("INSERT INTO app.notes (id, body) VALUES (?, ?)")
    change = session.prepare("UPDATE app.notes SET body = ? WHERE id = ?")
    insert.execute((1, "a"))
    change.execute(("b", 1))
    notes.execute("ALTER TABLE app.notes ADD COLUMN n BIGINT DEFAULT 5")
    insert.execute((2, "c"))
    change.execute(("d", 1))
    assert session.execute("SELECT * FROM app.notes").fetchall() == [(1, "d", 5), (2, "c", 5)]
    notes.execute("DROP TABLE app.notes")
    with pytest.raises(UndefinedTable):
        insert.execute((3, "e"))
    with pytest.raises(UndefinedTable):
        change.execute(("e", 1))


def test_a_role_that_changes_takes_effect_on_the_next_statement(notes):
    notes.execute("CREATE USER ada ROLE service")
    session = notes.session("ada")
    insert = session.prepare("INSERT INTO app.notes VALUES (?, ?)")
    insert.execute((1, "a"))
    notes.execute("ALTER USER ada SET ROLE user")
    with pytest.raises(AccessDenied):
        insert.execute((2, "b"))
    notes.execute("GRANT INSERT ON app.notes TO ada")
    insert.execute((3, "c"))
    notes.execute("REVOKE ALL ON app.notes FROM ada")
    with pytest.raises(AccessDenied):
        insert.execute((4, "d"))
    assert session.execute("SELECT id FROM app.notes").fetchall() == [(1,), (3,)]


def test_sessions_share_a_plan_and_write_their_own_partitions(db):
    db.execute("CREATE NAMESPACE other")
    for name in ("default", "other"):
        db.execute(f"CREATE USER TABLE {name}.t (id BIGINT PRIMARY KEY, body TEXT)")
    ada, bob, eve = db.session("ada"), db.session("bob"), db.session("eve", namespace="other")
    for number in range(3):
        for session in (ada, bob, eve):
            session.execute("INSERT INTO t VALUES (?, ?)", (number, session.user))
    for session in (ada, bob, eve):
        assert session.execute("SELECT * FROM t").fetchall() == [(n, session.user) for n in range(3)]


def test_parameters_are_counted_on_the_short_way_too(notes):
    notes.execute("INSERT INTO app.notes VALUES (?, ?)", (1, "a"))
    for wrong in ((2,), (2, "b", "c"), None, "xy", 5):
        with pytest.raises(InvalidParameter):
            notes.execute("INSERT INTO app.notes VALUES (?, ?)", wrong)
    with pytest.raises(InvalidParameter):
        notes.executemany("INSERT INTO app.notes VALUES (?, ?)", [(2, "b"), (3,)])
    assert len(notes.execute("SELECT * FROM app.notes").fetchall()) == 1


def test_many_rows_are_all_written_or_none(notes):
    insert = notes._root.prepare("INSERT INTO app.notes VALUES (?, ?)")
    with pytest.raises(UniqueViolation, match=r"primary key of app\.notes: 2"):
        insert.executemany([(1, "a"), (2, "b"), (2, "c")])
    assert insert.executemany((n, str(n)) for n in range(3)).rowcount == 3
    assert insert.executemany([]).rowcount == 0


def test_a_transaction_holds_plain_writes_back_until_it_commits(notes):
    session, other = notes.session("ada", role="service"), notes.session("bob", role="service")
    insert = session.prepare("INSERT INTO app.notes VALUES (?, ?)")
    insert.execute((1, "a"))
    with session.transaction():
        insert.execute((2, "b"))
        session.execute("UPDATE app.notes SET body = ? WHERE id = ?", ("c", 1))
        assert other.execute("SELECT * FROM app.notes").fetchall() == [(1, "a")]
    assert other.execute("SELECT * FROM app.notes").fetchall() == [(1, "c"), (2, "b")]


def test_plain_statements_take_the_short_way_inside_a_transaction(notes, short_ways):
    session = notes.session("ada", role="service")
    insert = session.prepare("INSERT INTO app.notes VALUES (?, ?)")
    change = session.prepare("UPDATE app.notes SET body = ? WHERE id = ?")
    with session.transaction():
        insert.execute((1, "a"))
        insert.executemany([(2, "b"), (3, "c")])
        assert change.execute(("d", 1)).rowcount == 1
        assert change.executemany([("e", 2), ("f", 3), ("g", 4)]).rowcount == 2
        assert session.execute("DELETE FROM app.notes WHERE id = ?", [3]).rowcount == 1
        session.execute("DELETE FROM app.notes WHERE id = ?", [3])
        assert session.execute("SELECT * FROM app.notes").fetchall() == [(1, "d"), (2, "e")]
    # The first DELETE had no plan yet.
    assert short_ways == {"answered": 7, "gave up": 0}
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(1, "d"), (2, "e")]


def test_a_key_that_is_taken_in_a_transaction_is_refused_and_the_transaction_goes_on(notes):
    session = notes.session("ada", role="service")
    insert = session.prepare("INSERT INTO app.notes VALUES (?, ?)")
    insert.execute((1, "a"))
    with session.transaction():
        insert.execute((2, "b"))
        for taken in (1, 2):
            with pytest.raises(UniqueViolation, match=rf"primary key of app\.notes: {taken}"):
                insert.execute((taken, "again"))
        with pytest.raises(UniqueViolation):
            insert.executemany([(3, "c"), (2, "again")])
        session.execute("DELETE FROM app.notes WHERE id = 1")
        insert.execute((1, "new"))
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(1, "new"), (2, "b")]


def test_plain_writes_of_two_transactions_conflict_at_commit(notes):
    notes.execute("INSERT INTO app.notes VALUES (1, 'a')")
    first, second = notes.session("ada", role="service"), notes.session("bob", role="service")
    for session in (first, second):
        session.begin()
        session.prepare("UPDATE app.notes SET body = ? WHERE id = ?").execute((session.user, 1))
    first.commit()
    with pytest.raises(SerializationFailure):
        second.commit()
    assert notes.execute("SELECT body FROM app.notes").fetchall() == [("ada",)]


def test_a_transaction_older_than_the_table_writes_by_its_own_catalog(notes, short_ways):
    session = notes.session("ada", role="service")
    insert = session.prepare("INSERT INTO app.notes (id, body) VALUES (?, ?)")
    session.begin()
    notes.execute("ALTER TABLE app.notes ADD COLUMN n BIGINT DEFAULT 5")
    insert.execute((1, "a"))
    assert short_ways == {"answered": 0, "gave up": 1}
    assert session.execute("SELECT * FROM app.notes").fetchall() == [(1, "a")]
    with pytest.raises(SerializationFailure, match="altered"):
        session.commit()


def test_a_transaction_that_was_idle_for_too_long_refuses_plain_writes(directory):
    with kalamdb.open(directory, transaction_timeout_s=0.05) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        session = db.session("ada", role="service")
        insert = session.prepare("INSERT INTO t VALUES (?)")
        session.begin()
        insert.execute((1,))
        time.sleep(0.1)
        with pytest.raises(InvalidTransactionState, match="idle"):
            insert.execute((2,))
        insert.execute((3,))
        assert session.execute("SELECT * FROM t").fetchall() == [(3,)]


def test_many_changes_by_key_run_in_their_order(notes, short_ways):
    notes.execute("INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')")
    change = notes._root.prepare("UPDATE app.notes SET body = ? WHERE id = ?")
    assert change.executemany([("c", 1), ("d", 1), ("e", "2"), ("f", 9)]).rowcount == 3
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(1, "d"), (2, "e")]
    with pytest.raises(InvalidParameter):
        change.executemany([("g", 1), ("h",)])
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(1, "d"), (2, "e")]


def test_a_closed_database_refuses_plain_writes(directory):
    with kalamdb.open(directory) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        insert = db._root.prepare("INSERT INTO t VALUES (?)")
        insert.execute((1,))
    with pytest.raises(DatabaseClosed):
        insert.execute((2,))


def test_updates_of_one_row_by_many_threads_are_all_done(db):
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, who TEXT, n BIGINT)")
    db.execute("INSERT INTO t VALUES (1, 'nobody', 0)")
    counts = []

    def change(name):
        statement = db.session(name, role="service", durability="normal").prepare(
            "UPDATE t SET who = ? WHERE id = ?"
        )
        counts.extend(statement.execute((name, 1)).rowcount for _ in range(200))

    threads = [threading.Thread(target=change, args=(f"user{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1] * 800


class _Naughty(datetime.tzinfo):
    """Runs a statement of its own while its value is being encoded."""

    def __init__(self, session):
        self.session = session
        self.calls = 0

    def utcoffset(self, moment):
        self.calls += 1
        if self.calls == 1:
            self.session.execute("INSERT INTO t VALUES (?, ?)", (100, None))
        return datetime.timedelta(0)


def test_a_value_whose_own_code_writes_meanwhile_harms_nothing(db):
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, at TIMESTAMP)")
    db.execute("INSERT INTO t VALUES (?, ?)", (1, None))
    moment = datetime.datetime(2026, 1, 1, tzinfo=_Naughty(db))
    db.execute("INSERT INTO t VALUES (?, ?)", (2, moment))
    assert [row[0] for row in db.execute("SELECT id FROM t ORDER BY id")] == [1, 2, 100]


def test_defaults_of_many_arrow_rows_are_what_single_rows_get(db):
    pa = pytest.importorskip("pyarrow")
    db.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), u TEXT DEFAULT UUID_V7(), "
        "l TEXT DEFAULT ULID(), at TIMESTAMP DEFAULT NOW(), who TEXT DEFAULT CURRENT_USER, "
        "n INT DEFAULT 3, d DECIMAL(5, 2) DEFAULT 1.5, "
        "m BIGINT DEFAULT -4, body TEXT)"
    )
    session = db.session("ada", role="service")
    session.insert("t", pa.table({"body": [f"text {number}" for number in range(1000)]}))
    session.insert("t", pa.table({"body": pa.array([], pa.string())}))
    rows = session.execute("SELECT id, u, l, at, who, n, d, m FROM t ORDER BY id").fetchall()
    assert [len({row[column] for row in rows}) for column in range(3)] == [1000] * 3
    assert [uuid.UUID(row[1]).version for row in rows] == [7] * 1000
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    assert {len(row[2]) for row in rows} == {26}
    assert {row[3:] for row in rows} == {(rows[0][3], "ada", 3, decimal.Decimal("1.50"), -4)}


def test_thousands_of_rows_of_growing_length_are_written_whole_or_not_at_all(notes):
    rows = [(n, f"{n} " * (n // 50)) for n in range(5_000)]
    with pytest.raises(UniqueViolation, match=r"primary key of app\.notes: 17"):
        notes.executemany("INSERT INTO app.notes VALUES (?, ?)", [*rows, (17, "again")])
    assert notes.execute("SELECT COUNT(*) FROM app.notes").fetchall() == [(0,)]
    assert notes.executemany("INSERT INTO app.notes VALUES (?, ?)", rows[::-1]).rowcount == 5_000
    assert notes.execute("SELECT * FROM app.notes ORDER BY id").fetchall() == rows


def test_thousands_of_arrow_rows_of_growing_length_are_written_whole_or_not_at_all(notes):
    rows = [(n, f"{n} " * (n // 200)) for n in range(20_000)]
    table = pa.table({"id": [n for n, _ in rows], "body": [body for _, body in rows]})
    with pytest.raises(UniqueViolation, match=r"primary key of app\.notes: 0"):
        notes._root.insert("app.notes", pa.concat_tables([table, table.slice(0, 1)]))
    assert notes.execute("SELECT COUNT(*) FROM app.notes").fetchall() == [(0,)]
    assert notes._root.insert("app.notes", table).rowcount == 20_000
    assert notes.execute("SELECT * FROM app.notes ORDER BY id").fetchall() == rows


def test_a_large_commit_over_several_tables_by_turns_finds_every_key(notes):
    notes.execute("CREATE TABLE app.others (id BIGINT PRIMARY KEY, body TEXT)")
    session = notes.session("ada", role="service")
    with session.transaction():
        for n in range(300):
            session.execute("INSERT INTO app.notes VALUES (?, ?)", (n * 7919 % 300, "note"))
            session.execute("INSERT INTO app.others VALUES (?, ?)", (n, "other"))
    for table in ("notes", "others"):
        found = notes.execute(f"SELECT id FROM app.{table} ORDER BY id").fetchall()
        assert found == [(n,) for n in range(300)]
        for n in range(300):
            assert notes.execute(f"SELECT id FROM app.{table} WHERE id = ?", [n]).fetchall() == [(n,)]
