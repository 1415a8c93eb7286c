"""A result as an Arrow IPC stream, message by message."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

MEDIA_TYPE = b"application/vnd.apache.arrow.stream"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
BATCH_ROWS = 64 * 1024
_ANYTHING = frozenset({b"*/*", b"application/json"})
"""What clients say most, and what needs no reading."""


def is_wanted(accept: bytes | None) -> bool:
    """Whether an Accept header names the type. Without a header, or with any other, the answer is JSON."""
    if accept is None or accept in _ANYTHING:
        return False
    kinds = (entry.partition(b";")[0].strip().lower() for entry in accept.split(b","))
    return MEDIA_TYPE in kinds


def arrow_pieces(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    """The stream. UUID and JSON are text, whose metadata says what they are."""
    yield rows.schema.serialize().to_pybytes()
    for batch in rows:
        yield batch.serialize().to_pybytes()
    yield _END
