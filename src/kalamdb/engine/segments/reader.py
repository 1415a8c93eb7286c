"""Cold segments to Arrow, by row group and column, each byte verified before a Parquet reader sees it."""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.engine.segments import key_filter
from kalamdb.engine.segments.bounds import ANY_KEY, ColumnRange, KeyRange, as_type
from kalamdb.engine.segments.cache import BoundedCache
from kalamdb.engine.segments.checksums import verify
from kalamdb.engine.segments.layout import (
    DELETED,
    FIRST_KEY_BYTES,
    SEQUENCE,
    Positions,
    Tail,
    chunk_range,
    decode_tail,
    positions_in,
    reading,
)
from kalamdb.engine.segments.segment_info import SegmentInfo
from kalamdb.engine.segments.storage import SegmentStorage
from kalamdb.errors import Corruption
from kalamdb.schema import Column, TableSchema
from kalamdb.types import DataType, TypeName, arrow_type, cast_arrow

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

KIB, MIB = 1 << 10, 1 << 20
WHOLE_FILE_BYTES = 256 * KIB
"""A segment up to this size is fetched at once: a second request costs more than the bytes."""
GAP_BYTES = 64 * KIB
"""Bytes that nobody asked for are fetched along up to this length, for the same reason; over a network more pays."""
WINDOW_BYTES = 8 * MIB
"""What is fetched and decoded at a time when many row groups are read."""
SYSTEM = (SEQUENCE, DELETED)

_TAIL_OVERHEAD = 6
"""A parsed footer takes about so many times its bytes."""


