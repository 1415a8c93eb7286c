"""Where a file's bytes come from: a file, packed or not, or standard input; from the beginning, as often as wanted."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from kalamdb.errors import StorageUnavailable

PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}


class Source:
    """A file of this name, `-` for standard input; that, and a pipe that has a name, is kept in a temporary file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._packing = PACKED.get(Path(name).suffix.lower())
        self._raw: Any = None
        self._input: Any = None
        self.size = 0
        """Bytes as they are stored; 0 where that is not known."""
        self._unpacked: Any = None
        try:
            if name == "-":
                self._input = _kept(sys.stdin.buffer)
            elif Path(name).is_fifo():
                with open(name, "rb") as pipe:
                    self._input = _kept(pipe)
            else:
                self.size = Path(name).stat().st_size
        except OSError as error:
            raise self.error(error) from None

    def error(self, error: OSError) -> StorageUnavailable:
        """It cannot be read."""
        return StorageUnavailable(f"{self.name} cannot be read: {error.strerror or error}")

    @property
    def read_bytes(self) -> int:
        """How far it is read, as it is stored."""
        try:
            return 0 if self._raw is None or self._raw.closed else int(self._raw.tell())
        except (OSError, ValueError):
            return 0

    def stream(self) -> Any:
        """Its bytes, unpacked, from the beginning. Raises StorageUnavailable."""
        import pyarrow as pa

        try:
            if self._input is not None:
                self._input.seek(0)
                return pa.PythonFile(_Open(self._input), "r")
            self._raw = pa.OSFile(self.name)
            return self._raw if self._packing is None else pa.CompressedInputStream(self._raw, self._packing)
        except OSError as error:
            raise self.error(error) from None

    def file(self) -> Any:
        """The same, where it can be sought in: unpacked to a temporary file if need be. Raises StorageUnavailable."""
        import pyarrow as pa

        if self._input is None and self._packing is None:
            try:
                return pa.memory_map(self.name)
            except OSError as error:
                raise self.error(error) from None
        if self._unpacked is None:
            self._unpacked = _kept(self.stream())
        self._unpacked.seek(0)
        return pa.PythonFile(_Open(self._unpacked), "r")


class _Open:
    """A file that stays open when who read it closes it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """It is only this one that is closed."""
        self.closed = True


def _kept(stream: Any) -> Any:
    found = tempfile.TemporaryFile()  # noqa: SIM115 - gone with the process
    try:
        shutil.copyfileobj(stream, found, 1 << 20)
        found.seek(0)
    except OSError as error:
        raise StorageUnavailable(f"a temporary file cannot be written: {error.strerror or error}") from None
    return found
