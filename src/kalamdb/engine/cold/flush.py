"""Flush: hot rows of a table become cold segments, partition by partition.

The order is the point. What memory holds is checkpointed, so that hot segments hold all rows up to a sequence number.
The places of new partitions are written to the log; then, for each partition or for many small ones together, all
segments are written, then manifests, which are the commit points; then the log learns the new watermarks, reads go by
the manifests, and last of all the hot rows are let go. A crash between any two steps loses nothing and repeats nothing:
rows that are both hot and cold are the same versions, and count once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamcore.store import View
from kalamcore.system import release_free_memory
from kalamdb.engine.cold.compaction import again, compact_places, has_many_segments
from kalamdb.engine.cold.groups import Ready, committed_place, small_and_large, work_in_groups
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import (
    Found,
    Manifest,
    Owner,
    SegmentInfo,
    SegmentWriter,
    commit,
    require_own,
    row_schema,
)
from kalamdb.engine.tables import TableRows
from kalamdb.errors import Error, StorageConflict, StorageOutcomeUnknown
from kalamdb.schema import TableSchema
from kalamdb.types import cast_arrow

if TYPE_CHECKING:
    import pyarrow as pa

PARTITIONS_AT_ONCE = 512
"""Partitions whose places are written by one commit."""
ROWS_AT_ONCE = 8192
MANY_ROWS = 100_000
"""After a flush of more rows, what allocators keep of the memory it took is given back."""
COMMITS_MAX = 8
SEQUENCE, DELETED = -1, -3


@dataclass(frozen=True, slots=True)
class _Flush:
    """What the flush of each partition of a table goes by, and the work itself: see Work."""

    tier: ColdTier
    writer: SegmentWriter
    rows: TableRows
    view: View
    upto: int
    numbers: Iterator[int]
    """Of the segments' files."""

    def ready(self, place: ColdPlace, found: Found) -> Ready:
        """See Work.ready."""
        return Ready(place, found, list(self.writer.encode(self._unflushed_rows(place, found), self.numbers)))

    def following(self, ready: Ready) -> Manifest | None:
        """See Work.following."""
        return self._following(ready.place, ready.found.manifest, ready.infos)

    def committed(self, ready: Ready, found: Found) -> ColdPlace:
        """See Work.committed."""
        return committed_place(self.tier, ready.place, found)

    def overtaken(self, ready: Ready, failure: Error) -> ColdPlace | None:
        """See Work.overtaken."""
        return self.alone(ready.place, ready.infos)

    def alone(self, place: ColdPlace, made: Sequence[SegmentInfo] | None = None) -> ColdPlace | None:
        """Write one partition's hot rows as segments, unless they are `made`, and commit its manifest; None where
        nothing was to be written."""
        backend = self.tier.backend(place.storage_id)
        for attempt in range(COMMITS_MAX):
            found = self.tier.require_manifest(place)
            require_own(place.folder, found)
            if made is None:
                rows = self._unflushed_rows(place, found)
                made = self.writer.write(backend, place.folder, rows, self.numbers)
            new = self._following(place, found.manifest, made)
            if new is None:
                return None
            try:
                return committed_place(self.tier, place, commit(backend, place.folder, found, new))
            except (StorageConflict, StorageOutcomeUnknown):
                if attempt + 1 == COMMITS_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _unflushed_rows(self, place: ColdPlace, found: Found) -> Iterator[pa.RecordBatch]:
        # What is read leaves out what is cold, and has to know what that is.
        self.tier.remember(place, found)
        self.tier.tell(place.table_id, place.partition.encode())
        watermark = found.manifest.watermark if found.manifest is not None else 0
        return hot_rows(self.rows, place.partition.encode(), self.view, self.upto, watermark)

    def _following(
        self, place: ColdPlace, old: Manifest | None, made: Sequence[SegmentInfo]
    ) -> Manifest | None:
        schema = self.rows.schema
        if made and not _names(old, made):
            if old is not None:
                return old.following(
                    (*old.segments, *made), schema_version=schema.version, watermark=self.upto
                )
            return Manifest(
                owner=Owner(self.tier.database_id, schema.table_id),
                namespace_id=schema.namespace,
                table_name=schema.name,
                user_id=place.partition or None,
                schema_version=schema.version,
                generation=1,
                watermark=self.upto,
                segments=tuple(made),
            )
        if old is not None and old.generation > place.generation:
            # A crash came between it and the place that tells of it, or its outcome was not known: it may be in the
            # page cache alone. Hot rows are let go for its sake, so it is written once more.
            return again(old)
        return None


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
    chosen = context.parameters.get("partitions")
    places = tier.places.of_table(schema.table_id)
    watermarks = {partition: place.watermark for partition, place in places.items()}
    unflushed = {
        partition: count
        for partition, count, oldest in engine.store.unflushed(schema.table_id, watermarks)
        if oldest
    }
    wanted = sorted(unflushed if chosen is None else set(unflushed) & {name.encode() for name in chosen})
    numbers = iter(engine.store.durable_snowflake_id, None)
    flush = _Flush(
        tier, tier.writer(schema), engine.rows(schema, tier.history(schema.table_id)), view, upto, numbers
    )
    done_rows = done_bytes = flushed = 0
    for start in range(0, len(wanted), PARTITIONS_AT_ONCE):
        some = wanted[start : start + PARTITIONS_AT_ONCE]
        fresh = [tier.new_place(schema, partition) for partition in some if partition not in places]
        for storage_id in {place.storage_id for place in fresh}:
            tier.require_storage(storage_id)
        tier.places.write(fresh, tier.now())
        places |= {place.partition.encode(): place for place in fresh}
        ended: list[ColdPlace] = []
        try:
            for place in _flushed(flush, [places[partition] for partition in some], unflushed, context):
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
    many = [
        places[partition]
        for partition in wanted
        if has_many_segments(places[partition], tier.segment_bytes_max)
    ]
    if list(compact_places(tier, schema, many, context)):
        tier.checkpoint()
    if done_rows >= MANY_ROWS:
        _give_back_memory()
    return f"flushed {flushed} partition(s)"


def _give_back_memory() -> None:
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    release_free_memory()


def _flushed(
    flush: _Flush, places: Sequence[ColdPlace], rows: Mapping[bytes, int], context: JobContext
) -> Iterator[ColdPlace]:
    """Each partition's new place, once it is flushed.

    Whatever fails, or ends the job, what was begun is ended, and given, before that is raised.
    """
    groups, alone = small_and_large(flush.tier, ((place, rows[place.partition.encode()]) for place in places))
    for ended in work_in_groups(flush, groups, context):
        yield from ended
    for place in alone:
        context.check()
        with flush.tier.gate.passed():
            flushed = flush.alone(place)
        if flushed is not None:
            yield flushed


def _names(manifest: Manifest | None, made: Iterable[SegmentInfo]) -> bool:
    return manifest is not None and {info.file for info in made} <= {info.file for info in manifest.segments}


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
