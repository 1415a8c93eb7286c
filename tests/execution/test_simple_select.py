"""Simple SELECTs answered by the core against the same answered by the query engine: nobody can tell which it was."""

from __future__ import annotations

import datetime
import decimal
import math
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

import kalamdb
from kalamdb.errors import DatabaseClosed, Error, IntegrityError, UndefinedTable
from kalamdb.execution import simple_select
from kalamdb.result import Result
from kalamdb.sql import parser
from tests.proof_seed import SEED

EXAMPLES = 500
UTC = datetime.UTC

COLUMNS = {
    "flag": "BOOLEAN",
    "small": "SMALLINT",
    "number": "INT",
    "big": "BIGINT",
    "single": "FLOAT",
    "real": "DOUBLE",
    "price": "DECIMAL(10,2)",
    "name": "TEXT",
    "short": "VARCHAR(8)",
    "blob": "BYTES",
    "made": "TIMESTAMP",
    "day": "DATE",
    "hour": "TIME",
    "token": "UUID",
    "doc": "JSON",
}
ADDED = {"late": "BIGINT DEFAULT 7", "wide": "INT"}
KEYS = {"t": "BIGINT", "texts": "TEXT", "shared": "BIGINT", "names": "VARCHAR(20)"}

VALUES: dict[str, list[Any]] = {
    "BOOLEAN": [True, False],
    "SMALLINT": [-3, 0, 1, 2, 32767],
    "INT": [-3, 0, 1, 2, 2**31 - 1],
    "BIGINT": [-(2**63), -3, -1, 0, 1, 2, 5, 7, 9, 40, 2**63 - 1],
    "FLOAT": [-1.5, -0.0, 0.0, 0.1, 1.0, 2.5, math.inf, -math.inf, math.nan],
    "DOUBLE": [-1.5, -0.0, 0.0, 0.1, 1.0, 2.0, 2.5, 1e300, math.inf, -math.inf, math.nan],
    "DECIMAL": [decimal.Decimal("-1.50"), decimal.Decimal("0.00"), decimal.Decimal("2.25")],
    "TEXT": ["", "a", "ab", "abc", "b", "ä", "\u7af9", "a%", "A", "true"],
    "BYTES": [b"", b"a", b"ab", b"\x00", b"\xff\xff"],
    "TIMESTAMP": [
        datetime.datetime(2026, 1, 1, tzinfo=UTC),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
        datetime.datetime(2026, 1, 2),
        datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    ],
    "DATE": [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), datetime.date(1969, 12, 31)],
    "TIME": [datetime.time(0), datetime.time(1, 2, 3, 4), datetime.time(23, 59, 59, 999999)],
    "UUID": [uuid.UUID(int=0), uuid.UUID(int=5), uuid.UUID(int=2**128 - 1)],
    "JSON": ['{"a":1}', "[]", '"x"', "5"],
}
SPELLED: dict[str, list[Any]] = {
    "TIMESTAMP": [
        "2026-01-01", "2026-01-01T00:00:00", "2026-01-02 03:04:05.678901Z", "2026-01-01T02:00:00+02:00",
        "2026-01-02T03:04:05.6Z", "2026-01-01 00:00", "yesterday",
    ],
    "DATE": ["2026-01-01", "2026-01-02", "2026-13-01", "2026-1-2"],
    "UUID": [str(uuid.UUID(int=5)), str(uuid.UUID(int=2**128 - 1)).upper(), "5"],
    "TIME": ["01:02:03.000004"],
}  # fmt: skip


def kind_of(column: str, key: str) -> str:
    declared = {"id": key, **COLUMNS, "late": "BIGINT", "wide": "BIGINT"}[column].partition("(")[0]
    return "TEXT" if declared == "VARCHAR" else declared


