"""What a file's rows are before they have the table's types: texts, or Arrow's own types, and the line of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class FileRows:
    """`texts`: whether all cells are text, which is to be read as the table's types. `malformed`: why, by line, of
    what is no row at all. `lines`: the line of each row, from 1; None where that is to be asked of `find_lines`."""

    table: pa.Table
    texts: bool
    malformed: dict[int, str] = field(default_factory=dict)
    lines: Sequence[int] | None = None
    unit: str = "line"
