"""Rows of a result as the store has them, copied out of it: no Python value is made before somebody asks for it."""

from typing import Any, final

from kalamcore.rows import Batch, Reader

@final
class StoredRows:
    """Encoded rows, and which of their columns are meant. Immutable; made by SelectPlan.

    `rows`: encoded, of any version that the reader knows. `columns`: positions, or None for all. `sequences`: what
    the rows read as `_seq`, 0 where none are given.
    """
    def __init__(
        self,
        reader: Reader,
        rows: list[bytes],
        columns: list[int] | None = None,
        sequences: list[int] | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    def tuples(self) -> list[tuple[Any, ...]]:
        """The rows as Python values, JSON as text. Raises CorruptionError."""
    def batches(self) -> list[Batch]:
        """The rows as Arrow. Raises CorruptionError."""
