"""Which types the parameters of a statement take, as far as its text says so."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.types import BIGINT, DATE, TEXT, TIMESTAMP


@pytest.fixture
def session(db: kalamdb.Database) -> kalamdb.Session:
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE SHARED TABLE app.events (id BIGINT PRIMARY KEY, at TIMESTAMP, name TEXT, day DATE)")
    db.execute("CREATE SHARED TABLE app.days (id BIGINT PRIMARY KEY, at DATE, note TEXT)")
    db.execute("CREATE SHARED TABLE app.secrets (id BIGINT PRIMARY KEY, hour TIMESTAMP)")
    db.execute("ALTER TABLE app.secrets SET ACCESS private")
    return db.session("ann", namespace="app")


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("SELECT * FROM events WHERE id = ?", [BIGINT]),
        ("SELECT * FROM app.events e WHERE e.at >= $2 AND e.id < $1", [BIGINT, TIMESTAMP]),
        ("SELECT * FROM events WHERE ? <= at LIMIT ? OFFSET ?", [TIMESTAMP, BIGINT, BIGINT]),
        (
            "SELECT * FROM events WHERE at NOT BETWEEN ? AND ? AND id IN (?, 5, ?)",
            [TIMESTAMP, TIMESTAMP, BIGINT, BIGINT],
        ),
        ("SELECT * FROM events WHERE id NOT IN (?)", [BIGINT]),
        ("SELECT * FROM events WHERE _seq > ? AND _updated < ?", [BIGINT, TIMESTAMP]),
        (
            "INSERT INTO events VALUES (?, ?, ?, ?), (?, NOW(), ?, ?)",
            [BIGINT, TIMESTAMP, TEXT, DATE, BIGINT, TEXT, DATE],
        ),
        ("INSERT INTO app.events (at, id) VALUES (?, ? + 1)", [TIMESTAMP, None]),
        ("UPDATE events SET at = ?, name = upper(?) WHERE id = ?", [TIMESTAMP, None, BIGINT]),
        ("DELETE FROM events WHERE day = ?", [DATE]),
        ("EXECUTE AS USER 'ann' (SELECT * FROM events WHERE at = ?)", [TIMESTAMP]),
        ("SELECT ?, id + ? FROM events WHERE id + 1 = ? OR lower(name) = ?", [None, None, None, None]),
        ("SELECT * FROM events e JOIN days d ON e.id = d.id WHERE e.at > ? AND d.note = ?", [None, TEXT]),
        ("SELECT * FROM nowhere WHERE at = ?", [None]),
        ("SELECT * FROM secrets WHERE hour = ?", [None]),
        ("SELECT 1", []),
    ],
)
def test_a_parameter_takes_the_type_of_the_column_beside_it(session, sql, types) -> None:
    assert list(session.parameter_types(sql)) == types


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO events VALUES (?",
        "INSERT INTO",
        "INSERT INTO events (id VALUES (?)",
        "? = ? = ?",
        "WHERE id IN (?, ,?",
        "LIMIT ?",
    ],
)
def test_what_is_no_statement_has_no_types_and_no_error(session, sql) -> None:
    assert len(session.parameter_types(sql)) == sql.count("?")
