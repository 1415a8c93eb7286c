"""Rows of one partition to cold segments: Parquet files that any tool reads, and what the manifest says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.rows import encode_key
from kalamdb.engine.segments import key_filter
from kalamdb.engine.segments.bounds import ColumnBounds, as_type, encode_bound, lower_bytes, upper_bytes
from kalamdb.engine.segments.checksums import checksum
from kalamdb.engine.segments.layout import (
    DELETED,
    FIRST_KEY_BYTES,
    FORMAT_VERSION,
    IDENTITY,
    SEQUENCE,
    encode_row_group_table,
    parquet_schema,
    range_of,
    row_schema,
    segment_file,
)
from kalamdb.engine.segments.segment_info import SegmentInfo
from kalamdb.engine.segments.storage import SegmentStorage
from kalamdb.errors import InternalError
from kalamdb.schema import Column, TableSchema
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

KIB, MIB = 1 << 10, 1 << 20
ROW_GROUP_ROWS = 8192
ROW_GROUP_BYTES = 16 * MIB
SEGMENT_BYTES_MAX = 128 * MIB
KEY_FILTER_BYTES_MAX = 4 * KIB
"""A larger filter stays in the segment, so that a manifest stays small."""

_TAIL_BYTES = 4 * MIB
"""What is left free for filters, page index and footer when a segment is filled."""
_REPEATS = 4
"""How often each value stands in a column, on average, that gets a dictionary."""
_DELTAS = frozenset(
    {TypeName.SMALLINT, TypeName.INT, TypeName.BIGINT, TypeName.TIMESTAMP, TypeName.DATE, TypeName.TIME}
)
_FEW_ROWS = 256
"""Up to so many rows, numbers packed by their differences are not compressed as well: to begin a column costs a reader
more than its rows, and saves one byte in a hundred."""
_FLOATS = frozenset({TypeName.FLOAT, TypeName.DOUBLE})


class SegmentWriter:
    """Writes the rows of a table's partitions as segments. Made once for many partitions; safe for threads."""

    def __init__(
        self,
        schema: TableSchema,
        database_id: str,
        *,
        row_group_rows: int = ROW_GROUP_ROWS,
        row_group_bytes: int = ROW_GROUP_BYTES,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
    ) -> None:
        import orjson

        self.schema = schema
        self.row_schema = row_schema(schema)
        self.parquet_schema = parquet_schema(schema)
        self.key_position = schema.position(schema.primary_key)
        self.key = schema.columns[self.key_position]
        self.row_group_rows = row_group_rows
        self.row_group_bytes = row_group_bytes
        self.segment_bytes_max = segment_bytes_max
        identity = {
            "format_version": FORMAT_VERSION,
            "database_id": database_id,
            "table_id": schema.table_id,
            "schema_version": schema.version,
        }
        self.metadata = {IDENTITY: orjson.dumps(identity).decode()}
        self.options_of_few: dict[str, Any] | None = None
        """Of Parquet's writer; made with the first segment of few rows."""

    def write(
        self,
        storage: SegmentStorage,
        folder: str,
        batches: Iterable[pa.RecordBatch],
        sequences: Iterator[int],
    ) -> list[SegmentInfo]:
        """Write one partition's rows as segments in `folder`, durable when this returns; none for no rows.

        See encode. Nothing reads the segments before a manifest names them, so a failure halfway leaves only leftovers.
        """
        infos: list[SegmentInfo] = []
        for info, content in self.encode(batches, sequences):
            storage.write(f"{folder}/{info.file}", content)
            infos.append(info)
        return infos

    def encode(
        self, batches: Iterable[pa.RecordBatch], sequences: Iterator[int]
    ) -> Iterator[tuple[SegmentInfo, bytes]]:
        """One partition's rows as segments, each with the bytes of its file; none for no rows.

        `batches`: rows sorted by key, each key once, with the columns of `row_schema(schema)`. `sequences` gives the
        numbers of the files, never the same twice in the life of the database: a file whose manifest was never written
        stays behind under its name.
        """
        file: _SegmentFile | None = None
        last_key: pa.Scalar | None = None
        room = self.segment_bytes_max - min(_TAIL_BYTES, self.segment_bytes_max // 4)
        for rows in self._row_groups(batches):
            last_key = self._check_order(rows, last_key)
            if file is not None and file.size_bytes + rows.nbytes > room:
                yield file.close(next(sequences))
                file = None
            if file is None:
                file = _SegmentFile(self, rows)
            file.add(rows)
        if file is not None:
            yield file.close(next(sequences))

    def _row_groups(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same rows in pieces of at most so many rows and, but for single rows, bytes."""
        import pyarrow as pa

        expected = self.row_schema
        rows_max, bytes_max = self.row_group_rows, self.row_group_bytes
        held: list[pa.RecordBatch] = []
        held_rows = held_bytes = 0
        for given in batches:
            batch = given
            if not batch.schema.equals(expected) and (
                batch.schema.names != expected.names or batch.schema.types != expected.types
            ):
                raise InternalError(
                    f"rows for a segment of {self.schema.qualified_name} have other columns than version "
                    f"{self.schema.version}; report it"
                )
            while batch.num_rows:
                room = rows_max - held_rows
                piece = batch.slice(0, room)
                while piece.num_rows > 1 and held_bytes + piece.nbytes > bytes_max:
                    piece = piece.slice(0, piece.num_rows // 2)
                if held and held_bytes + piece.nbytes > bytes_max:
                    yield held[0] if len(held) == 1 else pa.concat_batches(held)
                    held, held_rows, held_bytes = [], 0, 0
                    continue
                held.append(piece)
                held_rows += piece.num_rows
                held_bytes += piece.nbytes
                batch = batch.slice(piece.num_rows)
                if held_rows == rows_max:
                    yield held[0] if len(held) == 1 else pa.concat_batches(held)
                    held, held_rows, held_bytes = [], 0, 0
        if held:
            yield held[0] if len(held) == 1 else pa.concat_batches(held)

    def _check_order(self, rows: pa.RecordBatch, before: pa.Scalar | None) -> pa.Scalar:
        """The last key. A segment out of order would lose rows to every look-up, so this is no mere assertion."""
        import pyarrow.compute as pc

        keys = rows.column(self.key_position)
        rising = keys.null_count == 0 and pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()
        if not rising or (before is not None and not pc.less(before, keys[0]).as_py()):
            raise InternalError(
                f"rows for a segment of {self.schema.qualified_name} are not sorted by key; report it"
            )
        return keys[-1]


def encoded_key(value: Any, of: DataType) -> bytes:
    """The encoded form of a key, from a value as Arrow gives it."""
    code = of.code | (of.scale or 0) << 8 if of.name is TypeName.DECIMAL else of.code
    return encode_key(code, as_type(value, of) if of.name is TypeName.UUID else value)


class _SegmentFile:
    """One segment being made, in memory."""

    def __init__(self, of: SegmentWriter, rows: pa.RecordBatch) -> None:
        import pyarrow as pa

        self.of = of
        self.schema = of.schema
        self.sink = pa.BufferOutputStream()
        self.collected: list[pq.FileMetaData] = []
        self.writer = _opened(self.sink, of, rows, self.collected)
        self.writer.add_key_value_metadata(of.metadata)
        self.rows = self.tombstones = 0
        self.min_seq, self.max_seq = (1 << 63) - 1, 0
        self.with_nan: set[int] = set()
        self.first_keys: list[bytes] = []
        self.last_key = b""

    @property
    def size_bytes(self) -> int:
        """What it has by now."""
        return int(self.sink.tell())

    def add(self, rows: pa.RecordBatch) -> None:
        """One more row group."""
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = [
            pa.ExtensionArray.from_storage(field.type, column)
            if isinstance(field.type, pa.BaseExtensionType)
            else column
            for field, column in zip(self.of.parquet_schema, rows.columns)
        ]
        table = pa.Table.from_arrays(columns, schema=self.of.parquet_schema)
        self.writer.write_table(table, row_group_size=max(1, rows.num_rows))
        keys = rows.column(self.of.key_position)
        self.first_keys.append(encoded_key(keys[0].as_py(), self.of.key.type))
        self.last_key = encoded_key(keys[-1].as_py(), self.of.key.type)
        sequences = pc.min_max(rows.column(SEQUENCE)).as_py()
        self.min_seq = min(self.min_seq, sequences["min"])
        self.max_seq = max(self.max_seq, sequences["max"])
        for column, values in zip(self.schema.columns, rows.columns):
            # Parquet's statistics pass over NaN, and readers differ in where it sorts.
            if column.type.name in _FLOATS and pc.any(pc.is_nan(values)).as_py():
                self.with_nan.add(column.id)
        self.rows += rows.num_rows
        self.tombstones += rows.column(DELETED).true_count

    def close(self, sequence: int) -> tuple[SegmentInfo, bytes]:
        """What a manifest says of it, and its bytes."""
        self.writer.close()
        body = memoryview(self.sink.getvalue())
        (metadata,) = self.collected
        groups, columns = metadata.num_row_groups, metadata.num_columns
        # Asked for once: to make these objects is half of what a small segment takes here.
        found = [
            [row_group.column(position) for position in range(columns)]
            for row_group in map(metadata.row_group, range(groups))
        ]
        chunks = [range_of(chunk) for row_group in found for chunk in row_group]
        index_offset = sum(chunks[-1])
        # Columns that did not lie one behind the other would leave bytes that no checksum covers.
        ends = [4, *(begin + size for begin, size in chunks)]
        footer_offset = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
        if ends[:-1] != [begin for begin, _ in chunks] or not index_offset <= footer_offset:
            raise InternalError(
                "this version of pyarrow lays Parquet files out in another way; install the one before"
            )
        table = encode_row_group_table(
            columns,
            [checksum(body[begin : begin + size]) for begin, size in chunks],
            [key[:FIRST_KEY_BYTES] for key in self.first_keys],
        )
        tail = table + bytes(body[footer_offset:])
        content = b"".join((body[:footer_offset], tail))
        file = segment_file(sequence)
        info = SegmentInfo(
            file=file,
            rows=self.rows,
            tombstones=self.tombstones,
            size_bytes=len(content),
            columns={
                column.id: _bounds(
                    [row_group[position] for row_group in found], column, known=column.id not in self.with_nan
                )
                for position, column in enumerate(self.schema.columns)
            },
            min_key=lower_bytes(self.first_keys[0]),
            max_key=upper_bytes(self.last_key),
            min_seq=self.min_seq,
            max_seq=self.max_seq,
            schema_version=self.schema.version,
            row_groups=groups,
            index_offset=index_offset,
            tail_offset=footer_offset,
            checksum=checksum(content),
            index_checksum=checksum(body[index_offset:footer_offset]),
            tail_checksum=checksum(tail),
            key_filters=self._key_filters([row_group[self.of.key_position] for row_group in found], body),
        )
        return info, content

    def _key_filters(
        self, chunks: Sequence[pq.ColumnChunkMetaData], body: memoryview
    ) -> tuple[bytes, ...] | None:
        if not key_filter.has_filter(self.of.key.type):
            return None
        filters = []
        room = KEY_FILTER_BYTES_MAX
        for chunk in chunks:
            begin = chunk.bloom_filter_offset
            bits = key_filter.bits_of(body[begin : begin + chunk.bloom_filter_length])
            room -= len(bits)
            if room < 0:
                return None
            filters.append(bits)
        return tuple(filters)


def _opened(
    sink: pa.BufferOutputStream, of: SegmentWriter, rows: pa.RecordBatch, collected: list[pq.FileMetaData]
) -> pq.ParquetWriter:
    """Parquet's writer, with the encodings that suit the first rows."""
    import pyarrow.parquet as pq

    if rows.num_rows > _FEW_ROWS:
        options = _options(of, rows)
    elif of.options_of_few is None:
        options = of.options_of_few = _options(of, rows)
    else:
        options = of.options_of_few
    # The filter is made for the rows that a full row group has; pyarrow folds those of smaller ones.
    filters = {of.key.name: {"ndv": min(rows.num_rows, of.row_group_rows), "fpp": key_filter.FALSE_POSITIVES}}
    return pq.ParquetWriter(
        sink,
        of.parquet_schema,
        bloom_filter_options=filters if key_filter.has_filter(of.key.type) else None,
        metadata_collector=collected,
        **options,
    )


def _options(of: SegmentWriter, rows: pa.RecordBatch) -> dict[str, Any]:
    """What Parquet's writer is told of the columns. The same for all that have few rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    compression = of.schema.options.compression or "zstd"
    few = rows.num_rows <= _FEW_ROWS
    compressions = dict.fromkeys(of.parquet_schema.names, compression)
    dictionaries = []
    encodings = {}
    for column, values in zip(of.schema.columns, rows.columns):
        if column.type.name is TypeName.BOOLEAN:
            if few:
                compressions[column.name] = "none"
            continue
        if not few and pc.count_distinct(values).as_py() * _REPEATS <= len(values):
            dictionaries.append(column.name)
        elif column.type.name in _DELTAS:
            encodings[column.name] = "DELTA_BINARY_PACKED"
            if few:
                compressions[column.name] = "none"
    if few:
        compressions |= {SEQUENCE: "none", DELETED: "none"}
    return {
        "compression": compressions,
        "use_dictionary": dictionaries,
        "column_encoding": encodings | {SEQUENCE: "DELTA_BINARY_PACKED"},
        "store_schema": False,
        "write_page_index": True,
        "sorting_columns": [pq.SortingColumn(of.key_position)],
    }


def _bounds(chunks: Sequence[pq.ColumnChunkMetaData], column: Column, *, known: bool) -> ColumnBounds:
    """Of a column over its chunks in all row groups, from the statistics of Parquet's writer, where these are `known`
    to hold."""
    least: Any = None
    greatest: Any = None
    nulls = 0
    for chunk in chunks:
        found = chunk.statistics
        nulls += found.null_count
        if found.has_min_max:
            low, high = as_type(found.min, column.type), as_type(found.max, column.type)
            least = low if least is None else min(least, low)
            greatest = high if greatest is None else max(greatest, high)
        elif found.null_count < chunk.num_values:
            known = False
    if not known:
        return ColumnBounds(None, None, nulls)
    return ColumnBounds(
        encode_bound(least, column.type, upper=False), encode_bound(greatest, column.type, upper=True), nulls
    )
