"""Checksums of what is kept in a storage: xxh3-128, verified by us before a Parquet reader sees a byte.

Parquet's own page checksums are no protection: few readers verify them, and the footer has none.
"""

from __future__ import annotations

import xxhash

from kalamdb.errors import Corruption

CHECKSUM_BYTES = 16


def checksum(data: bytes | memoryview) -> bytes:
    """16 bytes, big endian."""
    return xxhash.xxh3_128_digest(data)


def verify(path: str, data: bytes | memoryview, expected: bytes, length: int, what: str) -> None:
    """Raises Corruption, naming the file and the part of it, unless `data` is what was written."""
    if len(data) != length:
        raise Corruption(
            f"{path}: {what} should have {length} bytes, and the storage gave {len(data)}; "
            "bring the file back from a backup"
        )
    if xxhash.xxh3_128_digest(data) != expected:
        raise Corruption(f"{path}: {what} is not what was written; bring the file back from a backup")
