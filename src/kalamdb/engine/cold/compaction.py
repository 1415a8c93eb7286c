"""Compaction: the segments of a partition become one base, without superseded versions and expired tombstones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.removal import remove_leftovers
from kalamdb.engine.cold.tier import ColdTier, LoadedPartition
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Manifest, commit, merge
from kalamdb.errors import StorageConflict, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENTS_MAX = 8
"""A partition with so many segments more than its bytes need is compacted with the flush that made them."""
_EPOCH_MS = 1_704_067_200_000


def compact_table(tier: ColdTier, schema: TableSchema, context: JobContext) -> str:
    """Compact what of a table has more than a base, or tombstones past their retention; what the job's result says."""
    compacted = rows = size = 0
    for _, place in sorted(tier.places.of_table(schema.table_id).items()):
        context.check()
        ended = compact_partition(tier, schema, place, context)
        if ended is not None:
            compacted += 1
            rows += ended.rows
            size += ended.bytes
            context.progress(rows, size)
    if compacted:
        # For who reads beside this process: versions that it shows may be gone from the segments now.
        tier.checkpoint()
    return f"compacted {compacted} partition(s)"


def compact_partition(
    tier: ColdTier, schema: TableSchema, place: ColdPlace, context: JobContext
) -> ColdPlace | None:
    """Put a partition's segments together; None where there was nothing to gain, or a transaction that is open sees
    what would be dropped. It is not waited for for ever: with four times as many segments it is refused what is gone.

    The manifest is the commit point. The files it no longer names stay for readers that know them: the next compaction
    that finds them past their grace time removes them.
    """
    partition = place.partition.encode()
    backend = tier.backend(place.storage_id)
    loaded = tier.remember(place, tier.require_manifest(place))
    # After the look at the manifest: where that is lost, no segment is a leftover.
    remove_leftovers(tier, place)
    expired = expired_sequence(tier, schema)
    if loaded.manifest is None or not _worth_it(loaded, expired, tier.segment_bytes_max):
        return None
    if _is_needed(loaded, tier.oldest_snapshot()) and not has_many_segments(place, tier.segment_bytes_max, 4):
        return None
    # No version above this one is lost, so that snapshots from here on find all they show.
    complete_from = tier.engine.snapshot()
    sources = [_rows(tier, loaded, number, schema) for number in range(len(loaded.segments))]
    writer = tier.writer(schema)
    merged = merge(sources, schema.primary_key, expired_seq=expired)
    made = writer.write(backend, place.folder, merged, iter(tier.engine.store.durable_snowflake_id, None))
    context.check()
    new = loaded.manifest.following(tuple(made), schema_version=schema.version)
    with tier.gate.passed():
        try:
            committed = commit(backend, place.folder, loaded.found, new)
        except (StorageConflict, StorageOutcomeUnknown):
            committed = tier.find_manifest(place)
            if committed.manifest is None or committed.manifest.segments != new.segments:
                raise
            committed = commit(backend, place.folder, committed, again(committed.manifest))
    manifest = committed.manifest
    assert manifest is not None
    for info in made:
        tier.complete_from[f"{place.folder}/{info.file}"] = complete_from
    ended = replace(
        place,
        generation=manifest.generation,
        watermark=manifest.watermark,
        segments=len(made),
        rows=sum(info.rows for info in made),
        bytes=sum(info.size_bytes for info in made),
    )
    tier.places.write([ended], tier.now())
    tier.remember(ended, committed)
    tier.tell(place.table_id, partition)
    # From here on their time counts. What has happened stays so, whether or not the storage goes on answering.
    with contextlib.suppress(StorageUnavailable):
        remove_leftovers(tier, ended)
    return ended


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


def _rows(
    tier: ColdTier, loaded: LoadedPartition, number: int, schema: TableSchema
) -> Iterator[pa.RecordBatch]:
    """A segment's rows as the table's present schema has them."""
    info = loaded.segments[number].info
    reader = tier.reader(loaded.place.storage_id)
    return reader.read_row_groups(loaded.place.folder, info, range(info.row_groups), schema.columns)
