"""A result's rows as JSON text, piece by piece: a large one is never built whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kalamdb.errors import InvalidValue
from kalamdb.protocol.cells import encoders

if TYPE_CHECKING:
    from kalamdb.result import Result

ROWS_A_PIECE = 1000


def json_rows(result: Result) -> Iterator[bytes]:
    """Every row as an array of cells, with commas between rows and between pieces; no brackets around all of them.

    No piece of a result without rows. Raises InvalidValue for a value that has no JSON.
    """
    import orjson

    encode = encoders(result.column_types())
    comma = b""
    for rows in result.text_rows(ROWS_A_PIECE):
        cells = [
            [None if value is None else one(value) for value, one in zip(row, encode, strict=True)]
            for row in rows
        ]
        try:
            # A lone surrogate cannot be stored, but an expression might make one.
            text = orjson.dumps(cells)
        except TypeError as error:
            raise InvalidValue("a value of the result cannot be written as JSON") from error
        yield comma + text[1:-1]
        comma = b","
