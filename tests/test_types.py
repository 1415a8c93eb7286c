"""What each SQL type is called, takes, refuses, and is in Arrow."""

from __future__ import annotations

import datetime
import decimal
import math
import struct
import subprocess
import sys
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamdb.errors import InvalidDefinition, InvalidValue, NumericOutOfRange, TypeMismatch, ValueTooLong
from kalamdb.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    JSON,
    SMALLINT,
    TEXT,
    TIME,
    TIMESTAMP,
    UUID,
    DataType,
    arrow_type,
    cast_arrow,
    coerce,
    is_wider,
    parse_type,
    query_field,
    type_of_arrow,
)

UTC = datetime.UTC
DECIMAL_5_2 = parse_type("DECIMAL", (5, 2))
VARCHAR_3 = parse_type("VARCHAR", (3,))
EVERY_TYPE = (
    BOOLEAN, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL_5_2, TEXT, VARCHAR_3, BYTES, TIMESTAMP, DATE, TIME, UUID,
    JSON,
)  # fmt: skip

texts = st.text(st.characters(codec="utf-8"))


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bool", BOOLEAN),
        ("int2", SMALLINT),
        ("Integer", INT),
        ("INT8", BIGINT),
        ("real", FLOAT),
        ("double  precision", DOUBLE),
        ("string", TEXT),
        ("varchar", TEXT),
        ("bytea", BYTES),
        ("datetime", TIMESTAMP),
        ("timestamptz", TIMESTAMP),
        ("jsonb", JSON),
    ],
)
def test_aliases_mean_the_canonical_type(name, expected):
    assert parse_type(name) == expected


def test_parameters_are_read_and_printed():
    assert str(parse_type("numeric", (10, 2))) == "DECIMAL(10,2)"
    assert str(parse_type("decimal", (10,))) == "DECIMAL(10,0)"
    assert str(parse_type("char", (7,))) == "VARCHAR(7)"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("money", ()), ("int", (4,)), ("decimal", (39,)), ("decimal", (4, 5)), ("decimal", (0,)), ("varchar", (0,)),
     ("decimal", (1, 2, 3)), ("embedding", (3,)), ("varchar", (1, 2))],
)  # fmt: skip
def test_what_is_no_type_is_refused(name, arguments):
    with pytest.raises(InvalidDefinition):
        parse_type(name, arguments)


# Values


@given(st.integers())
def test_integers_are_taken_within_their_range_alone(value):
    for type_, bits in ((SMALLINT, 16), (INT, 32), (BIGINT, 64)):
        if -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            assert coerce(value, type_) == value
            assert coerce(f" {value} ", type_) == value
        else:
            with pytest.raises(NumericOutOfRange, match=f"is out of range for {type_}"):
                coerce(value, type_)


@given(st.floats())
def test_doubles_are_taken_as_they_are_and_floats_as_32_bits(value):
    assert struct.pack("<d", coerce(value, DOUBLE)) == struct.pack("<d", value)
    try:
        (narrow,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        with pytest.raises(NumericOutOfRange):
            coerce(value, FLOAT)
    else:
        taken = coerce(value, FLOAT)
        assert taken == narrow or (math.isnan(taken) and math.isnan(value))


@given(st.decimals(min_value=-999, max_value=999, places=4))
def test_decimals_are_rounded_to_their_scale_half_away_from_zero(value):
    expected = value.quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)

    assert coerce(value, DECIMAL_5_2) == expected
    assert coerce(value, DECIMAL_5_2).as_tuple().exponent == -2
    assert coerce(str(value), DECIMAL_5_2) == expected


@given(texts)
def test_text_is_taken_as_it_is(value):
    assert coerce(value, TEXT) == value


@given(st.datetimes(timezones=st.timezones() | st.just(UTC) | st.none()))
def test_timestamps_become_utc_from_objects_and_from_iso_text(value):
    expected = value.replace(tzinfo=UTC) if value.tzinfo is None else None
    try:
        expected = expected or value.astimezone(UTC)
    except OverflowError:
        with pytest.raises(NumericOutOfRange):
            coerce(value, TIMESTAMP)
        return

    assert coerce(value, TIMESTAMP) == expected
    assert coerce(value, TIMESTAMP).tzinfo is UTC
    if value.utcoffset() is None or value.utcoffset().microseconds == 0:
        assert coerce(value.isoformat(), TIMESTAMP) == expected
        assert coerce(value.isoformat(" "), TIMESTAMP) == expected


