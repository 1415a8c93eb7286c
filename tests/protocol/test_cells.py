"""Values as cells of JSON rows, and back."""

import datetime
import decimal
import json
import math
import uuid

import pytest

import kalamdb
from kalamdb.errors import InvalidValue
from kalamdb.protocol import (
    decode_cell,
    decode_data_type,
    encode_data_type,
    encode_schema,
)
from kalamdb.types import BIGINT, TEXT, parse_type

UUID_TEXT = "12345678-1234-5678-1234-567812345678"
MOMENT = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC)
CELLS = [
    ("BOOLEAN", True, True),
    ("SMALLINT", -3, -3),
    ("INT", 7, 7),
    ("BIGINT", 2**63 - 1, "9223372036854775807"),
    ("FLOAT", 0.5, 0.5),
    ("DOUBLE", -1.5e300, -1.5e300),
    (
        "DECIMAL(38,2)",
        decimal.Decimal("1234567890123456789012345678901234.50"),
        "1234567890123456789012345678901234.50",
    ),
    ("TEXT", 'a "quoted"\n𝄞', 'a "quoted"\n𝄞'),
    ("BYTES", b"\x00\xff", [0, 255]),
    ("TIMESTAMP", MOMENT, -1),
    ("DATE", datetime.date(1970, 1, 11), 10),
    ("TIME", datetime.time(0, 0, 1, 2), 1_000_002),
    ("UUID", uuid.UUID(UUID_TEXT), UUID_TEXT),
]


def type_of(sql: str):
    name, _, rest = sql.partition("(")
    return parse_type(name, tuple(map(int, rest.rstrip(")").split(","))) if rest else ())


@pytest.mark.parametrize(("sql", "value", "cell"), CELLS, ids=[one[0] for one in CELLS])
def test_a_value_is_a_cell_and_a_cell_is_that_value_again(sql, value, cell) -> None:
    of = type_of(sql)

    assert rows_of(kalamdb.Result.from_rows(["a", "b"], [of, of], [(value, None)])) == [[cell, None]]
    assert decode_cell(cell, of) == value
    assert decode_cell(None, of) is None
    assert decode_data_type(json.loads(json.dumps(encode_data_type(of)))) == of


def test_a_schema_names_columns_types_and_places() -> None:
    assert encode_schema(["id", "price"], [BIGINT, type_of("DECIMAL(10,2)")]) == [
        {"name": "id", "data_type": "BigInt", "index": 0},
        {"name": "price", "data_type": {"Decimal": {"precision": 10, "scale": 2}}, "index": 1},
    ]
    assert encode_data_type(type_of("VARCHAR(5)")) == "Text"


@pytest.mark.parametrize("shape", ["Topic", {"Decimal": {}}, {"Embedding": "x"}, None, 5, []])
def test_a_type_that_is_not_known_is_refused(shape) -> None:
    with pytest.raises(InvalidValue):
        decode_data_type(shape)


@pytest.mark.parametrize(
    ("cell", "sql"), [("x", "BIGINT"), ([1], "TIMESTAMP"), (-1, "TIME"), ("q", "UUID"), ([999], "BYTES")]
)
def test_a_cell_that_is_none_of_its_type_is_refused(cell, sql) -> None:
    with pytest.raises(InvalidValue):
        decode_cell(cell, type_of(sql))


def rows_of(result: kalamdb.Result) -> list[list[object]]:
    return json.loads(b"".join(result.json_rows()))


@pytest.fixture
def kinds(db: kalamdb.Database) -> kalamdb.Database:
    columns = ", ".join(f"c{at} {sql}" for at, (sql, _, _) in enumerate(CELLS))
    db.execute(f"CREATE SHARED TABLE kinds (id BIGINT PRIMARY KEY, {columns}, j JSON)")
    places = ", ".join("?" for _ in range(len(CELLS) + 2))
    db.execute(
        f"INSERT INTO kinds VALUES ({places})", [1, *(value for _, value, _ in CELLS), '{"a": [1,  2]}']
    )
    db.execute("INSERT INTO kinds (id) VALUES (2)")
    db.execute("INSERT INTO kinds (id, j) VALUES (3, '\"a text\"')")
    return db


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM kinds WHERE id = 1",
        "SELECT * FROM kinds ORDER BY id LIMIT 1",
        "SELECT * FROM (SELECT * FROM kinds) k WHERE k.id = 1",
        "UPDATE kinds SET c1 = -3 WHERE id = 1 RETURNING *",
    ],
)
def test_every_road_to_rows_writes_the_same_cells(kinds: kalamdb.Database, sql: str) -> None:
    ((key, *cells, document),) = rows_of(kinds.execute(sql))

    assert key == "1"
    assert cells == [cell for _, _, cell in CELLS]
    assert json.loads(document) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT j FROM kinds WHERE id = 3",
        "UPDATE kinds SET c1 = 1 WHERE id = 3 RETURNING j",
        "SELECT k.j FROM (SELECT * FROM kinds) k WHERE id = 3",
    ],
)
def test_json_is_its_text_also_where_it_is_a_text(kinds: kalamdb.Database, sql: str) -> None:
    result = kinds.execute(sql)

    assert rows_of(result) == [['"a text"']]
    assert result.fetchall() == [("a text",)]
    assert rows_of(result) == [['"a text"']]


def test_what_json_cannot_say_is_null_or_json_text(db: kalamdb.Database) -> None:
    result = db.execute(
        "SELECT CAST('NaN' AS DOUBLE), CAST('inf' AS DOUBLE), NULL, [1, 2], named_struct('a', 1), "
        "INTERVAL '1 day', count(*)"
    )

    (row,) = rows_of(result)
    assert row[:3] == [None, None, None]
    assert [json.loads(cell) for cell in row[3:5]] == [[1, 2], {"a": 1}]
    assert row[5] == "P1D"
    assert row[6] == "1"
    assert result.column_types()[2] == TEXT


def test_expressions_of_returning_have_the_types_of_their_values(kinds: kalamdb.Database) -> None:
    result = kinds.execute("DELETE FROM kinds WHERE id = 1 RETURNING id + 1, upper('x'), NULL, c10")

    assert [encode_data_type(one) for one in result.column_types()] == ["BigInt", "Text", "Text", "Date"]
    assert rows_of(result) == [["2", "X", None, 10]]


def test_many_rows_come_in_pieces_that_make_one_whole(db: kalamdb.Database) -> None:
    import pyarrow as pa

    db.execute("CREATE SHARED TABLE many (id BIGINT PRIMARY KEY, x DOUBLE)")
    db.session("root").insert("many", pa.table({"id": range(10_000), "x": [math.nan] * 10_000}))

    everything = db.execute("SELECT * FROM many")
    pieces = list(everything.json_rows(piece_bytes=8_192))

    assert len(pieces) > 5
    assert json.loads(b"".join(pieces)) == [[str(number), None] for number in range(10_000)]
    assert b"".join(db.execute("SELECT * FROM many WHERE id < 0").json_rows()) == b"[]"
