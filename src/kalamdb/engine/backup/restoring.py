"""Bringing the rows of a backup into an open database, as tables that nobody sees yet.

Each table has got an id of its own here, which the catalog counts as that of a dropped table until all is there: what a
crash leaves behind goes the way of dropped tables. Hot rows keep their sequence numbers, and so do cold ones, whose
files are copied and get manifests of this database. Every byte is verified before it counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kalamcore.errors import CoreError
from kalamcore.store import hot_segment_name
from kalamdb.engine.backup.description import Backup, ColdCopy
from kalamdb.engine.backup.target import BackupTarget
from kalamdb.engine.cold import ColdTier
from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.core_errors import translated
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Owner, SegmentInfo, commit
from kalamdb.engine.segments.checksums import verify
from kalamdb.engine.segments.manifest import decode_manifest
from kalamdb.engine.tables import TableRows
from kalamdb.errors import Corruption, StorageInUse
from kalamdb.schema import TableSchema

PLACES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class RestoredTable:
    """A table of the backup, by its id there, and the versions of the schema that it gets here, the newest last."""

    old_id: int
    history: tuple[TableSchema, ...]

    @property
    def schema(self) -> TableSchema:
        """The newest version."""
        return self.history[-1]


def restore_rows(
    tier: ColdTier,
    target: BackupTarget,
    backup: Backup,
    tables: Sequence[RestoredTable],
    context: JobContext,
) -> int:
    """Bring the rows of these tables in; the hot ones are counted. They are seen once the catalog has the tables.

    Raises Corruption where anything does not verify, StorageInUse where files of others are in their places.
    """
    for table in tables:
        _restore_cold(tier, target, backup, table, context)
    directory = tier.engine.directory
    directory.empty_staging()
    directory.files.make_directory(directory.staging)
    try:
        adopted = []
        for table in tables:
            segments = []
            for file in backup.hot:
                if file.table_id != table.old_id:
                    continue
                path = os.path.join(directory.staging, hot_segment_name(file.number))
                for part in target.read(file.chunks):
                    context.check()
                    directory.files.append(path, part)
                segments.append((file.number, file.table_id, file.size, file.index_crc, file.sequence_base))
            rows = TableRows(table.schema, table.history)
            # Also where nothing of it is hot: who resumes a subscription is to know that its rows came past the log.
            adopted.append((table.schema.table_id, rows.reader, rows.column_names, segments))
        context.check()
        try:
            return tier.engine.store.adopt(
                directory.staging,
                adopted,
                last_sequence=backup.last_sequence,
                lease_end_ms=backup.lease_end_ms,
            )
        except CoreError as error:
            raise translated(error) from error
    finally:
        directory.empty_staging()


def _restore_cold(
    tier: ColdTier, target: BackupTarget, backup: Backup, table: RestoredTable, context: JobContext
) -> None:
    """Copy a table's cold partitions to where its storage has them: the places first, so that what a crash leaves is
    found."""
    copies = [copy for copy in backup.cold if copy.table_id == table.old_id]
    for start in range(0, len(copies), PLACES_AT_ONCE):
        some = copies[start : start + PLACES_AT_ONCE]
        places = [tier.new_place(table.schema, copy.partition.encode()) for copy in some]
        for place in places:
            _require_free(tier, place)
        tier.places.write(places, tier.now())
        ended = []
        for copy, place in zip(some, places):
            context.check()
            ended.append(_restore_partition(tier, target, copy, place, table.schema))
        tier.places.write(ended, tier.now())
    if copies:
        tier.engine.store.add_cold_table(table.schema.table_id)


def _require_free(tier: ColdTier, place: ColdPlace) -> None:
    """Nothing of anybody's is overwritten."""
    found = tier.find_manifest(place)
    if found.manifest is not None or found.foreign is not None:
        owner = (found.manifest or found.foreign).owner.database_id  # type: ignore[union-attr]
        raise StorageInUse(
            f'{place.folder} of storage "{place.storage_id}" holds files of the database {owner}; create a storage '
            f'"{place.storage_id}" with a place of its own before restoring, or move the files away'
        )


def _restore_partition(
    tier: ColdTier, target: BackupTarget, copy: ColdCopy, place: ColdPlace, schema: TableSchema
) -> ColdPlace:
    backend = tier.backend(place.storage_id)
    path = f"the manifest of {copy.folder} in the backup"
    old = decode_manifest(path, b"".join(target.read(copy.manifest)))
    by_name = {segment.file: segment for segment in copy.segments}
    infos: list[SegmentInfo] = []
    for info in old.segments:
        if info.file not in by_name:
            raise Corruption(f"the backup lacks {copy.folder}/{info.file}; restore from another backup")
        data = b"".join(target.read(by_name[info.file].chunks))
        verify(
            f"{copy.folder}/{info.file} in the backup", data, info.checksum, info.size_bytes, "the segment"
        )
        # Names are given once in a database, and this one does not know which ones the other gave.
        named = replace(info, file=f"segment-{tier.engine.store.durable_snowflake_id()}.parquet")
        backend.write(f"{place.folder}/{named.file}", data)
        infos.append(named)
    made = replace(
        old,
        owner=Owner(tier.database_id, schema.table_id),
        namespace_id=schema.namespace,
        table_name=schema.name,
        generation=1,
        segments=tuple(infos),
    )
    commit(backend, place.folder, tier.find_manifest(place), made)
    return replace(
        place,
        generation=1,
        watermark=made.watermark,
        segments=len(infos),
        rows=sum(info.rows for info in infos),
        bytes=sum(info.size_bytes for info in infos),
    )
