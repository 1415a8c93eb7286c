"""An open transaction: what a session's statements see and have written between BEGIN and COMMIT.

Snapshot isolation. Every statement reads the rows and the catalog as they were at BEGIN, and the transaction's own
writes. Nothing of it is in the store before COMMIT, which writes all of it as one log record, unless somebody else
changed one of its keys first.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kalamcore import errors as core
from kalamcore.store import Transaction
from kalamdb.errors import SerializationFailure

if TYPE_CHECKING:
    from kalamcore.store import WriteBatch
    from kalamdb.catalog.catalog import Catalog
    from kalamdb.execution.context import Services


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenTransaction:
    """One session's transaction. `sync`: whether its commit waits for the disk. `used_at`: by time.monotonic()."""

    catalog: Catalog
    rows: Transaction
    sync: bool
    used_at: float = field(default_factory=time.monotonic)
    ended_by_session: bool = False
    """COMMIT or ROLLBACK was called; otherwise it is open, or timed out."""

    @classmethod
    def begin(cls, services: Services, sync: bool) -> OpenTransaction:
        """The newest rows and the catalog that belongs to them."""
        while True:
            catalog = services.catalog
            rows = Transaction(services.engine.store)
            # Rows of a newer schema version are written only after its catalog is there for all.
            if services.catalog is catalog:
                made = cls(catalog, rows, sync)
                services.keep_for(made)
                return made

    def idle_s(self) -> float:
        """Seconds since its last statement ended."""
        return time.monotonic() - self.used_at

    def commit(self, services: Services) -> int:
        """Write all of it, or nothing; how many rows it changed. Raises SerializationFailure, and as Engine.commit."""
        held: list[object] = []
        while True:
            try:
                batch = self.rows.batch()
                break
            except core.ColdMissError as miss:
                held += services.engine.load_cold(miss)
            except core.WriteConflictError as error:
                raise snapshot_gone() from error
        if len(batch):
            try:
                services.wrote(len(batch))
                services.engine.commit(batch, sync=self.sync)
            except (core.DuplicateKeyError, core.WriteConflictError) as error:
                raise self._failure(batch, error.operation, services) from error
        return len(batch)

    def _failure(self, batch: WriteBatch, operation: int, services: Services) -> SerializationFailure:
        table_id, partition, key = batch.place(operation)
        versions = self.catalog.history[table_id]
        schema = versions[-1]
        if services.catalog.history.get(table_id, ())[-1:] != (schema,):
            what = f"table {schema.qualified_name} was altered or dropped"
        else:
            rows = services.engine.rows(schema, versions)
            row = None
            # Where its old version is in a storage, or gone, the message names no key.
            with contextlib.suppress(core.ColdMissError, core.WriteConflictError):
                row = self.rows.get(
                    table_id,
                    partition,
                    key,
                    self.rows.snapshot,
                    rows.reader,
                    [rows.key_position],
                    deleted=True,
                )
            name = "a row" if row is None else f"row {row[0]}"
            what = f"{name} of {schema.qualified_name} was changed by others"
        return SerializationFailure(
            f"serialization failure: {what} since the transaction began; nothing of it was written, run it again"
        )


def snapshot_gone() -> SerializationFailure:
    """The refusal of a statement in a transaction that would show what a compaction has dropped."""
    return SerializationFailure(
        "serialization failure: rows as the transaction sees them were compacted away since it began; roll it back and "
        "run it again"
    )