@given(st.dates(), st.times(), st.uuids(), st.binary())
def test_dates_times_uuids_and_bytes_are_taken_and_read(date, time, identifier, data):
    assert coerce(date, DATE) == coerce(date.isoformat(), DATE) == date
    assert coerce(time, TIME) == coerce(time.isoformat(), TIME) == time
    assert coerce(identifier, UUID) == coerce(str(identifier).upper(), UUID) == identifier
    assert coerce(identifier.bytes, UUID) == coerce(identifier.hex, UUID) == identifier
    assert coerce(bytearray(data), BYTES) == coerce(memoryview(data), BYTES) == coerce(data, BYTES) == data


@pytest.mark.parametrize("type_", EVERY_TYPE, ids=str)
def test_none_stays_none(type_):
    assert coerce(None, type_) is None
    assert coerce(pd.NaT, type_) is None
    assert coerce(pd.NA, type_) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T10:20", datetime.datetime(2024, 1, 1, 10, 20, tzinfo=UTC)),
        ("2024-01-01 10:20:30.5Z", datetime.datetime(2024, 1, 1, 10, 20, 30, 500000, tzinfo=UTC)),
        ("2024-01-01t10:20:30.123456999+02:00", datetime.datetime(2024, 1, 1, 8, 20, 30, 123456, tzinfo=UTC)),
        ("2024-01-01 00:00:00 -0330", datetime.datetime(2024, 1, 1, 3, 30, tzinfo=UTC)),
        ("1969-12-31 23:59:59.9999999", datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_timestamps_are_read_from_iso_text_and_truncated_to_microseconds(text, expected):
    assert coerce(text, TIMESTAMP) == expected


@pytest.mark.parametrize(
    "text", ["2024-13-01", "2024-01-01 25:00", "now", "", "2024-01-01 10:00+99:00", "2024-01-01x"]
)
def test_text_that_is_no_timestamp_is_refused(text):
    with pytest.raises(InvalidValue, match="invalid value for TIMESTAMP"):
        coerce(text, TIMESTAMP)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (True, BIGINT), (1, BOOLEAN), (1.0, BIGINT), (decimal.Decimal(1), INT), (True, DOUBLE), (True, DECIMAL_5_2),
        (1, TEXT), (uuid.UUID(int=7), TEXT), (b"a", TEXT), ("a", BYTES), (5, TIMESTAMP), (5.0, DATE), (5, TIME),
        (datetime.datetime(2024, 1, 1, 5), DATE), (datetime.time(1, tzinfo=UTC), TIME), (5, UUID),
        (datetime.date(2024, 1, 1), JSON), (object(), JSON), ([1], TEXT), (object(), BIGINT),
    ],
    ids=lambda one: "an object" if type(one) is object else str(one),
)  # fmt: skip
def test_a_value_of_another_type_is_refused_with_a_remedy(value, type_):
    with pytest.raises(TypeMismatch, match=r"does not fit"):
        coerce(value, type_)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("abc", BIGINT), ("1.5", BIGINT), ("1_000", INT), ("", INT), ("0x1F", INT), ("٣", INT), ("1e", DOUBLE),
        ("1_0", DOUBLE), ("maybe", BOOLEAN), ("NaN", DECIMAL_5_2), (float("nan"), DECIMAL_5_2), ("24:00", TIME),
        ("2023-02-29", DATE), ("2024-1", DATE), ("{1-2}", UUID), (b"short", UUID), ("\ud800", TEXT),
        ("{", JSON), ("NaN", JSON), ('"\ud800"', JSON), (float("inf"), JSON), ({"a": [float("nan")]}, JSON),
        ({1: 2}, JSON), ({"a": {1, 2}}, JSON), ("[" * 100_000, JSON), ([2**70], JSON),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_refused_by_name(value, type_):
    with pytest.raises(InvalidValue, match="invalid value for"):
        coerce(value, type_)