def make(db: kalamdb.Database, *, streams: bool = True) -> None:
    """Tables of each kind of key, with rows of two schema versions, updated and deleted, of two users.

    `streams`: a STREAM table, too, whose keys are others in every database.
    """
    draw = random.Random(7)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    for table, key in KEYS.items():
        kind = "SHARED" if table == "shared" else "USER"
        db.execute(f"CREATE {kind} TABLE {table} (id {key} PRIMARY KEY, {columns}, wide INT)")
    if streams:
        db.execute(
            f"CREATE STREAM TABLE stream (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), {columns}, wide INT) "
            "TTL 100000"
        )
    for table in (*KEYS, *(["stream"] if streams else [])):
        key = KEYS.get(table, "BIGINT")
        for version in (1, 2):
            if version == 2:
                db.execute(f"ALTER TABLE {table} ADD COLUMN late BIGINT DEFAULT 7")
                db.execute(f"ALTER TABLE {table} ALTER COLUMN wide TYPE BIGINT")
            for user in ("alice", "bob"):
                fill(db.session(user, role="service"), table, key, draw)
    db.execute("CREATE VIEW seen AS SELECT id, name FROM t")


def fill(session: Any, table: str, key: str, draw: random.Random) -> None:
    names = ["id", *COLUMNS, "wide"]
    for number in range(12):
        some = list(VALUES[kind_of("id", key)])
        if key == "BIGINT":
            some += range(10, 30)
        values = [draw.choice(some)]
        for name in names[1:]:
            values.append(None if draw.random() < 0.25 else draw.choice(VALUES[kind_of(name, key)]))
        if names[-1] == "wide" and values[-1] is not None:
            values[-1] = number
        marks = ", ".join("?" * len(values))
        try:
            session.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)
        except IntegrityError:
            if table != "stream":
                session.execute(f"DELETE FROM {table} WHERE id = ?", values[:1])
        if draw.random() < 0.2 and table != "stream":
            session.execute(
                f"UPDATE {table} SET name = ?, big = NULL WHERE id = ?", [f"n{number}", values[0]]
            )


@pytest.fixture(scope="module")
def world() -> Iterator[kalamdb.Database]:
    with kalamdb.open(":memory:") as database:
        make(database)
        yield database


