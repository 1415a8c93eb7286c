"""What a type checker sees of the public interface; `make check` reads it, nothing runs it."""

from collections.abc import Iterator
from typing import Any, assert_type

import kalamcore
import kalamdb
from kalamdb import ids


def tour() -> None:
    """Every name that the tour uses, with its type."""
    with kalamdb.open("data/", durability="normal") as db:
        assert_type(db, kalamdb.Database)
        session = db.session("alice", role="user")
        assert_type(session, kalamdb.Session)
        result = session.execute("SELECT ?", [1])
        assert_type(result, kalamdb.Result)
        assert_type(result.fetchone(), tuple[Any, ...] | None)
        assert_type(result.columns, tuple[str, ...])
        assert_type(result.took_ms, float)
        assert_type(result.json_rows(objects=True, piece_bytes=1000), Iterator[bytes])
        statement = session.prepare("SELECT 1")
        assert_type(statement, kalamdb.Statement)
        assert_type(statement.execute(), kalamdb.Result)
        assert_type(statement.executemany([()]), kalamdb.Result)
        assert_type(session.insert("t", [{"a": 1}]), kalamdb.Result)
        assert_type(db.stats(), dict[str, int])
    with kalamdb.connect("data/", user="alice", autocommit=True) as connection:
        assert_type(connection, kalamdb.Connection)
        cursor = connection.cursor().execute("SELECT ?", [1])
        assert_type(cursor, kalamdb.Cursor)
        assert_type(cursor.fetchone(), tuple[Any, ...] | None)
        assert_type(cursor.rowcount, int)
        assert_type(connection.session, kalamdb.Session)
    assert_type(ids.snowflake_id(), int)
    assert_type(kalamcore.first_null([(1, None)], [1]), tuple[int, int] | None)
