"""What does it cost to see that no value is missing, over Arrow columns and over tuples?

Arrow: six columns of a million rows whose bitmaps have not been counted yet, beside pyarrow's null_count. Tuples: a
thousand rows of six values, beside `None in row`. (P12)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pyarrow

import kalamcore
from bench.messages import message
from bench.race import FULL, Operation, Paddock, Question, take_turn, turns

ROWS = 10_000_000 if FULL else 1_000_000
COLUMNS = 6
TUPLES = 1_000
ROUNDS = 2_000 if FULL else 200


class UncountedBatches:
    """Record batches over one memory whose null counts nobody knows yet."""

    def __init__(self) -> None:
        self._bitmap = pyarrow.py_buffer(numpy.full(ROWS // 8 + 64, 0xFF, numpy.uint8))
        self._values = pyarrow.py_buffer(numpy.zeros(ROWS, numpy.int64))

    def one(self) -> Any:
        columns = [
            pyarrow.Array.from_buffers(pyarrow.int64(), ROWS, [self._bitmap, self._values])
            for _ in range(COLUMNS)
        ]
        return pyarrow.RecordBatch.from_arrays(columns, names=[f"c{number}" for number in range(COLUMNS)])


@contextlib.contextmanager
def kalamcore_arrow(directory: Path) -> Iterator[Operation]:
    batches, required = UncountedBatches(), range(COLUMNS)
    yield lambda: kalamcore.first_null_in_batch(batches.one(), required)


@contextlib.contextmanager
def pyarrow_arrow(directory: Path) -> Iterator[Operation]:
    batches = UncountedBatches()
    yield lambda: any(column.null_count for column in batches.one().columns)


@contextlib.contextmanager
def only_making_batches(directory: Path) -> Iterator[Operation]:
    yield UncountedBatches().one


@contextlib.contextmanager
def kalamcore_tuples(directory: Path) -> Iterator[Operation]:
    rows, required = [message(number) for number in range(TUPLES)], tuple(range(COLUMNS))
    yield lambda: kalamcore.first_null(rows, required)


@contextlib.contextmanager
def python_tuples(directory: Path) -> Iterator[Operation]:
    rows = [message(number) for number in range(TUPLES)]
    yield lambda: any(None in row for row in rows)


@turns(
    Question(
        f"P12 NOT NULL over Arrow, {COLUMNS} × {ROWS:,} values",
        {"kalamdb": kalamcore_arrow, "pyarrow": pyarrow_arrow, "making the batch": only_making_batches},
        "≤ 1.1 × pyarrow",
        ROUNDS,
        per_call=COLUMNS * ROWS,
    ),
    Question(
        f"P12 NOT NULL over tuples, {TUPLES:,} × {COLUMNS} values",
        {"kalamdb": kalamcore_tuples, "python": python_tuples},
        "≤ 0.2 × python",
        ROUNDS,
        iterations=10,
        per_call=COLUMNS * TUPLES,
    ),
)
def test_not_null(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
