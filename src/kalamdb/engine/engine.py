"""The engine: every table's rows behind snapshots and commits.

The work is the core's (kalamcore.store); this is where it meets schemas, settings and kalamdb's errors.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import Store, View, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.engine.core_errors import core_errors_translated, translated
from kalamdb.engine.directory import Directory
from kalamdb.engine.tables import TableRows
from kalamdb.errors import SubscriptionLagged
from kalamdb.schema import TableKind, TableSchema

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet

_RETENTION_H_MAX = 1 << 40
"""Longer ones are as good as for ever, and their milliseconds must fit."""


class Engine:
    """Rows of all tables of one database directory. Safe for threads."""

    def __init__(
        self,
        files: FileSystem,
        path: str,
        *,
        wal_file_bytes: int,
        stream_bytes_max: int,
        sync_interval_ms: int,
        worker_id: int,
        memtable_bytes: int = 64 << 20,
        hot_cache_bytes: int = 64 << 20,
        cold_cache_bytes: int = 64 << 20,
        deleted_retention_h: int = 168,
        change_retention_bytes: int = 0,
        change_retention_h: int = 0,
        clock: Clock | None = None,
        random: RandomSource | None = None,
        access: str = "own",
    ) -> None:
        """Claims the directory and recovers its log; with an `access` of "checkpoint" or "log" it changes nothing (see
        kalamcore.store.Store). `deleted_retention_h`: of tables that say nothing of it.

        Raises DatabaseLocked, Corruption, UnknownFormat, StorageUnavailable."""
        try:
            self.directory = Directory(files, path, owned=access == "own")
            try:
                self.store = Store(
                    files,
                    self.directory.wal,
                    clock=clock,
                    random=random,
                    wal_file_bytes=wal_file_bytes,
                    stream_bytes_max=stream_bytes_max,
                    sync_interval_ms=sync_interval_ms,
                    worker_id=worker_id,
                    hot_directory=self.directory.hot,
                    memtable_bytes=memtable_bytes,
                    hot_cache_bytes=hot_cache_bytes,
                    cold_cache_bytes=cold_cache_bytes,
                    history_bytes=change_retention_bytes,
                    history_ms=change_retention_h * 3_600_000,
                    access=access,
                )
            except BaseException:
                self.directory.release()
                raise
        except core.CoreError as error:
            raise translated(error) from error
        self._deleted_retention_h = deleted_retention_h
        self._rows: dict[tuple[int, int], TableRows] = {}
        self.load_cold: Callable[[core.ColdMissError], list[object]] = nothing_cold
        """Brings what a read lacked (kalamdb.engine.cold); what is returned keeps it in memory."""

    def rows(self, schema: TableSchema, history: Sequence[TableSchema]) -> TableRows:
        """The table at this schema version, made once."""
        key = (schema.table_id, schema.version)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = TableRows(schema, history)
        return rows

    def define(self, schema: TableSchema, history: Sequence[TableSchema]) -> None:
        """Let the table take rows of this schema version, and of no other."""
        self.store.define_table(schema.table_id, schema.version, **self.core_definition(schema, history))

    def core_definition(self, schema: TableSchema, history: Sequence[TableSchema]) -> dict[str, Any]:
        """What the core must know of a table: how its rows are read and put into segments, or how long a STREAM's live.

        Not the cached reader: a definition may come before its commit, which may fail.
        """
        options = schema.options
        if schema.kind is TableKind.STREAM:
            return {
                "stream_ttl_us": (options.ttl_s or 0) * 1_000_000,
                "stream_rows_max": options.max_rows or 0,
            }
        rows = TableRows(schema, history)
        hours = (
            self._deleted_retention_h if options.deleted_retention_h is None else options.deleted_retention_h
        )
        return {
            "reader": rows.reader,
            "column_names": rows.column_names,
            "deleted_retention_ms": min(hours, _RETENTION_H_MAX) * 3_600_000,
        }

    def drop(self, table_id: int) -> None:
        """Let go of what is left of a table that was dropped in an earlier life."""
        self.store.drop_table(table_id)

    @contextlib.contextmanager
    def definitions_held(self) -> Iterator[None]:
        """Definitions that the block commits, and tells readers of, are in no segment before it ends."""
        with core_errors_translated():
            self.store.hold_definitions()
        try:
            yield
        finally:
            self.store.tell_definitions()

    def snapshot(self) -> int:
        """The sequence number that a reader sees up to."""
        return self.store.snapshot()

    def view(self) -> View:
        """The rows as they are now, kept while it is. Raises DatabaseClosed."""
        try:
            return self.store.view()
        except core.CoreError as error:
            raise translated(error) from error

    def checkpoint(self) -> int:
        """Write what memory holds to hot segments, and let go of the log up to there; the rows written.

        Raises StorageUnavailable where there was no room (nothing has changed then), DatabasePoisoned.
        """
        try:
            return self.store.checkpoint()
        except core.CoreError as error:
            raise translated(error) from error

    def purge(self, check: Callable[[], None]) -> None:
        """Checkpoint, and leave nothing of what the log told before: older files become zeros and go, and so does what
        was cut from the log. `check`: called between steps. Raises as checkpoint."""
        try:
            self.store.purge_log()
            check()
            files = self.directory.files
            kept = [name for name in files.list(self.directory.wal) if name.endswith((".torn", ".damaged"))]
            for name in kept:
                files.remove(os.path.join(self.directory.wal, name))
            if kept:
                files.sync_directory(self.directory.wal)
        except core.CoreError as error:
            raise translated(error) from error

    def changes_between(
        self, schema: TableSchema, partition: bytes, after: int, until: int
    ) -> list[ChangeSet]:
        """What commits changed in a partition behind the sequence number `after` and up to `until`, oldest first.

        Raises SubscriptionLagged where not all of it is kept any more."""
        from kalamcore.changes import changes_between

        try:
            return changes_between(self.store, schema.table_id, partition, after, until)
        except core.HistoryGoneError as error:
            raise SubscriptionLagged(f"{error}; begin anew with a snapshot") from error
        except core.CoreError as error:
            raise translated(error) from error

    def commit(self, batch: WriteBatch, *, sync: bool) -> int:
        """All of the batch or nothing; its last sequence number.

        Raises DuplicateKeyError and WriteConflictError of the core, for the statement to meet; everything else as
        kalamdb's errors.
        """
        held: list[object] = []
        while True:
            try:
                return self.store.commit(batch, sync=sync)
            except core.ColdMissError as miss:
                # Whether its keys are there is told by cold segments; nothing of the commit has begun.
                held += self.load_cold(miss)
            except (core.DuplicateKeyError, core.WriteConflictError):
                raise
            except core.CoreError as error:
                raise translated(error) from error

    def close(self) -> None:
        """Sync, mark the log's end as clean, give up the directory. Raises if the log could not be closed."""
        try:
            self.store.close()
        except core.CoreError as error:
            raise translated(error) from error
        finally:
            self.directory.release()


def nothing_cold(miss: core.ColdMissError) -> list[object]:
    """What brings cold rows where there can be none."""
    raise miss
