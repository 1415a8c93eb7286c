"""Arrow, as a stream or a file, and Parquet: rows that have types already."""

from __future__ import annotations

from typing import Any

from kalamdb.cli.loading.rows import FileRows
from kalamdb.errors import InvalidValue


def read_arrow(data: Any, name: str) -> FileRows:
    """An Arrow IPC stream or file. Raises InvalidValue."""
    import pyarrow as pa

    buffer = pa.py_buffer(data.read())
    try:
        if buffer[:6].to_pybytes() == b"ARROW1":
            return FileRows(pa.ipc.open_file(buffer).read_all(), texts=False, unit="row")
        return FileRows(pa.ipc.open_stream(buffer).read_all(), texts=False, unit="row")
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidValue(f"{name} is no Arrow file or stream: {error}") from None


def read_parquet(data: Any, name: str) -> FileRows:
    """A Parquet file. Raises InvalidValue."""
    import pyarrow as pa

    from kalamdb.engine.segments import plain_file

    try:
        return FileRows(plain_file.read_parquet(pa.BufferReader(data.read())), texts=False, unit="row")
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidValue(f"{name} is no Parquet file: {error}") from None
