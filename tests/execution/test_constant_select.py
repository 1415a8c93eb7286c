"""SELECTs without FROM, answered without the query engine and by it: nobody can tell which it was."""

from __future__ import annotations

import datetime
import decimal
import math
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

import kalamdb
from kalamdb.errors import Error
from kalamdb.execution import simple_select
from kalamdb.result import Result
from kalamdb.sql.parser import parse, scan_statement
from kalamdb.sql.query import Query
from kalamdb.sql.simple_select import recognise
from tests.execution.test_simple_select import by_engine, json_rows, shown
from tests.proof_seed import SEED

EXAMPLES = 400
UTC = datetime.UTC
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

INTEGERS = [0, 1, 2, 3, 7, 10, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64]
NUMBERS = ["0.0", "1.5", "0.1", "2.50", "1e3", "1E-7", "1.7976931348623157e308", "123456789.123456789", ".5"]
TEXTS = ["", "a", "it's", "ä", "\u7af9", "A\nB", 'a "b"', "from"]
PARAMETERS: list[Any] = [
    True, False, 0, 1, -5, 2**63 - 1, -(2**63), 0.0, -0.0, 2.5, math.inf, math.nan, "", "a'b", "ä", b"", b"\x00\xff",
    NOW, datetime.datetime(1969, 12, 31, 23), datetime.date(2026, 1, 2), datetime.time(1, 2, 3, 4),
    uuid.UUID(int=5), decimal.Decimal("1.50"), None, {"a": 1}, [1], 2**63,
    NOW.astimezone(datetime.timezone(datetime.timedelta(hours=2))),
]  # fmt: skip
CALLS = [
    "NOW()", "now ( )", "CURRENT_TIMESTAMP", "current_timestamp()", "CURRENT_USER", "current_user()", "CURRENT_ROLE()",
    "CURRENT_DATE", "current_date()", "CURRENT_TIME", "today()",
]  # fmt: skip
IDS = ["SNOWFLAKE_ID()", "UUID_V7()", "ULID()"]


@pytest.fixture(scope="module")
def world() -> Iterator[kalamdb.Database]:
    with kalamdb.open(":memory:") as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "now", lambda: NOW)
        yield database


class Draft:
    """A query being written: its text and its parameters."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.parameters: list[Any] = []

    def one(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        return int(self.draw(st.integers(0, 99))) < percent

    def parameter(self, options: list[Any]) -> str:
        self.parameters.append(self.one(options))
        return "?"

    def number(self, depth: int) -> str:
        if depth and self.chance(55):
            operator = self.one(["+", "-", "*", "/", "%"])
            blank = self.one(["", " "])
            left, right = self.number(depth - 1), self.number(depth - 1)
            blank = " " if right.startswith("-") else blank
            text = f"{left}{blank}{operator}{blank}{right}"
            return f"({text})" if self.chance(30) else text
        form = self.one(["integer", "integer", "small", "number", "parameter", "minus"])
        if form == "minus":
            return "-" + self.one(["", " "]) + str(self.one(INTEGERS[:8]))
        if form == "small":
            return str(self.one([1, 2, 3, 7, 10]))
        if form == "parameter":
            return self.parameter([1, -5, 2.5, 10, -0.0])
        return str(self.one(INTEGERS if form == "integer" else NUMBERS))

    def text(self) -> str:
        form = self.one(["literal", "literal", "parameter", "user"])
        if form == "parameter":
            return self.parameter(["", "x", "it's"])
        if form == "user":
            return str(self.one(["CURRENT_USER", "current_role()"]))
        return "'" + self.one(TEXTS).replace("'", "''") + "'"

    def item(self) -> str:
        form = self.one(["number", "number", "text", "joined", "parameter", "call", "word"])
        if form == "number":
            text = self.number(2)
        elif form == "joined":
            text = self.one([" || ", "||"]).join(self.text() for _ in range(self.one([2, 3])))
        elif form == "parameter":
            text = self.parameter(PARAMETERS)
        elif form == "call":
            text = self.one(CALLS)
        elif form == "word":
            text = self.one(["TRUE", "false", "NULL", "X'00ff'", "x''"])
        else:
            text = self.text()
        if self.chance(10):
            text = f"({text})"
        if self.chance(5):
            text += " /* a comment */"
        return text + self.one(["", "", "", " AS x", ' AS "X y"', " AS value"])

    def whole(self) -> str:
        items = ", ".join(self.item() for _ in range(self.one([1, 1, 2, 3])))
        return f"{self.one(['SELECT', 'select'])} {items}"


def answered(session: Any, sql: str, parameters: list[Any]) -> Result | None:
    """As the session does it, but None where it leaves the answer to the query engine."""
    found = recognise(scan_statement(sql), sql)
    return None if found is None else simple_select.answer(session, found, parameters, (), 0)


def asked(session: Any, sql: str, parameters: list[Any]) -> Result:
    """The engine's answer to what a session asks it."""
    query = parse(scan_statement(sql), sql).statement
    assert isinstance(query, Query)
    return by_engine(session, query.sql, parameters)


def outcome(run: Any) -> Any:
    try:
        result = run()
        return result.columns, result.description, shown(result.fetchall())
    except Error as error:
        return type(error), error.message, error.position


