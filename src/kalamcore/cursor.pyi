"""The rows of a result in hand, and how far they were fetched."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import disjoint_base

from kalamcore.stored_rows import StoredRows

@disjoint_base
class Cursor:
    """What every result has, and the fetching of one row. A subclass gives `_tuples`, which fills `_rows`."""

    columns: tuple[str, ...]
    rowcount: int
    message: str | None
    user: str | None
    took_ms: float
    _rows: list[tuple[Any, ...]] | None
    _types: Sequence[Any] | None
    _batches: list[Any] | None
    _schema: Any
    _parts: list[Any] | None
    _stored: list[tuple[Any, ...]] | None
    _encoded: StoredRows | None
    _codes: bytes | None
    _cursor: int

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None after the last."""
    def _tuples(self) -> list[tuple[Any, ...]]: ...
