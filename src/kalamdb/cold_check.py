"""Looking through what is cold, and letting go of what of it cannot be read: the storages' half of check and repair.

Every partition that the log tells of is looked at: its manifest, and every byte of the segments that it names. A repair
takes damaged segments out of the manifest; where that itself is lost, the generation before takes its place, if it is
whole, and else the partition's cold rows are given up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.engine.cold import ColdTier
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.removal import remove_partition
from kalamdb.engine.segments import Found, Manifest, SegmentInfo, commit, load_previous
from kalamdb.engine.segments.manifest import MANIFEST
from kalamdb.errors import Corruption, Error, StorageUnavailable, UndefinedObject
from kalamdb.settings import load_settings


@dataclass(frozen=True, slots=True)
class ColdDamage:
    """One partition of which something is not what was written. `file`: the storage's id and a path in it."""

    place: ColdPlace
    file: str
    what: str
    segment: SegmentInfo | None = None
    """None: it is the manifest."""


def cold_damage(directory: str) -> list[ColdDamage]:
    """What is wrong with the cold rows of a database that nobody has open; changes nothing.

    Nothing where the database itself cannot be read: that is told by the other half. Raises UnknownFormat.
    """
    for access in ("log", "checkpoint"):
        try:
            database = _opened(directory, access)
        except (Corruption, StorageUnavailable):
            continue
        with contextlib.closing(database):
            return list(_damage(database))
    return []


def drop_cold_damage(directory: str) -> list[str]:
    """Let go of what `cold_damage` finds and cannot be read; what was done, a sentence each.

    A storage that does not answer is left alone.
    """
    done = []
    with contextlib.closing(_opened(directory, "own")) as database:
        tier = database.cold
        found: dict[str, list[ColdDamage]] = {}
        for one in _damage(database):
            found.setdefault(one.place.key, []).append(one)
        for damages in found.values():
            with contextlib.suppress(StorageUnavailable):
                done.append(_drop(tier, damages))
    return done


def would_drop(damages: list[ColdDamage]) -> list[str]:
    """What `drop_cold_damage` would do, a sentence each."""
    return [
        f"{one.file}: {one.segment.rows} row(s) that cannot be read"
        if one.segment is not None
        else f"{one.file}: the generation before takes its place, or else the partition's cold rows are given up"
        for one in damages
    ]


def _opened(directory: str, access: str) -> Database:
    settings = load_settings(None, os.environ, {})
    return Database(FileSystem.posix(), directory, settings, access=access)


def _damage(database: Database) -> Iterator[ColdDamage]:
    tier = database.cold
    for table_id in sorted(database.catalog.history):
        for _, place in sorted(tier.places.of_table(table_id).items()):
            yield from _damage_of(tier, place)


def _damage_of(tier: ColdTier, place: ColdPlace) -> Iterator[ColdDamage]:
    path = f"{place.storage_id}:{place.folder}"
    try:
        manifest = tier.require_manifest(place).manifest
    except (Corruption, StorageUnavailable, UndefinedObject) as error:
        yield ColdDamage(place, f"{path}/{MANIFEST}", error.message)
        return
    if manifest is None:
        return
    known = {schema.version for schema in tier.history(place.table_id)}
    for info in manifest.segments:
        try:
            tier.reader(place.storage_id).verify(place.folder, info)
            if info.schema_version not in known:
                raise Corruption(
                    f"it was written with schema version {info.schema_version}, which is not known"
                )
        except (Corruption, StorageUnavailable) as error:
            yield ColdDamage(place, f"{path}/{info.file}", error.message, info)


def _drop(tier: ColdTier, damages: list[ColdDamage]) -> str:
    place = damages[0].place
    where = f'{place.folder} of storage "{place.storage_id}"'
    try:
        found = tier.find_manifest(place)
        manifest = found.manifest
    except Corruption:
        read = tier.backend(place.storage_id).read_tagged(f"{place.folder}/{MANIFEST}")
        found = Found(tag=None if read is None else read[1])
        manifest = None
    back = ""
    if manifest is None or manifest.generation < place.generation:
        manifest = _previous(tier, place)
        back = "the manifest before took its place, "
    if manifest is None:
        remove_partition(tier, place)
        tier.places.remove([place], tier.now())
        tier.forget(place.table_id, place.partition.encode())
        return f"{where}: its cold rows were given up, about {place.rows}"
    kept = tuple(info for info in manifest.segments if _is_whole(tier, place, info))
    lost = sum(info.rows for info in manifest.segments) - sum(info.rows for info in kept)
    generation = max(manifest.generation, place.generation) + 1
    new = replace(manifest, segments=kept, generation=generation)
    # As what stands there was the generation just below: that is all that a commit asks.
    before = replace(found, manifest=replace(manifest, generation=generation - 1), leftover=None)
    commit(tier.backend(place.storage_id), place.folder, before, new, keep_previous=False)
    tier.places.write(
        [
            replace(
                place,
                generation=generation,
                segments=len(kept),
                rows=sum(info.rows for info in kept),
                bytes=sum(info.size_bytes for info in kept),
            )
        ],
        tier.now(),
    )
    return f"{where}: {back}{lost} row(s) that could not be read were dropped"


def _previous(tier: ColdTier, place: ColdPlace) -> Manifest | None:
    with contextlib.suppress(Error):
        found = load_previous(tier.backend(place.storage_id), place.folder)
        if found is not None and found.owner.table_id == place.table_id:
            return found
    return None


def _is_whole(tier: ColdTier, place: ColdPlace, info: SegmentInfo) -> bool:
    try:
        tier.reader(place.storage_id).verify(place.folder, info)
    except Corruption:
        return False
    return True
