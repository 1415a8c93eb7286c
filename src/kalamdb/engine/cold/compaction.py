"""Compaction: the segments of a partition become one base, without superseded versions and expired tombstones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamdb.engine.cold.groups import Ready, committed_place, small_and_large, work_in_groups
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.removal import remove_leftovers
from kalamdb.engine.cold.tier import ColdTier, LoadedPartition
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Found, Manifest, SegmentInfo, SegmentWriter, commit, merge
from kalamdb.errors import Error, StorageConflict, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENTS_MAX = 8
"""A partition with so many segments more than its bytes need is compacted with the flush that made them."""
_EPOCH_MS = 1_704_067_200_000


def compact_table(tier: ColdTier, schema: TableSchema, context: JobContext) -> str:
    """Compact what of a table has more than a base, or tombstones past their retention; what the job's result says."""
    places = [place for _, place in sorted(tier.places.of_table(schema.table_id).items())]
    compacted = rows = size = 0
    for ended in compact_places(tier, schema, places, context):
        compacted += 1
        rows += ended.rows
        size += ended.bytes
        context.progress(rows, size)
    if compacted:
        # For who reads beside this process: versions that it shows may be gone from the segments now.
        tier.checkpoint()
    return f"compacted {compacted} partition(s)"


def compact_places(
    tier: ColdTier, schema: TableSchema, places: Sequence[ColdPlace], context: JobContext
) -> Iterator[ColdPlace]:
    """Put the segments of each partition together, and give its new place, where there is something to gain and no
    transaction that is open sees what would be dropped. It is not waited for for ever: with four times as many segments
    it is refused what is gone.

    The manifest is the commit point. The files it no longer names stay for readers that know them: the next compaction
    that finds them past their grace time removes them.
    """
    numbers = iter(tier.engine.store.durable_snowflake_id, None)
    compaction = _Compaction(tier, schema, tier.writer(schema), expired_sequence(tier, schema), numbers)
    for ended in _compacted(compaction, places, context):
        tier.places.write(ended, tier.now())
        for place in ended:
            tier.tell(place.table_id, place.partition.encode())
            # From here on the time of what it left over counts. What has happened stays so, whether or not the storage
            # goes on answering.
            with contextlib.suppress(StorageUnavailable):
                remove_leftovers(tier, place)
            yield place


def _compacted(
    compaction: _Compaction, places: Sequence[ColdPlace], context: JobContext
) -> Iterator[list[ColdPlace]]:
    """The new places of partitions that were compacted, some at a time. What was begun is ended, and given, before
    anything is raised."""
    groups, alone = small_and_large(compaction.tier, ((place, place.rows) for place in places))
    yield from work_in_groups(compaction, groups, context)
    for place in alone:
        context.check()
        ended = compaction.alone(place, context)
        if ended is not None:
            yield [ended]


