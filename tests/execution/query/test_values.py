"""Parameters in, types out, and errors that say what is wrong."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pytest

from kalamdb.errors import (
    DivisionByZero,
    InvalidParameter,
    InvalidSyntax,
    InvalidValue,
    NotSupportedError,
    NumericOutOfRange,
    ProgrammingError,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (5, 5),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        (decimal.Decimal("12.34"), decimal.Decimal("12.34")),
        ("x' OR '1'='1", "x' OR '1'='1"),
        (b"\x00\xff", b"\x00\xff"),
        (True, True),
        (None, None),
        (NOON, NOON),
        (datetime.datetime(2026, 1, 2, 12), NOON),
        (datetime.date(2026, 1, 2), datetime.date(2026, 1, 2)),
        (datetime.time(1, 2, 3, 4), datetime.time(1, 2, 3, 4)),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))),
        ({"a": [1]}, '{"a":[1]}'),
        ([1, 2], "[1,2]"),
    ],
)
def test_a_parameter_arrives_as_its_value(rows, given, got):
    assert rows("SELECT $1 AS v", given) == [(got,)]


def test_none_compares_to_nothing_and_can_be_asked_for(rows):
    assert rows("SELECT id FROM notes WHERE id = ?", None) == []
    assert len(rows("SELECT id FROM notes WHERE ? IS NULL OR id = ?", None, None)) == 3
    assert rows("SELECT coalesce(?, 3)", None) == [(3,)]


def test_parameters_stand_anywhere_a_value_does(rows):
    assert rows("SELECT id FROM notes WHERE id IN ($1, $2) ORDER BY id LIMIT $3", 0, 2, 1) == [(0,)]
    assert rows("SELECT $2 || $1 || $2", "a", "b") == [("bab",)]
    assert rows("SELECT ? + ?, sum(?) FROM notes", 1, 2, 3) == [(3, 9)]
    assert rows("SELECT ? UNION ALL SELECT ? ORDER BY 1", 1, 2) == [(1,), (2,)]
    assert rows("SELECT date_trunc(?, ?), NOW() - ?", "day", NOON, NOON)[0][0] == NOON.replace(hour=0)


@pytest.mark.parametrize(("given", "said"), [((), "0 were given"), ((1,), "1 was given")])
def test_too_few_parameters_say_both_numbers(rows, given, said):
    with pytest.raises(InvalidParameter, match=f"takes 2 parameters, {said}"):
        rows("SELECT ?, ?", *given)


@pytest.mark.parametrize("value", [object(), "\ud800", {1: object()}])
def test_a_value_of_no_sql_type_is_refused(rows, value):
    with pytest.raises(InvalidParameter):
        rows("SELECT ?", value)


def test_an_integer_beyond_bigint_is_refused(rows):
    with pytest.raises(NumericOutOfRange):
        rows("SELECT ?", 2**63)


@pytest.mark.parametrize(
    ("expression", "data_type", "value"),
    [
        ("row_number() OVER ()", pa.int64(), 1),
        ("arrow_cast(7, 'UInt8')", pa.int64(), 7),
        ("arrow_cast('a', 'Utf8View')", pa.utf8(), "a"),
        ("arrow_cast('a', 'LargeUtf8')", pa.utf8(), "a"),
        ("arrow_cast('a', 'Dictionary(Int32, Utf8)')", pa.utf8(), "a"),
        ("arrow_cast(X'00', 'BinaryView')", pa.binary(), b"\x00"),
        ("CAST('2026-01-02T12:00:00' AS TIMESTAMP)", pa.timestamp("us", "UTC"), NOON),
        ("to_timestamp('2026-01-02T14:00:00+02:00')", pa.timestamp("us", "UTC"), NOON),
        ("TIME '01:02:03'", pa.time64("us"), datetime.time(1, 2, 3)),
        ("['a', 'b']", pa.list_(pa.utf8()), ["a", "b"]),
    ],
)
def test_results_come_in_our_types(engine, context, expression, data_type, value):
    answer = engine.select(context, f"SELECT {expression} AS v")

    assert answer.schema.field("v").type == data_type
    assert answer.batches[0].column(0).to_pylist() == [value]


def test_finer_than_a_microsecond_is_cut_off_also_before_1970(rows):
    assert rows("SELECT TIMESTAMP '1969-12-31T23:59:59.999999999'") == [
        (datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.UTC),)
    ]


def test_an_unsigned_number_beyond_bigint_is_an_error(rows):
    with pytest.raises(NumericOutOfRange):
        rows("SELECT 18446744073709551615")


def test_plain_columns_keep_what_they_are(engine, context):
    answer = engine.select(context, "SELECT n.body, upper(n.body) AS u FROM (SELECT * FROM notes) n LIMIT 1")

    assert answer.schema.field("body").metadata == {b"kalam.type": b"json"}
    assert answer.schema.field("u").metadata is None


@pytest.mark.parametrize(
    ("sql", "error", "message", "position"),
    [
        ("SELECT * FROM nowhere", UndefinedTable, 'relation "nowhere" does not exist', 14),
        ("SELECT * FROM a.b.c", UndefinedTable, 'relation "a.b.c" does not exist', 18),
        ("SELECT id, nope FROM notes", UndefinedColumn, 'column "nope" does not exist', 11),
        ("SELECT n.nope FROM notes n", UndefinedColumn, 'column "nope" does not exist', 9),
        ('SELECT "No pe" FROM notes', UndefinedColumn, 'column "No pe" does not exist', 7),
        ("SELECT nope(1)", UndefinedFunction, "function nope does not exist", 7),
        ("SELECT sum(owner) FROM notes", UndefinedFunction, "function sum", 7),
        ("SELECT id FROM notes n JOIN others o ON n.id = o.id", ProgrammingError, "ambiguous", 7),
        ("SELECT /* c */ id frm notes", InvalidSyntax, 'syntax error at or near "notes"', 22),
        ("SELECT\n  id,\n  , FROM notes", InvalidSyntax, "syntax error", None),
        ("SELECT (", InvalidSyntax, "", None),
        ("SELECT 'x", InvalidSyntax, "string", None),
        ("SELECT 1/0", DivisionByZero, "division by zero", None),
        ("SELECT 'a'::int", InvalidValue, 'invalid input syntax for type INT: "a"', None),
        ("SELECT id FROM notes WHERE id = 'abc'", InvalidValue, "BIGINT", None),
        ("SELECT 99999999999::int", NumericOutOfRange, "out of range for type INT", None),
        ("SHOW TABLES", NotSupportedError, "SHOW", 0),
    ],
)
def test_errors_speak_postgresql_and_know_the_place(rows, sql, error, message, position):
    with pytest.raises(error) as raised:
        rows(sql)

    assert message in str(raised.value)
    assert "kalam." not in str(raised.value)
    assert "DataFusion" not in str(raised.value)
    if position is not None:
        assert raised.value.position == position


def test_what_a_function_raises_arrives(rows, functions):
    from kalamdb.functions import scalar_function

    def broken(n):
        raise ValueError("no luck")

    functions.register(scalar_function("broken", broken, ["BIGINT"], "BIGINT", "immutable"))
    with pytest.raises(Exception, match="broken") as raised:
        rows("SELECT broken(id) FROM notes")
    assert "no luck" in str(raised.value)
    assert "PyErr" not in str(raised.value)


def test_one_function_over_columns(engine):
    day = engine.call("date_trunc", [pa.scalar("day"), pa.array([NOON])])

    assert engine.call("upper", [pa.array(["a", None])]).to_pylist() == ["A", None]
    assert day.type == pa.timestamp("us", "UTC")
    assert day.to_pylist() == [NOON.replace(hour=0)]
    assert engine.call("repeat", [pa.array(["a", "b"]), pa.array([2, 3])]).to_pylist() == ["aa", "bbb"]
    assert len(engine.call("pi", [], 3)) == 3


@pytest.mark.parametrize(
    "name", ["nope", "upper; drop", "_kalam_snowflake_id", "sum", "range", "", "input_file_name"]
)
def test_only_plain_functions_can_be_called_over_columns(engine, name):
    with pytest.raises(UndefinedFunction):
        engine.call(name, [pa.array([1])])


def test_a_view_is_planned_for_its_columns(engine, context):
    schema = engine.view_columns(context, "SELECT id, count(*) AS n FROM notes GROUP BY id")

    assert schema.names == ["id", "n"]
    with pytest.raises(ProgrammingError, match="more than once"):
        engine.view_columns(context, "SELECT id, id FROM notes")
    with pytest.raises(UndefinedColumn):
        engine.view_columns(context, "SELECT nope FROM notes")
