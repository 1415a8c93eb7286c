"""The answer to statements that succeeded: results as JSON, in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from kalamdb.protocol import encode_schema, json_rows
from kalamdb.result import Result

HEAD = b'{"status":"success","results":['


def tail(took_ms: float) -> bytes:
    """What ends the answer."""
    return b'],"took_ms":%.3f,"took":%.3f}' % (took_ms, took_ms)


def result_pieces(result: Result, user: str) -> Iterator[bytes]:
    """One result as JSON. `user`: whose rights and rows the statement had."""
    as_user = orjson.dumps(user)
    if not result.columns:
        yield b'{"row_count":%d,"message":%s,"as_user":%s}' % (
            result.rowcount,
            orjson.dumps(result.message),
            as_user,
        )
        return
    yield b'{"schema":%s,"rows":[' % orjson.dumps(encode_schema(result.columns, result.column_types()))
    yield from json_rows(result)
    yield b'],"row_count":%d,"as_user":%s}' % (result.rowcount, as_user)
