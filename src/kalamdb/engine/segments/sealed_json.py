"""A JSON object that vouches for itself: its last member is the checksum of every byte before that member's digits.

It stays JSON that any tool reads, and a file cut short or changed by a byte is told from one that was written.
"""

from __future__ import annotations

from collections.abc import Mapping

from kalamdb.engine.segments.checksums import CHECKSUM_BYTES, checksum

_OPENING, _CLOSING = b'"checksum":"', b'"}\n'
_HEX_DIGITS = 2 * CHECKSUM_BYTES


def encode_sealed(members: Mapping[str, object]) -> bytes:
    """The object, with its member `checksum`, and a newline. `members`: at least one."""
    import orjson

    vouched = orjson.dumps(members)[:-1] + b"," + _OPENING
    return vouched + checksum(vouched).hex().encode() + _CLOSING


def is_sealed(content: bytes) -> bool:
    """Whether these are the bytes that `encode_sealed` made, all of them."""
    end = len(content) - len(_CLOSING) - _HEX_DIGITS
    vouched = content[: max(end, 0)]
    return (
        vouched.endswith(_OPENING)
        and content.endswith(_CLOSING)
        and content[end : end + _HEX_DIGITS] == checksum(vouched).hex().encode()
    )
