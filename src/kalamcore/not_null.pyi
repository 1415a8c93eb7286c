"""The NOT NULL check before a write, over tuples and over Arrow validity bitmaps."""

from collections.abc import Sequence

def first_null(rows: Sequence[Sequence[object]], required: Sequence[int]) -> tuple[int, int] | None:
    """The first (row, column) where a required column (by position) holds None, row by row; else None."""

def first_null_in_batch(batch: object, required: Sequence[int]) -> tuple[int, int] | None:
    """The same over anything with `__arrow_c_array__` (a struct, as a record batch is)."""
