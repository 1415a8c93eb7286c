"""PEP 249, clause by clause, as its text has them; the comments name its sections.

Written anew in the manner of the public dbapi20 suite, and asked of both modules that are the one PEP 249 means.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

import kalamdb
import kalamdb.dbapi

BOOZE = ["Carlton Cold", "Carlton Draft", "Mountain Goat", "Redback", "Victoria Bitter", "XXXX"]


@pytest.fixture(params=[kalamdb, kalamdb.dbapi], ids=lambda module: module.__name__)
def driver(request: pytest.FixtureRequest) -> ModuleType:
    """The module."""
    return request.param


@pytest.fixture
def connection(directory: Any) -> Iterator[kalamdb.Connection]:
    """A connection to an empty database."""
    connection = kalamdb.connect(directory)
    yield connection
    connection.close()


@pytest.fixture
def cursor(connection: kalamdb.Connection) -> kalamdb.Cursor:
    """A cursor, and a table booze with the column name."""
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE booze (name TEXT PRIMARY KEY, strength DECIMAL(4,1))")
    return cursor


@pytest.fixture
def stocked(cursor: kalamdb.Cursor) -> kalamdb.Cursor:
    """The same with rows in it."""
    cursor.executemany("INSERT INTO booze (name) VALUES (?)", [(name,) for name in BOOZE])
    return cursor


# Module interface: constructors, globals


def test_globals(driver):
    assert driver.apilevel == "2.0"
    assert driver.threadsafety == 2
    assert driver.paramstyle == "qmark"
    assert callable(driver.connect)


def test_connect_gives_a_connection_and_takes_keywords(driver, directory):
    connection = driver.connect(path=directory, user="alice", namespace="default", autocommit=True)

    assert isinstance(connection, driver.Connection)
    connection.close()


# Exceptions: the tree


def test_exceptions_stand_in_the_tree_of_the_specification(driver):
    assert issubclass(driver.Warning, Exception)
    assert issubclass(driver.Error, Exception)
    assert not issubclass(driver.Warning, driver.Error)
    for below_error in (driver.InterfaceError, driver.DatabaseError):
        assert below_error.__bases__ == (driver.Error,)
    for below_database_error in (
        driver.DataError,
        driver.OperationalError,
        driver.IntegrityError,
        driver.InternalError,
        driver.ProgrammingError,
        driver.NotSupportedError,
    ):
        assert below_database_error.__bases__ == (driver.DatabaseError,)


@pytest.mark.parametrize(
    ("sql", "parameters", "kind"),
    [
        ("INSERT INTO booze (name) VALUES (NULL)", (), kalamdb.IntegrityError),
        ("INSERT INTO booze (name) VALUES ('Redback'), ('Redback')", (), kalamdb.IntegrityError),
        ("INSERT INTO booze (name, strength) VALUES ('a', 'strong')", (), kalamdb.DataError),
        ("SELECT 1 / 0", (), kalamdb.DataError),
        ("SELECT * FROM cellar", (), kalamdb.ProgrammingError),
        ("SELEKT", (), kalamdb.ProgrammingError),
        ("", (), kalamdb.ProgrammingError),
        (b"SELECT 1", (), kalamdb.InterfaceError),
        (None, (), kalamdb.InterfaceError),
        ("SELECT ?", (), kalamdb.InterfaceError),
        ("SELECT ?", {"name": 1}, kalamdb.InterfaceError),
        ("SELECT 1; SELECT 2", (), kalamdb.InterfaceError),
        ("SAVEPOINT here", (), kalamdb.NotSupportedError),
        ("COMMIT", (), kalamdb.OperationalError),
    ],
)
def test_errors_are_of_the_class_that_says_what_is_wrong(cursor, sql, parameters, kind):
    with pytest.raises(kind) as raised:
        cursor.execute(sql, parameters)

    assert type(raised.value).__mro__.index(kind) <= 1
    assert cursor.description is None


def test_exceptions_are_attributes_of_connections(driver, connection):
    for name in [
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    ]:
        assert getattr(connection, name) is getattr(driver, name)


# Connection methods


def test_commit_makes_changes_seen_by_others(stocked, directory):
    with kalamdb.connect(directory) as other:
        reader = other.cursor().execute("SELECT count(*) FROM booze")
        assert reader.fetchone() == (0,)
        other.commit()
        stocked.connection.commit()
        assert reader.execute("SELECT count(*) FROM booze").fetchone() == (6,)
    other.close()


def test_rollback_goes_back_to_the_start_of_the_pending_transaction(stocked):
    stocked.connection.commit()
    stocked.execute("DELETE FROM booze")
    stocked.connection.rollback()

    assert stocked.execute("SELECT count(*) FROM booze").fetchone() == (6,)


def test_commit_and_rollback_without_a_transaction_do_nothing(connection):
    connection.commit()
    connection.rollback()
    connection.commit()


def test_closing_without_a_commit_rolls_back(stocked, directory):
    stocked.connection.close()

    with kalamdb.connect(directory) as other:
        assert other.cursor().execute("SELECT count(*) FROM booze").fetchone() == (0,)
    other.close()


def test_a_closed_connection_raises_whatever_is_attempted(connection, cursor):
    cursor.execute("SELECT 1")
    connection.close()
    connection.close()

    for attempt in (
        connection.commit,
        connection.rollback,
        connection.cursor,
        lambda: cursor.execute("SELECT 1"),
        lambda: cursor.executemany("INSERT INTO booze (name) VALUES (?)", [("a",)]),
        cursor.fetchone,
        cursor.fetchmany,
        cursor.fetchall,
        lambda: next(cursor),
        lambda: cursor.setinputsizes([1]),
        lambda: cursor.connection,
    ):
        with pytest.raises(kalamdb.Error, match="connection is closed"):
            attempt()


def test_changes_of_one_cursor_are_seen_by_another_of_the_connection(connection, stocked):
    assert connection.cursor().execute("SELECT count(*) FROM booze").fetchone() == (6,)


# Cursor attributes


def test_description_has_seven_items_a_column(cursor):
    assert cursor.connection.cursor().description is None
    cursor.execute("INSERT INTO booze (name) VALUES ('a')")
    assert cursor.description is None
    cursor.execute("SELECT name, strength, CAST('b' AS TEXT) AS b FROM booze")

    assert cursor.description == [
        ("name", "TEXT", None, None, None, None, None),
        ("strength", "DECIMAL(4,1)", None, None, 4, 1, None),
        ("b", "TEXT", None, None, None, None, None),
    ]
    cursor.execute("DELETE FROM booze")
    assert cursor.description is None


def test_type_codes_equal_the_type_objects(cursor, driver):
    cursor.execute(
        "CREATE TABLE everything (id BIGINT PRIMARY KEY, a BOOLEAN, b SMALLINT, c INT, d FLOAT, e DOUBLE, "
        "f DECIMAL(9,2), g TEXT, h VARCHAR(5), i BYTES, j TIMESTAMP, k DATE, l TIME, m UUID, n JSON)"
    )
    kinds = [driver.STRING, driver.BINARY, driver.NUMBER, driver.DATETIME, driver.ROWID]
    cursor.execute("SELECT * FROM everything")
    found = [[kind for kind in kinds if kind == column[1]] for column in cursor.description]

    number, string, moment = [driver.NUMBER], [driver.STRING], [driver.DATETIME]
    assert found == [
        *[number] * 7,
        *[string] * 2,
        [driver.BINARY],
        *[moment] * 3,
        *[string] * 2,
    ]
    assert cursor.description[8][3] == 5
    assert driver.STRING != driver.NUMBER
    assert (driver.STRING == 1) is False


def test_a_column_whose_type_nobody_told_has_that_of_its_values(cursor):
    cursor.execute("INSERT INTO booze (name) VALUES ('a') RETURNING name, 1 + 1 AS two, NULL AS nothing")

    assert [column[1] for column in cursor.description] == ["TEXT", "BIGINT", "TEXT"]


def test_rowcount(cursor):
    assert cursor.connection.cursor().rowcount == -1
    cursor.execute("INSERT INTO booze (name) VALUES ('a'), ('b')")
    assert cursor.rowcount == 2
    cursor.execute("SELECT name FROM booze")
    assert cursor.rowcount == 2
    cursor.execute("UPDATE booze SET strength = 1 WHERE name = 'a'")
    assert cursor.rowcount == 1
    cursor.execute("DELETE FROM booze")
    assert cursor.rowcount == 2
    cursor.execute("CREATE TABLE other (id BIGINT PRIMARY KEY)")
    assert cursor.rowcount in (-1, 0)
    with pytest.raises(kalamdb.Error):
        cursor.execute("SELECT * FROM nowhere")
    assert cursor.rowcount == -1


# Cursor methods


def test_close_ends_a_cursor_and_may_be_called_twice(stocked):
    stocked.close()
    stocked.close()

    for attempt in (
        lambda: stocked.execute("SELECT 1"),
        stocked.fetchone,
        stocked.fetchall,
        lambda: stocked.connection,
    ):
        with pytest.raises(kalamdb.InterfaceError, match="cursor is closed"):
            attempt()


def test_execute_binds_by_question_marks(cursor):
    hostile = "'); DROP TABLE booze; --"
    cursor.execute("INSERT INTO booze (name) VALUES (?)", [hostile])
    cursor.execute("INSERT INTO booze (name, strength) VALUES (?, ?)", ("b", Decimal("4.9")))

    assert cursor.execute("SELECT * FROM booze ORDER BY name").fetchall() == [
        (hostile, None),
        ("b", Decimal("4.9")),
    ]


def test_executemany_counts_all_and_runs_no_query(cursor):
    cursor.executemany("INSERT INTO booze (name) VALUES (?)", [(name,) for name in BOOZE])
    assert cursor.rowcount == 6
    cursor.executemany("UPDATE booze SET strength = ? WHERE name = ?", ((1, name) for name in BOOZE[:3]))
    assert cursor.rowcount == 3
    cursor.executemany("DELETE FROM booze WHERE name = ?", [])
    assert cursor.rowcount == 0
    for sql in ("SELECT * FROM booze WHERE name = ?", "CREATE TABLE other (id BIGINT PRIMARY KEY)"):
        with pytest.raises(kalamdb.ProgrammingError, match="executemany"):
            cursor.executemany(sql, [("a",)])
    for sql, rows in (("DELETE FROM booze WHERE name = ?", "abc"), (None, [("a",)])):
        with pytest.raises(kalamdb.InterfaceError):
            cursor.executemany(sql, rows)


def test_fetchone_gives_rows_and_then_none(stocked):
    stocked.execute("SELECT name FROM booze ORDER BY name")
    rows = [stocked.fetchone() for _ in range(8)]

    assert rows == [(name,) for name in BOOZE] + [None, None]


def test_fetchmany_takes_arraysize_or_a_size(stocked):
    assert stocked.arraysize == 1
    stocked.execute("SELECT name FROM booze ORDER BY name")
    assert stocked.fetchmany() == [(BOOZE[0],)]
    stocked.arraysize = 4
    assert stocked.fetchmany() == [(name,) for name in BOOZE[1:5]]
    assert stocked.fetchmany(size=10) == [(BOOZE[5],)]
    assert stocked.fetchmany() == []
    assert stocked.fetchmany(0) == []
    with pytest.raises(kalamdb.InterfaceError):
        stocked.fetchmany(-1)


def test_fetchall_gives_the_rest(stocked):
    stocked.execute("SELECT name FROM booze ORDER BY name")
    stocked.fetchone()
    assert stocked.fetchall() == [(name,) for name in BOOZE[1:]]
    assert stocked.fetchall() == []
    assert stocked.execute("SELECT name FROM booze WHERE name = 'water'").fetchall() == []


@pytest.mark.parametrize("before", [None, "INSERT INTO booze (name) VALUES ('a')", "USE default"])
def test_to_fetch_without_rows_raises(cursor, before):
    fresh = cursor.connection.cursor()
    if before is not None:
        fresh.execute(before)

    for attempt in (fresh.fetchone, fresh.fetchmany, fresh.fetchall, lambda: next(fresh)):
        with pytest.raises(kalamdb.ProgrammingError, match="no rows to fetch"):
            attempt()


def test_what_is_optional_is_absent_or_does_nothing(cursor):
    assert not hasattr(cursor, "callproc")
    assert not hasattr(cursor, "nextset")
    assert cursor.setinputsizes([10, None]) is None
    assert cursor.setoutputsize(1000) is None
    assert cursor.setoutputsize(1000, 2) is None


# Type objects and constructors


def test_constructors_make_values_that_come_back(driver, cursor):
    cursor.execute(
        "CREATE TABLE times (id BIGINT PRIMARY KEY, day DATE, clock TIME, at TIMESTAMP, raw BYTES)"
    )
    values = (
        driver.Date(2002, 12, 25),
        driver.Time(13, 45, 30),
        driver.Timestamp(2002, 12, 25, 13, 45, 30),
        driver.Binary(b"\x00something"),
    )
    cursor.execute("INSERT INTO times VALUES (1, ?, ?, ?, ?)", values)
    cursor.execute("SELECT day, clock, at, raw FROM times")

    day, clock, at, raw = cursor.fetchone()
    assert (day, clock, raw) == (values[0], values[1], values[3])
    assert at == values[2].replace(tzinfo=datetime.UTC)


def test_ticks_are_seconds_since_the_epoch_in_utc(driver):
    ticks = 1040823930.5

    assert driver.TimestampFromTicks(ticks) == datetime.datetime(
        2002, 12, 25, 13, 45, 30, 500_000, datetime.UTC
    )
    assert driver.DateFromTicks(ticks) == driver.Date(2002, 12, 25)
    assert driver.TimeFromTicks(ticks) == driver.Time(13, 45, 30, 500_000)


def test_null_is_none_in_and_out(cursor):
    cursor.execute("INSERT INTO booze (name, strength) VALUES (?, ?)", ("a", None))

    assert cursor.execute("SELECT strength FROM booze").fetchall() == [(None,)]


# Optional extensions


def test_cursors_iterate_and_tell_where_they_are(stocked):
    assert stocked.rownumber is None
    stocked.execute("SELECT name FROM booze ORDER BY name")
    assert stocked.rownumber == 0
    assert next(stocked) == (BOOZE[0],)
    assert [name for (name,) in stocked] == BOOZE[1:]
    assert stocked.rownumber == 6
    assert iter(stocked) is stocked


def test_a_cursor_knows_its_connection_and_no_row_id(connection, stocked):
    assert stocked.connection is connection
    assert stocked.lastrowid is None


def test_execute_gives_the_cursor(cursor):
    assert cursor.execute("SELECT 1") is cursor
    assert cursor.executemany("DELETE FROM booze WHERE name = ?", [("a",)]) is cursor


# Threads: 2, threads may share the module and connections


def test_threads_share_a_connection_and_its_transaction(connection, cursor):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            mine = connection.cursor()
            for count in range(20):
                mine.execute("INSERT INTO booze (name) VALUES (?)", (f"{number}-{count}",))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert cursor.execute("SELECT count(*) FROM booze").fetchone() == (80,)
    connection.rollback()
    assert cursor.execute("SELECT count(*) FROM booze").fetchone() == (0,)