class Draft:
    """A query being written: its text and its parameters."""

    def __init__(self, draw: Any, table: str) -> None:
        self.draw = draw
        self.table = table
        self.key = KEYS.get(table, "BIGINT")
        self.parameters: list[Any] = []

    def chance(self, percent: int) -> bool:
        return int(self.draw(st.integers(0, 99))) < percent

    def one(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def column(self) -> str:
        return str(self.one(["id", "id", *COLUMNS, "late", "wide"]))

    def kind(self, column: str) -> str:
        return kind_of(column, self.key)

    def value(self, column: str) -> str:
        """A literal or a parameter, mostly of the column's type."""
        kind = self.kind(column)
        if self.chance(4):
            kind = self.one(list(VALUES))
        if self.chance(5):
            value = None
        elif kind in SPELLED and self.chance(40):
            value = self.one(SPELLED[kind])
        else:
            value = self.one(VALUES[kind])
            if kind in ("FLOAT", "DOUBLE") and self.chance(20):
                value = self.one([0, 1, 2, -1])
        literal = self.literal(value)
        if literal is not None and self.chance(40):
            return literal
        self.parameters.append(value)
        return "?"

    def literal(self, value: Any) -> str | None:
        match value:
            case None | bool():
                return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
            case int():
                return str(value)
            case float() if math.isfinite(value):
                return repr(value)
            case str():
                return "'" + value.replace("'", "''") + "'"
            case bytes():
                return f"X'{value.hex()}'"
        return None

    def predicate(self, depth: int) -> str:
        if depth and self.chance(45):
            word = self.one([" AND ", " OR "])
            parts = [self.predicate(depth - 1) for _ in range(self.one([2, 2, 3]))]
            return f"({word.join(parts)})" if self.chance(70) else word.join(parts)
        if depth and self.chance(10):
            return f"NOT ({self.predicate(depth - 1)})"
        column = self.column()
        negated = "NOT " if self.chance(20) else ""
        form = self.one(["=", "=", "<>", "<", "<=", ">", ">=", "in", "between", "null", "like", "flipped"])
        if form == "in":
            values = ", ".join(self.value(column) for _ in range(self.one([1, 2, 3, 20])))
            return f"{column} {negated}IN ({values})"
        if form == "between":
            return f"{column} {negated}BETWEEN {self.value(column)} AND {self.value(column)}"
        if form == "null":
            return f"{column} IS {negated}NULL"
        if form == "like" and self.kind(column) == "TEXT":
            pattern = self.one(["a%", "%", "ab%", "n%", "ä%", "_a%", "a%b", "a"])
            self.parameters.append(pattern)
            return f"{column} {negated}LIKE ?"
        if form == "flipped":
            return f"{self.value(column)} {self.one(['=', '<', '>='])} {column}"
        return f"{column} {form if form in ('<>', '<', '<=', '>', '>=') else '='} {self.value(column)}"

    def whole(self) -> tuple[str, str | None, bool]:
        """The text, the column it is ordered by, and whether rows may be left out."""
        aggregates = self.chance(20)
        if aggregates:
            items = ", ".join(
                self.one(["count(*)", "COUNT( {0} )", "min({0})", "max({0}) AS m"]).format(self.column())
                for _ in range(self.one([1, 1, 2]))
            )
        else:
            items = self.one(["*", "*", "*, id", "{0}", "{0}, {1}", "id, {0} AS x, {1}", "{0} AS y, {0}"])
            items = items.format(self.column(), self.column())
        text = f"SELECT {items} FROM {self.table}"
        if self.chance(75):
            text += f" WHERE {self.predicate(2)}"
        ordered = None
        if not aggregates and self.chance(50):
            ordered = self.column()
            text += (
                f" ORDER BY {ordered}{self.one(['', ' ASC', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST'])}"
            )
        limited = self.chance(40)
        if limited:
            text += f" LIMIT {self.one([0, 1, 2, 5, 100])}"
            if self.chance(40):
                text += f" OFFSET {self.one([0, 1, 3, 50])}"
        return text, ordered, limited


def natively(session: Any, sql: str, parameters: list[Any]) -> Result | None:
    """As the session does it, but None where it leaves the answer to the query engine."""
    from kalamdb.sql.parser import scan_statement
    from kalamdb.sql.parser import simple_select as find

    scan = scan_statement(sql)
    found = find(scan, sql)
    assert found is not None, f"{sql} was not recognised"
    return simple_select.answer(session, found, parameters, scan.literals, 0)


def by_engine(session: Any, sql: str, parameters: list[Any]) -> Result:
    found = session._database.queries.select(session.context(parameters), sql, parameters)
    return Result.from_arrow(found.schema, found.batches)


def shown(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    # repr, for NaN is not equal to itself and 0.0 is to -0.0.
    return [repr(row) for row in rows]


def json_rows(result: Result) -> Any:
    return orjson.loads(b"".join(result.json_rows()))


answered: Counter[str] = Counter()


def compare_both_roads(world: kalamdb.Database, data: st.DataObject) -> None:
    """One query, drawn at random, on both roads."""
    draft = Draft(data.draw, data.draw(st.sampled_from(["t", "t", *KEYS, "stream"])))
    sql, ordered, limited = draft.whole()
    session = world.session(data.draw(st.sampled_from(["alice", "bob", "carol"])))
    parameters = draft.parameters
    native = natively(session, sql, parameters)
    answered["native" if native is not None else "engine"] += 1
    if native is None:
        return
    engine = by_engine(session, sql, parameters)
    assert native.columns == engine.columns
    assert native.description == engine.description
    assert native.rowcount == engine.rowcount
    rows, expected = native.fetchall(), engine.fetchall()
    assert native.arrow().schema.equals(engine.arrow().schema, check_metadata=True)
    if not limited:
        assert Counter(shown(rows)) == Counter(shown(expected))
        assert Counter(shown(json_rows(native))) == Counter(shown(json_rows(engine)))
    if ordered is not None and ordered in native.columns:
        place = native.columns.index(ordered)
        assert shown([(row[place],) for row in rows]) == shown([(row[place],) for row in expected])


def prove(seed: int, queries: int) -> Counter[str]:
    """So many queries that the core answered, on both roads: how many each answered. Raises where they differ."""
    answered.clear()
    with kalamdb.open(":memory:") as world:
        make(world)
        while answered["native"] < queries:
            drawn = max(100, queries - answered["native"])
            options = settings(max_examples=drawn, deadline=None, suppress_health_check=list(HealthCheck))

            @seeded(seed + answered.total())
            @options
            @given(st.data())
            def compare(data: st.DataObject) -> None:
                compare_both_roads(world, data)

            compare()
    return Counter(answered)


def test_both_roads_give_the_same(world: kalamdb.Database) -> None:
    @seeded(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        compare_both_roads(world, data)

    answered.clear()
    compare()

    # Most of them, or it would prove little.
    assert answered["native"] > 0.4 * answered.total()


def result_of(run: Any) -> Any:
    try:
        return shown(run())
    except Error as error:
        return type(error), str(error), error.position


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM nowhere WHERE id = 1", []),
        ("SELECT * FROM app.t WHERE id = 1", []),
        ("SELECT nothing FROM t", []),
        ("SELECT id FROM t WHERE nothing = 1", []),
        ("SELECT id FROM t ORDER BY nothing", []),
        ("SELECT id FROM t ORDER BY 3", []),
        ("SELECT u.id FROM t", []),
        ("SELECT t.id FROM t AS u", []),
        ("SELECT id FROM t WHERE number = 'x'", []),
        ("SELECT id FROM t WHERE number = ?", [2**63]),
        ("SELECT id FROM t WHERE number = ?", [object()]),
        ("SELECT id FROM t WHERE made = 'yesterday'", []),
        ("SELECT id FROM t WHERE name = ?", ["\ud800"]),
        ("SELECT id FROM t LIMIT -1", []),
        ("SELECT id FROM t LIMIT ?", ["x"]),
        ("SELECT id FROM t LIMIT ?", [-5]),
        ("SELECT _seq FROM t WHERE id = 1", []),
        ("SELECT id FROM seen WHERE id > 0 ORDER BY id", []),
        ("SELECT name AS number, number AS name FROM t ORDER BY name", []),
        ("SELECT id AS name FROM t ORDER BY name", []),
        ("SELECT table_name FROM system.tables ORDER BY table_name", []),
        ("SELECT price FROM t WHERE price = 2.25", []),
        ("SELECT id FROM t WHERE id = 1.5", []),
        ("SELECT id FROM t WHERE single = 1", []),
        ("SELECT min(real), max(token) FROM t", []),
    ],
)
def test_what_the_core_leaves_alone_is_answered_by_the_engine(
    world: kalamdb.Database, sql: str, parameters: list[Any]
) -> None:
    session = world.session("alice")
    answer = result_of(lambda: session.execute(sql, parameters).fetchall())
    assert answer == result_of(lambda: by_engine(session, sql, parameters).fetchall())


def test_a_first_simple_query_loads_neither_parser_nor_engine(tmp_path: Any) -> None:
    import subprocess
    import sys

    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, name TEXT)")
        db.execute("INSERT INTO t VALUES (1, 'x')")
    code = (
        "import sys, kalamdb\n"
        "db = kalamdb.open(sys.argv[1])\n"
        "assert db.execute('SELECT * FROM t WHERE id = ?', [1]).fetchall() == [(1, 'x')]\n"
        "assert db.execute('SELECT count(*) FROM t').fetchone() == (1,)\n"
        "print([name for name in ('lark', 'datafusion', 'pyarrow') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nobody_reads_what_is_not_his(world: kalamdb.Database) -> None:
    world.session("dave").execute("INSERT INTO t (id, name) VALUES (1000, 'mine')")
    sql = "SELECT name FROM t WHERE id = ?"
    assert world.session("dave").execute(sql, [1000]).fetchall() == [("mine",)]
    assert world.session("erin").execute(sql, [1000]).fetchall() == []
    world.session("dave").execute("DELETE FROM t WHERE id = 1000")


def test_a_plan_does_not_outlive_its_table(world: kalamdb.Database) -> None:
    session = world.session("alice", role="service")
    world.execute("CREATE SHARED TABLE passing (id BIGINT PRIMARY KEY, a TEXT)")
    statement = session.prepare("SELECT * FROM passing WHERE id = ?")
    session.execute("INSERT INTO passing VALUES (1, 'x')")
    assert statement.execute([1]).fetchall() == [(1, "x")]
    world.execute("ALTER TABLE passing ADD COLUMN b BIGINT DEFAULT 5")
    assert statement.execute([1]).fetchall() == [(1, "x", 5)]
    world.execute("ALTER TABLE passing RENAME COLUMN a TO c")
    assert statement.execute([1]).columns == ("id", "c", "b")
    world.execute("DROP TABLE passing")
    with pytest.raises(UndefinedTable):
        statement.execute([1])
    world.execute("CREATE SHARED TABLE passing (id TEXT PRIMARY KEY)")
    session.execute("INSERT INTO passing VALUES ('1')")
    assert statement.execute(["1"]).fetchall() == [("1",)]


def test_plans_of_a_catalog_that_is_gone_are_forgotten() -> None:
    with kalamdb.open(":memory:") as db:
        for number in range(5):
            db.execute(f"CREATE SHARED TABLE t{number} (id BIGINT PRIMARY KEY)")
            for other in range(number + 1):
                assert db.execute(f"SELECT id FROM t{other}").fetchall() == []
        assert len(db.select_plans) == 5


def test_a_prepared_statement_of_a_closed_database_says_so() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY)")
        statement = db.session("alice").prepare("SELECT id FROM t WHERE id = ?")
        for _ in range(3):
            assert statement.execute([1]).fetchall() == []
    with pytest.raises(DatabaseClosed):
        statement.execute([1])


