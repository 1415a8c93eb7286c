"""Values and expressions: as they go in, so they come back, and so they are asked for."""

from __future__ import annotations

import datetime
import decimal
import uuid

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    Unicode,
    Uuid,
    case,
    cast,
    exc,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql

from kalamdb.sqlalchemy import insert as insert_with_conflict

ZONE = datetime.timezone(datetime.timedelta(hours=2))
NAIVE = datetime.datetime(2025, 1, 2, 3, 4, 5, 678901)
TOKEN = uuid.UUID("12345678-1234-5678-1234-567812345678")
VALUES = [
    (SmallInteger, -32768, "SMALLINT"),
    (Integer, 2147483647, "INT"),
    (BigInteger, -(2**63), "BIGINT"),
    (Boolean, True, "BOOLEAN"),
    (Float, 0.1, "DOUBLE"),
    (Double, 2.25, "DOUBLE"),
    (Numeric(20, 4), decimal.Decimal("12.3400"), "DECIMAL(20,4)"),
    (Numeric, decimal.Decimal("1.5"), "DECIMAL(38,10)"),
    (Numeric(9, 2, asdecimal=False), 1.5, "DECIMAL(9,2)"),
    (String(5), "h\u00e9llo", "VARCHAR(5)"),
    (Text, "quoted 'text' \U0001f600", "TEXT"),
    (Unicode, "\u0645\u0631\u062d\u0628\u0627", "TEXT"),
    (LargeBinary, b"\x00\xff", "BYTES"),
    (DateTime, NAIVE, "TIMESTAMP"),
    (DateTime(timezone=True), NAIVE.replace(tzinfo=datetime.UTC), "TIMESTAMP"),
    (Date, datetime.date(2025, 1, 2), "DATE"),
    (Time, datetime.time(23, 59, 59, 999999), "TIME"),
    (Interval, datetime.timedelta(days=1, seconds=5), "TIMESTAMP"),
    (Uuid, TOKEN, "UUID"),
    (Uuid(as_uuid=False), str(TOKEN), "UUID"),
    (Uuid(native_uuid=False), TOKEN, "UUID"),
    (Enum("red", "green"), "green", "VARCHAR(5)"),
    (JSON(none_as_null=True), {"a": [1, None, "x"]}, "JSON"),
    (JSON(none_as_null=True), "text", "JSON"),
    (JSON(none_as_null=True), [], "JSON"),
]


def made(engine, *columns) -> Table:
    """A table `things` with a key and these columns."""
    table = Table("things", MetaData(), Column("id", Integer, primary_key=True), *columns)
    table.metadata.create_all(engine)
    return table


@pytest.mark.parametrize(("kind", "value", "name"), VALUES, ids=[str(kind) for kind, *_ in VALUES])
def test_a_value_comes_back_as_it_went_in(engine, kind, value, name):
    table = made(engine, Column("x", kind))
    with engine.begin() as connection:
        returned = connection.execute(insert(table).returning(table.c.x), {"x": value}).scalar_one()
        connection.execute(insert(table), [{"x": value}, {"x": None}])
        found = connection.execute(select(table.c.x).where(table.c.x.is_not(None))).scalars().all()
        told = connection.exec_driver_sql(
            "SELECT data_type FROM system.columns WHERE column_name = 'x'"
        ).scalar_one()

    assert [returned, *found] == [value] * 3
    assert {type(one) for one in (returned, *found)} == {type(value)}
    assert told == name


