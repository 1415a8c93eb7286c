"""A result as JSON: the same text on every road that its rows may have come by."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

import kalamdb
from kalamdb.errors import Corruption, InterfaceError
from kalamdb.result import Result
from kalamdb.types import BIGINT, JSON, TEXT

UTC = datetime.UTC
COLUMNS = (
    "flag BOOLEAN, small SMALLINT, number INT, single FLOAT, ratio DOUBLE, price DECIMAL(38,10), body TEXT, raw BYTES, "
    "at TIMESTAMP, day DATE, clock TIME, token UUID, payload JSON"
)
VALUES = (
    True,
    -32768,
    2147483647,
    0.1,
    -0.0,
    decimal.Decimal("-0.5"),
    '\u2028"\\\n\U0001f600',
    b"\x00\xff",
    datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    datetime.date(1969, 12, 31),
    datetime.time(23, 59, 59, 999999),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    '{"a": [1.0, "é"]}',
)
CELLS = [
    True,
    -32768,
    2147483647,
    0.1,
    -0.0,
    "-0.5000000000",
    '\u2028"\\\n\U0001f600',
    [0, 255],
    -999999,
    -1,
    86399999999,
    "12345678-1234-5678-1234-567812345678",
    '{"a": [1.0, "é"]}',
]
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]
ROWS = 5000
"""More than a result keeps as stored rows."""


def read(result: Result, **options: Any) -> Any:
    return orjson.loads(b"".join(result.json_rows(**options)))


@pytest.fixture(scope="module")
def session() -> Iterator[kalamdb.Session]:
    with kalamdb.open(":memory:") as db:
        db.execute(f"CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, {COLUMNS})")
        places = ", ".join("?" * (1 + len(VALUES)))
        db.executemany(f"INSERT INTO t VALUES ({places})", [(number, *VALUES) for number in range(ROWS)])
        db.execute("INSERT INTO t (id) VALUES (-1)")
        yield db.session("root", role="dba")


ROADS = {
    "by key": ("id = 7", 1),
    "few rows": ("id >= 7 AND id < 10", 3),
    "stored rows": ("id >= 7 AND id < 1007", 1000),
    "many rows": ("id >= 7", ROWS - 7),
    "the query engine": ("id >= 7 AND abs(id) < 20", 13),
    "no rows": ("id = -7", 0),
}


@pytest.mark.parametrize("road", ROADS)
def test_every_road_gives_the_same_json(session: kalamdb.Session, road: str) -> None:
    condition, count = ROADS[road]
    sql = f"SELECT * FROM t WHERE {condition}"
    expected = [[str(7 + number), *CELLS] for number in range(count)]
    result = session.execute(sql)

    assert read(result) == expected
    assert repr(read(result)) == repr(expected)  # -0.0 is no 0
    assert read(result, objects=True) == [dict(zip(["id", *NAMES], row)) for row in expected]
    assert result.fetchall() == session.execute(sql).fetchall()
    result.arrow()
    assert read(result, piece_bytes=100) == expected


def test_nulls_are_null_on_every_road(session: kalamdb.Session) -> None:
    nulls = [["-1", *[None] * len(CELLS)]]

    assert read(session.execute("SELECT * FROM t WHERE id = -1")) == nulls
    assert read(session.execute("SELECT * FROM t WHERE id < 1000 LIMIT 10"))[:1] == nulls
    assert read(session.execute("SELECT * FROM t WHERE abs(id) = 1 AND id < 0")) == nulls


def test_a_row_that_was_written_is_told_as_one_that_is_read(session: kalamdb.Session) -> None:
    updated = session.execute("UPDATE t SET flag = flag WHERE id = 3 RETURNING *")
    # JSON that was parsed is written anew, without what blanks were in it.
    expected = ["3", *CELLS[:-1], '{"a":[1.0,"é"]}']

    assert read(updated) == [expected]
    assert read(session.execute("UPDATE t SET flag = flag WHERE id = 3 RETURNING id + 1, small, price")) == [
        ["4", *[CELLS[1], CELLS[5]]]
    ]


def test_json_columns_are_text_whatever_the_json_is() -> None:
    documents = ['"text"', "5", "null", "[]", '{"a":"b"}', "true"]
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, doc JSON)")
        for number, document in enumerate(documents):
            inserted = db.execute("INSERT INTO t VALUES (?, ?) RETURNING doc", [number, document])
            # The null of JSON is Python's None, as NULL is.
            expected = None if document == "null" else document
            assert read(inserted) == [[expected]]
            assert inserted.arrow().column("doc").to_pylist() == [expected]
            assert read(db.execute("SELECT doc FROM t WHERE id = ?", [number])) == [[document]]
        assert read(db.execute("SELECT doc FROM t ORDER BY id")) == [[document] for document in documents]
        assert read(db.execute("SELECT doc FROM t WHERE abs(id) = 0")) == [[documents[0]]]


def test_objects_have_seq_where_the_column_is_asked_for(session: kalamdb.Session) -> None:
    (row,) = read(session.execute("SELECT _seq, id FROM t WHERE id = 5"), objects=True)
    (_seq, _id) = session.execute("SELECT _seq, id FROM t WHERE id = 5").fetchone() or ()

    assert row == {"_seq": str(_seq), "id": "5"}


def test_what_has_no_column_type_is_text(session: kalamdb.Session) -> None:
    sql = "SELECT [1, NULL], struct(1.5 AS a, 'é' AS b), INTERVAL '1 month -3.5 seconds', NULL, arrow_cast(1, 'UInt8')"

    assert read(session.execute(sql)) == [["[1,null]", '{"a":1.5,"b":"é"}', "P1MT-3.5S", None, "1"]]


def test_pieces_are_of_the_size_that_was_asked_for(session: kalamdb.Session) -> None:
    result = session.execute("SELECT id, body FROM t")
    row_bytes_max = 40
    pieces = list(result.json_rows(piece_bytes=1000))

    assert all(1000 <= len(piece) < 1000 + row_bytes_max for piece in pieces[:-1])
    assert len(orjson.loads(b"".join(pieces))) == ROWS + 1
    assert len(list(session.execute("SELECT id FROM t WHERE id < 100").json_rows())) == 1


def test_a_statement_without_rows_has_no_json(session: kalamdb.Session) -> None:
    with pytest.raises(InterfaceError, match="no JSON"):
        session.execute("UPDATE t SET flag = flag WHERE id = 1").json_rows()


def test_rows_of_values_are_written_by_their_types() -> None:
    result = Result.from_rows(
        ("n", "doc", "any"), (BIGINT, JSON, None), [(1, "a", {"b": [1]}), (None, None, "a"), (2, [], 3)]
    )

    assert read(result) == [["1", '"a"', '{"b":[1]}'], [None, None, "a"], ["2", "[]", "3"]]
    assert result.fetchone() == (1, "a", {"b": [1]})


def test_stored_rows_that_are_damaged_are_corruption_to_whoever_looks() -> None:
    from kalamcore import rows as codec
    from kalamcore.stored_rows import StoredRows

    layout = codec.Layout(1, [(1, codec.BIGINT, 0, 0, False)], 0)
    result = Result(("id",), rowcount=1, types=(TEXT,))
    result._encoded = StoredRows(codec.Reader([layout], [None]), [layout.encode((1,))[:-1]])

    for look in (result.fetchall, result.arrow, lambda: list(result.json_rows())):
        with pytest.raises(Corruption, match="row"):
            look()
