"""Flush: hot rows of a table become cold segments, partition by partition.

The order is the point. What memory holds is checkpointed, so that hot segments hold all rows up to a sequence number.
The places of new partitions are written to the log; then, for each partition or for many small ones together, all
segments are written, then manifests, which are the commit points; then the log learns the new watermarks, reads go by
the manifests, and last of all the hot rows are let go. A crash between any two steps loses nothing and repeats nothing:
rows that are both hot and cold are the same versions, and count once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalamcore.store import View
from kalamcore.system import release_free_memory
from kalamdb.engine.cold.compaction import again, compact_partition, has_many_segments
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import (
    Commit,
    Found,
    Manifest,
    Owner,
    SegmentInfo,
    SegmentWriter,
    commit,
    commit_all,
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
SMALL_ROWS = 4096
"""Partitions of no more rows are written many at a time."""
GROUP_PARTITIONS = 64
GROUP_ROWS = 8 * SMALL_ROWS
"""Of partitions that are written together."""
MANY_ROWS = 100_000
"""After a flush of more rows, what allocators keep of the memory it took is given back."""
COMMITS_MAX = 8
SEQUENCE, DELETED = -1, -3


@dataclass(frozen=True, slots=True)
class _Flush:
    """What the flush of each partition of a table goes by."""

    tier: ColdTier
    writer: SegmentWriter
    rows: TableRows
    view: View
    upto: int
    numbers: Iterator[int]
    """Of the segments' files."""


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


def _flushed(
    flush: _Flush, places: Sequence[ColdPlace], rows: Mapping[bytes, int], context: JobContext
) -> Iterator[ColdPlace]:
    """Each partition's new place, once it is flushed. Small ones go in groups, whose files are written and synced
    together; large ones, which take memory, one at a time.

    Whatever fails, or ends the job, what was begun is ended, and given, before that is raised.
    """
    small = [place for place in places if rows[place.partition.encode()] <= SMALL_ROWS]
    alone = [place for place in places if rows[place.partition.encode()] > SMALL_ROWS]
    if len(small) < flush.tier.together_min:
        small, alone = [], list(places)
    if small:
        yield from _in_groups(flush, _groups(small, rows), context)
    for place in alone:
        context.check()
        with flush.tier.gate.passed():
            ended = _flush_partition(flush, place)
        if ended is not None:
            yield ended


def _groups(places: Iterable[ColdPlace], rows: Mapping[bytes, int]) -> Iterator[list[ColdPlace]]:
    """Partitions of the same storage that together are not too many nor too large."""
    by_storage = sorted(places, key=lambda place: place.storage_id)
    for _, some in itertools.groupby(by_storage, key=lambda place: place.storage_id):
        group: list[ColdPlace] = []
        group_rows = 0
        for place in some:
            count = rows[place.partition.encode()]
            if group and (len(group) == GROUP_PARTITIONS or group_rows + count > GROUP_ROWS):
                yield group
                group, group_rows = [], 0
            group.append(place)
            group_rows += count
        yield group


def _in_groups(
    flush: _Flush, groups: Iterable[Sequence[ColdPlace]], context: JobContext
) -> Iterator[ColdPlace]:
    """See _flushed. While one group waits for the disk, the next is made ready."""
    failure: Exception | None = None
    with ThreadPoolExecutor(1, "kalamdb-flush") as pool:
        written: Future[_Ended] | None = None
        for group in groups:
            ready, unready = _made_ready(flush, group, context)
            if written is not None:
                ended = written.result()
                yield from ended.places
                failure = ended.failure
                if failure is not None:
                    # What was made ready for a storage that fails is nothing yet.
                    break
            written = pool.submit(_write_group, flush, ready)
            if unready is not None:
                break
        else:
            unready = None
        if failure is None and written is not None:
            ended = written.result()
            yield from ended.places
            failure = ended.failure or unready
    if failure is not None:
        raise failure