@pytest.mark.parametrize(
    ("kind", "value"),
    [(kind, value) for kind, value, _ in VALUES if not isinstance(kind, JSON) and kind is not Interval],
)
def test_a_value_may_be_written_into_the_statement(engine, kind, value):
    table = made(engine, Column("x", kind))
    statement = (
        insert(table)
        .values(x=literal(value, table.c.x.type))
        .compile(engine, compile_kwargs={"literal_binds": True})
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(str(statement))
        found = connection.execute(select(table.c.x)).scalar_one()
        where = select(table.c.id).where(table.c.x == literal(value, table.c.x.type))
        same = connection.exec_driver_sql(
            str(where.compile(engine, compile_kwargs={"literal_binds": True}))
        ).all()

    assert found == value
    assert len(same) == 1


def test_an_aware_datetime_is_the_same_instant_in_utc(engine):
    table = made(engine, Column("naive", DateTime), Column("aware", DateTime(timezone=True)))
    noon = datetime.datetime(2025, 1, 2, 12, tzinfo=ZONE)
    with engine.begin() as connection:
        connection.execute(insert(table), {"naive": noon, "aware": noon})
        connection.execute(insert(table), {"naive": NAIVE, "aware": NAIVE})
        found = connection.execute(select(table.c.naive, table.c.aware).order_by(table.c.naive.desc())).all()

    assert found == [
        (NAIVE.replace(hour=10, minute=0, second=0, microsecond=0), noon),
        (NAIVE, NAIVE.replace(tzinfo=datetime.UTC)),
    ]


def test_numbers_of_expressions_are_as_exact_as_their_type(engine):
    table = made(engine, Column("n", Numeric(9, 2)), Column("i", Integer))
    with engine.begin() as connection:
        connection.execute(insert(table), {"n": decimal.Decimal("7.50"), "i": 7})
        row = connection.execute(
            select(table.c.n * 2, table.c.n / table.c.i, table.c.i / 2, table.c.i // 2)
        ).one()
        total = connection.execute(select(func.sum(table.c.n), func.avg(table.c.n))).one()

    assert row == (decimal.Decimal("15.00"), decimal.Decimal(row[1]), decimal.Decimal("3.5"), 3)
    assert round(row[1], 4) == decimal.Decimal("1.0714")
    assert total == (decimal.Decimal("7.50"), decimal.Decimal("7.5"))
    assert [type(value) for value in (*row, *total)] == [decimal.Decimal] * 3 + [int] + [decimal.Decimal] * 2


DOCUMENT = {"n": 1, "f": 1.5, "t": "x", "yes": True, "list": [10, {"k": "it's"}], "none": None, "d": 0.1}


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (lambda data: data["n"].as_integer(), 1),
        (lambda data: data["f"].as_float(), 1.5),
        (lambda data: data["t"].as_string(), "x"),
        (lambda data: data["yes"].as_boolean(), True),
        (lambda data: data["d"].as_numeric(5, 2), decimal.Decimal("0.10")),
        (lambda data: data["list"], [10, {"k": "it's"}]),
        (lambda data: data["list"][0], 10),
        (lambda data: data["list"][1]["k"].as_string(), "it's"),
        (lambda data: data[("list", 1, "k")], "it's"),
        (lambda data: data[("list", 0)].as_integer(), 10),
        (lambda data: data["t"], "x"),
        (lambda data: data["nothing"], None),
        (lambda data: data["t"].as_integer(), None),
        (lambda data: cast(data["list"], Text), '[10,{"k":"it\'s"}]'),
        (lambda data: data, DOCUMENT),
    ],
)
def test_json_is_looked_into(engine, asked, value):
    table = made(engine, Column("data", JSON))
    with engine.begin() as connection:
        connection.execute(insert(table), {"data": DOCUMENT})

        assert connection.execute(select(asked(table.c.data))).scalar_one() == value
        if value is not None and not isinstance(value, (dict, list)):
            same = select(table.c.id).where(asked(table.c.data).is_not(None))
            assert len(connection.execute(same).all()) == 1


@pytest.mark.parametrize("escape", [None, "/", "\\", "#", "x"])
def test_patterns_mean_what_they_say(engine, escape):
    table = made(engine, Column("x", Text))
    texts = ["50% off", "50 off", "a_b", "aXb", "C:\\dir", "a/b", "a#b"]
    with engine.begin() as connection:
        connection.execute(insert(table), [{"x": one} for one in texts])

        def found(condition):
            return connection.execute(select(table.c.x).where(condition).order_by(table.c.id)).scalars().all()

        assert found(table.c.x.contains("50%", autoescape=True)) == ["50% off"]
        assert found(table.c.x.startswith("a_", autoescape=True)) == ["a_b"]
        assert found(table.c.x.endswith("/b", autoescape=True)) == ["a/b"]
        assert found(table.c.x.icontains("A_B", autoescape=True)) == ["a_b"]
        assert found(table.c.x.ilike("%OFF")) == ["50% off", "50 off"]
        assert found(table.c.x.not_like("a%")) == ["50% off", "50 off", "C:\\dir"]
        if escape is not None:
            assert found(table.c.x.like(f"a{escape}_b", escape=escape)) == ["a_b"]
            assert found(table.c.x.not_like(f"%{escape}%%", escape=escape)) == texts[1:]
        if escape == "/":
            assert found(table.c.x.like("c:\\d%", escape="/")) == []
            assert found(table.c.x.ilike("c:\\d%", escape="/")) == ["C:\\dir"]


