"""Lists, structs, intervals and dictionaries as cells that JSON has: text."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest

from kalamdb.json_cells import cells_of_batches, cells_of_rows, iso_interval, json_text
from kalamdb.types import BIGINT, JSON, TEXT


def converted(array: pa.Array) -> Any:
    batch = pa.record_batch([pa.array(range(len(array))), array], names=["n", "a"])
    (made,) = cells_of_batches([batch], batch.schema)
    assert made.column(0).equals(batch.column(0))
    return made.column(1).to_pylist()


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([[1, None], None, []]), ["[1,null]", None, "[]"]),
        (pa.array([{"a": [b"\x01"], "b": decimal.Decimal("1.50")}]), ['{"a":[[1]],"b":"1.50"}']),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), ['[["a",1]]']),
        (pa.array([[float("nan"), 1e300]]), ["[null,1e+300]"]),
        (pa.array([[datetime.date(2026, 1, 2)]]), ['["2026-01-02"]']),
        (pa.array([[pa.MonthDayNano([1, 0, 0])]]), ['["P1M"]']),
        (pa.array([[datetime.timedelta(days=-1)]]), ['["PT-86400S"]']),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array([pa.MonthDayNano([14, -2, 1_500_000_000]), None]), ["P14M-2DT1.5S", None]),
        (pa.array([1, None], pa.duration("ns")), ["PT0.000000001S", None]),
        (pa.array([-61], pa.duration("s")), ["PT-61S"]),
        (pa.array([b"a" * 16, None], pa.binary(16)), [b"a" * 16, None]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, list) else "",
)
def test_what_has_no_cell_of_its_own_is_converted(array: pa.Array, texts: list[Any]) -> None:
    assert converted(array) == texts
    assert converted(array.slice(1)) == texts[1:]


def test_other_columns_are_left_as_they_are() -> None:
    batch = pa.record_batch([pa.array([1]), pa.array(["a"])], names=["n", "a"])
    batches = [batch]

    assert cells_of_batches(batches, batch.schema) is batches


def test_an_interval_has_a_sign_for_each_part() -> None:
    assert iso_interval(0, 0, 0) == "PT0S"
    assert iso_interval(-1, 2, -500_000_000) == "P-1M2DT-0.5S"
    assert iso_interval(0, 1, 0) == "P1D"
    assert iso_interval(0, 0, 10_000_000_000) == "PT10S"


def test_values_of_json_columns_are_json_and_others_stay() -> None:
    rows = [(1, "a", {"b": 1}), (None, None, None), (2, [1], "plain")]

    assert cells_of_rows(rows, bytes([BIGINT.code, JSON.code, 0])) == [
        (1, '"a"', '{"b":1}'),
        (None, None, None),
        (2, "[1]", "plain"),
    ]
    assert cells_of_rows(rows, bytes([BIGINT.code, TEXT.code, TEXT.code])) is rows


def test_a_value_of_no_known_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        json_text([object()])
