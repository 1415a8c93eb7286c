"""Plain Parquet files, written and read as their own users would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet


def write_synced(table: Any, directory: Path, name: str = "messages.parquet") -> Path:
    """One file, compressed by zstd, in row groups of 65,536 with a page index, on the disk."""
    path = directory / name
    with path.open("wb") as file:
        pyarrow.parquet.write_table(
            table, file, compression="zstd", row_group_size=65_536, write_page_index=True
        )
        file.flush()
        os.fdatasync(file.fileno())
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a file."""
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return found