class SegmentReader:
    """Reads segments of one storage. Safe for threads.

    Raises Corruption, naming the file, where anything is not what was written, and lets the storage's own errors
    through. Tails and filters that were read are kept within `tail_cache_bytes`.
    """

    def __init__(
        self,
        storage: SegmentStorage,
        *,
        tail_cache_bytes: int = 16 * MIB,
        whole_file_bytes: int = WHOLE_FILE_BYTES,
        gap_bytes: int = GAP_BYTES,
    ) -> None:
        self._storage = storage
        self._wanteds: BoundedCache[_Wanted] = BoundedCache(256)
        self._whole_file_bytes = whole_file_bytes
        self._gap_bytes = gap_bytes
        self._tails: BoundedCache[Tail] = BoundedCache(tail_cache_bytes // 2)
        self._filters: BoundedCache[tuple[bytes, ...]] = BoundedCache(tail_cache_bytes // 2)

    def verify(self, folder: str, segment: SegmentInfo) -> None:
        """Read every byte of a segment. Raises Corruption unless it is what was written."""
        self._whole(f"{folder}/{segment.file}", segment)

    def read_row_group(
        self,
        folder: str,
        segment: SegmentInfo,
        row_group: int,
        columns: Sequence[Column],
        system: Sequence[str] = SYSTEM,
    ) -> pa.RecordBatch:
        """One row group: `columns` of the table's present schema in canonical types, then the system columns named."""
        (batch,) = self.read_row_groups(folder, segment, [row_group], columns, system, use_threads=False)
        return batch

    def read_row_groups(
        self,
        folder: str,
        segment: SegmentInfo,
        row_groups: Iterable[int],
        columns: Sequence[Column],
        system: Sequence[str] = SYSTEM,
        *,
        use_threads: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        """Several row groups, in the order given, a batch for each; a few at a time are in memory."""
        import pyarrow as pa

        path = f"{folder}/{segment.file}"
        wanted = self._wanted(columns, system)
        tombstones = segment.tombstones > 0
        if segment.size_bytes <= self._whole_file_bytes:
            content = self._whole(path, segment)
            with reading(path):
                file = _opened(pa.BufferReader(content), None)
                positions = positions_in(path, file.metadata, segment.row_groups)
                places = wanted.places(positions, tombstones=tombstones)
            yield from _decoded(path, file, list(row_groups), wanted, places, use_threads)
            return
        tail = self._tail(path, segment)
        places = wanted.places(tail.positions, tombstones=tombstones)
        read = _read(places)
        for window in _windows(tail, row_groups, read, self._gap_bytes):
            source = self._fetched(path, segment, tail, window, read)
            with reading(path):
                file = _opened(pa.PythonFile(source, mode="r"), tail.metadata)
            yield from _decoded(path, file, window, wanted, places, use_threads)

    def read_all(
        self, folder: str, segment: SegmentInfo, columns: Sequence[Column], system: Sequence[str] = SYSTEM
    ) -> pa.Table:
        """All rows of a segment."""
        import pyarrow as pa

        return pa.Table.from_batches(
            self.read_row_groups(folder, segment, range(segment.row_groups), columns, system)
        )

    def candidates(
        self, folder: str, segment: SegmentInfo, key: bytes, key_type: DataType, *, filtered: bool = True
    ) -> list[int]:
        """The row groups where a row with this encoded key may be, nearly always none or one.

        Asks the storage only where the manifest leaves it open. `filtered`: ask the filters that are kept in the
        segment, too, which pays where the key is probably new.
        """
        if not segment.may_hold(key, key_type):
            return []
        if segment.row_groups == 1 and (segment.key_filters is not None or not filtered):
            return [0]
        path = f"{folder}/{segment.file}"
        tail = self._tail(path, segment)
        # First keys may be cut, so that several row groups can seem to begin alike.
        begin = max(0, bisect_left(tail.first_keys, key[:FIRST_KEY_BYTES]) - 1)
        groups = range(begin, bisect_right(tail.first_keys, key))
        if not filtered or not key_filter.has_filter(key_type):
            return list(groups)
        filters = segment.key_filters or self._key_filters(path, segment, tail)
        hashed = key_filter.key_hash(key, key_type)
        return [group for group in groups if key_filter.may_contain(filters[group], hashed)]

    def blocks(
        self, folder: str, segment: SegmentInfo, schema: TableSchema
    ) -> tuple[list[int], list[bytes], tuple[bytes, ...]]:
        """Of each row group: its rows, its first key (cut to FIRST_KEY_BYTES), its key filter (or no filters at all).

        `schema`: the version that the segment was written with. Asks the storage where there are several row groups.
        """
        key_type = schema.columns[schema.position(schema.primary_key)].type
        if segment.row_groups == 1:
            return [segment.rows], [segment.min_key[:FIRST_KEY_BYTES]], segment.key_filters or ()
        path = f"{folder}/{segment.file}"
        tail = self._tail(path, segment)
        with reading(path):
            rows = [tail.metadata.row_group(group).num_rows for group in range(segment.row_groups)]
            if sum(rows) != segment.rows:
                raise ValueError(f"{sum(rows)} rows, and its manifest says {segment.rows}")
        filters: tuple[bytes, ...] = ()
        if key_filter.has_filter(key_type):
            filters = segment.key_filters or self._key_filters(path, segment, tail)
        return rows, list(tail.first_keys), filters

    def row_groups(
        self,
        folder: str,
        segment: SegmentInfo,
        keys: KeyRange = ANY_KEY,
        ranges: Sequence[ColumnRange] = (),
        columns: Sequence[Column] = (),
    ) -> list[int]:
        """The row groups where a row may lie in all of these ranges.

        `columns`: the table's present ones, those of `ranges` among them.
        """
        if not segment.may_match(keys, ranges, columns):
            return []
        if segment.row_groups == 1:
            return [0]
        path = f"{folder}/{segment.file}"
        tail = self._tail(path, segment)
        begin, end = 0, segment.row_groups
        if keys.low is not None:
            begin = max(0, bisect_left(tail.first_keys, keys.low[:FIRST_KEY_BYTES]) - 1)
        if keys.high is not None:
            end = bisect_right(tail.first_keys, keys.high)
        types = {column.id: column.type for column in columns}
        with reading(path):
            return [
                group
                for group in range(begin, end)
                if all(_may_match(tail, segment, group, range_, types[range_.column_id]) for range_ in ranges)
            ]

    def _wanted(self, columns: Sequence[Column], system: Sequence[str]) -> _Wanted:
        # By identity: a table's columns are one tuple for as long as its schema stands, and comparing them costs more
        # than all that is kept here. What is kept holds them, so that no others get their identity.
        key = (id(columns), id(system))
        found = self._wanteds.get(key)
        if found is None or found.columns is not columns or found.system is not system:
            found = _Wanted(columns, system)
            if isinstance(columns, tuple) and isinstance(system, tuple):
                self._wanteds.put(key, found, 1)
        return found

    def _whole(self, path: str, segment: SegmentInfo) -> bytes:
        content = self._storage.read(path)
        verify(path, content, segment.checksum, segment.size_bytes, "the file")
        return content

    def _tail(self, path: str, segment: SegmentInfo) -> Tail:
        key = (path, segment.tail_checksum)
        found = self._tails.get(key)
        if found is None:
            size = segment.size_bytes - segment.tail_offset
            data = self._storage.read_range(path, segment.tail_offset, size)
            verify(path, data, segment.tail_checksum, size, "its tail")
            found = decode_tail(path, data, segment.row_groups)
            self._tails.put(key, found, size * _TAIL_OVERHEAD)
        return found

    def _key_filters(self, path: str, segment: SegmentInfo, tail: Tail) -> tuple[bytes, ...]:
        key = (path, segment.index_checksum)
        found = self._filters.get(key)
        if found is None:
            size = segment.tail_offset - segment.index_offset
            data = self._storage.read_range(path, segment.index_offset, size)
            verify(path, data, segment.index_checksum, size, "its index")
            with reading(path):
                found = tuple(_filters_in(data, segment, tail))
            self._filters.put(key, found, sum(map(len, found)))
        return found

    def _fetched(
        self, path: str, segment: SegmentInfo, tail: Tail, row_groups: Sequence[int], positions: Sequence[int]
    ) -> _Verified:
        """The columns of these row groups, verified, in as few requests as is reasonable."""
        with reading(path):
            chunks = sorted(
                (*chunk_range(tail.metadata, group, position), group, position)
                for group in row_groups
                for position in positions
            )
            if (
                chunks
                and not 0 <= chunks[0][0] <= max(sum(chunk[:2]) for chunk in chunks) <= segment.size_bytes
            ):
                raise ValueError("a column lies outside of the file")
        parts = []
        for begin, size in _requests([chunk[:2] for chunk in chunks], self._gap_bytes):
            data = self._storage.read_range(path, begin, size)
            if len(data) != size:
                raise Corruption(
                    f"{path} ends before byte {begin + size}, and should have {segment.size_bytes} bytes; "
                    "bring it back from a backup"
                )
            parts.append((begin, data))
        source = _Verified(segment.size_bytes, parts)
        for begin, size, group, position in chunks:
            what = f"column {position} of row group {group}, from byte {begin}"
            verify(path, source.part(begin, size), tail.checksum(group, position), size, what)
        return source


class _Verified:
    """A file for pyarrow.PythonFile, of which only some parts are there. To read another one is an error."""

    closed = False

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        self.size = size
        self.parts = parts
        self.begins = [begin for begin, _ in parts]
        self.at = 0

    def part(self, begin: int, size: int) -> memoryview:
        index = bisect_right(self.begins, begin) - 1
        if index >= 0:
            start, data = self.parts[index]
            if begin - start + size <= len(data):
                return memoryview(data)[begin - start : begin - start + size]
        raise ValueError(f"bytes {begin} to {begin + size} were not fetched")

    # What pyarrow asks of a file.

    def read_buffer(self, size: int = -1) -> pa.Buffer:
        """As read, without a copy."""
        import pyarrow as pa

        data = self.part(self.at, self.size - self.at if size < 0 else size)
        self.at += len(data)
        return pa.py_buffer(data)

    def read(self, size: int = -1) -> bytes:
        return bytes(self.read_buffer(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = (0, self.at, self.size)[whence] + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        pass


class _Wanted:
    """What is read of each row, and the schema that comes of it."""

    __slots__ = ("columns", "kept", "schema", "system", "types")

    def __init__(self, columns: Sequence[Column], system: Sequence[str]) -> None:
        import pyarrow as pa

        self.columns = columns
        self.system = system
        fields = [pa.field(column.name, arrow_type(column.type)) for column in columns]
        kinds = {SEQUENCE: pa.int64(), DELETED: pa.bool_()}
        self.schema = pa.schema([*fields, *(pa.field(name, kinds[name], nullable=False) for name in system)])
        self.types: list[pa.DataType] = self.schema.types
        self.kept = pa.repeat(pa.scalar(False), 1024)
        """`_deleted` of rows none of which is."""

    def places(self, positions: Positions, *, tombstones: bool) -> list[int | None]:
        """Where each stands in a file; None for what it does not have, and for `_deleted` where no row is."""
        found = [positions.get(column.id) for column in self.columns]
        return found + [positions[name] if tombstones or name != DELETED else None for name in self.system]

    def batch(
        self, table: pa.Table, read: Sequence[int], places: Sequence[int | None], rows: int
    ) -> pa.RecordBatch:
        """The rows of a table whose columns stand at the places `read`."""
        import pyarrow as pa

        batches = table.to_batches()
        # A column may come in several pieces; one batch is what was asked for.
        batch = batches[0] if len(batches) == 1 else table.combine_chunks().to_batches()[0] if read else None
        arrays = []
        for number, (place, type_) in enumerate(zip(places, self.types)):
            column = self.columns[number] if number < len(self.columns) else None
            if place is None or batch is None:
                arrays.append(self._none_deleted(rows) if column is None else _missing(column, type_, rows))
                continue
            values = batch.column(read.index(place))
            if values.type != type_ and column is not None:
                values = cast_arrow(values, column.type)
            arrays.append(values)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _none_deleted(self, rows: int) -> pa.Array:
        import pyarrow as pa

        return self.kept.slice(0, rows) if rows <= len(self.kept) else pa.repeat(pa.scalar(False), rows)


def _windows(
    tail: Tail, row_groups: Iterable[int], positions: Sequence[int], gap: int
) -> Iterator[list[int]]:
    """The row groups in pieces that are fetched and decoded at a time."""
    window: list[int] = []
    held = 0
    for group in row_groups:
        chunks = [chunk_range(tail.metadata, group, position) for position in positions]
        size = sum(request[1] for request in _requests(chunks, gap))
        if window and held + size > WINDOW_BYTES:
            yield window
            window, held = [], 0
        window.append(group)
        held += size
    if window:
        yield window


def _requests(chunks: Sequence[tuple[int, int]], gap: int) -> Iterator[tuple[int, int]]:
    """Ranges of bytes that hold all of these, given in their order; near ones are joined."""
    begin = end = -1
    for at, size in chunks:
        if begin >= 0 and at - end <= gap:
            end = max(end, at + size)
            continue
        if begin >= 0:
            yield begin, end - begin
        begin, end = at, at + size
    if begin >= 0:
        yield begin, end - begin


def _opened(source: pa.NativeFile, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    # Without extensions a UUID is the sixteen bytes that it is everywhere below SELECT.
    return pq.ParquetFile(source, metadata=metadata, pre_buffer=False, arrow_extensions_enabled=False)


def _decoded(
    path: str,
    file: pq.ParquetFile,
    row_groups: Sequence[int],
    wanted: _Wanted,
    places: Sequence[int | None],
    use_threads: bool,
) -> Iterator[pa.RecordBatch]:
    read = _read(places)
    with reading(path):
        # By position: names with dots would be taken for paths.
        table = file.reader.read_row_groups(row_groups, column_indices=read, use_threads=use_threads)
        sizes = [file.metadata.row_group(group).num_rows for group in row_groups]
        if read and table.num_rows != sum(sizes):
            raise ValueError(f"{table.num_rows} rows, and its footer says {sum(sizes)}")
    at = 0
    for rows in sizes:
        with reading(path):
            piece = table if len(sizes) == 1 else table.slice(at, rows)
            batch = wanted.batch(piece, read, places, rows)
        yield batch
        at += rows


def _read(places: Sequence[int | None]) -> list[int]:
    """The places that are there, in the file's order."""
    return sorted({place for place in places if place is not None})


def _missing(column: Column, type_: pa.DataType, rows: int) -> pa.Array:
    """What rows read in a column that was added after them."""
    import pyarrow as pa

    value: Any = column.missing
    if value is None:
        return pa.nulls(rows, type_)
    if isinstance(value, uuid.UUID):
        value = value.bytes
    return pa.repeat(pa.scalar(value, type_), rows)


def _may_match(tail: Tail, segment: SegmentInfo, group: int, range_: ColumnRange, of: DataType) -> bool:
    position = tail.positions.get(range_.column_id)
    bounds = segment.columns.get(range_.column_id)
    if position is None or bounds is None:
        return True
    chunk = tail.metadata.row_group(group).column(position)
    statistics = chunk.statistics
    if statistics is None:
        return True
    if statistics.has_null_count and statistics.null_count == chunk.num_values:
        return False
    if not statistics.has_min_max:
        return True
    if of.name in (TypeName.FLOAT, TypeName.DOUBLE) and (bounds.min is None or bounds.max is None):
        # There may be a NaN, which Parquet's statistics pass over.
        return True
    return range_.meets(as_type(statistics.min, of), as_type(statistics.max, of))


def _filters_in(index: bytes, segment: SegmentInfo, tail: Tail) -> Iterator[bytes]:
    view = memoryview(index)
    for group in range(segment.row_groups):
        row_group = tail.metadata.row_group(group)
        for position in range(row_group.num_columns):
            chunk = row_group.column(position)
            if chunk.bloom_filter_offset is not None:
                begin = chunk.bloom_filter_offset - segment.index_offset
                yield key_filter.bits_of(view[begin : begin + chunk.bloom_filter_length])
                break
        else:
            raise ValueError(f"row group {group} has no key filter")
