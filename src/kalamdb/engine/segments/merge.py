"""Several sources of one partition's rows as one: of each key the newest version, each key once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from kalamdb.engine.segments.layout import DELETED, SEQUENCE
from kalamdb.errors import InternalError

if TYPE_CHECKING:
    import pyarrow as pa


def merge(
    sources: Sequence[Iterable[pa.RecordBatch]], key: str, *, expired_seq: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of all sources, sorted by `key`: of each key the version with the largest `_seq`, others are dropped.

    Each source is sorted by key and has each key once; all have the same columns, `_seq` and `_deleted` among them. A
    batch of each is in memory at a time.

    A tombstone is kept, as an older segment that is not merged may have the row it hides. `expired_seq`: nothing older
    is left out, so that the result is the partition's base, and tombstones up to this sequence number are past their
    retention: they are dropped, too.
    """
    heads = [head for source in sources if (head := _Head(source, key)).batch is not None]
    while heads:
        if len(heads) == 1:
            # Nothing overlaps any more: the rest goes through as it is.
            (head,) = heads
            while head.batch is not None:
                yield from _kept(head.batch, expired_seq)
                head.advance()
            return
        # Up to here every source has shown all of its rows. At least one head is used up, so that it goes on.
        bound = _least([head.last for head in heads])
        yield from _kept(_newest([head.take_to(bound) for head in heads], key), expired_seq)
        heads = [head for head in heads if head.batch is not None]


class _Head:
    """A source, and the batch at which it stands."""

    def __init__(self, source: Iterable[pa.RecordBatch], key: str) -> None:
        self._rest = iter(source)
        self._key = key
        self._before: pa.Scalar | None = None
        self.batch: pa.RecordBatch | None = None
        self.advance()

    @property
    def last(self) -> pa.Scalar:
        assert self.batch is not None
        return self.batch.column(self._key)[-1]

    def advance(self) -> None:
        """On to the next batch that has rows."""
        import pyarrow.compute as pc

        self.batch = next((batch for batch in self._rest if batch.num_rows), None)
        if self.batch is None:
            return
        keys = self.batch.column(self._key)
        rising = pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()
        if not rising or (self._before is not None and not pc.less(self._before, keys[0]).as_py()):
            raise InternalError("rows to be merged are not sorted by key; report it")
        self._before = keys[-1]

    def take_to(self, bound: pa.Scalar) -> pa.RecordBatch | None:
        """The rows up to a key, which leave the head; None for none."""
        import pyarrow.compute as pc

        assert self.batch is not None
        keys = self.batch.column(self._key)
        if pc.less_equal(keys[-1], bound).as_py():
            taken = self.batch
            self.advance()
            return taken
        # Sorted, so that those up to the bound come first.
        count = pc.sum(pc.less_equal(keys, bound)).as_py()
        taken = self.batch.slice(0, count)
        self.batch = self.batch.slice(count)
        return taken if count else None


def _least(keys: Sequence[pa.Scalar]) -> pa.Scalar:
    import pyarrow.compute as pc

    least = keys[0]
    for key in keys[1:]:
        if pc.less(key, least).as_py():
            least = key
    return least


def _newest(parts: Sequence[pa.RecordBatch | None], key: str) -> pa.RecordBatch:
    """The rows of all parts in key order, of each key the newest."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = [part for part in parts if part is not None]
    if len(there) == 1:
        return there[0]
    rows = pa.concat_batches(there)
    order = pc.sort_indices(
        pa.table({"key": rows.column(key), "seq": rows.column(SEQUENCE)}),
        sort_keys=[("key", "ascending"), ("seq", "descending")],
    )
    keys = rows.column(key).take(order)
    first = pa.concat_arrays([pa.array([True]), pc.not_equal(keys[:-1], keys[1:])])
    return rows.take(order.filter(first))


def _kept(rows: pa.RecordBatch, expired_seq: int | None) -> Iterator[pa.RecordBatch]:
    import pyarrow.compute as pc

    if expired_seq is not None and rows.column(DELETED).true_count:
        expired = pc.and_(rows.column(DELETED), pc.less_equal(rows.column(SEQUENCE), expired_seq))
        rows = rows.filter(pc.invert(expired))
    if rows.num_rows:
        yield rows
