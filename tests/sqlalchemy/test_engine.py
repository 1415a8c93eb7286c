"""Engines: URLs, whose rows are seen, isolation, and how many databases there are."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, exc, text
from sqlalchemy.dialects import registry

import kalamdb
from kalamdb.errors import DatabaseClosed, InvalidSetting, ReadOnlyDatabase, SerializationFailure
from kalamdb.sqlalchemy import EmbeddedDialect


def test_urls_name_the_dialect_and_its_driver():
    for name in ("kalamdb", "kalamdb.embedded"):
        assert registry.load(name) is EmbeddedDialect
    assert create_engine("kalamdb+embedded://").dialect.driver == "embedded"


def test_a_url_names_path_user_namespace_and_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = create_engine("kalamdb:///data?user=alice&role=service&namespace=app&durability=normal")
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE NAMESPACE app")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT CURRENT_USER(), CURRENT_ROLE()")).one() == ("alice", "service")
        assert connection.dialect.default_schema_name == "app"
        assert connection.connection.dbapi_connection.session.durability == "normal"
    engine.dispose()
    kalamdb.open(tmp_path / "data").close()


@pytest.mark.parametrize(
    "url",
    [
        "kalamdb://host/data",
        "kalamdb://alice@/data",
        "kalamdb:///data?user=a&user=b",
        "kalamdb:///data?read_only=maybe",
    ],
)
def test_a_url_that_says_what_cannot_be_is_refused(url):
    with pytest.raises(exc.ArgumentError):
        create_engine(url).connect()


def test_a_setting_that_does_not_exist_is_refused(directory):
    with pytest.raises(exc.InterfaceError) as raised:
        create_engine(f"kalamdb:///{directory}?durable=yes").connect()
    assert isinstance(raised.value.orig, InvalidSetting)


def test_each_user_sees_the_rows_of_that_user(engine, directory):
    with engine.begin() as connection:
        connection.execute(text("CREATE USER TABLE messages (id BIGINT PRIMARY KEY, body TEXT)"))
    for user in ("alice", "bob"):
        mine = create_engine(f"kalamdb:///{directory}?user={user}")
        with mine.begin() as connection:
            connection.execute(text("INSERT INTO messages VALUES (1, :body)"), {"body": f"of {user}"})
        with mine.connect() as connection:
            assert connection.execute(text("SELECT body FROM messages")).scalars().all() == [f"of {user}"]
        mine.dispose()


def test_connections_of_an_engine_in_memory_share_one_database():
    engine, another = create_engine("kalamdb://"), create_engine("kalamdb:///:memory:")
    with engine.begin() as connection, engine.connect() as beside:
        connection.execute(text("CREATE TABLE notes (id BIGINT PRIMARY KEY)"))
        assert beside.execute(text("SELECT count(*) FROM notes")).scalar() == 0
    found: list[object] = []
    thread = threading.Thread(
        target=lambda: found.append(engine.connect().execute(text("SELECT count(*) FROM notes")).scalar())
    )
    thread.start()
    thread.join(60)

    assert found == [0]
    with another.connect() as connection, pytest.raises(exc.ProgrammingError):
        connection.execute(text("SELECT * FROM notes"))


def test_settings_of_a_database_in_memory_hold():
    engine = create_engine("kalamdb://?user=alice&durability=normal")
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection.session.durability == "normal"
        assert connection.execute(text("SELECT CURRENT_USER()")).scalar() == "alice"


def test_an_open_database_can_be_the_engines(directory):
    with kalamdb.open(directory) as db:
        engine = create_engine("kalamdb://", creator=lambda: kalamdb.connect(db, user="alice"))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT CURRENT_USER()")).scalar() == "alice"
        engine.dispose()
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_a_transaction_is_a_snapshot_and_first_committer_wins(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (id BIGINT PRIMARY KEY, n INT)"))
        connection.execute(text("INSERT INTO notes VALUES (1, 1)"))
    with engine.connect() as one, engine.connect() as other:
        assert one.get_isolation_level() == "SNAPSHOT"
        assert one.execute(text("SELECT n FROM notes")).scalar() == 1
        other.execute(text("UPDATE notes SET n = 2"))
        other.commit()
        assert one.execute(text("SELECT n FROM notes")).scalar() == 1
        one.execute(text("UPDATE notes SET n = 3"))
        with pytest.raises(exc.OperationalError) as raised:
            one.commit()
        assert isinstance(raised.value.orig, SerializationFailure)


def test_autocommit_is_an_isolation_level(engine, directory):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE TABLE notes (id BIGINT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO notes VALUES (1)"))
        connection.rollback()
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SNAPSHOT"
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 1
    automatic = create_engine(f"kalamdb:///{directory}", isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        assert connection.get_isolation_level() == "AUTOCOMMIT"
    automatic.dispose()
    with pytest.raises(exc.ArgumentError, match="SNAPSHOT"):
        create_engine(f"kalamdb:///{directory}", isolation_level="SERIALIZABLE").connect()


def test_savepoints_are_refused(engine):
    with engine.connect() as connection, pytest.raises(exc.NotSupportedError, match="SAVEPOINT"):
        connection.begin_nested()


def test_a_database_that_was_closed_is_a_disconnect(directory):
    db = kalamdb.open(directory)
    engine = create_engine("kalamdb://", creator=lambda: kalamdb.connect(db))
    with engine.connect() as connection:
        db.close()
        with pytest.raises(exc.InterfaceError) as raised:
            connection.execute(text("SELECT 1"))
        assert isinstance(raised.value.orig, DatabaseClosed)
        assert raised.value.connection_invalidated
    db = kalamdb.open(directory)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
    db.close()


def test_read_only_stands_beside_the_owner(engine, directory):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (id BIGINT PRIMARY KEY)"))
        connection.execute(text("CHECKPOINT"))
    reader = create_engine(f"kalamdb:///{directory}?read_only=true")
    with reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 0
        with pytest.raises(exc.OperationalError) as raised:
            connection.execute(text("INSERT INTO notes VALUES (1)"))
        assert isinstance(raised.value.orig, ReadOnlyDatabase)
    reader.dispose()


def test_the_pool_leaves_no_transaction_open(engine):
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        raw = connection.connection.dbapi_connection
        assert raw.in_transaction

    assert not raw.in_transaction


def test_disposing_lets_go_of_the_directory(directory: Path):
    engine = create_engine(f"kalamdb:///{directory}")
    with engine.connect():
        pass
    engine.dispose()
    kalamdb.open(directory).close()


def test_statements_are_compiled_once(engine):
    """What SQLAlchemy cannot cache it warns of; and another path into JSON is not taken for the first."""
    from sqlalchemy import JSON, Column, Integer, MetaData, Table, insert, select

    table = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("data", JSON))
    table.metadata.create_all(engine)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda c, cursor, sql, *rest: sent.append(sql))
    with warnings.catch_warnings(), engine.begin() as connection:
        warnings.simplefilter("error")
        connection.execute(insert(table), [{"data": {"a": {"b": 1}, "c": [5, {"d": 2}]}}])
        found = [
            connection.execute(select(table.c.data[path].as_integer())).scalar()
            for path in (("a", "b"), ("c", 1, "d"), ("c", 0), ("it's", "not", "there"))
        ]

    assert found == [1, 2, 5, None]
    assert len({sql for sql in sent if sql.startswith("SELECT")}) == 4