def test_readers_beside_writers_and_changes_of_the_table_see_whole_rows() -> None:
    import threading

    with kalamdb.open(":memory:", durability="normal") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, a BIGINT NOT NULL, b BIGINT NOT NULL)")
        db.executemany("INSERT INTO t VALUES (?, 0, 0)", [(n,) for n in range(3000)])
        failures: list[BaseException] = []
        done = threading.Event()

        def read() -> None:
            try:
                session = db.session("reader")
                statement = session.prepare("SELECT a, b FROM t WHERE a >= ? ORDER BY b DESC")
                while not done.is_set():
                    rows = statement.execute([0]).fetchall()
                    assert len(rows) == 3000
                    assert all(row[0] == row[1] for row in rows)
                    assert len({row[0] for row in rows}) == 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 9):
            db.execute("UPDATE t SET a = ?, b = ?", [number, number])
            db.execute(f"ALTER TABLE t ADD COLUMN c{number} BIGINT DEFAULT 1")
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []


def test_a_function_named_like_an_aggregate_is_called(world: kalamdb.Database) -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY)")
        db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        assert db.execute("SELECT max(id) FROM t").fetchall() == [(2,)]
        db.register_function("max", lambda value: value * 10, ["BIGINT"], "BIGINT")
        assert sorted(db.execute("SELECT max(id) FROM t").fetchall()) == [(10,), (20,)]


