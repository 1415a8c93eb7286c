"""A result's rows as JSON text: whole, or piece by piece, so that a large one is never built whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.errors import InvalidValue
from kalamdb.protocol.cells import encoders
from kalamdb.types import DataType

if TYPE_CHECKING:
    from kalamdb.result import Result

ROWS_A_PIECE = 1000


class RowWriter:
    """Writes rows of columns of these types, each as an array of cells. Safe for threads."""

    def __init__(self, types: Sequence[DataType]) -> None:
        self._encoders = [(at, encode) for at, encode in enumerate(encoders(types)) if encode is not None]

    def pieces(self, result: Result) -> Iterator[bytes]:
        """Every row, with commas between rows and between pieces; no brackets around all of them, and no piece of
        none. Raises InvalidValue for a value that has no JSON."""
        comma = b""
        for rows in result.text_rows(ROWS_A_PIECE):
            yield comma + self._text(rows)
            comma = b","

    def whole(self, result: Result) -> bytes:
        """The same in one. Raises InvalidValue."""
        return b"".join(self.pieces(result))

    def _text(self, rows: Sequence[Sequence[Any]]) -> bytes:
        import orjson

        cells = [list(row) for row in rows]
        for row in cells:
            for at, encode in self._encoders:
                value = row[at]
                if value is not None:
                    row[at] = encode(value)
        try:
            # A lone surrogate cannot be stored, but an expression might make one.
            return orjson.dumps(cells)[1:-1]
        except TypeError as error:
            raise InvalidValue("a value of the result cannot be written as JSON") from error
