"""Parquet's bloom filters over keys: which keys a row group surely has not.

A split block bloom filter, as Parquet's specification has it: blocks of 32 bytes, of which the upper half of a key's
XXH64 chooses one and the lower half eight bits in it. pyarrow writes them and has no way to ask them, so we do.
"""

from __future__ import annotations

import struct

import xxhash

from kalamdb.types import DataType, TypeName

FALSE_POSITIVES = 0.05
"""What a filter is made for, at most: about one byte for each key."""

_BLOCK = struct.Struct("<8I")
_SALTS = (
    0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31,
)  # fmt: skip


def has_filter(key_type: DataType) -> bool:
    """Whether keys of this type have a filter: those whose bytes in Parquet follow from their encoded key."""
    return key_type.name in (TypeName.BIGINT, TypeName.TEXT)


def key_hash(key: bytes, key_type: DataType) -> int:
    """What Parquet hashes a key to, from its encoded form."""
    if key_type.name is TypeName.BIGINT:
        # Encoded big endian with the sign bit flipped; Parquet hashes it little endian as it is.
        key = bytes((key[7], key[6], key[5], key[4], key[3], key[2], key[1], key[0] ^ 0x80))
    return xxhash.xxh64_intdigest(key)


def may_contain(bits: bytes | memoryview, hashed: int) -> bool:
    """False where the filter says that the key is surely not there."""
    block = ((hashed >> 32) * (len(bits) >> 5)) >> 32
    low = hashed & 0xFFFFFFFF
    words = _BLOCK.unpack_from(bits, block << 5)
    return all(word >> ((low * salt & 0xFFFFFFFF) >> 27) & 1 for word, salt in zip(words, _SALTS))


def bits_of(stored: bytes | memoryview) -> bytes:
    """The bits of a filter as it stands in a file: behind a header in Thrift, whose first field is their number.

    Raises ValueError for what is none.
    """
    if len(stored) < 2 or stored[0] != 0x15:
        raise ValueError("no header of a bloom filter")
    zigzag = shift = 0
    for byte in stored[1:6]:
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    size = zigzag >> 1
    if zigzag & 1 or size < 32 or size % 32 or size > len(stored) - 2:
        raise ValueError("no length of a bloom filter")
    return bytes(stored[len(stored) - size :])
