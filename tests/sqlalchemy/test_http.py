"""The dialect over a server: Core, ORM, reflection, pandas; and that every statement commits by itself."""

from __future__ import annotations

import datetime
import decimal
import uuid
import warnings
from collections.abc import Iterator

import pandas
import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Uuid,
    create_engine,
    exc,
    inspect,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import kalamdb
from kalamdb.errors import ServerUnreachable, UniqueViolation
from kalamdb.sqlalchemy import HttpDialect, HttpsDialect
from tests.server.serving import Served

VALUES = {
    "id": 2**60,
    "name": "Zoë",
    "yes": True,
    "price": decimal.Decimal("12.50"),
    "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    "doc": {"a": [1, None]},
    "code": uuid.UUID(int=7),
    "raw": b"\x00\xff",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute("CREATE USER dora WITH PASSWORD 'a long password' ROLE dba")
        with Served(db) as serving:
            yield serving


@pytest.fixture
def engine(served: Served) -> Iterator[Engine]:
    for (name,) in served.db.execute(
        "SELECT table_name FROM system.tables WHERE namespace_id = 'app'"
    ).fetchall():
        served.db.execute(f"DROP TABLE app.{name}")
    engine = create_engine(f"kalamdb+http://dora:a long password@127.0.0.1:{served.port}/?namespace=app")
    yield engine
    engine.dispose()


@pytest.fixture
def kinds() -> Table:
    return Table(
        "kinds",
        MetaData(),
        Column("id", BigInteger, primary_key=True),
        Column("name", String(20)),
        Column("yes", Boolean),
        Column("price", Numeric(10, 2)),
        Column("at", DateTime(timezone=True)),
        Column("doc", JSON),
        Column("code", Uuid),
        Column("raw", LargeBinary),
    )


def test_urls_name_dialects_and_options(engine: Engine) -> None:
    assert isinstance(engine.dialect, HttpDialect)
    https = create_engine("kalamdb+https://db.example/mounted?token=t&verify=false&timeout_s=5&retries=1")
    assert isinstance(https.dialect, HttpsDialect)
    arguments, options = https.dialect.create_connect_args(https.url)
    assert arguments == ["https://db.example/mounted"]
    assert options["token"] == "t"
    assert (options["verify"], options["timeout_s"], options["retries"]) == (False, 5.0, 1)


@pytest.mark.parametrize(
    "url", ["kalamdb+http://", "kalamdb+http://host?nothing=1", "kalamdb+http://host?retries=x"]
)
def test_a_url_that_says_what_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(exc.ArgumentError):
        create_engine(url).connect()


def test_values_go_in_and_come_out(engine: Engine, kinds: Table) -> None:
    kinds.create(engine)
    with engine.begin() as connection:
        connection.execute(kinds.insert(), VALUES)
        found = connection.execute(select(kinds)).mappings().one()
        assert dict(found) == VALUES
        for name in ("name", "price", "at", "code"):
            assert connection.scalar(select(kinds.c.id).where(kinds.c[name] == VALUES[name])) == VALUES["id"]
        assert connection.scalar(select(kinds.c.doc["a"][0].as_integer())) == 1


def test_many_rows_and_returning(engine: Engine) -> None:
    notes = Table(
        "notes",
        MetaData(),
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("body", String),
    )
    notes.create(engine)
    with engine.begin() as connection:
        connection.execute(notes.insert(), [{"body": f"note {n}"} for n in range(600)])
        ids = connection.scalars(
            notes.insert().returning(notes.c.id, sort_by_parameter_order=True), [{"body": "a"}, {"body": "b"}]
        ).all()
        assert sorted(ids) == ids
        assert connection.scalar(text("SELECT count(*) FROM notes")) == 602
        changed = notes.update().where(notes.c.id == ids[0]).values(body="c").returning(notes.c.body)
        assert connection.scalar(changed) == "c"
        assert connection.execute(notes.delete().where(notes.c.id.in_(ids))).rowcount == 2


def test_reflection(engine: Engine, kinds: Table) -> None:
    kinds.create(engine)

    assert inspect(engine).get_table_names() == ["kinds"]
    reflected = Table("kinds", MetaData(), autoload_with=engine)
    assert [column.name for column in reflected.columns] == list(VALUES)
    assert [column.name for column in reflected.primary_key] == ["id"]
    assert isinstance(reflected.c.price.type, Numeric)
    assert not inspect(engine).has_table("nothing")


def test_the_orm(engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
        body: Mapped[str]

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Note(body="one"), Note(body="two")])
        session.commit()
        note = session.scalars(select(Note).where(Note.body == "one")).one()
        note.body = "changed"
        session.commit()

        assert set(session.scalars(select(Note.body))) == {"changed", "two"}


def test_errors_are_those_of_pep_249(engine: Engine, kinds: Table) -> None:
    kinds.create(engine)
    with engine.connect() as connection:
        connection.execute(kinds.insert(), {"id": 1})
        connection.commit()
        with pytest.raises(exc.IntegrityError) as raised:
            connection.execute(kinds.insert(), {"id": 1})
        assert isinstance(raised.value.orig, UniqueViolation)
    with pytest.raises(exc.OperationalError) as lost:
        create_engine("kalamdb+http://a:b@127.0.0.1:1").connect().execute(text("SELECT 1"))
    assert isinstance(lost.value.orig, ServerUnreachable)


def test_a_rollback_behind_a_change_warns_and_undoes_nothing(engine: Engine, kinds: Table) -> None:
    kinds.create(engine)
    with engine.connect() as connection:
        connection.execute(kinds.insert(), {"id": 1})
        with pytest.warns(RuntimeWarning, match=r"cannot roll back: 1 statement"):
            connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM kinds")) == 1


def test_a_commit_and_a_read_warn_of_nothing(engine: Engine, kinds: Table) -> None:
    kinds.create(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with engine.begin() as connection:
            connection.execute(kinds.insert(), {"id": 1})
        with engine.connect() as connection:
            connection.execute(select(kinds)).all()


def test_there_is_no_other_isolation(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "AUTOCOMMIT"
        with pytest.raises(exc.ArgumentError):
            connection.execution_options(isolation_level="SNAPSHOT")


def test_connections_share_a_log_in_and_each_has_its_namespace(engine: Engine) -> None:
    with engine.begin() as one, engine.begin() as other:
        one.execute(text("USE default"))
        one.execute(text("CREATE SHARED TABLE app.here (id BIGINT PRIMARY KEY)"))

        assert other.scalar(text("SELECT count(*) FROM here")) == 0
        with pytest.raises(exc.ProgrammingError):
            one.scalar(text("SELECT count(*) FROM here"))
        clients = [connection.connection.dbapi_connection.client for connection in (one, other)]  # type: ignore[union-attr]
        assert clients[0]._calls.identity is clients[1]._calls.identity


def test_pandas_reads_and_writes(engine: Engine) -> None:
    frame = pandas.DataFrame({"name": ["a", "b", None], "n": [1, 2, 3], "x": [0.5, 1.5, 2.5]})

    with engine.begin() as connection:
        frame.to_sql("frame", connection, index=False)
        found = pandas.read_sql("SELECT name, n, x FROM frame ORDER BY n", connection)

    pandas.testing.assert_frame_equal(
        found.astype({"name": object}).where(found.notna(), None),
        frame.astype({"name": object}).where(frame.notna(), None),
    )
