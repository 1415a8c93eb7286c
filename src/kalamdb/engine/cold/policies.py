"""Which tables are due for a flush: by a partition's rows, by the age of its oldest unflushed row, by hot bytes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import FLUSH, JobRequest
from kalamdb.schema import TableKind, TableSchema

_EPOCH = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def due_flushes(
    tier: ColdTier, tables: Iterable[TableSchema], now: datetime.datetime, hot_budget_bytes: int
) -> Iterator[JobRequest]:
    """What is to be flushed now."""
    tables = [table for table in tables if table.kind is not TableKind.STREAM]
    intervals = [
        table.options.flush_interval_s for table in tables if table.options.flush_interval_s is not None
    ]
    if intervals and tier.checkpoint_age_s() >= min(intervals) / 2:
        # Rows have an age that can be asked for once they are in segments.
        tier.checkpoint()
    for schema in tables:
        options = schema.options
        if options.flush_rows is None and options.flush_interval_s is None:
            continue
        partitions = [
            partition.decode()
            for partition, rows, oldest in _unflushed(tier, schema)
            if (options.flush_rows is not None and rows >= options.flush_rows)
            or (options.flush_interval_s is not None and _age_s(oldest, now) >= options.flush_interval_s)
        ]
        if partitions:
            yield JobRequest(FLUSH, schema.namespace, schema.name, {"partitions": sorted(partitions)})
    excess = tier.engine.store.statistics()["hot_bytes"] - hot_budget_bytes
    if excess > 0:
        yield from _largest(tier, tables, excess)


def _unflushed(tier: ColdTier, schema: TableSchema) -> list[tuple[bytes, int, int]]:
    places = tier.places.of_table(schema.table_id)
    watermarks = {partition: place.watermark for partition, place in places.items()}
    return tier.engine.store.unflushed(schema.table_id, watermarks)


def _age_s(oldest: int, now: datetime.datetime) -> float:
    """Of a row, from its sequence number. What is in memory alone has none yet: the next checkpoint gives it one."""
    if not oldest:
        return -1.0
    return (now - _EPOCH).total_seconds() - (oldest >> 22) / 1000


def _largest(tier: ColdTier, tables: list[TableSchema], excess_bytes: int) -> Iterator[JobRequest]:
    """The partitions with the most rows, until what they may take is beyond the budget's excess."""
    statistics = tier.engine.store.statistics()
    row_bytes = max(1, statistics["hot_bytes"] // max(1, statistics["hot_rows"]))
    found = [
        (rows, schema, partition)
        for schema in tables
        for partition, rows, oldest in _unflushed(tier, schema)
        if oldest
    ]
    found.sort(key=lambda one: one[0], reverse=True)
    chosen: dict[int, tuple[TableSchema, list[str]]] = {}
    for rows, schema, partition in found:
        if excess_bytes <= 0:
            break
        chosen.setdefault(schema.table_id, (schema, []))[1].append(partition.decode())
        excess_bytes -= rows * row_bytes
    for schema, partitions in chosen.values():
        yield JobRequest(FLUSH, schema.namespace, schema.name, {"partitions": sorted(partitions)})
