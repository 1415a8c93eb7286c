"""Erasing: a partition's cold files go, then its hot rows, so that no file of the table holds a byte of it."""

from __future__ import annotations

from kalamdb.engine.cold.removal import remove_partition
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.schema import TableSchema


def erase_partition(tier: ColdTier, schema: TableSchema, partition: bytes, context: JobContext) -> None:
    """Remove all of a partition but what the log has of it. REQUIRES: no flush of the table is under way.

    A crash in between leaves the place in the log, so that who erases again finds the files. Raises the core's errors.
    """
    with tier.files.held(context.check):
        place = tier.places.of_table(schema.table_id).get(partition)
        if place is not None:
            remove_partition(tier, place)
            tier.places.remove([place], tier.now())
            tier.forget(schema.table_id, partition)
        tier.engine.store.erase_partition([schema.table_id], partition)