def test_both_roads_give_the_same(world: kalamdb.Database) -> None:
    session = world.session("alice")
    answers: Counter[bool] = Counter()

    @seeded(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        draft = Draft(data.draw)
        sql = draft.whole()
        native = answered(session, sql, draft.parameters)
        answers[native is not None] += 1
        if native is None:
            return
        engine = asked(session, sql, draft.parameters)
        assert native.columns == engine.columns
        assert native.description == engine.description
        assert native.rowcount == engine.rowcount == 1
        assert shown(json_rows(native)) == shown(json_rows(engine))
        assert native.arrow().schema.equals(engine.arrow().schema, check_metadata=True)
        assert shown(native.arrow().to_pylist()) == shown(engine.arrow().to_pylist())
        assert shown(native.fetchall()) == shown(engine.fetchall())

    compare()

    # Most of them, or it would prove little.
    assert answers[True] > 0.4 * answers.total()


@pytest.mark.parametrize("call", CALLS)
def test_what_a_session_knows_is_the_same_on_both_roads(world: kalamdb.Database, call: str) -> None:
    session = world.session("alice", role="service")
    for sql in (f"SELECT {call}", f"SELECT {call} AS x, ({call})"):
        native = answered(session, sql, [])
        assert native is not None
        assert outcome(lambda native=native: native) == outcome(lambda sql=sql: asked(session, sql, []))


@pytest.mark.parametrize("call", IDS)
def test_ids_are_new_each_time_and_of_the_type_of_the_other_road(world: kalamdb.Database, call: str) -> None:
    session = world.session("alice")
    sql = f"SELECT {call}, {call} AS again"
    native = answered(session, sql, [])
    assert native is not None
    (first, second), (third, _) = native.fetchall()[0], session.execute(sql).fetchall()[0]
    assert first < second < third
    assert native.description == asked(session, sql, []).description


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT NULL", []),
        ("SELECT ?", [None]),
        ("SELECT ?", [2**63]),
        ("SELECT ?", ["\ud800"]),
        ("SELECT ?", [object()]),
        ("SELECT ?", []),
        ("SELECT 1", [2]),
        ("SELECT 1 / 0", []),
        ("SELECT 1 % 0", []),
        ("SELECT 9223372036854775807 + 1", []),
        ("SELECT -9223372036854775808", []),
        ("SELECT 9223372036854775808", []),
        ("SELECT 1e308 * 10", []),
        ("SELECT 'a' + 1", []),
        ("SELECT 1 || 'a'", []),
        ("SELECT 1 + 1 || 'a'", []),
        ("SELECT 'a' 'b'", []),
        ("SELECT now", []),
        ("SELECT now(1)", []),
        ("SELECT nothing()", []),
        ("SELECT CURRENT_USER = 'alice'", []),
        ("SELECT 1 WHERE FALSE", []),
        ("SELECT 1 LIMIT 0", []),
        ("SELECT DISTINCT 1", []),
        ("SELECT 1 UNION SELECT 1", []),
        ("SELECT *", []),
        ("SELECT 1 AS 'x'", []),
        ("SELECT 1 two", []),
        ("SELECT", []),
        ("SELECT 1,", []),
        ("SELECT (1", []),
        ("SELECT 1 + ", []),
        ("SELECT - 1", []),
        ("SELECT - - 1", []),
        ("SELECT DATE '2026-01-01'", []),
        ("SELECT INTERVAL '1 day'", []),
        ("SELECT [1, 2]", []),
        ("SELECT 1::TEXT", []),
    ],
)
def test_what_is_not_certain_is_answered_by_the_engine(
    world: kalamdb.Database, sql: str, parameters: list[Any]
) -> None:
    session = world.session("alice")
    answer = outcome(lambda: session.execute(sql, parameters))
    if len(parameters) == sql.count("?"):
        assert answer == outcome(lambda: asked(session, sql, parameters))
    else:
        assert answer[0].__name__ == "InvalidParameter"


def test_texts_of_one_shape_have_columns_of_their_own(world: kalamdb.Database) -> None:
    for text in ("SELECT 'ABC'", "SELECT 'abc'", "SELECT 'ABC'", "SELECT  'abc'"):
        result = world.execute(text)
        literal = text.split()[1]
        assert (result.columns, result.fetchall()) == ((literal,), [(literal.strip("'"),)])
    assert world.execute("SELECT 1+1 AS two").fetchall() == [(2,)]
    assert world.execute("SELECT 1+2 AS two").fetchall() == [(3,)]


def test_a_function_of_the_application_goes_before(world: kalamdb.Database) -> None:
    with kalamdb.open(":memory:") as db:
        assert isinstance(db.execute("SELECT today()").fetchone()[0], datetime.date)
        db.register_function("today", lambda: "mine", [], "TEXT")
        assert db.execute("SELECT today()").fetchall() == [("mine",)]


def test_it_is_answered_inside_of_a_transaction_and_at_once(world: kalamdb.Database) -> None:
    session = world.session("alice", role="service")
    with session.transaction():
        assert session.execute("SELECT CURRENT_USER, CURRENT_ROLE()").fetchall() == [("alice", "service")]
    found = session.execute_at_once("SELECT ? + 1", [1], within_s=1.0)
    assert found is not None
    assert found.fetchall() == [(2,)]


def test_it_loads_neither_parser_nor_engine_nor_arrow() -> None:
    code = (
        "import sys, kalamdb\n"
        "db = kalamdb.open(':memory:')\n"
        "assert db.execute('SELECT 1+1 AS two, NOW(), UUID_V7()').fetchone()[0] == 2\n"
        "print([name for name in ('lark', 'datafusion', 'pyarrow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nobody_listens_to_a_value(world: kalamdb.Database) -> None:
    with pytest.raises(kalamdb.errors.UnsupportedLiveQuery):
        world.session("alice").subscribe("SELECT 1")