def test_many_rows_come_as_columns_and_read_as_tuples() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, token UUID, doc JSON, name VARCHAR(9))")
        rows = [(n, uuid.UUID(int=n), {"n": n}, f"n{n}" if n % 3 else None) for n in range(10_000)]
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        result = db.execute("SELECT * FROM t")
        assert result.rowcount == 10_000
        assert result._parts is not None
        assert result.arrow().schema.equals(by_engine(db._root, "SELECT * FROM t", []).arrow().schema, True)
        assert result.fetchall() == rows
        assert db.execute("SELECT * FROM t ORDER BY id DESC").fetchall() == rows[::-1]
        assert (
            len(db.execute("SELECT id FROM t WHERE name LIKE 'n1%' ORDER BY name LIMIT 5000 OFFSET 3"))
            == 742 - 3
        )


def test_a_name_that_is_a_keyword_means_the_same_on_both_roads(world: kalamdb.Database) -> None:
    """Words that are taken for names here must be names for the engine's parser too."""
    words = [
        "action", "admin", "after", "age", "alias", "archive", "area", "author", "auto", "avg", "before", "body",
        "bucket", "category", "channel", "char", "class", "code", "comment", "commit", "config", "content", "cost",
        "count", "created", "cursor", "cycle", "data", "day", "decimal", "degree", "depth", "domain", "double",
        "email", "enabled", "engine", "error", "event", "explain", "file", "flag", "float", "function", "hash",
        "header", "hour", "identity", "image", "index", "input", "instant", "integer", "items", "json", "key", "kind",
        "label", "language", "length", "level", "list", "local", "location", "lower", "max", "message", "method", "min",
        "minute", "mode", "model", "month", "name", "node", "notes", "number", "object", "option", "owner", "parent",
        "password", "path", "percent", "period", "phase", "price", "priority", "quarter", "range", "rank", "rate",
        "read", "reason", "role", "rule", "schema", "score", "second", "sequence", "session", "share", "size", "source",
        "stage", "state", "status", "store", "storage", "string", "sum", "tag", "tags", "target", "text", "title",
        "token", "tokens", "topic", "total", "trigger", "type", "unit", "upper", "url", "usage", "uuid", "value",
        "version", "week", "weight", "width", "work", "write", "year", "zone",
    ]  # fmt: skip
    columns = ", ".join(f'"{word}" BIGINT' for word in words)
    with kalamdb.open(":memory:") as db:
        db.execute(f"CREATE SHARED TABLE words (id BIGINT PRIMARY KEY, {columns})")
        db.execute(f"INSERT INTO words VALUES ({', '.join(str(n) for n in range(len(words) + 1))})")
        for number, word in enumerate(words, 1):
            for sql in (
                f"SELECT {word} FROM words WHERE {word} = {number} ORDER BY {word} LIMIT 1",
                f"SELECT id AS {word}, {word} FROM words AS {word} WHERE NOT {word} IS NULL AND {word} IN ({number})",
            ):
                answer = result_of(lambda sql=sql: db.execute(sql).fetchall())
                assert answer == result_of(lambda sql=sql: by_engine(db._root, sql, []).fetchall()), sql


