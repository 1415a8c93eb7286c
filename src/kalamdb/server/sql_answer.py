"""The answer to statements that succeeded: results as JSON, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orjson import dumps

from kalamdb.protocol import encode_schema
from kalamdb.result import Result
from kalamdb.server.refusals import ResultTooLarge
from kalamdb.types import DataType

PIECE_BYTES = 64 * 1024
"""Pieces are sent when they are about this large, and answers that are smaller in one."""
_SCHEMAS_MAX = 4_096

_HEAD = b'{"status":"success","results":['


class ResultsInJson:
    """Makes answers. Safe for threads.

    What of a plan's results is the same each time is written once: their columns and types are the same objects.
    """

    def __init__(self, bytes_max: int) -> None:
        """`bytes_max`: of the rows of one answer."""
        self.bytes_max = bytes_max
        self._schemas: dict[int, tuple[Sequence[str], Sequence[DataType], bytes]] = {}

    def whole(self, result: Result, user: str) -> bytes:
        """A result as JSON. `user`: the session's. Raises ResultTooLarge."""
        if not result.columns:
            return b"{%s" % _end(result, user)
        text = b'{"schema":%s,"rows":%s,%s' % (self._schema(result), result.json_text(), _end(result, user))
        if len(text) > self.bytes_max:
            raise self.too_large()
        return text

    def pieces(self, result: Result, user: str) -> Iterator[bytes]:
        """The same of a result with rows, in pieces of which each is made when it is asked for."""
        yield b'{"schema":%s,"rows":' % self._schema(result)
        yield from result.json_rows(piece_bytes=PIECE_BYTES)
        yield b",%s" % _end(result, user)

    def too_large(self) -> ResultTooLarge:
        """What is raised for rows beyond `bytes_max`."""
        return ResultTooLarge(
            f"the rows take more than result_bytes_max ({self.bytes_max} bytes); narrow the SELECT, or add LIMIT"
        )

    def _schema(self, result: Result) -> bytes:
        columns, types = result.columns, result.column_types()
        kept = self._schemas.get(id(types))
        if kept is not None and kept[0] is columns and kept[1] is types:
            return kept[2]
        text = dumps(encode_schema(columns, types))
        if isinstance(types, tuple):
            # What is kept keeps its id from being another's.
            if len(self._schemas) >= _SCHEMAS_MAX:
                self._schemas.clear()
            self._schemas[id(types)] = columns, types, text
        return text


def _end(result: Result, user: str) -> bytes:
    """Of a result, behind its rows."""
    message = b"" if result.message is None else b'"message":%s,' % dumps(result.message)
    return b'%s"row_count":%d,"as_user":%s}' % (message, result.rowcount, dumps(result.user or user))


def answer_of(results: Sequence[bytes], took_ms: float) -> bytes:
    """The whole answer."""
    return b"%s%s%s" % (_HEAD, b",".join(results), tail_of(took_ms))


def head_of(results: Sequence[bytes]) -> bytes:
    """How an answer begins whose last result comes in pieces behind this."""
    return b"".join([_HEAD, *(part for one in results for part in (one, b","))])


def tail_of(took_ms: float) -> bytes:
    """How it ends."""
    return b'],"took_ms":%.3f,"took":%.3f}' % (took_ms, took_ms)
