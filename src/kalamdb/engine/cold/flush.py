"""Flush: hot rows of a table become cold segments, a partition at a time.

The order is the point. What memory holds is checkpointed, so that hot segments hold all rows up to a sequence number.
The places of new partitions are written to the log; then, for each partition, its segments are written, then its
manifest, which is the commit point; then the log learns the new watermarks, reads go by the manifests, and last of
all the hot rows are let go. A crash between any two steps loses nothing and repeats nothing: rows that are both hot
and cold are the same versions, and count once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING

from kalamcore.store import View
from kalamcore.system import release_free_memory
from kalamdb.engine.cold.compaction import again, compact_partition, has_many_segments
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import (
    Manifest,
    Owner,
    SegmentInfo,
    SegmentWriter,
    commit,
    require_own,
    row_schema,
)
from kalamdb.engine.tables import TableRows
from kalamdb.errors import JobCancelled, StorageConflict, StorageOutcomeUnknown
from kalamdb.schema import TableSchema
from kalamdb.types import cast_arrow

if TYPE_CHECKING:
    import pyarrow as pa

PARTITIONS_AT_ONCE = 512
"""Partitions whose places are written by one commit."""
ROWS_AT_ONCE = 8192
SIDE_BY_SIDE = 8
SIDE_BY_SIDE_MIN = 16
"""Fewer partitions are not worth the threads."""
SMALL_ROWS = 4096
"""Partitions of no more rows are written several at a time."""
MANY_ROWS = 100_000
"""After a flush of more rows, what allocators keep of the memory it took is given back."""
COMMITS_MAX = 8
SEQUENCE, DELETED = -1, -3


def flush_table(tier: ColdTier, schema: TableSchema, context: JobContext) -> str:
    """Flush a table's partitions, all or those that the job names. What a job's result says."""
    engine = tier.engine
    tier.checkpoint()
    # Before the view: from here on no tombstone goes from hot segments that the view may not show.
    engine.store.add_cold_table(schema.table_id)
    view = engine.view()
    # After the view: rows of a newer version are written only once the catalog has it.
    schema = tier.schema(schema)
    upto = view.checkpointed
    rows = engine.rows(schema, tier.history(schema.table_id))
    chosen = context.parameters.get("partitions")
    places = tier.places.of_table(schema.table_id)
    watermarks = {partition: place.watermark for partition, place in places.items()}
    unflushed = {
        partition: count
        for partition, count, oldest in engine.store.unflushed(schema.table_id, watermarks)
        if oldest
    }
    wanted = sorted(unflushed if chosen is None else set(unflushed) & {name.encode() for name in chosen})
    writer = tier.writer(schema)
    done_rows = done_bytes = flushed = 0
    for start in range(0, len(wanted), PARTITIONS_AT_ONCE):
        some = wanted[start : start + PARTITIONS_AT_ONCE]
        fresh = [tier.new_place(schema, partition) for partition in some if partition not in places]
        for storage_id in {place.storage_id for place in fresh}:
            tier.require_storage(storage_id)
        tier.places.write(fresh, tier.now())
        places |= {place.partition.encode(): place for place in fresh}
        ended: list[ColdPlace] = []

        def work(partition: bytes) -> ColdPlace | None:
            with tier.gate.passed():
                return _flush_partition(tier, writer, rows, places[partition], view, upto)  # noqa: B023

        try:
            for place in _side_by_side(work, some, unflushed, context):
                ended.append(place)
                done_rows += place.rows
                done_bytes += place.bytes
                flushed += 1
                context.progress(done_rows, done_bytes)
        finally:
            # What has a new manifest stays flushed, also where the job ends early.
            tier.places.write(ended, tier.now())
            for place in ended:
                tier.tell(place.table_id, place.partition.encode())
                places[place.partition.encode()] = place
    if flushed:
        # Who reads beside this process sees checkpoints alone: the next one has to tell of the cold rows before one
        # is made that lacks the hot ones.
        tier.checkpoint()
    engine.store.drop_flushed(
        schema.table_id, {partition: place.watermark for partition, place in places.items()}
    )
    compacted = 0
    for partition in wanted:
        if has_many_segments(places[partition], tier.segment_bytes_max):
            context.check()
            compact_partition(tier, schema, places[partition], context)
            compacted += 1
    if compacted:
        tier.checkpoint()
    if done_rows >= MANY_ROWS:
        _give_back_memory()
    return f"flushed {flushed} partition(s)"


def _give_back_memory() -> None:
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    release_free_memory()


def _side_by_side(
    work: Callable[[bytes], ColdPlace | None],
    partitions: Sequence[bytes],
    rows: Mapping[bytes, int],
    context: JobContext,
) -> Iterator[ColdPlace]:
    """What the work gives of each partition, as it ends. Small ones wait for the disk together: a sync serves
    several. Large ones, which take memory, come one at a time.

    Whatever fails, or ends the job, what was begun is ended, and given, before that is raised.
    """
    small = [partition for partition in partitions if rows[partition] <= SMALL_ROWS]
    alone = [partition for partition in partitions if rows[partition] > SMALL_ROWS]
    if len(small) < SIDE_BY_SIDE_MIN:
        small, alone = [], list(partitions)
    failure: BaseException | None = None
    if small:
        context.check()
        with ThreadPoolExecutor(SIDE_BY_SIDE, "kalamdb-flush") as pool:
            running = [pool.submit(work, partition) for partition in small]
            for one in as_completed(running):
                if one.cancelled():
                    continue
                error = one.exception()
                place = one.result() if error is None else None
                if place is not None:
                    yield place
                if error is None:
                    error = _stopped(context)
                if error is not None:
                    failure = failure or error
                    for other in running:
                        other.cancel()
    if failure is not None:
        raise failure
    for partition in alone:
        context.check()
        place = work(partition)
        if place is not None:
            yield place


def _stopped(context: JobContext) -> JobCancelled | None:
    try:
        context.check()
    except JobCancelled as stopped:
        return stopped
    return None


def _flush_partition(
    tier: ColdTier,
    writer: SegmentWriter,
    rows: TableRows,
    place: ColdPlace,
    view: View,
    upto: int,
) -> ColdPlace | None:
    """Write one partition's hot rows as segments and commit its manifest; None where nothing was to be written."""
    schema = rows.schema
    backend = tier.backend(place.storage_id)
    partition = place.partition.encode()
    made = None
    for attempt in range(COMMITS_MAX):
        found = tier.require_manifest(place)
        require_own(place.folder, found)
        watermark = found.manifest.watermark if found.manifest is not None else 0
        if made is None:
            # What is read below leaves out what is cold, and has to know what that is.
            tier.remember(place, found)
            tier.tell(place.table_id, partition)
            batches = hot_rows(rows, partition, view, upto, watermark)
            made = writer.write(
                backend, place.folder, batches, iter(tier.engine.store.durable_snowflake_id, None)
            )
        if made and not _names(found.manifest, made):
            new = _following(tier, schema, place, found.manifest, tuple(made), upto)
        elif found.manifest is not None and found.manifest.generation > place.generation:
            # A crash came between it and the place that tells of it, or its outcome was not known: it may be in the
            # page cache alone. Hot rows are let go for its sake, so it is written once more.
            new = again(found.manifest)
        else:
            return None
        try:
            committed = commit(backend, place.folder, found, new)
            break
        except (StorageConflict, StorageOutcomeUnknown):
            if attempt + 1 == COMMITS_MAX:
                raise
    manifest = committed.manifest
    assert manifest is not None
    ended = replace(
        place,
        generation=manifest.generation,
        watermark=manifest.watermark,
        segments=len(manifest.segments),
        rows=sum(info.rows for info in manifest.segments),
        bytes=sum(info.size_bytes for info in manifest.segments),
    )
    tier.remember(ended, committed)
    return ended


