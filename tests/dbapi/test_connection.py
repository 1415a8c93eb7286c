"""Connections: when transactions begin and end, and whose rows are seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    DatabaseClosed,
    InvalidName,
    InvalidParameter,
    InvalidTransactionState,
    SerializationFailure,
    UndefinedNamespace,
)


@pytest.fixture
def connection(directory: Path) -> Iterator[kalamdb.Connection]:
    """A connection to a database with the SHARED table notes (id, body) and a row in it."""
    connection = kalamdb.connect(directory)
    connection.cursor().execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
    connection.cursor().execute("INSERT INTO notes VALUES (1, 'first')")
    connection.commit()
    yield connection
    connection.close()


@pytest.fixture
def other(connection: kalamdb.Connection, directory: Path) -> Iterator[kalamdb.Connection]:
    """Another connection to it."""
    other = kalamdb.connect(directory)
    yield other
    other.close()


def bodies(connection: kalamdb.Connection) -> list[str]:
    return [body for (body,) in connection.cursor().execute("SELECT body FROM notes ORDER BY id")]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM notes",
        "  -- first\nselect 1",
        "WITH one AS (SELECT 1) SELECT * FROM one",
        "VALUES (1)",
        "(SELECT 1) UNION (SELECT 2)",
        "INSERT INTO notes VALUES (2, 'second')",
        "UPDATE notes SET body = 'new'",
        "delete from notes;",
        "EXECUTE AS USER 'alice' (SELECT 1)",
    ],
)
def test_a_transaction_begins_before_a_statement_about_rows(connection, sql):
    assert not connection.in_transaction
    connection.cursor().execute(sql)
    assert connection.in_transaction
    connection.rollback()
    assert not connection.in_transaction
    assert bodies(connection) == ["first"]


@pytest.mark.parametrize("sql", ["SHOW TABLES", "USE default", "DESCRIBE notes", "EXPLAIN SELECT 1"])
def test_none_begins_before_what_only_looks_at_what_exists(connection, sql):
    connection.cursor().execute(sql)

    assert not connection.in_transaction


def test_reads_of_a_transaction_are_of_one_moment(connection, other):
    assert bodies(connection) == ["first"]
    other.cursor().execute("UPDATE notes SET body = 'changed'")
    other.commit()

    assert bodies(connection) == ["first"]
    connection.commit()
    assert bodies(connection) == ["changed"]


def test_who_read_before_another_changed_it_does_not_overwrite_it(connection, other):
    for one in (connection, other):
        one.cursor().execute("SELECT body FROM notes WHERE id = 1")
        one.cursor().execute("UPDATE notes SET body = 'mine' WHERE id = 1")
    other.commit()

    with pytest.raises(SerializationFailure):
        connection.commit()
    assert not connection.in_transaction
    assert bodies(connection) == ["mine"]


def test_a_failed_statement_leaves_the_transaction_open(connection):
    connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    with pytest.raises(kalamdb.IntegrityError):
        connection.cursor().execute("INSERT INTO notes VALUES (3, 'third'), (2, 'again')")
    connection.commit()

    assert bodies(connection) == ["first", "second"]


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE more (id BIGINT PRIMARY KEY)",
        "ALTER TABLE notes ADD COLUMN size INT",
        "CREATE NAMESPACE more",
        "CREATE USER alice",
        "CREATE VIEW more AS SELECT * FROM notes",
        "DROP TABLE IF EXISTS nothing",
    ],
)
def test_what_changes_what_exists_commits_first(connection, other, ddl):
    connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    connection.cursor().execute(ddl)

    assert not connection.in_transaction
    assert bodies(other) == ["first", "second"]


def test_a_wrong_text_commits_nothing(connection):
    connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    with pytest.raises(kalamdb.ProgrammingError):
        connection.cursor().execute("CREATE TABEL more (id BIGINT PRIMARY KEY)")
    connection.rollback()

    assert bodies(connection) == ["first"]


def test_a_flush_or_a_look_does_not_end_a_transaction(connection):
    connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    for sql in ("CHECKPOINT", "SHOW TABLES", "DESCRIBE notes", "USE default"):
        connection.cursor().execute(sql)
    connection.rollback()

    assert bodies(connection) == ["first"]


def test_begin_and_commit_may_be_said_in_sql(connection, other):
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO notes VALUES (2, 'second')")
    with pytest.raises(InvalidTransactionState):
        cursor.execute("BEGIN")
    cursor.execute("COMMIT")

    assert bodies(other) == ["first", "second"]


def test_with_commits_or_rolls_back_and_does_not_close(connection, other):
    with connection:
        connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    with pytest.raises(kalamdb.DataError), connection:
        connection.cursor().execute("INSERT INTO notes VALUES (3, 'third')").execute("SELECT 1 / 0")

    assert bodies(other) == ["first", "second"]
    assert bodies(connection) == ["first", "second"]


def test_with_closes_a_cursor(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(kalamdb.InterfaceError, match="cursor is closed"):
        cursor.fetchone()


def test_autocommit_commits_each_statement(directory):
    connection = kalamdb.connect(directory, autocommit=True)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
    cursor.executemany("INSERT INTO notes VALUES (?, ?)", [(1, "first"), (2, "second")])
    assert not connection.in_transaction
    connection.rollback()

    assert bodies(connection) == ["first", "second"]
    cursor.execute("BEGIN")
    cursor.execute("DELETE FROM notes")
    connection.rollback()
    assert bodies(connection) == ["first", "second"]
    connection.close()


def test_to_set_autocommit_commits_what_is_open(connection, other):
    connection.cursor().execute("INSERT INTO notes VALUES (2, 'second')")
    connection.autocommit = True
    assert connection.autocommit
    assert bodies(other) == ["first", "second"]
    connection.autocommit = False
    connection.cursor().execute("DELETE FROM notes")
    assert connection.in_transaction


def test_an_idle_transaction_is_told_once_and_the_next_one_begins(directory):
    connection = kalamdb.connect(directory, transaction_timeout_s=0.05)
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    threading.Event().wait(0.2)
    with pytest.raises(InvalidTransactionState, match="transaction_timeout_s"):
        cursor.execute("SELECT 1")
    assert cursor.execute("SELECT 1").fetchone() == (1,)
    threading.Event().wait(0.2)
    connection.rollback()
    connection.close()


def test_one_statement_at_a_time_whatever_ends_it(connection):
    cursor = connection.cursor()

    assert cursor.execute("SELECT ';' ; -- the end\n ;").fetchone() == (";",)
    for many in ("SELECT 1; SELECT 2", "INSERT INTO notes VALUES (2, 'b'); DROP TABLE notes"):
        for autocommit in (True, False):
            connection.autocommit = autocommit
            with pytest.raises(InvalidParameter, match="one statement"):
                cursor.execute(many)
            with pytest.raises(InvalidParameter, match="one statement"):
                cursor.executemany(many, [()])
    assert bodies(connection) == ["first"]


def test_a_user_sees_the_rows_of_that_user_and_has_that_users_rights(connection, directory):
    connection.cursor().execute("CREATE USER TABLE messages (id BIGINT PRIMARY KEY, body TEXT)")
    alice = kalamdb.connect(directory, "alice")
    bob = kalamdb.connect(directory, "bob", role="service")
    with alice:
        alice.cursor().execute("INSERT INTO messages VALUES (1, 'of alice')")

    assert bob.cursor().execute("SELECT * FROM messages").fetchall() == []
    assert alice.cursor().execute("SELECT body FROM messages").fetchall() == [("of alice",)]
    with pytest.raises(AccessDenied):
        alice.cursor().execute("INSERT INTO notes VALUES (2, 'b')")
    bob.cursor().execute("INSERT INTO notes VALUES (2, 'b')")
    alice.close()
    bob.close()


def test_a_namespace_is_where_names_are_looked_for(connection, directory):
    connection.cursor().execute("CREATE NAMESPACE app")
    connection.cursor().execute("CREATE TABLE app.inner (id BIGINT PRIMARY KEY)")
    with kalamdb.connect(directory, namespace="app") as inside:
        assert inside.namespace == "app"
        assert inside.cursor().execute("SELECT * FROM inner").fetchall() == []
    inside.close()


def test_what_connect_cannot_do_is_said_and_holds_nothing(directory):
    for arguments, kind in (
        ({"user": ""}, InvalidName),
        ({"role": "king"}, InvalidParameter),
        ({"namespace": "nowhere"}, UndefinedNamespace),
    ):
        with pytest.raises(kind):
            kalamdb.connect(directory, **arguments)
    with kalamdb.open(directory):
        pass


def test_the_session_is_there_for_what_the_specification_has_no_name_for(connection):
    connection.session.insert("notes", [{"id": 2, "body": "second"}])

    assert connection.session.execute("SELECT * FROM notes").arrow().num_rows == 2
    connection.close()
    with pytest.raises(DatabaseClosed):
        connection.session  # noqa: B018


def test_repr_tells_the_user_and_no_path(connection, directory):
    assert repr(connection) == "<Connection of root>"
    connection.close()
    assert repr(connection) == "<Connection, closed>"
