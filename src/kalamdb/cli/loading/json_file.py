"""JSON, an object a line or one array of objects, as columns of texts."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kalamdb.cli.loading.file_rows import Piece
from kalamdb.cli.loading.json_array import array_values
from kalamdb.cli.loading.source import Source
from kalamdb.errors import InvalidValue
from kalamdb.types import DataType, TypeName

OBJECTS_AT_ONCE = 16_384
CHARACTERS_AT_ONCE = 4 << 20


class JsonFile:
    """Of a value that is no scalar, and of every value of a JSON column, the text is its JSON. Lines, or objects of an
    array, are numbered from 1."""

    texts = True
    malformed_count = 0

    def __init__(self, source: Source, types: Mapping[str, DataType], *, lines: bool) -> None:
        """`lines`: an object a line; else one array."""
        self._source = source
        self._types = types
        self._lines = lines
        self.unit = "line" if lines else "object"

    def pieces(self) -> Iterator[Piece]:
        """The rows, each piece with the columns that were seen so far. Raises InvalidValue, StorageUnavailable."""
        names: dict[str, None] = {}
        some: list[tuple[int, Any]] = []
        characters = 0
        for number, value, size in self._of_lines() if self._lines else self._of_array():
            some.append((number, value))
            characters += size
            if len(some) >= OBJECTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
                yield self._piece(some, names)
                some, characters = [], 0
        if some:
            yield self._piece(some, names)

    def told(self, bad: Mapping[int, str], most: int) -> dict[int, str]:
        """The first of what is bad: its numbers are what a person calls it."""
        return {number: bad[number] for number in sorted(bad)[:most]}

    def _piece(self, some: list[tuple[int, Any]], names: dict[str, None]) -> Piece:
        import pyarrow as pa

        malformed = {
            number: value.why if isinstance(value, _NoJson) else "it is no object"
            for number, value in some
            if not isinstance(value, dict)
        }
        rows = [(number, value) for number, value in some if isinstance(value, dict)]
        for _, row in rows:
            names.update(dict.fromkeys(row))
        columns = {
            name: pa.array([_text(row.get(name), self._types.get(name)) for _, row in rows], pa.string())
            for name in names
        }
        return Piece(pa.table(columns), pa.array([number for number, _ in rows], pa.int64()), malformed)

    def _of_lines(self) -> Iterator[tuple[int, Any, int]]:
        import orjson

        try:
            for number, line in enumerate(io.BufferedReader(self._source.stream(), 1 << 20), 1):
                if line.strip():
                    try:
                        yield number, orjson.loads(line), len(line)
                    except orjson.JSONDecodeError as error:
                        yield number, _NoJson(f"it is no JSON: {error}"), len(line)
        except OSError as error:
            raise self._source.error(error) from None

    def _of_array(self) -> Iterator[tuple[int, Any, int]]:
        import orjson

        name = self._source.name
        try:
            stream = io.TextIOWrapper(self._source.stream(), "utf-8-sig", newline="")
            for number, text in enumerate(array_values(stream, name), 1):
                try:
                    # It knows what is no JSON for a database: NaN, halves of characters.
                    value = orjson.loads(text)
                except orjson.JSONDecodeError as error:
                    value = _NoJson(f"it is no JSON: {error}")
                yield number, value, len(text)
        except UnicodeDecodeError as error:
            raise InvalidValue(f"{name} is no JSON in UTF-8: {error.reason}") from None
        except OSError as error:
            raise self._source.error(error) from None


@dataclass(frozen=True, slots=True)
class _NoJson:
    """In the place of a value."""

    why: str


def _text(value: Any, kind: DataType | None) -> str | None:
    import orjson

    if value is None:
        return None
    if kind is not None and kind.name is TypeName.JSON:
        return orjson.dumps(value).decode()
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return orjson.dumps(value).decode()