@pytest.mark.parametrize(
    ("value", "type_"),
    [("9" * 5000, BIGINT), (10**5000, BIGINT), (10**5000, DOUBLE), ("1e999", DOUBLE), (1e39, FLOAT),
     ("3000000000", INT),
     (1000, DECIMAL_5_2), (999.995, DECIMAL_5_2), ("1e999999999999999999999", DECIMAL_5_2), (10**5000, DECIMAL_5_2),
     (decimal.Decimal("1e400"), DOUBLE)],
    ids=lambda value: str(value) if isinstance(value, DataType) else type(value).__name__,
)  # fmt: skip
def test_a_number_beyond_its_type_is_out_of_range(value, type_):
    with pytest.raises(
        NumericOutOfRange, match=f"out of range for {type_}".replace("(", r"\(").replace(")", r"\)")
    ):
        coerce(value, type_)


def test_varchar_counts_characters_not_bytes():
    assert coerce("äöü", VARCHAR_3) == "äöü"
    with pytest.raises(ValueTooLong, match="it has 4 characters"):
        coerce("abcd", VARCHAR_3)


def test_booleans_are_read_from_words():
    assert [coerce(word, BOOLEAN) for word in ("true", "T", " yes ", "on", "1")] == [True] * 5
    assert [coerce(word, BOOLEAN) for word in ("false", "F", "no", "off", "0")] == [False] * 5


def test_json_text_stays_as_it_is_and_values_are_written():
    assert coerce('{ "a" : 1 }', JSON) == '{ "a" : 1 }'
    assert coerce({"a": [1, None, "ü"]}, JSON) == '{"a":[1,null,"ü"]}'
    assert coerce(True, JSON) == "true"
    assert coerce(decimal.Decimal("1.50"), JSON) == "1.50"


def test_values_of_numpy_and_pandas_are_taken():
    assert coerce(np.int32(5), BIGINT) == 5
    assert coerce(np.float32(0.5), DOUBLE) == 0.5
    assert coerce(np.bool_(True), BOOLEAN) is True
    assert coerce(np.str_("a"), TEXT) == "a"
    assert coerce(np.datetime64("2024-01-01T00:00:00.123456789"), TIMESTAMP).microsecond == 123456
    assert type(coerce(pd.Timestamp("2024-01-01", tz="Europe/Berlin"), TIMESTAMP)) is datetime.datetime
    assert coerce(pa.scalar(5), BIGINT) == 5
    with pytest.raises(TypeMismatch):
        coerce(np.float64(5.0), BIGINT)


# Arrow


@pytest.mark.parametrize("type_", EVERY_TYPE, ids=str)
def test_a_column_of_a_query_tells_its_type(type_):
    assert type_of_arrow(query_field("c", type_)) == type_


@pytest.mark.parametrize("type_", EVERY_TYPE, ids=str)
def test_an_empty_or_untyped_column_fits_every_type(type_):
    assert cast_arrow(pa.nulls(3), type_).equals(pa.nulls(3, arrow_type(type_)))
    assert cast_arrow(pa.chunked_array([], pa.null()), type_).type == arrow_type(type_)
    assert cast_arrow(pa.array([], arrow_type(type_)), type_).type == arrow_type(type_)


