"""Cold rows as Arrow, for queries that go through all of a partition: only the columns asked for are read and decoded.

What is hot of the same partition is read by the core; keys that it has a version of are left out here. So both together
are `hot UNION ALL (cold ANTI JOIN hot keys)`, and where nothing overlaps nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kalamcore.errors import WriteConflictError
from kalamdb.engine.cold.tier import ColdTier, LoadedPartition, LoadedSegment
from kalamdb.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

SEQUENCE, DELETED = "_seq", "_deleted"


def cold_rows(
    tier: ColdTier,
    partition: LoadedPartition,
    columns: Sequence[Column],
    key: Column,
    snapshot: int,
    hidden: pa.Array,
    *,
    deleted: bool,
) -> Iterator[pa.RecordBatch]:
    """Rows of cold segments that a snapshot shows, but for the keys `hidden`: `columns`, then _seq and _deleted.

    `key`: the key's column; `deleted`: with tombstones. Raises the core's WriteConflictError where an older version may
    have been compacted away that the snapshot would show, Corruption, StorageUnavailable.
    """
    newest_first = list(reversed(partition.segments))
    for number, segment in enumerate(newest_first):
        older = newest_first[number + 1 :]
        wanted = columns if key in columns else (*columns, key)
        keys = []
        overlapped = any(_overlap(segment, other) for other in older)
        for batch in _visible(tier, partition, segment, tuple(wanted), snapshot):
            if overlapped:
                keys.append(batch.column(wanted.index(key)))
            rows = _without(batch, batch.column(wanted.index(key)), hidden)
            if not deleted and segment.info.tombstones:
                rows = _living(rows)
            if rows.num_rows:
                yield rows if key in columns else _dropped(rows, len(columns))
        if keys:
            hidden = _joined([hidden, *keys])


def _visible(
    tier: ColdTier,
    partition: LoadedPartition,
    segment: LoadedSegment,
    columns: tuple[Column, ...],
    snapshot: int,
) -> Iterator[pa.RecordBatch]:
    """A segment's rows that are not above the snapshot."""
    import pyarrow.compute as pc

    info, folder = segment.info, partition.place.folder
    above = info.max_seq > snapshot
    if above and snapshot < tier.complete_from.get(f"{folder}/{info.file}", 0):
        raise WriteConflictError("the snapshot is not kept any more; evaluate the statement anew", -1)
    reader = tier.reader(partition.place.storage_id)
    for batch in reader.read_row_groups(folder, info, range(info.row_groups), columns):
        yield batch.filter(pc.less_equal(batch.column(SEQUENCE), snapshot)) if above else batch


def _overlap(one: LoadedSegment, other: LoadedSegment) -> bool:
    high, other_high = one.info.max_key, other.info.max_key
    return (high is None or other.info.min_key <= high) and (
        other_high is None or one.info.min_key <= other_high
    )


def _without(batch: pa.RecordBatch, keys: pa.Array, hidden: pa.Array) -> pa.RecordBatch:
    import pyarrow.compute as pc

    if not len(hidden) or not len(keys):
        return batch
    found = pc.is_in(keys, value_set=hidden)
    return batch.filter(pc.invert(found)) if found.true_count else batch


def _living(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow.compute as pc

    gone = batch.column(DELETED)
    return batch.filter(pc.invert(gone)) if gone.true_count else batch


def _dropped(batch: pa.RecordBatch, position: int) -> pa.RecordBatch:
    return batch.remove_column(position)


def _joined(arrays: Sequence[pa.Array]) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays([array for array in arrays if len(array)] or [arrays[-1]])
