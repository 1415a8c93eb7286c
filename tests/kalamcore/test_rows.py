"""Keys sort like their values, and rows come back as they went in, from Python and from Arrow."""

import contextlib
import datetime as dt
import math
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore import rows
from kalamcore.errors import CorruptionError, NullValueError, ValueMismatchError, ValueOutOfRangeError
from kalamcore.rows import Layout, Reader

DECIMAL_10_2 = rows.DECIMAL | 2 << 8
UTC = dt.UTC
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGERS = {rows.SMALLINT: 15, rows.INT: 31, rows.BIGINT: 63}

VALUES: dict[int, st.SearchStrategy[Any]] = {
    rows.BOOLEAN: st.booleans(),
    **{code: st.integers(-(2**bits), 2**bits - 1) for code, bits in INTEGERS.items()},
    rows.FLOAT: st.floats(allow_nan=False, width=32),
    rows.DOUBLE: st.floats(allow_nan=False),
    rows.DECIMAL: st.integers(-(10**10) + 1, 10**10 - 1).map(lambda unscaled: Decimal(unscaled).scaleb(-2)),
    rows.TEXT: UNICODE,
    rows.BYTES: st.binary(max_size=20),
    rows.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
    rows.DATE: st.dates(),
    rows.TIME: st.times(),
    rows.UUID: st.uuids(),
    rows.JSON: UNICODE,
}
COLUMNS = [
    (code * 10, code, 10 if code == rows.DECIMAL else 0, 2 if code == rows.DECIMAL else 0, True)
    for code in VALUES
]
EVERY_TYPE = Layout(7, [(1, rows.BIGINT, 0, 0, False), *COLUMNS], 0)
EVERY_READER = Reader([EVERY_TYPE], [None] * 15)
ROWS = st.tuples(VALUES[rows.BIGINT], *(st.none() | values for values in VALUES.values()))
ARROW_TYPES = [
    pa.int64(),
    pa.bool_(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(10, 2),
    pa.string(),
    pa.binary(),
    pa.timestamp("us", "UTC"),
    pa.date32(),
    pa.time64("us"),
    pa.binary(16),
    pa.string(),
]


def key_code(code: int) -> int:
    return DECIMAL_10_2 if code == rows.DECIMAL else code


def batch_of(values: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows of every type as a record batch of the canonical types."""
    columns = []
    for position, arrow_type in enumerate(ARROW_TYPES):
        column = [
            row[position].bytes if isinstance(row[position], uuid.UUID) else row[position] for row in values
        ]
        columns.append(pa.array(column, arrow_type))
    return pa.record_batch(columns, names=[f"c{i}" for i in range(len(columns))])


@pytest.mark.parametrize("code", VALUES)
def test_keys_sort_like_their_values(code: int) -> None:
    @given(VALUES[code], VALUES[code])
    def check(a: Any, b: Any) -> None:
        key_a, key_b = rows.encode_key(key_code(code), a), rows.encode_key(key_code(code), b)

        assert (key_a < key_b) == (a < b)
        assert (key_a == key_b) == (a == b)

    check()


@pytest.mark.parametrize("code", VALUES)
def test_a_key_tells_its_value(code: int) -> None:
    @given(VALUES[code])
    def check(value: Any) -> None:
        assert rows.decode_key(key_code(code), rows.encode_key(key_code(code), value)) == value

    check()


def test_nan_is_one_key_above_infinity_and_zero_has_one_sign() -> None:
    nan = rows.encode_key(rows.DOUBLE, math.nan)

    assert nan == rows.encode_key(rows.DOUBLE, -math.nan) > rows.encode_key(rows.DOUBLE, math.inf)
    assert math.isnan(rows.decode_key(rows.DOUBLE, nan))  # type: ignore[arg-type]
    assert rows.encode_key(rows.DOUBLE, -0.0) == rows.encode_key(rows.DOUBLE, 0.0)


def test_a_widened_integer_keeps_its_key() -> None:
    assert (
        rows.encode_key(rows.SMALLINT, 7) == rows.encode_key(rows.INT, 7) == rows.encode_key(rows.BIGINT, 7)
    )


def test_none_is_no_key() -> None:
    with pytest.raises(NullValueError):
        rows.encode_key(rows.BIGINT, None)


def test_bytes_of_a_wrong_length_are_no_key() -> None:
    with pytest.raises(CorruptionError):
        rows.decode_key(rows.BIGINT, b"1234")
    with pytest.raises(CorruptionError):
        rows.decode_key(rows.TEXT, b"\xff")


@settings(max_examples=300)
@given(st.data())
def test_composite_keys_sort_like_tuples_with_none_first(data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    # Few letters, zero among them, so that one text often begins another.
    few = {
        rows.TEXT: st.text("\0\1a", max_size=4),
        rows.BYTES: st.binary(max_size=2),
        rows.BIGINT: st.integers(-1, 1),
    }
    parts = st.tuples(*(st.none() | few.get(code, VALUES[code]) for code in codes))
    a, b = data.draw(parts), data.draw(parts)
    key_codes = [key_code(code) for code in codes]
    key_a, key_b = rows.encode_composite_key(key_codes, a), rows.encode_composite_key(key_codes, b)

    def order(values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return [(0,) if value is None else (1, value) for value in values]

    assert (key_a < key_b) == (order(a) < order(b))
    assert (key_a == key_b) == (a == b)


@given(ROWS)
def test_a_row_comes_back_as_it_went_in(values: tuple[Any, ...]) -> None:
    row = EVERY_TYPE.encode(values)

    assert EVERY_READER.decode(row) == values
    assert EVERY_READER.decode(row, [8, 0]) == (values[8], values[0])
    assert EVERY_TYPE.key(values) == rows.encode_key(rows.BIGINT, values[0])


def test_a_decimal_keeps_the_zeros_of_its_scale_and_is_rounded_half_up() -> None:
    layout = Layout(1, [(1, rows.DECIMAL, 6, 3, True)], 0)
    reader = Reader([layout], [None])

    def stored(text: str) -> str:
        return str(reader.decode(layout.encode([Decimal(text)]))[0])

    assert [
        stored(text) for text in ("1.5", "1.0005", "-1.0005", "0.0004", "1E+2", "0.0005", "0E-90", "1E-90")
    ] == ["1.500", "1.001", "-1.001", "0.000", "100.000", "0.001", "0.000", "0.000"]
    for text in ("1000", "999.9995", "1E+999999", "NaN", "Infinity"):
        with pytest.raises(ValueOutOfRangeError):
            layout.encode([Decimal(text)])


def test_a_timestamp_with_an_offset_is_converted_and_one_without_is_utc() -> None:
    layout = Layout(1, [(1, rows.TIMESTAMP, 0, 0, False)], 0)
    reader = Reader([layout], [None])
    plus_two = dt.timezone(dt.timedelta(hours=2))

    assert reader.decode(layout.encode([dt.datetime(2024, 1, 1, 1, tzinfo=plus_two)])) == (
        dt.datetime(2023, 12, 31, 23, tzinfo=UTC),
    )
    assert reader.decode(layout.encode([dt.datetime(1960, 2, 29, 1, 2, 3, 4)])) == (
        dt.datetime(1960, 2, 29, 1, 2, 3, 4, UTC),
    )
    with pytest.raises(ValueOutOfRangeError):
        layout.encode([dt.datetime(1, 1, 1, 1, tzinfo=plus_two)])


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (rows.BIGINT, True),
        (rows.BIGINT, "1"),
        (rows.BIGINT, 1.0),
        (rows.BOOLEAN, 1),
        (rows.DOUBLE, "1"),
        (rows.DOUBLE, False),
        (rows.TEXT, b"a"),
        (rows.TEXT, "\ud800"),
        (rows.BYTES, "a"),
        (rows.DECIMAL, 1),
        (rows.TIMESTAMP, dt.date(2024, 1, 1)),
        (rows.DATE, dt.datetime(2024, 1, 1)),
        (rows.TIME, 1),
        (rows.UUID, b"0" * 16),
        (rows.JSON, {}),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_column(code: int, value: object) -> None:
    layout = Layout(
        1, [(1, rows.BIGINT, 0, 0, False), (2, code, 10 if code == rows.DECIMAL else 0, 0, True)], 0
    )

    with pytest.raises(ValueMismatchError) as caught:
        layout.encode([1, value])
    assert (caught.value.row, caught.value.column) == (-1, 1)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (rows.SMALLINT, 2**15),
        (rows.INT, -(2**31) - 1),
        (rows.BIGINT, 2**63),
        (rows.FLOAT, 1e39),
        (rows.DOUBLE, 10**400),
        (rows.TEXT, "häääa"),
        (rows.TEXT, "a" * 5),
    ],
)
def test_a_value_too_large_is_refused_with_its_column(code: int, value: object) -> None:
    layout = Layout(1, [(1, code, 4 if code == rows.TEXT else 0, 0, True)], 0)

    with pytest.raises(ValueOutOfRangeError) as caught:
        layout.encode([value])
    assert (caught.value.row, caught.value.column) == (-1, 0)


def test_characters_are_counted_and_not_bytes() -> None:
    layout = Layout(1, [(1, rows.TEXT, 4, 0, True)], 0)

    assert Reader([layout], [None]).decode(layout.encode(["hä\0😀"])) == ("hä\0😀",)


def test_a_row_beyond_sixteen_megabytes_is_refused() -> None:
    layout = Layout(1, [(1, rows.BYTES, 0, 0, True), (2, rows.TEXT, 0, 0, True)], 0)

    with pytest.raises(ValueOutOfRangeError, match="16 MB"):
        layout.encode([b"1", "a" * (16 << 20)])
    with pytest.raises(ValueOutOfRangeError, match="16 MB"):
        layout.encode([b"1", "a" * (17 << 20)])


def test_a_missing_required_value_is_refused_with_its_column() -> None:
    layout = Layout(1, [(1, rows.BIGINT, 0, 0, True), (2, rows.TEXT, 0, 0, False)], 0)

    for values, column in (([1, None], 1), ([None, "a"], 0)):
        with pytest.raises(NullValueError) as caught:
            layout.encode(values)
        assert (caught.value.row, caught.value.column) == (-1, column)


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueMismatchError, match="3 values"):
        EVERY_TYPE.encode([1, 2, 3])


def test_old_rows_are_read_as_the_newest_version() -> None:
    first = Layout(
        1,
        [
            (1, rows.INT, 0, 0, False),
            (2, rows.TEXT, 5, 0, True),
            (3, rows.FLOAT, 0, 0, True),
            (4, rows.DECIMAL, 5, 2, True),
            (5, rows.SMALLINT, 0, 0, True),
            (6, rows.INT, 0, 0, True),
        ],
        0,
    )
    second = Layout(
        300,
        [
            (1, rows.BIGINT, 0, 0, False),
            (3, rows.DOUBLE, 0, 0, True),
            (4, rows.DECIMAL, 9, 4, True),
            (5, rows.DECIMAL, 10, 1, True),
            (6, rows.DOUBLE, 0, 0, True),
            (7, rows.TEXT, 0, 0, False),
            (8, rows.UUID, 0, 0, True),
        ],
        0,
    )
    reader = Reader([first, second], [None, None, None, None, None, "added", None])
    old = first.encode([1, "gone", 0.5, Decimal("1.25"), 7, 8])
    old_nulls = first.encode([2, None, None, None, None, None])
    new = second.encode([2**40, None, Decimal(1), None, None, "given", uuid.UUID(int=5)])
    expected = [
        (1, 0.5, Decimal("1.2500"), Decimal("7.0"), 8.0, "added", None),
        (2, None, None, None, None, "added", None),
        (2**40, None, Decimal("1.0000"), None, None, "given", uuid.UUID(int=5)),
    ]

    assert [reader.decode(row) for row in (old, old_nulls, new)] == expected
    assert str(reader.decode(old)[2]) == "1.2500"
    batch = pa.record_batch(rows.rows_to_arrow(reader, [new, old, old_nulls, new], [0, 1, 2, 3, 4, 5]))
    batch.validate(full=True)
    assert [tuple(row.values()) for row in batch.to_pylist()] == [
        row[:6] for row in (expected[2], expected[0], expected[1], expected[2])
    ]


def test_a_column_cannot_become_narrower() -> None:
    wide = Layout(1, [(1, rows.BIGINT, 0, 0, False)], 0)
    narrow = Layout(2, [(1, rows.INT, 0, 0, False)], 0)

    with pytest.raises(ValueMismatchError, match="wider"):
        Reader([wide, narrow], [None])


@settings(max_examples=500)
@given(st.data())
def test_damaged_rows_are_refused_or_read_as_something(data: st.DataObject) -> None:
    damaged = data.draw(
        st.binary(max_size=200)
        | st.binary(max_size=150).map(lambda rest: b"\x07" + rest)
        | st.tuples(ROWS, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4)).map(
            lambda drawn: altered(EVERY_TYPE.encode(drawn[0]), drawn[1])
        )
    )
    with contextlib.suppress(CorruptionError):
        assert len(EVERY_READER.decode(damaged)) == 15
    with contextlib.suppress(CorruptionError):
        rows.rows_to_arrow(EVERY_READER, [damaged])


def altered(row: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(row)
    for position, byte in changes:
        changed[position % len(changed)] = byte
    return bytes(changed)


def test_every_truncation_of_a_row_is_refused() -> None:
    row = EVERY_TYPE.encode([1, *[None] * 7, "text", b"bytes", *[None] * 4, "{}"])

    for size in range(len(row)):
        with pytest.raises(CorruptionError):
            EVERY_READER.decode(row[:size])


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=20), st.integers(0, 5))
def test_rows_go_to_arrow_and_back(values: list[tuple[Any, ...]], start: int) -> None:
    encoded = [EVERY_TYPE.encode(row) for row in values]
    keys = [EVERY_TYPE.key(row) for row in values]
    out = pa.record_batch(rows.rows_to_arrow(EVERY_READER, encoded))
    out.validate(full=True)

    assert out.num_rows == len(values)
    assert [tuple(row) for row in rows.tuples_from_arrow(out)] == [
        tuple(str(value) if isinstance(value, uuid.UUID) else value for value in row) for row in values
    ]
    batch = batch_of(values)
    assert rows.rows_from_arrow(EVERY_TYPE, batch) == list(zip(keys, encoded, strict=True))
    sliced = batch.slice(min(start, len(values)))
    assert rows.rows_from_arrow(EVERY_TYPE, sliced) == list(zip(keys, encoded, strict=True))[start:]


def test_many_rows_cross_the_chunks_with_their_nulls() -> None:
    values = [
        (i, i % 3 == 0 or None, *[None] * 6, None if i % 7 == 0 else f"{i}ä", *[None] * 6)
        for i in range(2000)
    ]
    encoded = [EVERY_TYPE.encode(row) for row in values]
    batch = pa.record_batch(rows.rows_to_arrow(EVERY_READER, encoded, [0, 1, 8, -1, -2, -3]))
    batch.validate(full=True)

    assert batch.column(0).to_pylist() == [row[0] for row in values]
    assert batch.column(1).to_pylist() == [row[1] for row in values]
    assert batch.column(2).to_pylist() == [row[8] for row in values]
    assert [row for _, row in rows.rows_from_arrow(EVERY_TYPE, batch_of(values))] == encoded


def test_an_exported_batch_can_be_taken_more_than_once() -> None:
    exported = rows.rows_to_arrow(EVERY_READER, [EVERY_TYPE.encode([1, *[None] * 14])])

    assert pa.record_batch(exported) == pa.record_batch(exported)
    exported.__arrow_c_array__()


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, None], pa.int64()), NullValueError),
        (pa.array([1, 2], pa.int32()), ValueMismatchError),
    ],
)
def test_arrow_columns_are_checked(column: pa.Array, kind: type[Exception]) -> None:
    layout = Layout(1, [(1, rows.BIGINT, 0, 0, False)], 0)

    with pytest.raises(kind):
        rows.rows_from_arrow(layout, pa.record_batch([column], names=["a"]))


def test_the_first_bad_row_of_a_batch_is_told_with_its_column() -> None:
    layout = Layout(
        1, [(1, rows.BIGINT, 0, 0, False), (2, rows.TEXT, 3, 0, False), (3, rows.DATE, 0, 0, True)], 0
    )
    count = 600
    texts: list[str | None] = ["abc"] * count
    texts[501] = None
    texts[500] = "äöüß"
    batch = pa.record_batch([pa.array(range(count)), pa.array(texts), pa.nulls(count)], names=["a", "b", "c"])

    with pytest.raises(ValueOutOfRangeError, match=r"VARCHAR\(3\)") as caught:
        rows.rows_from_arrow(layout, batch)
    assert (caught.value.row, caught.value.column) == (500, 1)
    with pytest.raises(NullValueError) as missing:
        rows.rows_from_arrow(layout, batch.slice(501))
    assert (missing.value.row, missing.value.column) == (0, 1)


@given(st.binary(max_size=12))
def test_arrow_text_is_taken_exactly_where_it_is_utf8(text: bytes) -> None:
    layout = Layout(1, [(1, rows.TEXT, 0, 0, False)], 0)
    column = pa.array([text, b"a"], pa.binary()).view(pa.string())
    batch = pa.record_batch([column], names=["a"])
    try:
        text.decode()
    except UnicodeDecodeError:
        with pytest.raises(ValueMismatchError):
            rows.rows_from_arrow(layout, batch)
        with pytest.raises(ValueMismatchError):
            rows.tuples_from_arrow(batch)
    else:
        assert rows.rows_from_arrow(layout, batch)[0] == (text, layout.encode([text.decode()]))


FOREIGN = [
    pa.array([1, None, -3], pa.int8()),
    pa.array([1, None, 255], pa.uint8()),
    pa.array([1, None, -3], pa.int16()),
    pa.array([1, None, 65535], pa.uint16()),
    pa.array([1, None, 2**32 - 1], pa.uint32()),
    pa.array([1, None, 2**64 - 1], pa.uint64()),
    pa.array([1.5, None, -2.0], pa.float32()),
    pa.array([1.5, None, 65504.0], pa.float64()).cast(pa.float16()),
    pa.array(["a", None, "ä" * 20], pa.large_string()),
    pa.array(["a", None, "ä" * 20], pa.string_view()),
    pa.array([b"a", None, b"b" * 20], pa.binary_view()),
    pa.array([b"a", None, b"b"], pa.large_binary()),
    pa.array([b"ab", None, b"cd"], pa.binary(2)),
    pa.nulls(3),
    pa.array([True, None, False]),
    pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)], pa.date32()),
    pa.array([dt.date(1960, 1, 1), None, dt.date(2000, 2, 29)], pa.date64()),
    pa.array([dt.time(1, 2, 3), None, dt.time(23, 59, 59)], pa.time32("s")),
    pa.array([dt.time(1, 2, 3), None, dt.time(23, 59, 59)], pa.time32("ms")),
    pa.array([Decimal("1.50"), None, Decimal("-0.01")], pa.decimal128(38, 2)),
    pa.array([Decimal("0"), None, Decimal("-99999999.99")], pa.decimal64(18, 2)),
    pa.array([Decimal("0.1"), None, Decimal("-9.9")], pa.decimal32(5, 1)),
]


@pytest.mark.parametrize("column", FOREIGN, ids=lambda column: str(column.type))
def test_tuples_are_what_pyarrow_makes_of_a_batch(column: pa.Array) -> None:
    batch = pa.record_batch([column, pa.array([1, 2, 3])], names=["a", "b"])

    for part in (batch, batch.slice(1), batch.slice(2, 1), batch.slice(3)):
        expected = [tuple(row.values()) for row in part.to_pylist()]
        found = rows.tuples_from_arrow(part)
        assert found == expected
        assert [tuple(map(type, row)) for row in found] == [tuple(map(type, row)) for row in expected]
    assert str(rows.tuples_from_arrow(batch)) == str([tuple(row.values()) for row in batch.to_pylist()])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_timestamps_of_every_unit_are_aware_and_utc(unit: str, zone: str | None) -> None:
    moments = [dt.datetime(2024, 1, 1, 12), None, dt.datetime(1960, 1, 1)]
    batch = pa.record_batch([pa.array(moments, pa.timestamp(unit, zone))], names=["a"])
    expected = [(moment and moment.replace(tzinfo=UTC),) for moment in moments]

    assert rows.tuples_from_arrow(batch) == expected


def test_a_timestamp_that_no_datetime_holds_is_refused() -> None:
    batch = pa.record_batch([pa.array([0, 2**62], pa.timestamp("s"))], names=["a"])

    with pytest.raises(ValueOutOfRangeError) as caught:
        rows.tuples_from_arrow(batch)
    assert (caught.value.row, caught.value.column) == (1, 0)


@pytest.mark.parametrize(
    "column",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array(["a"]).dictionary_encode()],
    ids=["list", "struct", "dict"],
)
def test_a_column_of_a_nested_type_is_refused(column: pa.Array) -> None:
    with pytest.raises(ValueMismatchError) as caught:
        rows.tuples_from_arrow(pa.record_batch([pa.array([1]), column], names=["a", "b"]))
    assert (caught.value.row, caught.value.column) == (-1, 1)


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(TypeError, match="__arrow_c_array__"):
        rows.tuples_from_arrow([1])
    with pytest.raises(ValueMismatchError):
        rows.tuples_from_arrow(pa.array([1]))
    with pytest.raises(IndexError):
        EVERY_READER.decode(EVERY_TYPE.encode([1, *[None] * 14]), [15])


def test_a_batch_that_nobody_filled_is_refused() -> None:
    with pytest.raises(ValueMismatchError, match="scans"):
        rows.Batch().__arrow_c_array__()
