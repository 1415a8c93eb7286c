"""Where the cold rows of each partition are: rows of a reserved table, in the same log as everything else.

A row is written before the first file of a partition is (generation 0), and again after each manifest. So no file of a
storage is ever asked for before the log knows of it, and what a crash interrupts is found by whoever reads the
partition next: the manifest is right, the row may be one generation behind.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kalamcore.store import Readable, WriteBatch
from kalamdb.engine.cold_schema import COLD_PARTITIONS, COLD_PARTITIONS_ID, cold_partition_key, key_range
from kalamdb.engine.engine import Engine

_WHERE = [COLD_PARTITIONS.position(name) for name in ("key", "storage_id", "generation")]


@dataclass(frozen=True, slots=True)
class ColdPlace:
    """One partition's row."""

    table_id: int
    partition: str
    storage_id: str
    folder: str
    generation: int = 0
    watermark: int = 0
    """Up to which sequence number its rows are cold."""
    segments: int = 0
    rows: int = 0
    bytes: int = 0

    @property
    def key(self) -> str:
        """Its primary key."""
        return f"{self.table_id}.{self.partition}"


class ColdPlaces:
    """Reads and writes them. Safe for threads; of one table by one job at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rows = engine.rows(COLD_PARTITIONS, [COLD_PARTITIONS])

    def find(self, table_id: int, partition: bytes, view: Readable | None = None) -> ColdPlace | None:
        """A partition's row, or None: it has nothing cold."""
        reader = self._engine.view() if view is None else view
        key = cold_partition_key(table_id, partition)
        values = reader.get(COLD_PARTITIONS_ID, b"", key, reader.snapshot, self._rows.reader)  # type: ignore[attr-defined]
        return None if values is None else _place(values)

    def of_table(self, table_id: int) -> dict[bytes, ColdPlace]:
        """All rows of a table, by partition."""
        view = self._engine.view()
        low, high = key_range(table_id)
        found = view.scan(COLD_PARTITIONS_ID, b"", view.snapshot, self._rows.reader, low=low, high=high)
        places = map(_place, found)
        return {place.partition.encode(): place for place in places}

    def tables_in(self, storage_id: str) -> set[int]:
        """The ids of tables that have a manifest in a storage, those too that were dropped and are not removed yet."""
        view = self._engine.view()
        found = view.scan(COLD_PARTITIONS_ID, b"", view.snapshot, self._rows.reader, _WHERE)
        return {
            int(key.partition(".")[0])  # type: ignore[attr-defined]
            for key, place, generation in found
            if place == storage_id and generation
        }

    def write(self, places: Sequence[ColdPlace], now: datetime.datetime) -> None:
        """Make or replace their rows, in one durable commit."""
        view = self._engine.view()
        batch = WriteBatch(view.snapshot)
        for place in places:
            old = self.find(place.table_id, place.partition.encode(), view)
            write = batch.insert if old is None else batch.replace
            write(COLD_PARTITIONS_ID, b"", self._rows.layout, _values(place, now))
        if places:
            self._engine.commit(batch, sync=True)

    def remove(self, places: Sequence[ColdPlace], now: datetime.datetime) -> None:
        """Forget them, in one durable commit."""
        batch = WriteBatch(self._engine.snapshot())
        for place in places:
            batch.delete(COLD_PARTITIONS_ID, b"", self._rows.layout, _values(place, now))
        if places:
            self._engine.commit(batch, sync=True)


def _values(place: ColdPlace, now: datetime.datetime) -> tuple[object, ...]:
    return (
        place.key,
        place.storage_id,
        place.folder,
        place.generation,
        place.watermark,
        place.segments,
        place.rows,
        place.bytes,
        now,
    )


def _place(values: Sequence[Any]) -> ColdPlace:
    key, storage_id, folder, generation, watermark, segments, rows, size, _ = values
    table_id, _, partition = key.partition(".")
    return ColdPlace(
        int(table_id), partition, storage_id, folder, generation, watermark, segments, rows, size
    )
