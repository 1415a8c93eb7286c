"""Rows as JSON text say what the values say, from Arrow, from stored rows and from tuples, in pieces of any size."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import struct
import threading
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore import rows as codec
from kalamcore.errors import CorruptionError, ValueMismatchError, ValueOutOfRangeError
from kalamcore.json_rows import JsonRows
from kalamcore.rows import Layout, Reader
from kalamcore.stored_rows import StoredRows

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
US = dt.timedelta(microseconds=1)
WIDE = decimal.Context(prec=60)
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AWKWARD = (
    "", '"', "\\", "\\u0000", "/", "\x7f", "\u2028\u2029", "\ufeff", "😀", "é" * 9, "</script>",
    "".join(map(chr, range(32))), *("." * before + "\n" + "." * 8 for before in range(9)),
    *("." * 8 + '"' * count for count in range(9)), "ÿ\x1f" * 5, "x" * 4095 + '"', "x" * 4096 + "é", "\x00" * 5000,
)  # fmt: skip
AWKWARD_REALS = (
    0.0,
    -0.0,
    1.0,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    1e16,
    1e22,
    -1e-7,
    0.1,
)


def written(*parts: Any, **options: Any) -> Any:
    """What a reader of JSON sees."""
    return orjson.loads(b"".join(JsonRows(parts, **options)))


def column(values: Sequence[Any], type_: pa.DataType) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, type_)], names=["a"])


def cells(values: Sequence[Any], type_: pa.DataType) -> list[Any]:
    """The cells of a batch of one column."""
    return [cell for (cell,) in written(column(values, type_))]


# What a value is in JSON, by kind of type: the specification, told slowly.


def same(value: Any) -> Any:
    return value


def real(value: float) -> float | None:
    return value if math.isfinite(value) else None


def single(value: float) -> Any:
    """A float whose digits are only as many as tell it from its neighbours."""
    return Single(value) if math.isfinite(value) else None


class Single:
    def __init__(self, value: float) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and struct.unpack("f", struct.pack("f", other))[0] == self.value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"about {self.value}"


def microseconds(value: dt.datetime) -> int:
    return (value - EPOCH) // US


def days(value: dt.date) -> int:
    return value.toordinal() - EPOCH.toordinal()


def of_the_day(value: dt.time) -> int:
    return microseconds(dt.datetime.combine(EPOCH, value, UTC))


def plain_decimal(value: Decimal) -> str:
    return format(value, "f")


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    unscaled = st.integers(-limit, limit) | st.sampled_from([limit, -limit, 0, 1, -1])
    return unscaled.map(lambda number: Decimal(number).scaleb(-scale, WIDE))


def uuid_text(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


DATES = st.dates()
TIMES = st.times()
MOMENTS = st.datetimes(timezones=st.just(UTC))
WHOLE_SECONDS = MOMENTS.map(lambda moment: moment.replace(microsecond=0))
Kind = tuple[pa.DataType, st.SearchStrategy[Any], Callable[[Any], Any]]
KINDS: list[Kind] = [
    (pa.null(), st.none(), same),
    (pa.bool_(), st.booleans(), same),
    *((type_, integers(type_.bit_width), same) for type_ in (pa.int8(), pa.int16(), pa.int32())),
    (pa.int64(), integers(64) | st.sampled_from([INT64_MIN, INT64_MAX]), str),
    *(
        (type_, st.integers(0, 2**type_.bit_width - 1), str)
        for type_ in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    ),
    (pa.float16(), st.floats(width=16), single),
    (pa.float32(), st.floats(width=32), single),
    (pa.float64(), st.floats() | st.sampled_from(AWKWARD_REALS), real),
    *(
        (pa.decimal128(precision, scale), decimals(precision, scale), plain_decimal)
        for precision, scale in ((38, 0), (38, 10), (38, 38), (1, 1), (5, -3))
    ),
    (pa.decimal32(9, 2), decimals(9, 2), plain_decimal),
    (pa.decimal64(18, 18), decimals(18, 18), plain_decimal),
    *(
        (type_, UNICODE | st.sampled_from(AWKWARD), same)
        for type_ in (pa.string(), pa.large_string(), pa.string_view())
    ),
    *((type_, st.binary(max_size=20), list) for type_ in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.binary(3), st.binary(min_size=3, max_size=3), list),
    (pa.binary(16), st.binary(min_size=16, max_size=16), uuid_text),
    (pa.date32(), DATES, days),
    (pa.date64(), DATES, days),
    (pa.time64("us"), TIMES, of_the_day),
    (pa.time64("ns"), TIMES, of_the_day),
    (pa.time32("s"), TIMES.map(lambda time: time.replace(microsecond=0)), of_the_day),
    (pa.timestamp("us", "UTC"), MOMENTS, microseconds),
    (pa.timestamp("s"), WHOLE_SECONDS, microseconds),
    (pa.timestamp("ms", "UTC"), WHOLE_SECONDS, microseconds),
]


@pytest.mark.parametrize(("type_", "values", "cell"), KINDS, ids=[str(kind[0]) for kind in KINDS])
def test_a_column_of_every_type_says_what_its_values_say(
    type_: pa.DataType, values: st.SearchStrategy[Any], cell: Callable[[Any], Any]
) -> None:
    @settings(max_examples=50)
    @given(st.lists(st.none() | values, max_size=20), st.integers(0, 20))
    def check(column_values: list[Any], start: int) -> None:
        expected = [[None if value is None else cell(value)] for value in column_values]

        assert written(column(column_values, type_)) == expected
        assert written(column(column_values, type_).slice(start)) == expected[start:]

    check()


@settings(max_examples=100)
@given(st.data())
def test_pieces_of_any_size_join_to_the_rows_of_all_batches(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    row = st.tuples(*(st.none() | values for _, values, _ in kinds))
    parts = data.draw(st.lists(st.lists(row, max_size=8), max_size=3))
    piece_bytes = data.draw(st.integers(1, 300))
    names = [f"c{number}" for number in range(len(kinds))]
    batches = [
        pa.record_batch(
            [pa.array([row[at] for row in part], kind[0]) for at, kind in enumerate(kinds)], names=names
        )
        for part in parts
    ]
    expected = [
        [None if value is None else kind[2](value) for value, kind in zip(row, kinds)]
        for part in parts
        for row in part
    ]

    pieces = list(JsonRows(batches, piece_bytes=piece_bytes))

    assert orjson.loads(b"".join(pieces)) == expected
    assert all(len(piece) >= piece_bytes for piece in pieces[:-1])
    assert all(piece.endswith(b"]") or piece == b"[" for piece in pieces)
    assert written(*batches, names=names) == [dict(zip(names, row)) for row in expected]


def test_a_piece_ends_with_the_row_that_fills_it() -> None:
    batch = column([1, 2, 3], pa.int64())

    assert list(JsonRows([batch], piece_bytes=1)) == [b"[", b'["1"]', b',["2"]', b',["3"]', b"]"]
    assert list(JsonRows([batch], piece_bytes=2)) == [b'[["1"]', b',["2"]', b',["3"]', b"]"]
    assert list(JsonRows([batch], piece_bytes=7)) == [b'[["1"],["2"]', b',["3"]]']
    assert list(JsonRows([batch], piece_bytes=1000)) == [b'[["1"],["2"],["3"]]']


def test_parts_are_asked_for_as_they_are_needed() -> None:
    asked = []

    def parts() -> Any:
        for number in range(3):
            asked.append(number)
            yield column([number], pa.int64())

    pieces = JsonRows(parts(), piece_bytes=2)

    assert next(pieces) == b'[["0"]'
    assert asked == [0]
    assert list(pieces)[-1] == b"]"


def test_no_rows_and_no_columns_are_arrays_too() -> None:
    empty = column([], pa.int64())
    no_columns = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))

    assert list(JsonRows([])) == [b"[]"]
    assert list(JsonRows([], names=["a"])) == [b"[]"]
    assert list(JsonRows([empty, empty, []])) == [b"[]"]
    assert list(JsonRows([no_columns])) == [b"[[],[]]"]
    assert list(JsonRows([no_columns], names=[])) == [b"[{},{}]"]


def test_only_what_json_demands_is_escaped() -> None:
    batch = column(['a"b\\c\n\r\t\b\f\x00\x1f\x7f/é\u2028😀'], pa.string())

    assert b"".join(JsonRows([batch])) == (
        '[["a\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001f\x7f/é\u2028😀"]]'.encode()
    )


@pytest.mark.parametrize("text", AWKWARD, ids=lambda text: repr(text[:9]))
def test_text_comes_back_as_it_went_in(text: str) -> None:
    assert cells([text, "x" + text, text + "x" * 9], pa.string()) == [text, "x" + text, text + "x" * 9]
    assert written([(text,)]) == [[text]]


def test_reals_are_the_shortest_that_read_back_and_never_integers() -> None:
    doubles = column([*AWKWARD_REALS, math.nan, math.inf, -math.inf], pa.float64())
    floats = column([0.1, 16777216.0, 3.4028234663852886e38, 1e-45, -0.0, math.nan], pa.float32())

    assert b"".join(JsonRows([doubles])) == (
        b"[[0.0],[-0.0],[1.0],[5e-324],[2.2250738585072014e-308],[1.7976931348623157e+308],[1e+16],[1e+22],"
        b"[-1e-07],[0.1],[null],[null],[null]]"
    )
    assert b"".join(JsonRows([floats])) == (b"[[0.1],[16777216.0],[3.4028235e+38],[1e-45],[-0.0],[null]]")


def test_decimals_keep_their_zeros() -> None:
    edge = Decimal(10**38 - 1)

    assert cells([Decimal("1.50"), Decimal("-0.01"), Decimal(0)], pa.decimal128(38, 2)) == [
        "1.50",
        "-0.01",
        "0.00",
    ]
    assert cells([edge, edge.copy_negate()], pa.decimal128(38, 0)) == ["9" * 38, "-" + "9" * 38]
    assert cells([edge.scaleb(-38, WIDE)], pa.decimal128(38, 38)) == ["0." + "9" * 38]
    assert cells([Decimal("1E-38")], pa.decimal128(38, 38)) == ["0." + "0" * 37 + "1"]
    assert cells([Decimal("12E3"), Decimal(0)], pa.decimal128(5, -3)) == ["12000", "0"]


def test_moments_before_1970_are_rounded_to_the_past() -> None:
    nanoseconds = pa.array([-1, -1000, 1999], pa.int64()).cast(pa.timestamp("ns"))
    milliseconds = pa.array([-1, 86_400_000], pa.int64()).cast(pa.date64(), safe=False)

    assert written(pa.record_batch([nanoseconds], names=["a"])) == [[-1], [-1], [1]]
    assert [row[0] for row in written(pa.record_batch([milliseconds.view(pa.date64())], names=["a"]))] == [
        -1,
        1,
    ]


def test_a_moment_beyond_64_bits_of_microseconds_is_refused() -> None:
    seconds = pa.array([0, 2**62], pa.int64()).cast(pa.timestamp("s"))

    with pytest.raises(ValueOutOfRangeError, match="too far away") as caught:
        list(JsonRows([pa.record_batch([pa.array([1, 2]), seconds], names=["a", "b"])]))
    assert (caught.value.row, caught.value.column) == (1, 1)


@pytest.mark.parametrize(
    "foreign",
    [
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array(["a"]).dictionary_encode(),
        pa.array([pa.MonthDayNano([1, 1, 1])]),
        pa.array([1], pa.duration("us")),
        pa.array([Decimal(1)], pa.decimal256(50, 2)),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_a_type_without_a_form_in_json_is_refused_before_its_rows(foreign: pa.Array) -> None:
    pieces = JsonRows([pa.record_batch([pa.array([1]), foreign], names=["a", "b"])])

    with pytest.raises(ValueMismatchError, match="cast the column first") as caught:
        next(pieces)
    assert (caught.value.row, caught.value.column) == (-1, 1)
    assert list(pieces) == []


@pytest.mark.parametrize(
    "broken", [b"\xff", b"a\xed\xa0\x80", b"12345678\x80", b"\xc3", b"\xc0\x80", b'"\xf5\n']
)
def test_bytes_that_are_no_utf8_are_refused(broken: bytes) -> None:
    text = pa.array([b"fine", broken]).view(pa.string())

    with pytest.raises(ValueMismatchError, match="not valid UTF-8") as caught:
        list(JsonRows([pa.record_batch([pa.array([1, 2]), text], names=["a", "b"])]))
    assert (caught.value.row, caught.value.column) == (1, 1)


def test_offsets_that_go_back_are_refused() -> None:
    buffers = [None, pa.py_buffer(struct.pack("3i", 0, 3, 1)), pa.py_buffer(b"abc")]
    text = pa.Array.from_buffers(pa.string(), 2, buffers)

    with pytest.raises(ValueMismatchError, match="offsets that go back") as caught:
        list(JsonRows([pa.record_batch([text], names=["a"])]))
    assert (caught.value.row, caught.value.column) == (1, 0)


def test_names_are_escaped_and_must_be_as_many_as_the_columns() -> None:
    batch = column([1], pa.int16())

    assert b"".join(JsonRows([batch], names=['a"\n'])) == b'[{"a\\"\\n":1}]'
    for part in (batch, [(1,)], stored([(1,)], [(1, codec.BIGINT, 0, 0, False)])):
        with pytest.raises(ValueMismatchError, match="1 columns, and there are 2 names"):
            list(JsonRows([part], names=["a", "b"]))
    with pytest.raises(UnicodeEncodeError):
        JsonRows([], names=["\ud800"])


def test_what_is_no_part_is_refused() -> None:
    with pytest.raises(TypeError, match="__arrow_c_array__"):
        next(JsonRows([7]))
    with pytest.raises(TypeError):
        next(JsonRows([[[1]]]))
    with pytest.raises(ValueError, match="at least 1 byte"):
        JsonRows([], piece_bytes=0)


def test_after_an_error_there_is_nothing_more() -> None:
    pieces = JsonRows([column([1], pa.int64()), 7, column([2], pa.int64())], piece_bytes=2)

    assert next(pieces) == b'[["1"]'
    with pytest.raises(TypeError):
        next(pieces)
    assert list(pieces) == []


def test_a_second_thread_is_refused_while_one_writes() -> None:
    entered, leave = threading.Event(), threading.Event()

    def parts() -> Any:
        entered.set()
        assert leave.wait(60)
        yield column([1], pa.int64())

    pieces = JsonRows(parts())
    first: list[bytes] = []
    thread = threading.Thread(target=lambda: first.extend(pieces))
    thread.start()
    assert entered.wait(60)

    with pytest.raises(RuntimeError, match="another thread"):
        next(pieces)
    leave.set()
    thread.join(60)
    assert first == [b'[["1"]]']


# Stored rows and tuples


CODES: dict[int, tuple[st.SearchStrategy[Any], Callable[[Any], Any]]] = {
    codec.BOOLEAN: (st.booleans(), same),
    codec.SMALLINT: (integers(16), same),
    codec.INT: (integers(32), same),
    codec.BIGINT: (integers(64), str),
    codec.FLOAT: (st.floats(width=32), single),
    codec.DOUBLE: (st.floats(), real),
    codec.DECIMAL: (decimals(38, 10), plain_decimal),
    codec.TEXT: (UNICODE, same),
    codec.BYTES: (st.binary(max_size=20), list),
    codec.TIMESTAMP: (MOMENTS, microseconds),
    codec.DATE: (DATES, days),
    codec.TIME: (TIMES, of_the_day),
    codec.UUID: (st.uuids(), str),
    codec.JSON: (UNICODE.map(lambda text: orjson.dumps(text).decode()), same),
}
COLUMNS = [
    (100, codec.BIGINT, 0, 0, False),
    *((code, code, *((38, 10) if code == codec.DECIMAL else (0, 0)), True) for code in CODES),
]
ROWS = st.lists(st.tuples(integers(64), *(st.none() | values for values, _ in CODES.values())), max_size=6)


def stored(
    rows: Sequence[tuple[Any, ...]], columns: Sequence[tuple[int, int, int, int, bool]], *options: Any
) -> StoredRows:
    layout = Layout(1, columns, 0)
    return StoredRows(Reader([layout], [None] * len(columns)), [layout.encode(row) for row in rows], *options)


@given(ROWS, st.integers(1, 200))
def test_stored_rows_and_tuples_say_what_their_values_say(
    rows: list[tuple[Any, ...]], piece_bytes: int
) -> None:
    forms = [str, *(form for _, form in CODES.values())]
    expected = [[None if cell is None else form(cell) for form, cell in zip(forms, row)] for row in rows]
    kept = stored(rows, COLUMNS)
    codes = bytes([column[1] for column in COLUMNS])

    assert written(kept, piece_bytes=piece_bytes) == expected
    assert written(rows, codes=codes, piece_bytes=piece_bytes) == expected
    assert b"".join(JsonRows([kept])) == b"".join(JsonRows([rows], codes=codes))
    assert b"".join(JsonRows([kept])) == b"".join(JsonRows(kept.batches() or [[]]))


def test_stored_rows_tell_their_sequence_and_what_comes_of_it() -> None:
    columns = [(1, codec.BIGINT, 0, 0, False), (2, codec.TEXT, 0, 0, True)]
    one = 5 << 22 | 3
    kept = stored([(1, "a"), (2, None)], columns, [-1, 1, -2, -3], [one, 2**63 - 1])

    assert written(kept, names=["_seq", "text", "_updated", "_deleted"])[0] == {
        "_seq": str(one),
        "text": "a",
        "_updated": (1704067200000 + 5) * 1000,
        "_deleted": False,
    }
    assert written(kept)[1][:2] == [str(2**63 - 1), None]


def test_rows_of_an_older_version_are_read_as_the_newest() -> None:
    old = Layout(1, [(1, codec.INT, 0, 0, False)], 0)
    new = Layout(2, [(1, codec.BIGINT, 0, 0, False), (2, codec.TEXT, 0, 0, True)], 0)
    reader = Reader([old, new], [None, "added"])

    assert written(StoredRows(reader, [old.encode((1,)), new.encode((2, None))])) == [
        ["1", "added"],
        ["2", None],
    ]


def test_a_stored_row_that_is_damaged_is_corruption() -> None:
    layout = Layout(1, [(1, codec.BIGINT, 0, 0, False), (2, codec.TEXT, 0, 0, True)], 0)
    reader = Reader([layout], [None, None])
    whole = layout.encode((1, "text"))

    for damaged in (b"", whole[:-1], whole[:-1] + b"\xff", b"\x07" + whole[1:]):
        with pytest.raises(CorruptionError, match="row"):
            list(JsonRows([StoredRows(reader, [whole, damaged])]))


def test_many_rows_are_written_alike_from_every_kind_of_part() -> None:
    batch = pa.record_batch([pa.array(range(5000)), pa.array(["é"] * 5000)], names=["a", "b"])
    tuples = list(zip(*(column.to_pylist() for column in batch.columns)))
    kept = stored(tuples, [(1, codec.BIGINT, 0, 0, False), (2, codec.TEXT, 0, 0, True)])

    assert b"".join(JsonRows([kept])) == b"".join(JsonRows([batch])) == b"".join(JsonRows([tuples]))


def test_an_int_of_a_tuple_is_a_number_only_where_the_type_is_small() -> None:
    every = bytes([codec.SMALLINT, codec.INT, codec.BIGINT, codec.DOUBLE, 0])

    assert b"".join(JsonRows([[(1, 1, 1, 1, 1)]], codes=every)) == b'[[1,1,"1",1.0,"1"]]'
    assert (
        b"".join(JsonRows([[(1, True, 2**64, -(2**200))]]))
        == f'[["1",true,"{2**64}","{-(2**200)}"]]'.encode()
    )


def test_a_value_without_a_form_in_json_is_refused() -> None:
    for value in (object(), {"a": 1}, [1], "\ud800", dt.time(tzinfo=UTC), dt.timedelta(1)):
        with pytest.raises(ValueMismatchError) as caught:
            list(JsonRows([[(1,), (value,)]]))
        assert (caught.value.row, caught.value.column) == (1, 0)


def test_a_decimal_that_is_no_number_is_null() -> None:
    assert written([(Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+3"), Decimal("-1E-3"))]) == [
        [None, None, "1000", "-0.001"]
    ]
