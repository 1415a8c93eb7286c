"""Rows as the text of a JSON array, in pieces: from Arrow batches, from stored rows, from tuples."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

from kalamcore.stored_rows import StoredRows

@final
class JsonRows(Iterator[bytes]):
    """The pieces of `[row, row, …]`, UTF-8; each of `piece_bytes` and what is left of its last row, but the last one.

    `parts`: record batches (anything with `__arrow_c_array__`), StoredRows and lists of tuples, asked for as they are
    needed. `names`: rows are objects with these keys; None: rows are arrays. `codes`: the type code of each column of
    the tuples (kalamcore.rows), 0 where it is not known; empty: of none.

    Cells are what the HTTP interface says: BIGINT, unsigned integers and DECIMAL as strings, TIMESTAMP and TIME as
    microseconds, DATE as days, BYTES (fixed_size_binary too, but that of 16 bytes, which is a UUID) as an array of
    numbers; NaN and the infinities as null. In tuples an int is a number where the code says SMALLINT or INT, else a
    string.

    Next to it raises ValueMismatchError for what has no such form (row -1: a column's type), ValueOutOfRangeError, and
    CorruptionError; it has then ended. For one thread at a time: RuntimeError where another is at it.
    """
    def __init__(
        self,
        parts: Iterable[StoredRows | list[tuple[Any, ...]] | object],
        *,
        names: Sequence[str] | None = None,
        codes: bytes = b"",
        piece_bytes: int = 65536,
    ) -> None: ...
    def __iter__(self) -> JsonRows: ...
    def __next__(self) -> bytes: ...
