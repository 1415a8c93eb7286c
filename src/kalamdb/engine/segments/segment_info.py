"""What a manifest says of one cold segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kalamdb.engine.segments.bounds import ANY_KEY, ColumnBounds, ColumnRange, KeyRange, as_type
from kalamdb.engine.segments.key_filter import key_hash, may_contain
from kalamdb.errors import Corruption
from kalamdb.schema import Column
from kalamdb.types import DataType


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One cold segment. The words are those of docs/formats.md, "The manifest"."""

    file: str
    rows: int
    tombstones: int
    size_bytes: int
    columns: Mapping[int, ColumnBounds]
    min_key: bytes
    max_key: bytes | None
    """None: no upper bound is known."""
    min_seq: int
    max_seq: int
    schema_version: int
    row_groups: int
    index_offset: int
    tail_offset: int
    checksum: bytes
    index_checksum: bytes
    tail_checksum: bytes
    key_filters: tuple[bytes, ...] | None = None
    """One for each row group; None: they are in the segment, or there are none."""

    def may_hold(self, key: bytes, key_type: DataType) -> bool:
        """False where it is certain, without asking the storage, that no row has this encoded key."""
        if key < self.min_key or (self.max_key is not None and key > self.max_key):
            return False
        if self.key_filters is None:
            return True
        hashed = key_hash(key, key_type)
        return any(may_contain(bits, hashed) for bits in self.key_filters)

    def may_match(
        self, keys: KeyRange = ANY_KEY, ranges: Sequence[ColumnRange] = (), columns: Sequence[Column] = ()
    ) -> bool:
        """False where it is certain, without asking the storage, that no row lies in all of these ranges.

        `columns`: the table's present ones, those of `ranges` among them.
        """
        if keys.high is not None and keys.high < self.min_key:
            return False
        if keys.low is not None and self.max_key is not None and keys.low > self.max_key:
            return False
        types = {column.id: column for column in columns}
        return all(self._may_match(range_, types[range_.column_id]) for range_ in ranges)

    def _may_match(self, range_: ColumnRange, column: Column) -> bool:
        bounds = self.columns.get(column.id)
        try:
            return self._meets(range_, bounds, column)
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            raise Corruption(
                f"{self.file}: its bounds of column {column.id} in the manifest are no values of its type; bring the "
                "manifest back from a backup"
            ) from error

    def _meets(self, range_: ColumnRange, bounds: ColumnBounds | None, column: Column) -> bool:
        if bounds is None:
            # Written before the column was added: every row reads the one value.
            return column.missing is not None and range_.meets(column.missing, column.missing)
        if bounds.nulls == self.rows:
            return False
        return range_.meets(as_type(bounds.min, column.type), as_type(bounds.max, column.type))
