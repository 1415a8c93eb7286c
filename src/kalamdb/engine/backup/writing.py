"""Taking a backup: everything as of one moment, while writes go on.

The order is the point. With no flush at a manifest and nobody at the catalog, memory is checkpointed, the hot segments
are held, and the manifests are read: that is the moment. Then files are copied, for as long as it takes: the hot ones
stay in their places, and no cold one is removed meanwhile.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kalamcore.store import hot_segment_name, verify_segment
from kalamdb.engine.backup.description import Backup, ColdCopy, ColdFile, HotFile
from kalamdb.engine.backup.target import CHUNK_BYTES, BackupTarget
from kalamdb.engine.cold import ColdTier
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Manifest
from kalamdb.engine.segments.checksums import verify


@dataclass(frozen=True, slots=True)
class Held:
    """The moment: what Store.hold_segments() told, what existed, and the tables whose rows are wanted."""

    checkpoint: Mapping[str, Any]
    catalog: Mapping[str, Any]
    table_ids: Collection[int]


def take_backup(
    tier: ColdTier,
    target: BackupTarget,
    hold: Callable[[], Held],
    namespace: str | None,
    now: datetime.datetime,
    context: JobContext,
) -> Backup:
    """Make a backup. `hold`: checkpoints, holds the hot segments, and tells what there is, all as of one moment.

    Raises StorageInUse where the target is another's, StorageUnavailable, Corruption of what was to be copied.
    """
    target.check_owner(tier.database_id, namespace)
    with tier.files.held(context.check):
        held: Held | None = None
        try:
            with tier.gate.closed():
                held = hold()
                found = list(_manifests(tier, held.table_ids, context))
            hot = tuple(_hot_files(tier, target, held, context))
            cold = tuple(_copied(tier, target, *one, context) for one in found)
            context.check()
            return target.commit(
                Backup(
                    number=0,
                    database_id=tier.database_id,
                    namespace=namespace,
                    created_at=now.isoformat(),
                    last_sequence=held.checkpoint["last_sequence"],
                    lease_end_ms=held.checkpoint["lease_end_ms"],
                    catalog=held.catalog,
                    hot=hot,
                    cold=cold,
                )
            )
        finally:
            if held is not None:
                tier.engine.store.release_segments()


def _hot_files(tier: ColdTier, target: BackupTarget, held: Held, context: JobContext) -> Iterator[HotFile]:
    directory = tier.engine.directory
    for segment in held.checkpoint["segments"]:
        number, table_id, size, index_crc, sequence_base = segment
        if table_id not in held.table_ids:
            continue
        # What is damaged already is told now, and not when it is to be restored.
        with core_errors_translated():
            verify_segment(directory.files, directory.hot, segment)
        path = os.path.join(directory.hot, hot_segment_name(number))

        def parts(path: str = path, size: int = size) -> Iterator[bytes]:
            for offset in range(0, size, CHUNK_BYTES):
                context.check()
                yield directory.files.read_range(path, offset, CHUNK_BYTES)

        yield HotFile(number, table_id, size, index_crc, sequence_base, target.put(parts()))
        context.progress(bytes=target.written_bytes)


def _manifests(
    tier: ColdTier, table_ids: Collection[int], context: JobContext
) -> Iterator[tuple[ColdPlace, Manifest, bytes]]:
    for table_id in sorted(table_ids):
        for _, place in sorted(tier.places.of_table(table_id).items()):
            context.check()
            found = tier.find_manifest(place)
            if found.manifest is not None:
                yield place, found.manifest, found.content


def _copied(
    tier: ColdTier,
    target: BackupTarget,
    place: ColdPlace,
    manifest: Manifest,
    content: bytes,
    context: JobContext,
) -> ColdCopy:
    backend = tier.backend(place.storage_id)
    segments = []
    for info in manifest.segments:
        context.check()
        path = f"{place.folder}/{info.file}"
        data = backend.read(path)
        verify(path, data, info.checksum, info.size_bytes, "the segment")
        segments.append(ColdFile(info.file, target.put(_pieces(data))))
        context.progress(bytes=target.written_bytes)
    return ColdCopy(
        place.table_id,
        place.partition,
        place.storage_id,
        place.folder,
        target.put(_pieces(content)),
        tuple(segments),
    )


def _pieces(data: bytes) -> Iterator[bytes]:
    for offset in range(0, len(data), CHUNK_BYTES):
        yield data[offset : offset + CHUNK_BYTES]
