"""Tables as they are declared and as they are made: keys, kinds, what is left out with a warning, what is refused."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    exc,
    func,
    insert,
    inspect,
    schema,
    select,
    text,
)
from sqlalchemy.schema import CreateTable

from kalamdb.sqlalchemy import EmbeddedDialect


@pytest.fixture
def metadata() -> MetaData:
    """Nothing declared yet."""
    return MetaData()


def ddl(table: Table) -> str:
    """CREATE TABLE in one line."""
    return " ".join(str(CreateTable(table).compile(dialect=EmbeddedDialect())).split())


def test_an_integer_key_fills_itself_and_is_wide_enough(metadata, engine):
    table = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("body", String))
    assert ddl(table) == (
        "CREATE TABLE notes ( id BIGINT DEFAULT SNOWFLAKE_ID(), body TEXT, PRIMARY KEY (id) )"
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        one = connection.execute(insert(table), {"body": "a"}).inserted_primary_key[0]
        given = connection.execute(insert(table), {"id": 5, "body": "b"}).inserted_primary_key[0]
        many = connection.execute(
            insert(table).returning(table.c.id, table.c.body, sort_by_parameter_order=True),
            [{"body": str(number)} for number in range(2_500)],
        ).all()

    assert one > 2**32
    assert given == 5
    assert [body for _, body in many] == [str(number) for number in range(2_500)]
    assert [key for key, _ in many] == sorted(key for key, _ in many)


def test_a_key_that_does_not_fill_itself_is_as_declared(metadata):
    assert ddl(Table("a", metadata, Column("id", Integer, primary_key=True, autoincrement=False))) == (
        "CREATE TABLE a ( id BIGINT, PRIMARY KEY (id) )"
    )
    assert ddl(Table("b", metadata, Column("name", String(20), primary_key=True))) == (
        "CREATE TABLE b ( name VARCHAR(20), PRIMARY KEY (name) )"
    )
    assert ddl(
        Table("c", metadata, Column("id", Text, primary_key=True, server_default=text("UUID_V7()")))
    ) == ("CREATE TABLE c ( id TEXT DEFAULT UUID_V7(), PRIMARY KEY (id) )")


def test_a_uuid_may_be_a_key_and_be_referred_to(metadata, engine):
    parents = Table("parents", metadata, Column("id", Uuid, primary_key=True, default=uuid.uuid4))
    children = Table(
        "children",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("parent_id", Uuid, ForeignKey("parents.id")),
    )
    with pytest.warns(exc.SAWarning, match="does not enforce foreign keys"):
        metadata.create_all(engine)
    with engine.begin() as connection:
        key = connection.execute(insert(parents)).inserted_primary_key[0]
        connection.execute(insert(children), {"parent_id": key})
        found = connection.execute(select(parents.c.id, children.c.parent_id).join(children)).all()
        again = connection.execute(select(parents.c.id).where(parents.c.id == key)).scalar_one()

    assert found == [(key, key)]
    assert again == key
    assert isinstance(again, uuid.UUID)


@pytest.mark.parametrize("kind", [Date, DateTime, Numeric])
def test_a_key_of_another_type_is_refused(metadata, kind):
    with pytest.raises(exc.CompileError, match="an integer, text or a UUID"):
        ddl(Table("a", metadata, Column("id", kind, primary_key=True)))


def test_a_key_of_several_columns_is_refused(metadata):
    table = Table(
        "a", metadata, Column("x", Integer, primary_key=True), Column("y", Integer, primary_key=True)
    )
    with pytest.raises(exc.CompileError, match=r"several columns \(x, y\).*make one of them the key"):
        ddl(table)


def test_a_table_without_a_key_gets_one_that_nobody_sees(metadata, engine):
    table = Table("readings", metadata, Column("value", Integer))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(table), [{"value": 1}, {"value": 1}])
        assert connection.execute(select(table)).all() == [(1,), (1,)]
        assert len(connection.execute(text("SELECT DISTINCT row_id FROM readings")).all()) == 2
    found = inspect(engine)

    assert [column["name"] for column in found.get_columns("readings")] == ["value"]
    assert found.get_pk_constraint("readings")["constrained_columns"] == []
    reflected = Table("readings", MetaData(), autoload_with=engine)
    assert reflected.columns.keys() == ["value"]


def test_a_column_row_id_of_ones_own_is_seen_and_cannot_be_added_to(metadata, engine):
    Table("own", metadata, Column("row_id", BigInteger, primary_key=True))
    metadata.create_all(engine)
    assert inspect(engine).get_pk_constraint("own")["constrained_columns"] == ["row_id"]
    with pytest.raises(exc.CompileError, match="row_id"):
        ddl(Table("bad", metadata, Column("row_id", BigInteger)))


def test_integers_are_as_wide_as_declared_and_as_keys_they_refer_to(metadata):
    Table("a", metadata, Column("id", Integer, primary_key=True))
    table = Table(
        "b",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("a_id", Integer, ForeignKey("a.id")),
        Column("i", Integer),
        Column("s", SmallInteger, nullable=False, server_default="5"),
        Column("b", BigInteger, comment="it's wide"),
        Column("at", DateTime, server_default=func.now()),
    )
    with pytest.warns(exc.SAWarning, match="ON DELETE"):
        assert ddl(table) == (
            "CREATE TABLE b ( id BIGINT DEFAULT SNOWFLAKE_ID(), a_id BIGINT, i INTEGER, "
            "s SMALLINT DEFAULT '5' NOT NULL, b BIGINT COMMENT 'it''s wide', at TIMESTAMP DEFAULT now(), "
            "PRIMARY KEY (id) )"
        )


def test_an_index_is_left_out_with_a_warning(metadata, engine):
    table = Table("a", metadata, Column("id", Integer, primary_key=True), Column("x", Integer, index=True))
    with pytest.warns(exc.SAWarning, match="ix_a_x is left out"):
        metadata.create_all(engine)
    with engine.begin() as connection:
        for index in table.indexes:
            index.drop(connection)

    assert inspect(engine).get_indexes("a") == []


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        (lambda: UniqueConstraint("x"), r"UNIQUE \(x\)"),
        (lambda: CheckConstraint("x > 0"), r"CHECK \(x > 0\)"),
        (lambda: Index("once", "x", unique=True), "unique index once"),
    ],
)
def test_what_an_application_relies_on_is_refused_unless_it_does_without(metadata, engine, promise, said):
    def columns():
        return [Column("id", Integer, primary_key=True), Column("x", Integer)]

    Table("a", metadata, *columns(), promise())
    with pytest.raises(exc.CompileError, match=f"{said}, which kalamdb does not enforce.*kalamdb_unenforced"):
        metadata.create_all(engine)
    assert inspect(engine).get_table_names() == []
    metadata.clear()
    Table("a", metadata, *columns(), promise(), kalamdb_unenforced=True)
    with pytest.warns(exc.SAWarning, match="does not enforce"):
        metadata.create_all(engine)
    assert inspect(engine).get_table_names() == ["a"]


def test_a_table_has_a_kind_and_options(metadata, engine):
    Table("messages", metadata, Column("id", Integer, primary_key=True), kalamdb_kind="user")
    Table(
        "typing",
        metadata,
        Column("id", Integer, primary_key=True),
        kalamdb_kind="stream",
        kalamdb_with={"TTL_SECONDS": 60, "MAX_ROWS": 10},
    )
    Table(
        "words",
        metadata,
        Column("id", Integer, primary_key=True),
        kalamdb_with={"ACCESS": "private", "COMPRESSION": "zstd"},
    )
    metadata.create_all(engine)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT table_name, table_type, ttl_seconds, access FROM system.tables ORDER BY table_name")
        ).all()

    assert found == [
        ("messages", "user", None, None),
        ("typing", "stream", 60, None),
        ("words", "shared", None, "private"),
    ]
    assert inspect(engine).get_table_options("messages") == {"kalamdb_kind": "user"}


def test_a_kind_or_option_that_cannot_be_is_refused(metadata):
    with pytest.raises(exc.CompileError, match="user, shared, stream"):
        ddl(Table("a", metadata, Column("id", Integer, primary_key=True), kalamdb_kind="temporary"))
    with pytest.raises(exc.CompileError, match="kalamdb_with"):
        ddl(Table("b", metadata, Column("id", Integer, primary_key=True), kalamdb_with={"A = 1) --": 1}))
    with pytest.raises(exc.ArgumentError):
        Table("c", metadata, Column("id", Integer, primary_key=True), kalamdb_sort="user")


def test_a_computed_column_is_refused(metadata):
    with pytest.raises(exc.CompileError, match="use a view"):
        ddl(
            Table(
                "a",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("x", Integer, Computed("id + 1")),
            )
        )


def test_namespaces_are_schemas(metadata, engine):
    table = Table("notes", metadata, Column("id", Integer, primary_key=True), schema="app")
    with engine.begin() as connection:
        connection.execute(schema.CreateSchema("app"))
        connection.execute(schema.CreateSchema("app", if_not_exists=True))
        metadata.create_all(connection)
        connection.execute(insert(table), {"id": 1})
        assert connection.execute(select(table)).all() == [(1,)]
    assert inspect(engine).get_schema_names() == ["app", "default"]
    assert inspect(engine).get_table_names(schema="app") == ["notes"]
    assert inspect(engine).has_table("notes", schema="app")
    assert not inspect(engine).has_table("notes")
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(schema.DropSchema("app", cascade=True))
        connection.execute(schema.DropSchema("app", if_exists=True))
    assert inspect(engine).get_schema_names() == ["default"]


def test_names_that_mean_something_in_sql_are_quoted(metadata, engine):
    names = (
        "order",
        "select",
        "default",
        "exists",
        "returning",
        "top",
        "unnest",
        "Mixed Case",
        "per % cent",
        'a"b',
    )
    table = Table(
        "user", metadata, Column("id", Integer, primary_key=True), *[Column(name, Integer) for name in names]
    )
    metadata.create_all(engine)
    values = {name: number for number, name in enumerate(names)}
    with engine.begin() as connection:
        connection.execute(insert(table), values)
        connection.execute(table.update().values(top=9).where(table.c.exists >= 0, table.c.order + 0 == 0))
        found = connection.execute(select(table)).mappings().one()

    assert {name: found[name] for name in names} == {**values, "top": 9}


def test_what_is_made_is_committed_at_once_with_what_was_open(metadata, engine):
    table = Table("notes", metadata, Column("id", Integer, primary_key=True))
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(insert(table), {"id": 1})
        connection.execute(text("CREATE TABLE other (id BIGINT PRIMARY KEY)"))
        connection.rollback()
        assert connection.execute(select(table)).all() == [(1,)]
