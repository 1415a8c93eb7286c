"""Compaction: the segments of a partition become one base, without superseded versions and expired tombstones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.removal import remove_leftovers
from kalamdb.engine.cold.tier import ColdTier, LoadedPartition
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import commit, merge
from kalamdb.errors import StorageConflict, StorageOutcomeUnknown
from kalamdb.schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

SEGMENTS_MAX = 8
"""A partition with as many segments is compacted with the flush that made them."""
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
    return f"compacted {compacted} partition(s)"


def compact_partition(
    tier: ColdTier, schema: TableSchema, place: ColdPlace, context: JobContext
) -> ColdPlace | None:
    """Put a partition's segments together; None where there was nothing to gain.

    The manifest is the commit point. The files it no longer names stay for readers that know them, and are removed by
    a later job.
    """
    partition = place.partition.encode()
    backend = tier.backend(place.storage_id)
    loaded = tier.remember(place, tier.require_manifest(place))
    # After the look at the manifest: where that is lost, no segment is a leftover.
    remove_leftovers(tier, place)
    expired = expired_sequence(tier, schema)
    if loaded.manifest is None or not _worth_it(loaded, expired):
        return None
    # No version above this one is lost, so that snapshots from here on find all they show.
    complete_from = tier.engine.snapshot()
    sources = [_rows(tier, loaded, number, schema) for number in range(len(loaded.segments))]
    writer = tier.writer(schema)
    merged = merge(sources, schema.primary_key, expired_seq=expired)
    made = writer.write(backend, place.folder, merged, iter(tier.engine.store.snowflake_id, None))
    context.check()
    new = loaded.manifest.following(tuple(made), schema_version=schema.version)
    try:
        committed = commit(backend, place.folder, loaded.found, new)
    except (StorageConflict, StorageOutcomeUnknown):
        committed = tier.find_manifest(place)
        if committed.manifest is None or committed.manifest.segments != new.segments:
            raise
    for info in made:
        tier.complete_from[f"{place.folder}/{info.file}"] = complete_from
    ended = replace(
        place,
        generation=new.generation,
        watermark=new.watermark,
        segments=len(made),
        rows=sum(info.rows for info in made),
        bytes=sum(info.size_bytes for info in made),
    )
    tier.places.write([ended], tier.now())
    tier.remember(ended, committed)
    tier.tell(place.table_id, partition)
    return ended


def expired_sequence(tier: ColdTier, schema: TableSchema) -> int:
    """Tombstones up to this sequence number are past the table's retention."""
    hours = schema.options.deleted_retention_h
    retention_ms = (tier.deleted_retention_h if hours is None else hours) * 3_600_000
    return max(0, int(tier.now().timestamp() * 1000) - retention_ms - _EPOCH_MS) << 22


def _worth_it(loaded: LoadedPartition, expired: int) -> bool:
    infos = [segment.info for segment in loaded.segments]
    return len(infos) > 1 or any(info.tombstones and info.min_seq <= expired for info in infos)


def _rows(
    tier: ColdTier, loaded: LoadedPartition, number: int, schema: TableSchema
) -> Iterator[pa.RecordBatch]:
    """A segment's rows as the table's present schema has them."""
    info = loaded.segments[number].info
    reader = tier.reader(loaded.place.storage_id)
    return reader.read_row_groups(loaded.place.folder, info, range(info.row_groups), schema.columns)
