"""The cold tier: what the core asks for by ColdMissError is brought from the storages and handed to it.

The core knows of a cold segment which keys its blocks (row groups) may have, and holds decoded blocks in a bounded
cache. It reads no storage itself: it says what it lacks, and is asked again when that is there.
"""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamcore.errors import ColdMissError
from kalamcore.rows import Layout
from kalamdb.engine.cold.file_hold import FileHold
from kalamdb.engine.cold.gate import CommitGate
from kalamdb.engine.cold.places import ColdPlace, ColdPlaces
from kalamdb.engine.segments import (
    Found,
    Manifest,
    Owner,
    SegmentInfo,
    SegmentReader,
    SegmentWriter,
    load,
    load_all,
)
from kalamdb.engine.segments.writer import ROW_GROUP_ROWS, SEGMENT_BYTES_MAX
from kalamdb.engine.tables import layout_of
from kalamdb.errors import Corruption, Error, StorageUnavailable, UndefinedTable
from kalamdb.schema import TableSchema
from kalamdb.storage import Storage, StorageBackend, Storages
from kalamdb.storage.backend import require_files
from kalamdb.storage.definition import LOCAL

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.engine.engine import Engine

PARTITIONS_MAX = 32_768
"""Manifests kept in memory; the core keeps half as many."""
TOGETHER_MIN = 16
"""Fewer small partitions are flushed one at a time."""
UNBOUNDED_KEY = b"\xff" * 8
"""Above every key of text; numbers always have an upper bound."""
REMOTE_GAP_BYTES = 1 << 20
GRACE_S = 600.0
"""A leftover is removed when it was one so long ago: a reader may still be at it."""

History = Sequence[TableSchema]


@dataclass(frozen=True, slots=True)
class LoadedSegment:
    """A segment that the core knows by its number in this process."""

    number: int
    info: SegmentInfo
    schema: TableSchema
    layout: Layout


@dataclass(slots=True)
class LoadedPartition:
    """A partition's manifest as it was read, and its segments, the oldest first."""

    place: ColdPlace
    found: Found
    segments: list[LoadedSegment]

    @property
    def manifest(self) -> Manifest | None:
        """None: no flush has ended yet."""
        return self.found.manifest