def test_regular_expressions_match_and_replace(engine):
    table = made(engine, Column("x", Text))
    with engine.begin() as connection:
        connection.execute(insert(table), [{"x": "abcabc"}, {"x": "XYZ"}])
        ask = connection.scalars

        assert ask(select(table.c.x).where(table.c.x.regexp_match("^a.c"))).all() == ["abcabc"]
        assert ask(select(table.c.x).where(table.c.x.regexp_match("y", flags="i"))).all() == ["XYZ"]
        assert ask(select(table.c.x).where(~table.c.x.regexp_match("^a"))).all() == ["XYZ"]
        replaced = select(table.c.x.regexp_replace("B", "-", flags="i")).where(table.c.x != "XYZ")
        assert ask(replaced).all() == ["a-ca-c"]
        with pytest.raises(exc.CompileError, match="flag"):
            ask(select(table.c.x).where(table.c.x.regexp_match("y", flags="m")))


@pytest.mark.parametrize("made_by", [insert_with_conflict, postgresql.insert])
def test_on_conflict_does_nothing_or_updates(engine, made_by):
    table = made(engine, Column("word", Text), Column("n", Integer))
    with engine.begin() as connection:
        connection.execute(insert(table), {"id": 1, "word": "a", "n": 1})
        nothing = made_by(table).values(id=1, word="b", n=5).on_conflict_do_nothing()
        assert connection.execute(nothing.returning(table.c.id)).all() == []
        new = made_by(table).values(id=1, word="c", n=5)
        update = new.on_conflict_do_update(
            index_elements=[table.c.id],
            set_={"n": table.c.n + new.excluded.n, "word": new.excluded.word},
            where=table.c.n < 10,
        )
        assert connection.execute(update.returning(table.c.n)).scalar_one() == 6
        assert connection.execute(update.returning(table.c.n)).scalar_one() == 11
        assert connection.execute(update.returning(table.c.n)).all() == []

        assert connection.execute(select(table)).all() == [(1, "c", 11)]


def test_exists_is_a_condition_and_a_column(engine):
    table = made(engine, Column("x", Text), Column("after", Integer))
    other = table.alias("other")
    with engine.begin() as connection:
        connection.execute(
            insert(table), [{"id": 1, "x": "a", "after": None}, {"id": 2, "x": "b", "after": 1}]
        )

        def asked(*columns):
            return connection.execute(select(*columns)).all()

        assert asked(exists().where(table.c.x == "a")) == [(True,)]
        assert asked(exists().where(table.c.x == "z"), ~exists().where(table.c.x == "y")) == [(False, True)]
        assert asked(exists(select(table.c.x).where(table.c.x == "b").limit(1))) == [(True,)]
        assert asked(exists(select(table.c.x).group_by(table.c.x).having(func.count() > 1))) == [(False,)]
        later = exists().where(other.c.after == table.c.id)
        assert asked(table.c.id, later.label("more"), case((later, "more"), else_="last")) == [
            (1, True, "more"),
            (2, False, "last"),
        ]
        assert connection.execute(select(table.c.id).where(later)).all() == [(1,)]
        both = select(table.c.id).where(
            table.c.id == select(exists().where(table.c.x == "a")).scalar_subquery().cast(Integer)
        )
        assert connection.execute(both).all() == [(1,)]


def test_other_expressions_are_understood(engine):
    table = made(engine, Column("x", Text), Column("n", Integer))
    with engine.begin() as connection:
        connection.execute(insert(table), [{"id": n, "x": f"x{n}", "n": n % 3} for n in range(1, 8)])
        one = connection.scalars

        assert one(select(table.c.id).order_by(table.c.id).limit(2).offset(3)).all() == [4, 5]
        assert one(select(table.c.id).order_by(table.c.id).offset(5)).all() == [6, 7]
        assert one(
            select(table.c.id).where(tuple_(table.c.id, table.c.x).in_([(1, "x1"), (2, "no")]))
        ).all() == [1]
        assert one(select(table.c.id).where(table.c.id.in_([]))).all() == []
        assert one(select(table.c.id).where(tuple_(table.c.id, table.c.n).in_([]))).all() == []
        assert one(select(table.c.id).with_for_update().where(table.c.id == 3)).all() == [3]
        window = func.sum(table.c.id).over(partition_by=table.c.n, order_by=table.c.id, rows=(-1, 0))
        assert one(select(window).order_by(table.c.id)).all() == [1, 2, 3, 5, 7, 9, 11]
        assert one(select(cast(table.c.id, String)).where(table.c.id == 1)).all() == ["1"]
        cte = select(table.c.id).where(table.c.n == 0).cte("zeros")
        assert one(select(func.count()).select_from(cte)).one() == 2
        assert one(
            insert(table)
            .from_select(["id", "x"], select(cte.c.id + 100, literal("new")))
            .returning(table.c.id)
        ).all() == [103, 106]
        assert connection.execute(table.update().where(table.c.n == 1).values(n=10)).rowcount == 3
        assert sorted(one(table.delete().where(table.c.id > 100).returning(table.c.id))) == [103, 106]
