"""A storage in memory, that counts what is asked of it and can hold other bytes than were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kalamdb.errors import Corruption, Error, StorageUnavailable


class Conflict(StorageUnavailable):
    """What a conditional replace raises here."""


class MemoryStorage:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reads: list[tuple[str, int, int]] = []

    def write(self, path: str, data: bytes | memoryview) -> None:
        assert path not in self.files
        self.files[path] = bytes(data)

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        for path, data in files:
            self.write(path, data)
        return [None] * len(files)

    def read(self, path: str) -> bytes:
        self.reads.append((path, 0, len(self._file(path))))
        return self._file(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        self.reads.append((path, offset, length))
        return self._file(path)[offset : offset + length]

    def read_tagged(self, path: str) -> tuple[bytes, str] | None:
        return (self.files[path], _tag(self.files[path])) if path in self.files else None

    def read_tagged_all(self, paths: Sequence[str]) -> list[tuple[bytes, str] | Error | None]:
        return [self.read_tagged(path) for path in paths]

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        there = _tag(self.files[path]) if path in self.files else None
        if there != expected:
            raise Conflict(f"{path} was replaced by somebody else")
        self.files[path] = data
        return _tag(data)

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        answers: list[str | Error] = []
        for file in files:
            try:
                answers.append(self.replace(*file))
            except Error as error:
                answers.append(error)
        return answers

    def delete(self, path: str) -> None:
        self.files.pop(path, None)

    def list(self, folder: str = "") -> Iterator[str]:
        yield from sorted(path for path in self.files if path.startswith(f"{folder}/"))

    def _file(self, path: str) -> bytes:
        if path not in self.files:
            raise Corruption(f"there is no file {path}; bring it back from a backup")
        return self.files[path]


def _tag(content: bytes) -> str:
    return str(hash(content))
