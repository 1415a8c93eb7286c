"""What nothing names any more goes: files of dropped tables, and leftovers of flushes and compactions."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Found, Owner, leftovers
from kalamdb.engine.segments.manifest import MANIFEST, PREVIOUS
from kalamdb.errors import Corruption, SegmentMissing, StorageUnavailable
from kalamdb.storage.backend import require_files


def remove_leftovers(tier: ColdTier, place: ColdPlace, *, grace_s: float | None = None) -> int:
    """Remove files of a partition's folder that no manifest named a grace time ago already; how many.

    Leaves all of them while a backup needs files to stay. REQUIRES: no flush or compaction of the partition is under
    way.
    """
    with tier.files.cleaning() as may:
        return _remove_leftovers(tier, place, grace_s) if may else 0


def _remove_leftovers(tier: ColdTier, place: ColdPlace, grace_s: float | None) -> int:
    grace = tier.grace_s if grace_s is None else grace_s
    backend = tier.backend(place.storage_id)
    now = time.monotonic()
    removed = 0
    for path in leftovers(backend, place.folder, Owner(tier.database_id, place.table_id)):
        first_seen = tier.leftovers_seen.setdefault((place.storage_id, path), now)
        if now - first_seen >= grace:
            backend.delete(path)
            tier.leftovers_seen.pop((place.storage_id, path), None)
            tier.complete_from.pop(path, None)
            removed += 1
    return removed


def remove_table(tier: ColdTier, table_id: int, context: JobContext) -> str:
    """Remove every cold file of a table that was dropped, then what the log knows of them.

    Not while a transaction is open that began before and sees the table as it was: raises StorageUnavailable then.
    """
    oldest = tier.oldest_snapshot()
    if oldest is not None and oldest < tier.engine.snapshot():
        # Tried again later. To wait here would hold up a new table of the same name, whose files have the same folder.
        raise StorageUnavailable(
            f"an open transaction still sees {context.namespace}.{context.table}, which was dropped; its files are "
            "removed once that has ended"
        )
    with tier.files.held(context.check):
        places = list(tier.places.of_table(table_id).values())
        # While there is something: once all is removed, an empty storage looks like one that is not mounted. From here
        # on that is no reason to wait, whatever a crash leaves.
        for storage_id in {place.storage_id for place in places if place.generation}:
            require_files(tier.backend(storage_id))
        begun = [replace(place, generation=0) for place in places if place.generation]
        tier.places.write(begun, tier.now())
        places = list(tier.places.of_table(table_id).values())
        for place in places:
            context.check()
            remove_partition(tier, place)
        tier.places.remove(places, tier.now())
        tier.forget_table(table_id)
    return f"removed {len(places)} partition(s)"


def remove_partition(tier: ColdTier, place: ColdPlace) -> None:
    """Remove a partition's files: segments, then the generation before, then the manifest that says whose they are.

    Where another table has its manifest there by now, the rest is its leftovers; where none is yet, what is there was
    written by a flush that did not end. Raises StorageUnavailable.
    """
    backend = tier.backend(place.storage_id)
    try:
        found = tier.find_manifest(place)
    except Corruption:
        # Damaged or lost: it goes all the same, as nobody else's can be in this place.
        found = Found()
    if found.manifest is None and place.generation:
        # Removed by a job that did not get to its end, unless the whole storage is away: then it is not over.
        with contextlib.suppress(SegmentMissing):
            backend.size(f"{place.folder}/{MANIFEST}")
    if found.leftover is not None or found.foreign is not None:
        return
    for path in list(backend.list(place.folder)):
        name = path[len(place.folder) + 1 :]
        if "/" not in name and name not in (MANIFEST, PREVIOUS):
            backend.delete(path)
    backend.delete(f"{place.folder}/{PREVIOUS}")
    backend.delete(f"{place.folder}/{MANIFEST}")
