"""What a file's rows are before they have the table's types: texts, or Arrow's own types, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 65_536


@dataclass(slots=True)
class Piece:
    """Some rows. `numbers`: of each row, by which `FileRows.told` finds what a person calls it; rising, int64.
    `malformed`: why, by number, of what is no row at all."""

    table: pa.Table
    numbers: pa.Array
    malformed: dict[int, str] = field(default_factory=dict)


class FileRows(Protocol):
    """A file, read once, by pieces."""

    unit: str
    """What is counted: line, object or row."""
    texts: bool
    """Whether all cells are text, which is to be read as the table's types."""
    malformed_count: int
    """Of what is no row, beside what pieces say: how much there was, so far."""

    def pieces(self) -> Iterator[Piece]:
        """The rows in order. Raises InvalidValue, StorageUnavailable."""

    def told(self, bad: Mapping[int, str], most: int) -> dict[int, str]:
        """The first of what is bad, by line: `bad` has it by number. Once all pieces were read."""
