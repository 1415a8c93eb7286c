"""Arrow tables so large that they go to a segment at once: the same rows, defaults and refusals as row by row."""

import datetime
import decimal
import random
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import kalamdb
from kalamdb.errors import (
    NotNullViolation,
    NumericOutOfRange,
    UndefinedColumn,
    UniqueViolation,
    ValueTooLong,
)
from kalamdb.execution import segment_load

ROWS = segment_load.ROWS_MIN
EVERY_TYPE = (
    "CREATE TABLE {} (id BIGINT PRIMARY KEY, flag BOOLEAN, small SMALLINT, number INT, single FLOAT, ratio DOUBLE, "
    "price DECIMAL(20,4), body TEXT, raw BYTES, at TIMESTAMP, day DATE, clock TIME, token UUID, payload JSON)"
)


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with kalamdb.open(tmp_path / "data") as database:
        database.execute("CREATE NAMESPACE app")
        yield database


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table of two rows and more is loaded, some rows at a time."""
    monkeypatch.setattr(segment_load, "ROWS_MIN", 2)
    monkeypatch.setattr(segment_load, "ROWS_AT_ONCE", 1500)


def root(db: Any) -> Any:
    return db.session("root", role="system", namespace="app")


def loaded_rows(db: Any) -> int:
    return int(db.engine.store.statistics()["hot_rows"])


def value_of(kind: str, chance: random.Random) -> object:
    number = chance.randrange(1 << 30)
    return {
        "flag": number % 2 == 0,
        "small": number % 30000 - 15000,
        "number": number - (1 << 29),
        "single": float(number % 1000) / 8,
        "ratio": number / 7,
        "price": decimal.Decimal(number - (1 << 29)) / 10000,
        "body": "ö☃a"[: number % 4] * (number % 5),
        "raw": number.to_bytes(8, "big")[: number % 9],
        "at": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=number),
        "day": datetime.date(2020, 1, 1) + datetime.timedelta(days=number % 5000),
        "clock": datetime.time(number % 24, number % 60, 1, number % 1_000_000),
        "token": uuid.UUID(int=number << 70),
        "payload": {"n": number, "of": [None, "x"]},
    }[kind]


KINDS = {
    "flag": pa.bool_(), "small": pa.int16(), "number": pa.int32(), "single": pa.float32(), "ratio": pa.float64(),
    "price": pa.decimal128(20, 4), "body": pa.string(), "raw": pa.binary(), "at": pa.timestamp("us", "UTC"),
    "day": pa.date32(), "clock": pa.time64("us"), "token": pa.string(), "payload": pa.string(),
}  # fmt: skip


def table_of_every_type(count: int, chance: random.Random, *, nulls: bool) -> pa.Table:
    import orjson

    keys = list(range(count))
    chance.shuffle(keys)
    columns: dict[str, pa.Array] = {"id": pa.array(keys, pa.int64())}
    for kind, type_ in KINDS.items():
        values = [None if nulls and chance.random() < 0.2 else value_of(kind, chance) for _ in range(count)]
        if kind == "token":
            values = [None if value is None else str(value) for value in values]
        if kind == "payload":
            values = [None if value is None else orjson.dumps(value).decode() for value in values]
        columns[kind] = pa.array(values, type_)
    return pa.table(columns)


@pytest.mark.parametrize("nulls", [False, True], ids=["without nulls", "with nulls"])
@pytest.mark.parametrize("cut", ["whole", "sliced", "chunked", "sorted"])
def test_every_type_is_what_it_is_row_by_row(
    db: Any, monkeypatch: pytest.MonkeyPatch, nulls: bool, cut: str
) -> None:
    chance = random.Random(7)
    data = table_of_every_type(4001, chance, nulls=nulls)
    if cut == "sliced":
        data = data.slice(333, 3001)
    elif cut == "chunked":
        data = pa.concat_tables([data.slice(at, 7) for at in range(0, 4001, 7)])
    elif cut == "sorted":
        data = data.sort_by("id")
    session = root(db)
    for name in ("by_row", "loaded"):
        db.execute(EVERY_TYPE.format(f"app.{name}"))
    session.insert("by_row", data)
    monkeypatch.setattr(segment_load, "ROWS_MIN", 2)
    monkeypatch.setattr(segment_load, "ROWS_AT_ONCE", 1500)
    before = loaded_rows(db)
    session.insert("loaded", data)
    assert loaded_rows(db) == before + data.num_rows

    answers = []
    for name in ("by_row", "loaded"):
        every = session.execute(f"SELECT * FROM {name} ORDER BY id").fetchall()
        one = session.execute(f"SELECT * FROM {name} WHERE id = 1777").fetchall()
        some = session.execute(
            f"SELECT id, body, token FROM {name} WHERE number > 0 AND flag ORDER BY id"
        ).fetchall()
        grouped = session.execute(
            f"SELECT small % 3, COUNT(*), MAX(at), MIN(price), SUM(ratio) FROM {name} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        in_order = session.execute(f"SELECT id FROM {name} ORDER BY _seq").fetchall()
        answers.append((every, one, some, len(grouped), in_order))
    assert answers[0] == answers[1]
    assert [row[0] for row in answers[1][4]] == data.column("id").to_pylist()


def test_large_tables_are_loaded_and_small_ones_are_not(db: Any) -> None:
    db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY, body TEXT)")
    session = root(db)
    numbers = pa.array(range(ROWS), pa.int64())
    told: list[tuple[int, int]] = []
    result = session.insert(
        "numbers", pa.table({"id": numbers}), progress=lambda done, total: told.append((done, total))
    )
    assert (result.rowcount, result.message) == (ROWS, f"Inserted {ROWS} row(s)")
    assert [total for _, total in told] == [ROWS] * len(told)
    assert [done for done, _ in told] == [65536, 131072, 196608, ROWS]
    assert loaded_rows(db) == ROWS
    assert session.execute("SELECT COUNT(*), MIN(id), MAX(id) FROM numbers").fetchone() == (ROWS, 0, ROWS - 1)

    told.clear()
    session.insert("numbers", pa.table({"id": pa.array([-1])}), progress=lambda *both: told.append(both))
    assert told == [(1, 1)]
    wide = pa.table({"id": [-2, -3], "body": ["x" * (9 << 20), "y" * (9 << 20)]})
    session.insert("numbers", wide)
    assert loaded_rows(db) == ROWS
    session.insert("numbers", pa.table({"id": range(-13, -3), "body": ["x" * (4 << 20)] * 10}))
    assert loaded_rows(db) == ROWS + 10
    assert len(session.execute("SELECT body FROM numbers WHERE id = -5").fetchone()[0]) == 4 << 20


def test_inside_a_transaction_nothing_is_loaded(db: Any, small: None) -> None:
    db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY)")
    session = root(db)
    session.begin()
    session.insert("numbers", pa.table({"id": range(10)}))
    session.rollback()
    assert session.execute("SELECT COUNT(*) FROM numbers").fetchone() == (0,)
    assert loaded_rows(db) == 0


def test_users_have_loads_of_their_own(db: Any, small: None) -> None:
    db.execute("CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT)")
    for user in ("alice", "bob"):
        mine = db.session(user, namespace="app")
        mine.insert("notes", pa.table({"id": range(5000), "body": [user] * 5000}))
    for user in ("alice", "bob"):
        mine = db.session(user, namespace="app")
        assert mine.execute("SELECT COUNT(*), MIN(body), MAX(body) FROM notes").fetchone() == (
            5000,
            user,
            user,
        )


def test_defaults_fill_what_the_data_has_not(db: Any, small: None) -> None:
    db.execute(
        "CREATE TABLE app.notes (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), code TEXT DEFAULT ULID(), "
        "role TEXT NOT NULL DEFAULT 'user', at TIMESTAMP DEFAULT NOW(), body TEXT)"
    )
    session = root(db)
    session.insert("notes", pa.table({"body": [str(n) for n in range(4000)]}))
    counted = "SELECT COUNT(DISTINCT id), COUNT(DISTINCT code), COUNT(DISTINCT at), MIN(role) FROM notes"
    assert session.execute(counted).fetchone() == (4000, 4000, 1, "user")
    bodies = session.execute("SELECT body FROM notes ORDER BY id").fetchall()
    assert bodies == [(str(n),) for n in range(4000)]


def test_text_keys_are_put_in_order(db: Any, small: None) -> None:
    db.execute("CREATE TABLE app.words (word TEXT PRIMARY KEY, place BIGINT)")
    words = [f"{n * 7919 % 5000:x}" + "é" * (n % 3) for n in range(5000)]
    session = root(db)
    session.insert("words", pa.table({"word": words, "place": range(5000)}))
    found = session.execute("SELECT word, place FROM words ORDER BY word").fetchall()
    assert found == sorted(zip(words, range(5000), strict=True), key=lambda row: row[0].encode())
    assert session.execute("SELECT place FROM words WHERE word = $1", [words[77]]).fetchone() == (77,)


def test_what_is_refused_leaves_nothing_and_says_which_row(db: Any, small: None) -> None:
    db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY, small SMALLINT, name VARCHAR(3) NOT NULL)")
    session = root(db)
    ids = list(range(5000))
    names = ["abc"] * 5000
    for order in (ids, ids[::-1]):
        with pytest.raises(NotNullViolation, match=r'"name".*row 3334'):
            session.insert("numbers", pa.table({"id": order, "name": [*names[:3333], None, *names[3334:]]}))
        with pytest.raises(ValueTooLong, match="name"):
            session.insert("numbers", pa.table({"id": order, "name": [*names[:4321], "abcd", *names[4322:]]}))
        with pytest.raises(NumericOutOfRange, match="small"):
            session.insert("numbers", pa.table({"id": order, "name": names, "small": [*ids[:-1], 1 << 20]}))
        with pytest.raises(UniqueViolation, match=r"numbers: 17$"):
            session.insert("numbers", pa.table({"id": [*order[:-1], 17], "name": names}))
        with pytest.raises(NotNullViolation, match="id"):
            session.insert(
                "numbers", pa.table({"id": pa.array([*order[:-1], None], pa.int64()), "name": names})
            )
    with pytest.raises(NotNullViolation, match="id"):
        session.insert("numbers", pa.table({"name": names}))
    with pytest.raises(UndefinedColumn):
        session.insert("numbers", pa.table({"id": ids, "nobody": ids}))
    with pytest.raises(ZeroDivisionError):
        session.insert("numbers", pa.table({"id": ids, "name": names}), progress=lambda done, total: 1 // 0)
    assert session.execute("SELECT COUNT(*) FROM numbers").fetchone() == (0,)
    assert loaded_rows(db) == 0
    session.insert("numbers", pa.table({"id": ids, "name": names}))
    with pytest.raises(UniqueViolation, match=r"numbers: 4999$"):
        session.insert("numbers", pa.table({"id": [4999, 5000], "name": ["a", "b"]}))
    assert session.execute("SELECT COUNT(*) FROM numbers").fetchone() == (5000,)


def test_rows_of_a_load_are_flushed_and_loads_see_what_is_cold(db: Any, small: None) -> None:
    db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY, body TEXT)")
    session = root(db)
    session.insert("numbers", pa.table({"id": range(0, 20_000, 2), "body": ["cold"] * 10_000}))
    db.flush()
    assert loaded_rows(db) < 100  # of reserved tables
    session.execute("DELETE FROM numbers WHERE id = 40")
    with pytest.raises(UniqueViolation, match=r"numbers: 19998$"):
        session.insert("numbers", pa.table({"id": [*range(1, 20_000, 2), 19998]}))
    session.insert("numbers", pa.table({"id": [*range(1, 20_000, 2), 40], "body": ["hot"] * 10_001}))
    counted = "SELECT body, COUNT(*), MIN(id) FROM numbers GROUP BY body ORDER BY body"
    expected = [("cold", 9999, 0), ("hot", 10_001, 1)]
    assert session.execute(counted).fetchall() == expected
    db.flush()
    assert session.execute(counted).fetchall() == expected
    assert session.execute("SELECT COUNT(*) FROM numbers").fetchone() == (20_000,)


def test_a_load_survives_a_reopen(tmp_path: Path, small: None) -> None:
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY)")
        root(db).insert("numbers", pa.table({"id": range(10_000)}))
        last = root(db).execute("SELECT MAX(_seq) FROM numbers").fetchone()
    with kalamdb.open(tmp_path / "data") as db:
        assert root(db).execute("SELECT COUNT(*), MAX(_seq) FROM numbers").fetchone() == (10_000, *last)
        root(db).execute("INSERT INTO numbers VALUES (-1)")
        (newest,) = root(db).execute("SELECT _seq FROM numbers WHERE id = -1").fetchone()
        assert newest > last[0]


def test_a_full_scan_comes_in_few_large_batches(db: Any, small: None) -> None:
    db.execute("CREATE TABLE app.numbers (id BIGINT PRIMARY KEY, body TEXT)")
    session = root(db)
    session.insert("numbers", pa.table({"id": range(100_000), "body": [f"row {n}" for n in range(100_000)]}))
    found = session.execute("SELECT * FROM numbers").arrow()
    assert found.num_rows == 100_000
    assert found.column("id").num_chunks <= 2
    session.execute("DELETE FROM numbers WHERE id % 1000 = 7")
    session.execute("UPDATE numbers SET body = NULL WHERE id % 1000 = 8")
    found = session.execute("SELECT * FROM numbers").arrow().sort_by("id")
    kept = [n for n in range(100_000) if n % 1000 != 7]
    assert found.column("id").to_pylist() == kept
    assert found.column("body").to_pylist() == [None if n % 1000 == 8 else f"row {n}" for n in kept]
    assert pc.sum(pc.is_null(found.column("body"))).as_py() == 100