@dataclass(frozen=True, slots=True)
class _Compaction:
    """What the compaction of each partition of a table goes by, and the work itself: see Work."""

    tier: ColdTier
    schema: TableSchema
    writer: SegmentWriter
    expired: int
    """Tombstones up to this sequence number are dropped."""
    numbers: Iterator[int]
    """Of the segments' files."""

    def ready(self, place: ColdPlace, found: Found) -> Ready | None:
        """See Work.ready."""
        rows = self._rows(place, found)
        if rows is None:
            return None
        complete_from = self.tier.engine.snapshot()
        ready = Ready(place, found, list(self.writer.encode(rows, self.numbers)))
        self._complete(place, ready.infos, complete_from)
        return ready

    def following(self, ready: Ready) -> Manifest | None:
        """See Work.following."""
        return self._following(ready.found, ready.infos)

    def committed(self, ready: Ready, found: Found) -> ColdPlace:
        """See Work.committed."""
        return committed_place(self.tier, ready.place, found)

    def overtaken(self, ready: Ready, failure: Error) -> ColdPlace | None:
        """See Work.overtaken. Whatever came first, it is ours or nothing is done."""
        found = self.tier.find_manifest(ready.place)
        if found.manifest is None or found.manifest.segments != tuple(ready.infos):
            raise failure
        backend = self.tier.backend(ready.place.storage_id)
        return self.committed(ready, commit(backend, ready.place.folder, found, again(found.manifest)))

    def alone(self, place: ColdPlace, context: JobContext) -> ColdPlace | None:
        """Compact one partition, whatever its size; None where that is not to be done."""
        backend = self.tier.backend(place.storage_id)
        found = self.tier.require_manifest(place)
        rows = self._rows(place, found)
        if rows is None:
            return None
        complete_from = self.tier.engine.snapshot()
        made = self.writer.write(backend, place.folder, rows, self.numbers)
        self._complete(place, made, complete_from)
        ready = Ready(place, found, [(info, b"") for info in made])
        context.check()
        with self.tier.gate.passed():
            try:
                new = self._following(found, made)
                return self.committed(ready, commit(backend, place.folder, found, new))
            except (StorageConflict, StorageOutcomeUnknown) as failure:
                return self.overtaken(ready, failure)

    def _complete(self, place: ColdPlace, made: Iterable[SegmentInfo], sequence: int) -> None:
        # No version above this one is lost, so that snapshots from here on find all they show.
        for info in made:
            self.tier.complete_from[f"{place.folder}/{info.file}"] = sequence

    def _rows(self, place: ColdPlace, found: Found) -> Iterator[pa.RecordBatch] | None:
        """Its rows without what goes, or None: see compact_places."""
        loaded = self.tier.remember(place, found)
        # After the look at the manifest: where that is lost, no segment is a leftover.
        remove_leftovers(self.tier, place)
        if loaded.manifest is None or not _worth_it(loaded, self.expired, self.tier.segment_bytes_max):
            return None
        if _is_needed(loaded, self.tier.oldest_snapshot()) and not has_many_segments(
            place, self.tier.segment_bytes_max, 4
        ):
            return None
        sources = [
            _segment_rows(self.tier, loaded, number, self.schema) for number in range(len(loaded.segments))
        ]
        return merge(sources, self.schema.primary_key, expired_seq=self.expired)

    def _following(self, found: Found, made: Sequence[SegmentInfo]) -> Manifest:
        assert found.manifest is not None
        return found.manifest.following(tuple(made), schema_version=self.schema.version)


def again(manifest: Manifest) -> Manifest:
    """The same as a generation of its own. One that is found where a replacement failed may not be on the disk: what
    was read back proves nothing before it was written, and that succeeded."""
    return manifest.following(manifest.segments, schema_version=manifest.schema_version)


def expired_sequence(tier: ColdTier, schema: TableSchema) -> int:
    """Tombstones up to this sequence number are past the table's retention."""
    hours = schema.options.deleted_retention_h
    retention_ms = (tier.deleted_retention_h if hours is None else hours) * 3_600_000
    return max(0, int(tier.now().timestamp() * 1000) - retention_ms - _EPOCH_MS) << 22


def has_many_segments(place: ColdPlace, segment_bytes_max: int, times: int = 1) -> bool:
    """Whether a partition is to be compacted with its flush: those that a base of its size has do not count."""
    return place.segments - place.bytes // segment_bytes_max >= times * SEGMENTS_MAX


def _is_needed(loaded: LoadedPartition, oldest_snapshot: int | None) -> bool:
    """Whether a snapshot shows versions that others have superseded since. One that is newer than all of them shows
    the newest; so will all that are taken from now on."""
    newest = max((segment.info.max_seq for segment in loaded.segments), default=0)
    return oldest_snapshot is not None and oldest_snapshot < newest


def _worth_it(loaded: LoadedPartition, expired: int, segment_bytes_max: int) -> bool:
    """Whether a key is there twice, a tombstone may go, or the segments are many for their bytes. A base that is
    larger than a segment is not written again for nothing."""
    infos = sorted((segment.info for segment in loaded.segments), key=lambda info: info.min_key)
    if any(info.tombstones and info.min_seq <= expired for info in infos):
        return True
    highest: bytes | None = b""
    for number, info in enumerate(infos):
        if number and (highest is None or info.min_key <= highest):
            return True
        highest = None if highest is None or info.max_key is None else max(highest, info.max_key)
    needed = sum(info.size_bytes for info in infos) // segment_bytes_max + 1
    return 2 * len(infos) > 3 * needed


def _segment_rows(
    tier: ColdTier, loaded: LoadedPartition, number: int, schema: TableSchema
) -> Iterator[pa.RecordBatch]:
    """A segment's rows as the table's present schema has them."""
    info = loaded.segments[number].info
    reader = tier.reader(loaded.place.storage_id)
    return reader.read_row_groups(loaded.place.folder, info, range(info.row_groups), schema.columns)
