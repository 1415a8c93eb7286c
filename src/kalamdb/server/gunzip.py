"""What a client sends as gzip, unpacked within a limit."""

from __future__ import annotations

import zlib

_WINDOW = 16 + zlib.MAX_WBITS


class NotGzip(ValueError):
    """The bytes are no gzip, end too early, or go on behind it."""


class GzipTooLarge(ValueError):
    """What would come out is larger than may be."""


def unzipped(data: bytes, bytes_max: int) -> bytes:
    """What was packed. Raises NotGzip and, once so much has come out, GzipTooLarge."""
    reader = zlib.decompressobj(_WINDOW)
    try:
        # One byte more than there may be: so much is unpacked of whatever would come out of it.
        text = reader.decompress(data, bytes_max + 1)
    except zlib.error:
        raise NotGzip from None
    if len(text) > bytes_max:
        raise GzipTooLarge
    if not reader.eof or reader.unused_data:
        raise NotGzip
    return text
