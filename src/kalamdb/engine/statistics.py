"""The figures of a database: what it holds, where, and how much memory that takes.

The core counts what is in memory and in hot segments. What is cold is told by the reserved table of cold partitions, so
that no storage is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalamdb.engine.cold_schema import COLD_PARTITIONS, COLD_PARTITIONS_ID, cold_partition_key

if TYPE_CHECKING:
    from kalamdb.engine.engine import Engine

FIGURES: dict[str, str] = {
    "rows": "versions of rows in all tiers; tombstones and kalamdb's own rows too, and twice what is hot and cold",
    "bytes": "on disks and in storages: log, hot and cold segments",
    "segments": "hot and cold segments",
    "memory_bytes": "memtables, STREAM rows, and what is held of segments",
    "jobs": "jobs that wait or run",
    "memtable_bytes": "of that memory: memtables",
    "memtable_entries": "versions of rows in memtables",
    "memtable_row_bytes": "what one of them takes there, its share of everything",
    "stream_bytes": "of that memory: STREAM rows",
    "stream_rows": "STREAM rows",
    "log_bytes": "bytes of the log that have been written and not let go",
    "last_sequence": "`_seq` of the newest row version",
    "hot_segments": "hot segments",
    "hot_bytes": "bytes of hot segments",
    "hot_rows": "versions of rows in hot segments",
    "hot_index_bytes": "of that memory: indexes of hot segments",
    "hot_cache_bytes": "of that memory: recent blocks of hot segments",
    "cold_cache_bytes": "of that memory: decoded cold segments",
    "cold_partitions": "partitions of which something is cold",
    "cold_segments": "cold segments",
    "cold_rows": "versions of rows in cold segments",
    "cold_bytes": "bytes of cold segments",
}
"""What each figure of system.stats counts."""

_COLD = [COLD_PARTITIONS.position(name) for name in ("generation", "segments", "rows", "bytes")]


def figures(engine: Engine, jobs: int) -> dict[str, int]:
    """All of FIGURES, in their order."""
    found = engine.store.statistics()
    found |= _cold_figures(engine)
    found["rows"] = found["memtable_entries"] + found["stream_rows"] + found["hot_rows"] + found["cold_rows"]
    found["bytes"] = found["log_bytes"] + found["hot_bytes"] + found["cold_bytes"]
    found["segments"] = found["hot_segments"] + found["cold_segments"]
    found["memory_bytes"] = sum(
        found[name]
        for name in (
            "memtable_bytes",
            "stream_bytes",
            "hot_index_bytes",
            "hot_cache_bytes",
            "cold_cache_bytes",
        )
    )
    found["memtable_row_bytes"] = found["memtable_bytes"] // max(found["memtable_entries"], 1)
    found["jobs"] = jobs
    return {name: found[name] for name in FIGURES}


def cold_partition_figures(engine: Engine, table_id: int, partition: bytes) -> dict[str, int]:
    """What is cold of one partition: its segments, versions of rows and bytes."""
    view = engine.view()
    reader = engine.rows(COLD_PARTITIONS, [COLD_PARTITIONS]).reader
    key = cold_partition_key(table_id, partition)
    found: Any = view.get(COLD_PARTITIONS_ID, b"", key, view.snapshot, reader, _COLD)
    _, segments, rows, size = found or (0, 0, 0, 0)
    return {"cold_segments": segments, "cold_rows": rows, "cold_bytes": size}


def _cold_figures(engine: Engine) -> dict[str, int]:
    view = engine.view()
    found: list[tuple[Any, ...]] = []
    if view.count(COLD_PARTITIONS_ID, b"", view.snapshot):
        reader = engine.rows(COLD_PARTITIONS, [COLD_PARTITIONS]).reader
        found = view.scan(COLD_PARTITIONS_ID, b"", view.snapshot, reader, _COLD)
    return {
        "cold_partitions": sum(generation > 0 for generation, *_ in found),
        "cold_segments": sum(segments for _, segments, _, _ in found),
        "cold_rows": sum(rows for _, _, rows, _ in found),
        "cold_bytes": sum(size for *_, size in found),
    }