def _names(manifest: Manifest | None, made: Iterable[SegmentInfo]) -> bool:
    return manifest is not None and {info.file for info in made} <= {info.file for info in manifest.segments}


def _following(
    tier: ColdTier,
    schema: TableSchema,
    place: ColdPlace,
    old: Manifest | None,
    made: tuple[SegmentInfo, ...],
    upto: int,
) -> Manifest:
    if old is not None:
        return old.following((*old.segments, *made), schema_version=schema.version, watermark=upto)
    return Manifest(
        owner=Owner(tier.database_id, schema.table_id),
        namespace_id=schema.namespace,
        table_name=schema.name,
        user_id=place.partition or None,
        schema_version=schema.version,
        generation=1,
        watermark=upto,
        segments=made,
    )


def hot_rows(
    rows: TableRows, partition: bytes, view: View, upto: int, above: int
) -> Iterator[pa.RecordBatch]:
    """A partition's newest versions in hot segments, sorted by key, tombstones too, those above a sequence number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = rows.schema
    expected = row_schema(schema)
    positions = [*range(len(schema.columns)), SEQUENCE, DELETED]
    parts: Iterable[object] = view.scan_arrow(
        schema.table_id,
        partition,
        upto,
        rows.reader,
        positions,
        deleted=True,
        batch_rows=ROWS_AT_ONCE,
        cold=False,
    )
    for part in parts:
        given = pa.record_batch(part)
        arrays = [
            array if array.type == field.type else cast_arrow(array, column.type)
            for array, field, column in zip(given.columns, expected, schema.columns)
        ]
        batch = pa.RecordBatch.from_arrays([*arrays, *given.columns[-2:]], schema=expected)
        if above:
            batch = batch.filter(pc.greater(batch.column("_seq"), above))
        if batch.num_rows:
            yield batch
