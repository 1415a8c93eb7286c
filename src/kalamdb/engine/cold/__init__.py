"""Cold rows at work: flushed from hot segments, compacted, read back where a statement needs them."""

from kalamdb.engine.cold.compaction import compact_table
from kalamdb.engine.cold.erasing import erase_partition
from kalamdb.engine.cold.flush import flush_table
from kalamdb.engine.cold.policies import due_flushes
from kalamdb.engine.cold.removal import remove_table
from kalamdb.engine.cold.scanning import cold_rows
from kalamdb.engine.cold.tier import ColdTier, LoadedPartition

__all__ = [
    "ColdTier",
    "LoadedPartition",
    "cold_rows",
    "compact_table",
    "due_flushes",
    "erase_partition",
    "flush_table",
    "remove_table",
]
