"""Arrow tables outside of memory: in a file without a name, gone when it is closed, or the process ends."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from kalamdb.errors import StorageUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

_ON_DISK = ("/var/tmp",)
"""Where /tmp is, memory often is."""


@dataclass(frozen=True, slots=True)
class KeptTable:
    """Where one of them is: its first byte, how many bytes, and how many rows it has."""

    begin: int
    size: int
    num_rows: int


class KeptTables:
    """Takes tables of any types and gives them back. For one thread at a time."""

    def __init__(self, directory: str | None = None) -> None:
        """`directory`: whose disk it is to be; None, or one that is not there: of temporary files."""
        self._directory = directory
        self._file: BinaryIO | None = None
        self._end = 0

    def keep(self, table: pa.Table) -> KeptTable:
        """Write one. Raises StorageUnavailable."""
        import pyarrow as pa

        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=_place(self._directory), buffering=0)  # noqa: SIM115 - closed by close()
            sink = pa.PythonFile(_All(self._file), "w")
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            end = self._file.tell()
        except OSError as error:
            raise StorageUnavailable(
                f"rows cannot be kept in a temporary file: {error.strerror or error}; make room, or set TMPDIR"
            ) from None
        kept = KeptTable(self._end, end - self._end, table.num_rows)
        self._end = end
        return kept

    def read(self, kept: KeptTable) -> pa.Table:
        """Read one of them. Raises StorageUnavailable."""
        import pyarrow as pa

        assert self._file is not None
        found = os.pread(self._file.fileno(), kept.size, kept.begin)
        if len(found) != kept.size:
            raise StorageUnavailable("a temporary file of rows is shorter than what was written to it")
        return pa.ipc.open_stream(found).read_all()

    def close(self) -> None:
        """Let go of all of them."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _All:
    """Writes all that it is given, as what is not buffered may not; without a copy."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        return len(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        pass


def _place(directory: str | None) -> str | None:
    if directory is not None and os.path.isdir(directory):
        return directory
    if "TMPDIR" in os.environ:
        return None
    return next((one for one in _ON_DISK if os.access(one, os.W_OK | os.X_OK)), None)