class ColdTier:
    """Cold rows of one database. Safe for threads."""

    def __init__(
        self,
        engine: Engine,
        storages: Storages,
        storage: Callable[[str], Storage],
        history: Callable[[int], History],
        now: Callable[[], datetime.datetime],
        *,
        deleted_retention_h: int,
        oldest_snapshot: Callable[[], int | None] = lambda: None,
        user_storage: Callable[[str], str | None] = lambda user: None,
        grace_s: float = GRACE_S,
        beside_owner: bool = False,
    ) -> None:
        """`storage`: by its id, from the catalog as it is now. `history`: every schema version of a table, by its id.
        `deleted_retention_h`: of tables that say nothing of it. `oldest_snapshot`: of the transactions that are open.
        `user_storage`: the id of the storage that a user has for the rows of tables with USE_USER_STORAGE, or None.
        `grace_s`: how long leftovers stay. `beside_owner`: another process may change what is cold."""
        self.engine = engine
        self.places = ColdPlaces(engine)
        self._storages = storages
        self._storage = storage
        self.history = history
        self.now = now
        self.deleted_retention_h = deleted_retention_h
        self.oldest_snapshot = oldest_snapshot
        self._user_storage = user_storage
        self.grace_s = grace_s
        self.row_group_rows = ROW_GROUP_ROWS
        self.segment_bytes_max = SEGMENT_BYTES_MAX
        self.together_min = TOGETHER_MIN
        self._beside_owner = beside_owner
        self.leftovers_seen: dict[tuple[str, str], float] = {}
        """When a file that no manifest names was first found, by storage and path, in seconds of time.monotonic."""
        self.gate = CommitGate()
        self.files = FileHold()
        self._checkpointed_s = time.monotonic()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._partitions: OrderedDict[tuple[int, bytes], LoadedPartition] = OrderedDict()
        self._segments: dict[int, tuple[LoadedPartition, LoadedSegment]] = {}
        self._readers: dict[str, tuple[StorageBackend, SegmentReader]] = {}
        self._layouts: dict[tuple[int, int], Layout] = {}
        self.complete_from: dict[str, int] = {}
        """By the paths of segments that were compacted in this life: below it older versions may be missing."""

    def checkpoint(self) -> None:
        """Move what is in memory to hot segments."""
        self.engine.checkpoint()
        self._checkpointed_s = time.monotonic()

    def checkpoint_age_s(self) -> float:
        """Seconds since the last checkpoint that was made here."""
        return time.monotonic() - self._checkpointed_s

    @property
    def database_id(self) -> str:
        """The database's own."""
        return self.engine.directory.database_id

    def backend(self, storage_id: str) -> StorageBackend:
        """A storage's files."""
        return self._storages.backend(self._storage(storage_id))

    def reader(self, storage_id: str) -> SegmentReader:
        """What reads a storage's segments."""
        backend = self.backend(storage_id)
        with self._lock:
            kept = self._readers.get(storage_id)
            if kept is None or kept[0] is not backend:
                remote = self._storage(storage_id).type != "filesystem"
                reader = (
                    SegmentReader(backend, gap_bytes=REMOTE_GAP_BYTES) if remote else SegmentReader(backend)
                )
                kept = self._readers[storage_id] = (backend, reader)
            return kept[1]

    def schema(self, of: TableSchema) -> TableSchema:
        """A table's schema as it is now. Raises UndefinedTable where the table was dropped meanwhile."""
        try:
            return self.history(of.table_id)[-1]
        except KeyError:
            raise UndefinedTable(f'relation "{of.qualified_name}" does not exist any more') from None

    def writer(self, schema: TableSchema) -> SegmentWriter:
        """What writes a table's segments, of at most so many rows a group and bytes a file."""
        return SegmentWriter(
            schema,
            self.database_id,
            row_group_rows=self.row_group_rows,
            segment_bytes_max=self.segment_bytes_max,
        )

    def new_place(self, schema: TableSchema, partition: bytes) -> ColdPlace:
        """Where a partition's first flush puts it."""
        storage_id = schema.options.storage_id or LOCAL
        if partition and schema.options.use_user_storage:
            storage_id = self._user_storage(partition.decode()) or storage_id
        storage = self._storage(storage_id)
        if partition:
            folder = storage.user_tables.render(schema.namespace, schema.name, partition.decode())
        else:
            folder = storage.shared_tables.render(schema.namespace, schema.name)
        return ColdPlace(schema.table_id, partition.decode(), storage_id, folder)

    # What the core asks for

    def load(self, miss: ColdMissError) -> list[object]:
        """Bring what a read lacked. What is returned keeps it in memory: hold it until the read was done.

        Raises StorageUnavailable, Corruption.
        """
        if not miss.blocks:
            self.partition(miss.table_id, miss.partition)
            return []
        return self.load_blocks(miss.table_id, miss.partition, miss.blocks)

    def load_blocks(self, table_id: int, partition: bytes, blocks: Sequence[tuple[int, int]]) -> list[object]:
        """Decoded blocks, by (segment, number)."""
        held: list[object] = []
        store = self.engine.store
        for number, wanted in itertools.groupby(blocks, key=lambda block: block[0]):
            groups = [block for _, block in wanted]
            with self._lock:
                known = self._segments.get(number)
            if known is None:
                # Its partition was given up here, or the segment was compacted away: the manifest is read anew.
                store.forget_cold(table_id, partition)
                return held
            loaded, segment = known
            reader = self.reader(loaded.place.storage_id)
            batches = reader.read_row_groups(
                loaded.place.folder, segment.info, groups, segment.schema.columns, use_threads=len(groups) > 1
            )
            for group, batch in zip(groups, batches):
                held.append(store.add_cold_block(number, group, segment.layout, _whole(batch)))
        return held

    def block_bytes(self, table_id: int, partition: bytes, blocks: Sequence[tuple[int, int]]) -> int:
        """About how many bytes these blocks take decoded."""
        total = 0
        with self._lock:
            for number, _ in blocks:
                known = self._segments.get(number)
                if known is not None:
                    info = known[1].info
                    total += info.size_bytes * 4 // info.row_groups
        return total

    def key_fences(self, table_id: int, partition: bytes, *, rows_max: int, bytes_max: int) -> list[bytes]:
        """Keys, in order, between which about so many cold rows and bytes of theirs, decoded, lie at most: a row group
        more for each segment where segments overlap. Encoded; long ones are cut, as row groups have them.

        Raises StorageUnavailable, Corruption.
        """
        loaded = self.partition(table_id, partition)
        if loaded is None:
            return []
        reader = self.reader(loaded.place.storage_id)
        groups: list[tuple[bytes, int, int]] = []
        for segment in loaded.segments:
            info = segment.info
            rows, first_keys, _ = reader.blocks(loaded.place.folder, info, segment.schema)
            size = info.size_bytes * 4 // info.row_groups
            groups += [(key, count, size) for key, count in zip(first_keys, rows, strict=True)]
        groups.sort()
        fences: list[bytes] = []
        rows_between = bytes_between = 0
        for key, count, size in groups:
            if rows_between and (rows_between + count > rows_max or bytes_between + size > bytes_max):
                fences.append(key)
                rows_between = bytes_between = 0
            rows_between += count
            bytes_between += size
        return fences

    # Manifests

    def partition(self, table_id: int, partition: bytes) -> LoadedPartition | None:
        """A partition's manifest, read where it is not in memory, and told to the core; None: it has nothing cold."""
        with self._lock:
            loaded = self._partitions.get((table_id, partition))
            if loaded is not None:
                self._partitions.move_to_end((table_id, partition))
        if loaded is None:
            place = self.places.find(table_id, partition)
            if place is None:
                return None
            found = self.require_manifest(place)
            if self._beside_owner and found.manifest is not None:
                _check_nothing_lost(place, found.manifest)
            loaded = self.remember(place, found)
        self._tell(loaded)
        return loaded

    def find_manifest(self, place: ColdPlace) -> Found:
        """What stands in a partition's folder."""
        owner = Owner(self.database_id, place.table_id)
        return load(self.backend(place.storage_id), place.folder, owner)

    def require_manifest(self, place: ColdPlace) -> Found:
        """The same. Raises Corruption where it is not there and was, or is an older one than there was: to go on from
        it would leave out rows. It may be newer than the place says, where a crash came between the two. Raises
        StorageUnavailable where the whole storage is not there.
        """
        return self._require_nothing_lost(place, self.find_manifest(place))

    def require_manifests(self, places: Sequence[ColdPlace]) -> list[Found | Error]:
        """The same of many partitions of a table in the same storage, in less time: of each what require_manifest
        gives, or would have raised."""
        owner = Owner(self.database_id, places[0].table_id)
        loaded = load_all(self.backend(places[0].storage_id), [place.folder for place in places], owner)
        answers: list[Found | Error] = []
        for place, found in zip(places, loaded, strict=True):
            try:
                answers.append(
                    found if isinstance(found, Error) else self._require_nothing_lost(place, found)
                )
            except Error as error:
                answers.append(error)
        return answers

    def _require_nothing_lost(self, place: ColdPlace, found: Found) -> Found:
        if place.generation > generation_of(found):
            require_files(self.backend(place.storage_id))
            what = "is missing, and was there" if found.manifest is None else "is an older one than was there"
            raise Corruption(
                f'the manifest in {place.folder} of storage "{place.storage_id}" {what}; bring it back from a backup '
                "of the storage"
            )
        return found

    def require_storage(self, storage_id: str) -> None:
        """Raises StorageUnavailable where a directory that tables were written to has nothing: its disk is not mounted.
        What was written there would be hidden once it is."""
        if self._storage(storage_id).type == "filesystem" and any(
            self._is_table(table_id) for table_id in self.places.tables_in(storage_id)
        ):
            require_files(self.backend(storage_id))

    def _is_table(self, table_id: int) -> bool:
        try:
            return bool(self.history(table_id))
        except KeyError:
            return False

    def remember(self, place: ColdPlace, found: Found) -> LoadedPartition:
        """A manifest that was just read or written; the one that reads go by from now on, once the core is told: this,
        unless a newer one is known."""
        key = (place.table_id, place.partition.encode())
        with self._lock:
            old = self._partitions.get(key)
            if old is not None and generation_of(old.found) > generation_of(found):
                # Whoever read this one was overtaken by a flush; to go on from it would leave out what that moved.
                return old
            self._partitions.pop(key, None)
            known = {segment.info.file: segment for segment in old.segments} if old is not None else {}
            infos = found.manifest.segments if found.manifest is not None else ()
            segments = [known.get(info.file) or self._loaded_segment(place, info) for info in infos]
            loaded = LoadedPartition(place, found, segments)
            for segment in segments:
                self._segments[segment.number] = (loaded, segment)
            self._partitions[key] = loaded
            gone = [one for one in known.values() if one not in segments]
            if len(self._partitions) > PARTITIONS_MAX:
                _, given_up = self._partitions.popitem(last=False)
                gone += given_up.segments
            for segment in gone:
                self._segments.pop(segment.number, None)
        return loaded

    def _loaded_segment(self, place: ColdPlace, info: SegmentInfo) -> LoadedSegment:
        versions = self.history(place.table_id)
        schema = next((one for one in versions if one.version == info.schema_version), None)
        if schema is None:
            raise Corruption(
                f"{place.folder}/{info.file} was written with schema version {info.schema_version}, which the catalog "
                "does not know; it is of another time than the database: restore a backup"
            )
        key = (place.table_id, schema.version)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = layout_of(schema)
        return LoadedSegment(next(self._numbers), info, schema, layout)

    def tell(self, table_id: int, partition: bytes) -> None:
        """Let reads go by the manifest that was remembered last."""
        with self._lock:
            loaded = self._partitions.get((table_id, partition))
        if loaded is not None:
            self._tell(loaded)
        else:
            # It was given up for others meanwhile. The core must not go on with the manifest before.
            self.engine.store.forget_cold(table_id, partition)

    def _tell(self, loaded: LoadedPartition) -> None:
        place, manifest = loaded.place, loaded.manifest
        partition = place.partition.encode()
        if manifest is None:
            self.engine.store.set_nothing_cold(place.table_id, partition)
            return
        reader = self.reader(place.storage_id)
        described = []
        for segment in reversed(loaded.segments):
            info = segment.info
            rows, first_keys, filters = reader.blocks(place.folder, info, segment.schema)
            complete_from = self.complete_from.get(f"{place.folder}/{info.file}", 0)
            high = UNBOUNDED_KEY if info.max_key is None else info.max_key
            described.append(
                (
                    segment.number,
                    segment.layout,
                    rows,
                    first_keys,
                    info.min_key,
                    high,
                    filters,
                    info.min_seq,
                    info.max_seq,
                    info.tombstones,
                    complete_from,
                )
            )
        self.engine.store.set_cold(
            place.table_id, partition, manifest.generation, manifest.watermark, described
        )
        with self._lock:
            now = self._partitions.get((place.table_id, partition))
        if now is None:
            self.engine.store.forget_cold(place.table_id, partition)
        elif generation_of(now.found) > manifest.generation:
            # While its segments were read it was overtaken, and the newer one may have been forgotten since.
            self._tell(now)

    def forget_table(self, table_id: int) -> None:
        """The table is gone."""
        self.engine.store.drop_cold_table(table_id)
        with self._lock:
            for key in [key for key in self._partitions if key[0] == table_id]:
                for segment in self._partitions.pop(key).segments:
                    self._segments.pop(segment.number, None)

    def forget(self, table_id: int, partition: bytes) -> None:
        """Read the partition's manifest anew when it is next asked for."""
        with self._lock:
            loaded = self._partitions.pop((table_id, partition), None)
            for segment in loaded.segments if loaded is not None else ():
                self._segments.pop(segment.number, None)
        self.engine.store.forget_cold(table_id, partition)


def generation_of(found: Found) -> int:
    """Of the partition's own manifest; 0 where there is none."""
    return 0 if found.manifest is None else found.manifest.generation


def _whole(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in memory of their own: one row group of several that were decoded together is a slice."""
    import pyarrow as pa

    if not any(column.offset for column in batch.columns):
        return batch
    return pa.RecordBatch.from_arrays(
        [pa.concat_arrays([column]) for column in batch.columns], schema=batch.schema
    )


def _check_nothing_lost(place: ColdPlace, manifest: Manifest) -> None:
    """A manifest that is newer than the place in the checkpoint: a flush adds segments, whose rows are told by their
    sequence numbers, but a compaction gives up versions that the checkpoint shows. Raises StorageUnavailable."""
    if manifest.generation > place.generation > 0 and any(
        info.min_seq <= place.watermark < info.max_seq for info in manifest.segments
    ):
        raise StorageUnavailable(
            f"rows in {place.folder} were compacted since the last checkpoint of the database's owner; read again "
            "after its next one"
        )
