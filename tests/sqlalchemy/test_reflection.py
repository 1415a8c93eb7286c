"""What exists, as SQLAlchemy reads it."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, Table, exc, inspect, text, types


@pytest.fixture
def everything(engine):
    """A table with a column of each type, and a view over it."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE USER TABLE everything (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), a BOOLEAN, b SMALLINT, "
                "c INT NOT NULL, d FLOAT, e DOUBLE, f DECIMAL(9,2), g TEXT DEFAULT 'none', "
                "h VARCHAR(5) COMMENT 'short', i BYTES, j TIMESTAMP DEFAULT NOW(), k DATE, l TIME, m UUID, n JSON)"
            )
        )
        connection.execute(text("CREATE VIEW few AS SELECT id, f, n AS details FROM everything"))
    return engine


def test_columns_have_their_types(everything):
    found = {column["name"]: column for column in inspect(everything).get_columns("everything")}

    assert {name: repr(column["type"]) for name, column in found.items()} == {
        "id": "BIGINT()",
        "a": "BOOLEAN()",
        "b": "SMALLINT()",
        "c": "INTEGER()",
        "d": "REAL()",
        "e": "DOUBLE()",
        "f": "DECIMAL(precision=9, scale=2)",
        "g": "TEXT()",
        "h": "VARCHAR(length=5)",
        "i": "LargeBinary()",
        "j": "TIMESTAMP(timezone=True)",
        "k": "DATE()",
        "l": "TIME()",
        "m": "UUID()",
        "n": "JSON()",
    }
    assert [name for name, column in found.items() if not column["nullable"]] == ["id", "c"]
    assert {name: column["default"] for name, column in found.items() if column["default"]} == {
        "g": "'none'",
        "j": "NOW()",
    }
    assert [name for name, column in found.items() if column["autoincrement"]] == ["id"]
    assert found["h"]["comment"] == "short"


def test_a_table_made_as_it_was_reflected_is_the_same(everything, directory):
    from sqlalchemy import create_engine

    metadata = MetaData()
    Table("everything", metadata, autoload_with=everything)
    copy = create_engine("kalamdb://")
    metadata.create_all(copy)

    def told(engine):
        with engine.connect() as connection:
            return connection.execute(
                text(
                    "SELECT column_name, data_type, nullable, primary_key, comment FROM system.columns ORDER BY ordinal"
                )
            ).all()

    assert told(copy) == told(everything)
    assert inspect(copy).get_table_options("everything") == {"kalamdb_kind": "user"}


def test_tables_and_views_are_told_apart(everything):
    found = inspect(everything)

    assert found.get_table_names() == ["everything"]
    assert found.get_view_names() == ["few"]
    assert found.has_table("few")
    assert found.get_view_definition("few") == "SELECT id, f, n AS details FROM everything"
    assert [(column["name"], str(column["type"])) for column in found.get_columns("few")] == [
        ("id", "BIGINT"),
        ("f", "DECIMAL(9, 2)"),
        ("details", "JSON"),
    ]
    assert found.get_pk_constraint("few")["constrained_columns"] == []


def test_constraints_there_are_none_of(everything):
    found = inspect(everything)
    for told in (
        found.get_foreign_keys,
        found.get_indexes,
        found.get_unique_constraints,
        found.get_check_constraints,
    ):
        assert told("everything") == []
        with pytest.raises(exc.NoSuchTableError):
            told("nothing")
    assert found.get_table_comment("everything") == {"text": None}


def test_what_is_not_there_is_no_such_table(everything):
    found = inspect(everything)
    for told in (
        found.get_columns,
        found.get_pk_constraint,
        found.get_view_definition,
        found.get_table_options,
    ):
        with pytest.raises(exc.NoSuchTableError):
            told("nothing")
        with pytest.raises(exc.NoSuchTableError):
            told("everything", schema="nowhere")
    with pytest.raises(exc.NoSuchTableError):
        found.get_view_definition("everything")
    assert not found.has_table("nothing")


def test_a_user_sees_what_that_user_may_read(everything, directory):
    from sqlalchemy import create_engine

    with everything.begin() as connection:
        connection.execute(text("CREATE TABLE secret (id BIGINT PRIMARY KEY) ACCESS private"))
    alice = create_engine(f"kalamdb:///{directory}?user=alice")

    assert inspect(alice).get_table_names() == ["everything"]
    assert not inspect(alice).has_table("secret")
    with pytest.raises(exc.NoSuchTableError):
        inspect(alice).get_columns("secret")
    alice.dispose()


def test_an_unknown_type_is_none_rather_than_another():
    from kalamdb.sqlalchemy.types import reflected_type

    assert isinstance(reflected_type("EMBEDDING(3)"), types.NullType)
    assert isinstance(reflected_type("POINT"), types.NullType)