def test_what_people_call_columns_means_the_same_on_both_roads(db: kalamdb.Database) -> None:
    """Words of SQL that are names of columns all the same, in every place where a column may stand."""
    from kalamdb.sql.simple_select import _COLUMN_NAMES

    db.execute("CREATE NAMESPACE words")
    db.execute("USE words")
    for number, word in enumerate(sorted(_COLUMN_NAMES)):
        table = f"t{number}"
        db.execute(f'CREATE SHARED TABLE {table} (id BIGINT PRIMARY KEY, "{word}" INT)')
        db.execute(f"INSERT INTO {table} VALUES (1, 5), (2, 6), (3, NULL)")
        for text, rows in {
            f"SELECT {word} FROM {table} WHERE {word} = 6": [(6,)],
            f"SELECT id, {word} FROM {table} WHERE NOT {word} = 5 ORDER BY {word} DESC": [(2, 6)],
            f"SELECT {table}.{word}, id FROM {table} WHERE ({word} IN (5) OR {word} IS NULL) ORDER BY id": [
                (5, 1),
                (None, 3),
            ],
            f"SELECT max({word}) AS x FROM {table} WHERE 6 = {word} AND {word} BETWEEN 1 AND 9": [(6,)],
        }.items():
            simple = parser.simple_select(parser.scan_statement(text), text)
            assert simple is not None, text
            assert db.execute(text).fetchall() == rows, text
            # The other road: nothing that has a WITH is simple.
            assert db.execute(f"WITH nothing AS (SELECT 1) {text}").fetchall() == rows, text
            assert db.execute(text).columns == db.execute(f"WITH nothing AS (SELECT 1) {text}").columns, text