@dataclass(frozen=True, slots=True)
class _Ready:
    """A partition's rows as segments that no storage has yet."""

    place: ColdPlace
    found: Found
    segments: list[tuple[SegmentInfo, bytes]]


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a group: those that are flushed, and the first failure of another."""

    places: list[ColdPlace]
    failure: Error | None


def _made_ready(
    flush: _Flush, group: Sequence[ColdPlace], context: JobContext
) -> tuple[list[_Ready], Exception | None]:
    """Those of the group that could be, and why the others were not."""
    ready: list[_Ready] = []
    try:
        for place, found in zip(group, flush.tier.require_manifests(group), strict=True):
            context.check()
            if isinstance(found, Error):
                raise found
            require_own(place.folder, found)
            rows = _unflushed_rows(flush, place, found)
            ready.append(_Ready(place, found, list(flush.writer.encode(rows, flush.numbers))))
    except Exception as error:
        return ready, error
    return ready, None


def _write_group(flush: _Flush, group: Sequence[_Ready]) -> _Ended:
    """Write all segments of some partitions of the same storage, and then commit the manifests of those that are whole.
    What goes wrong with one of them is no other's concern."""
    ended: list[ColdPlace] = []
    failures: list[Error] = []
    if not group:
        return _Ended(ended, None)
    backend = flush.tier.backend(group[0].place.storage_id)
    with flush.tier.gate.passed():
        answers = iter(
            backend.write_all(
                [(f"{one.place.folder}/{info.file}", data) for one in group for info, data in one.segments]
            )
        )
        commits: list[tuple[_Ready, Manifest]] = []
        for one in group:
            failed = [error for error in itertools.islice(answers, len(one.segments)) if error is not None]
            failures += failed
            new = None if failed else _next(flush, one.place, one.found, [info for info, _ in one.segments])
            if new is not None:
                commits.append((one, new))
        committed = commit_all(backend, [Commit(one.place.folder, one.found, new) for one, new in commits])
        for (one, _), answer in zip(commits, committed, strict=True):
            if isinstance(answer, Found):
                ended.append(_remembered(flush, one.place, answer))
                continue
            if not isinstance(answer, (StorageConflict, StorageOutcomeUnknown)):
                failures.append(answer)
                continue
            try:
                place = _flush_partition(flush, one.place, [info for info, _ in one.segments])
            except Error as error:
                failures.append(error)
            else:
                ended += [] if place is None else [place]
    return _Ended(ended, failures[0] if failures else None)


def _flush_partition(
    flush: _Flush, place: ColdPlace, made: Sequence[SegmentInfo] | None = None
) -> ColdPlace | None:
    """Write one partition's hot rows as segments, unless they are `made`, and commit its manifest; None where nothing
    was to be written."""
    backend = flush.tier.backend(place.storage_id)
    for attempt in range(COMMITS_MAX):
        found = _manifest(flush, place)
        if made is None:
            made = flush.writer.write(
                backend, place.folder, _unflushed_rows(flush, place, found), flush.numbers
            )
        new = _next(flush, place, found, made)
        if new is None:
            return None
        try:
            return _remembered(flush, place, commit(backend, place.folder, found, new))
        except (StorageConflict, StorageOutcomeUnknown):
            if attempt + 1 == COMMITS_MAX:
                raise
    raise AssertionError("the last attempt returns or raises")


def _manifest(flush: _Flush, place: ColdPlace) -> Found:
    found = flush.tier.require_manifest(place)
    require_own(place.folder, found)
    return found


def _unflushed_rows(flush: _Flush, place: ColdPlace, found: Found) -> Iterator[pa.RecordBatch]:
    # What is read leaves out what is cold, and has to know what that is.
    flush.tier.remember(place, found)
    flush.tier.tell(place.table_id, place.partition.encode())
    watermark = found.manifest.watermark if found.manifest is not None else 0
    return hot_rows(flush.rows, place.partition.encode(), flush.view, flush.upto, watermark)


def _next(flush: _Flush, place: ColdPlace, found: Found, made: Sequence[SegmentInfo]) -> Manifest | None:
    """The manifest that is to follow what was found; None where nothing is to."""
    old = found.manifest
    if made and not _names(old, made):
        return _following(flush, place, old, tuple(made))
    if old is not None and old.generation > place.generation:
        # A crash came between it and the place that tells of it, or its outcome was not known: it may be in the
        # page cache alone. Hot rows are let go for its sake, so it is written once more.
        return again(old)
    return None


def _remembered(flush: _Flush, place: ColdPlace, committed: Found) -> ColdPlace:
    """The place as a manifest that was committed has it."""
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
    flush.tier.remember(ended, committed)
    return ended


def _names(manifest: Manifest | None, made: Iterable[SegmentInfo]) -> bool:
    return manifest is not None and {info.file for info in made} <= {info.file for info in manifest.segments}


def _following(
    flush: _Flush, place: ColdPlace, old: Manifest | None, made: tuple[SegmentInfo, ...]
) -> Manifest:
    schema = flush.rows.schema
    if old is not None:
        return old.following((*old.segments, *made), schema_version=schema.version, watermark=flush.upto)
    return Manifest(
        owner=Owner(flush.tier.database_id, schema.table_id),
        namespace_id=schema.namespace,
        table_name=schema.name,
        user_id=place.partition or None,
        schema_version=schema.version,
        generation=1,
        watermark=flush.upto,
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