@pytest.mark.parametrize(
    ("column", "type_", "expected"),
    [
        (pa.array([1, None], pa.uint64()), BIGINT, [1, None]),
        (pa.array([1, 2], pa.int8()), DOUBLE, [1.0, 2.0]),
        (pa.array([1, 2]), DECIMAL_5_2, [decimal.Decimal("1.00"), decimal.Decimal("2.00")]),
        (pa.array([decimal.Decimal("1.255")]), DECIMAL_5_2, [decimal.Decimal("1.26")]),
        (pa.array([1.5]), DECIMAL_5_2, [decimal.Decimal("1.50")]),
        (pa.array(["12", " 3"]), INT, [12, 3]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), TEXT, ["a", "b", "a"]),
        (pa.array(["a"], pa.string_view()), TEXT, ["a"]),
        (pa.array(["a"], pa.large_string()), VARCHAR_3, ["a"]),
        (pa.array([b"a"], pa.large_binary()), BYTES, [b"a"]),
        (pa.array([[1, 2], None]), JSON, ["[1,2]", None]),
        (pa.array([{"a": 1}]), JSON, ['{"a":1}']),
        (pa.array(["00000000-0000-0000-0000-000000000001"]), UUID, [bytes(15) + b"\1"]),
        (pa.array([0], pa.time32("s")), TIME, [datetime.time(0)]),
        (pa.array([datetime.date(2024, 1, 1)]), TIMESTAMP, [datetime.datetime(2024, 1, 1, tzinfo=UTC)]),
        (pa.array([datetime.datetime(2024, 1, 1)]), DATE, [datetime.date(2024, 1, 1)]),
        (pa.array([-1], pa.timestamp("ns")), TIMESTAMP,
         [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]),
        (pa.array([0], pa.timestamp("s", "Europe/Berlin")), TIMESTAMP, [datetime.datetime(1970, 1, 1, tzinfo=UTC)]),
    ],
    ids=str,
)  # fmt: skip
def test_arrow_columns_of_other_types_are_converted(column, type_, expected):
    cast = cast_arrow(column, type_)

    cast.validate(full=True)
    assert cast.type == arrow_type(type_)
    assert cast.to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "type_", "error"),
    [
        (pa.array([1.5]), BIGINT, TypeMismatch),
        (pa.array([True]), INT, TypeMismatch),
        (pa.array([1]), TEXT, TypeMismatch),
        (pa.array([70000]), SMALLINT, NumericOutOfRange),
        (pa.array([2**63], pa.uint64()), BIGINT, NumericOutOfRange),
        (pa.array([1e300]), FLOAT, NumericOutOfRange),
        (pa.array([123456]), DECIMAL_5_2, NumericOutOfRange),
        (pa.array([10**18], pa.timestamp("s")), TIMESTAMP, NumericOutOfRange),
        (pa.array([2**31 - 1], pa.date32()), DATE, NumericOutOfRange),
        (pa.array(["abcd"]), VARCHAR_3, ValueTooLong),
        (pa.array(["x"]), INT, InvalidValue),
        (pa.array(["{"]), JSON, InvalidValue),
        (pa.array([datetime.datetime(2024, 1, 1, 3)]), DATE, TypeMismatch),
    ],
    ids=str,
)
def test_arrow_columns_that_do_not_fit_are_refused_as_values_are(column, type_, error):
    with pytest.raises(error):
        cast_arrow(column, type_)


@given(
    st.lists(
        st.none()
        | st.datetimes(min_value=datetime.datetime(1700, 1, 1), max_value=datetime.datetime(2200, 1, 1))
    )
)
def test_arrow_timestamps_convert_as_values_do(values):
    column = pa.array(values, pa.timestamp("ns"))

    assert cast_arrow(column, TIMESTAMP).to_pylist() == [coerce(value, TIMESTAMP) for value in values]


# Widening


@pytest.mark.parametrize(
    ("from_", "to"),
    [(SMALLINT, INT), (INT, BIGINT), (INT, DOUBLE), (FLOAT, DOUBLE), (VARCHAR_3, TEXT),
     (VARCHAR_3, DataType(TEXT.name, 4)), (DECIMAL_5_2, parse_type("decimal", (7, 4))), (DATE, TIMESTAMP), (JSON, TEXT),
     (SMALLINT, parse_type("decimal", (7, 2))), (TEXT, TEXT)],
)  # fmt: skip
def test_a_type_may_become_wider(from_, to):
    assert is_wider(from_, to)
    assert from_ == to or not is_wider(to, from_)


@pytest.mark.parametrize(
    ("from_", "to"),
    [(BIGINT, DOUBLE), (BIGINT, INT), (TEXT, JSON), (TEXT, VARCHAR_3), (DECIMAL_5_2, parse_type("decimal", (5, 4))),
     (INT, DECIMAL_5_2), (INT, TEXT), (TIMESTAMP, DATE), (JSON, VARCHAR_3), (BOOLEAN, INT)],
)  # fmt: skip
def test_a_type_that_would_lose_values_is_not_wider(from_, to):
    assert not is_wider(from_, to)


def test_types_functions_and_catalog_are_imported_without_the_large_libraries():
    code = (
        "import sys, kalamdb.types, kalamdb.settings, kalamdb.ids, kalamdb.functions, kalamdb.catalog;"
        "large = {'pyarrow', 'numpy', 'orjson', 'lark', 'datafusion'} & set(sys.modules); assert not large, large"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
