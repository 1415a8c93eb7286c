"""Any bytes with the right checksum as a manifest: one that is written as what reads as it again, or Corruption.

What it says of its segments is asked as a query would.
"""

from __future__ import annotations

import dataclasses
import datetime

from kalamdb.engine.segments import ColumnRange, KeyRange
from kalamdb.engine.segments.checksums import checksum
from kalamdb.engine.segments.manifest import decode_manifest, encode_manifest
from kalamdb.errors import Corruption, UnknownFormat
from kalamdb.schema import Column
from kalamdb.types import BIGINT, DOUBLE, TEXT, TIMESTAMP, DataType, TypeName

NAME = "manifest"
WORDS = (
    b"null", b"true", b"-1", b"0", b"1.5", b"1e999", b"9223372036854775808", b'""', b"{}", b"[]", b"[", b'"1":',
    b'"columns":', b'"segments":', b'"format_version":2', b'"segment-1.parquet"', b"../", b"\\u0000", b"\\ud800",
    b"9999-12-31T23:59:59-01:00", b"NaN", b"Infinity", b"AAAA", b"\xff", b'"checksum":"', b'"}\n',
)  # fmt: skip
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
ASKED = (
    (BIGINT, 5),
    (TEXT, "m"),
    (DOUBLE, 0.5),
    (TIMESTAMP, NOON),
    (DataType(TypeName.DECIMAL, precision=9, scale=2), 5),
)


def run(data: bytes) -> None:
    """The bytes up to the checksum."""
    vouched = data + b',"checksum":"'
    try:
        manifest = decode_manifest("manifest.json", vouched + checksum(vouched).hex().encode() + b'"}\n')
    except (Corruption, UnknownFormat) as error:
        assert "manifest.json" in str(error)
        return
    again = decode_manifest("manifest.json", encode_manifest(manifest))
    assert dataclasses.asdict(again) == dataclasses.asdict(manifest)
    for segment in manifest.segments:
        segment.may_hold(b"\x80\0\0\0\0\0\0\5", BIGINT)
        segment.may_match(KeyRange(b"a", b"b"))
        for number, (type_, value) in enumerate(ASKED, 1):
            try:
                segment.may_match(
                    ranges=[ColumnRange(number, value, value)], columns=[Column(number, "c", type_)]
                )
            except Corruption as error:
                assert segment.file in str(error)
