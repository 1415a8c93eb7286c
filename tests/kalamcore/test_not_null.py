"""The NOT NULL check finds the first missing value, in tuples and in Arrow columns alike."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamcore.errors import ValueMismatchError
from kalamcore.not_null import first_null, first_null_in_batch

ROWS = st.lists(st.tuples(*[st.none() | st.integers(0, 9)] * 3), max_size=30)


def first(rows: list[tuple[int | None, ...]], required: list[int]) -> tuple[int, int] | None:
    """What both checks should say, told slowly."""
    return next(
        ((i, column) for i, row in enumerate(rows) for column in required if row[column] is None), None
    )


@given(ROWS, st.permutations([0, 1, 2]), st.integers(0, 3))
def test_the_first_null_of_tuples_and_lists_is_found(
    rows: list[tuple[int | None, ...]], order: list[int], width: int
) -> None:
    required = order[:width]

    assert first_null(rows, required) == first(rows, required)
    assert first_null(tuple(map(list, rows)), required) == first(rows, required)


@given(ROWS, st.permutations([0, 1, 2]), st.integers(0, 3), st.integers(0, 10))
def test_the_first_null_of_a_batch_and_of_a_slice_is_found(
    rows: list[tuple[int | None, ...]], order: list[int], width: int, start: int
) -> None:
    required = order[:width]
    columns = [pa.array([row[i] for row in rows], pa.int64()) for i in range(3)]
    batch = pa.record_batch(columns, names=["a", "b", "c"]).slice(start)

    assert first_null_in_batch(batch, required) == first(rows[start:], required)


@given(st.integers(1, 5000), st.integers(0, 4999), st.integers(0, 100))
def test_one_null_among_many_is_found(count: int, position: int, start: int) -> None:
    values: list[int | None] = [1] * (count + start)
    values[start + position % count] = None
    batch = pa.record_batch([pa.array(values)], names=["a"]).slice(start)

    assert first_null_in_batch(batch, [0]) == (position % count, 0)


def test_a_column_of_type_null_is_all_null() -> None:
    batch = pa.record_batch([pa.array([1]), pa.nulls(1)], names=["a", "b"])

    assert first_null_in_batch(batch, [0, 1]) == (0, 1)
    assert first_null_in_batch(batch.slice(1), [0, 1]) is None


def test_a_row_of_another_sequence_type_is_read_by_its_own_rules() -> None:
    assert first_null([range(3), "abc"], [2]) is None
    assert first_null(iter([(1,), (None,)]), [0]) == (1, 0)  # type: ignore[arg-type]


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        first_null([(1,)], [1])
    with pytest.raises(IndexError):
        first_null([(1,)], [-1])
    with pytest.raises(ValueMismatchError):
        first_null_in_batch(pa.record_batch([pa.array([1])], names=["a"]), [1])
