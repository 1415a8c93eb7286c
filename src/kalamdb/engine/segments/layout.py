"""How a cold segment is laid out: the columns as Parquet has them, and the tail that says where everything is.

The tail is a table of ours, with the checksum of every column of every row group, and Parquet's footer behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalamdb.engine.segments.checksums import CHECKSUM_BYTES
from kalamdb.errors import Corruption, Error, UnknownFormat
from kalamdb.schema import TableSchema
from kalamdb.types import TypeName, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FORMAT_VERSION = 1
SEQUENCE, DELETED = "_seq", "_deleted"
IDENTITY = "kalamdb"
"""The key of the file's metadata that says whose rows these are."""
FIRST_KEY_BYTES = 32

Positions = dict[int | str, int]
"""Where each column stands in a file: by its id, `_seq` and `_deleted` by name."""

_FIELD_ID = b"PARQUET:field_id"
_TABLE_MAGIC = b"KALAMRGT"
_TABLE_HEADER = struct.Struct("<8sIII")


def segment_file(sequence: int) -> str:
    """The name of the segment with this number."""
    return f"segment-{sequence}.parquet"


def parquet_schema(schema: TableSchema) -> pa.Schema:
    """The columns of a segment as they are handed to Parquet's writer."""
    import pyarrow as pa

    fields = [
        pa.field(
            column.name,
            pa.uuid() if column.type.name is TypeName.UUID else arrow_type(column.type),
            metadata={_FIELD_ID: str(column.id).encode()},
        )
        for column in schema.columns
    ]
    return pa.schema(
        [
            *fields,
            pa.field(SEQUENCE, pa.int64(), nullable=False),
            pa.field(DELETED, pa.bool_(), nullable=False),
        ]
    )


def row_schema(schema: TableSchema) -> pa.Schema:
    """The columns of rows on their way to a segment and from it: canonical types, `_seq`, `_deleted`."""
    import pyarrow as pa

    fields = [pa.field(column.name, arrow_type(column.type)) for column in schema.columns]
    return pa.schema(
        [
            *fields,
            pa.field(SEQUENCE, pa.int64(), nullable=False),
            pa.field(DELETED, pa.bool_(), nullable=False),
        ]
    )


def chunk_range(metadata: pq.FileMetaData, row_group: int, column: int) -> tuple[int, int]:
    """Where one column of one row group begins, and how many bytes it has."""
    return range_of(metadata.row_group(row_group).column(column))


def range_of(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Where a column chunk begins, and how many bytes it has."""
    begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    return begin, chunk.total_compressed_size


def encode_row_group_table(columns: int, checksums: Sequence[bytes], first_keys: Sequence[bytes]) -> bytes:
    """The bytes of the row group table."""
    parts = [_TABLE_HEADER.pack(_TABLE_MAGIC, FORMAT_VERSION, len(first_keys), columns), *checksums]
    for key in first_keys:
        parts.append(bytes([len(key)]))
        parts.append(key)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Tail:
    """What the end of a segment says of the rest."""

    metadata: pq.FileMetaData
    checksums: memoryview
    first_keys: tuple[bytes, ...]
    positions: Positions

    def checksum(self, row_group: int, column: int) -> bytes:
        """Of one column of one row group."""
        at = (row_group * self.metadata.num_columns + column) * CHECKSUM_BYTES
        return bytes(self.checksums[at : at + CHECKSUM_BYTES])


def decode_tail(path: str, data: bytes | memoryview, row_groups: int) -> Tail:
    """The tail of a segment, from verified bytes that begin with the row group table and end with the file.

    Raises Corruption for what is none, UnknownFormat for a newer format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path):
        metadata = pq.read_metadata(pa.BufferReader(data))
        positions = positions_in(path, metadata, row_groups)
        magic, version, groups, columns = _TABLE_HEADER.unpack_from(data)
        _check_format(path, version)
        if (magic, groups, columns) != (_TABLE_MAGIC, row_groups, metadata.num_columns):
            raise ValueError("its row group table does not fit its footer")
        at = _TABLE_HEADER.size
        end = at + groups * columns * CHECKSUM_BYTES
        checksums = memoryview(data)[at:end]
        first_keys = []
        for _ in range(groups):
            size = data[end]
            first_keys.append(bytes(data[end + 1 : end + 1 + size]))
            end += 1 + size
        return Tail(metadata, checksums, tuple(first_keys), positions)


def positions_in(path: str, metadata: pq.FileMetaData, row_groups: int) -> Positions:
    """Where each column stands in a file with this verified footer.

    Raises UnknownFormat for a newer format, and anything for what is no segment of so many row groups.
    """
    import orjson

    _check_format(path, orjson.loads(metadata.metadata[IDENTITY.encode()])["format_version"])
    if metadata.num_row_groups != row_groups:
        raise ValueError(f"it has {metadata.num_row_groups} row groups, and the manifest says {row_groups}")
    return _positions(metadata.schema.to_arrow_schema())


def _check_format(path: str, version: int) -> None:
    if version > FORMAT_VERSION:
        raise UnknownFormat(
            f"{path} has format {version}, and this version of kalamdb reads up to {FORMAT_VERSION}; "
            "open the database with a newer kalamdb"
        )


def _positions(columns: pa.Schema) -> Positions:
    found: Positions = {}
    for position, field in enumerate(columns):
        id_ = int((field.metadata or {}).get(_FIELD_ID, b"-1"))
        found[field.name if id_ < 0 else id_] = position
    if SEQUENCE not in found or DELETED not in found:
        raise ValueError("_seq or _deleted is not among its columns")
    return found


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Whatever a library says of a file's content, as Corruption that names the file.

    What is read inside was verified before, so that an error is one of who wrote it; a library may still raise
    anything, and not only Exceptions.
    """
    try:
        yield
    except (Error, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise Corruption(
            f"{path} cannot be read as a segment: {_said(error)}; bring it back from a backup"
        ) from error


def _said(error: BaseException) -> str:
    text: Any = str(error) or type(error).__name__
    return text.splitlines()[0][:200]  # type: ignore[no-any-return]
