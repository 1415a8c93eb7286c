"""JSON for programs: an array of objects, or an object a line.

Numbers are numbers as long as every reader keeps them whole; integers beyond 2^53 and decimals are strings, times are
ISO 8601.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kalamdb.cli.output.cells import plain_json

Rows = Iterable[Sequence[tuple[Any, ...]]]
"""Some rows at a time."""


def json_array(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """One array, a row a line."""
    first = True
    for lines in _lines(columns, rows):
        yield ("[" if first else ",\n") + ",\n".join(lines)
        first = False
    yield "[]\n" if first else "]\n"


def json_lines(columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """A row a line."""
    for lines in _lines(columns, rows):
        yield "\n".join(lines) + "\n"


def json_text(value: Any) -> str:
    """One value."""
    import orjson

    return orjson.dumps(value, default=plain_json).decode()


def _lines(columns: Sequence[str], rows: Rows) -> Iterator[list[str]]:
    import orjson

    names = list(_told_apart(columns))
    for some in rows:
        yield [orjson.dumps(dict(zip(names, map(plain_json, row)))).decode() for row in some]


def _told_apart(columns: Sequence[str]) -> Iterator[str]:
    """The names, those that come again with a number: an object has each name once."""
    seen: set[str] = set()
    for name in columns:
        number, unlike = 2, name
        while unlike in seen:
            unlike, number = f"{name}_{number}", number + 1
        seen.add(unlike)
        yield unlike
