"""What one statement needs to run."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from kalamcore import errors as core
from kalamdb.auth import Role
from kalamdb.catalog.catalog import Catalog, CatalogChange
from kalamdb.engine import Engine, TableRows
from kalamdb.engine.core_errors import translated
from kalamdb.engine.engine import nothing_cold
from kalamdb.functions.registry import FunctionContext, FunctionRegistry
from kalamdb.schema import TableSchema
from kalamdb.settings import Settings

if TYPE_CHECKING:
    from kalamcore.store import Readable, Transaction, WriteBatch
    from kalamdb.engine.cold import ColdTier
    from kalamdb.engine.jobs import JobContext, JobRunner
    from kalamdb.execution.query import QueryEngine
    from kalamdb.execution.scan import Relation
    from kalamdb.execution.transaction import OpenTransaction
    from kalamdb.storage.storages import Storages

Answer = TypeVar("Answer")


class Services(Protocol):
    """What the database gives every statement."""

    engine: Engine
    functions: FunctionRegistry
    settings: Settings

    @property
    def jobs(self) -> JobRunner:
        """What works in the background."""

    @property
    def storages(self) -> Storages:
        """The backends of storages."""

    @property
    def queries(self) -> QueryEngine:
        """The SELECT engine, started at its first use."""

    @property
    def catalog(self) -> Catalog:
        """What exists now."""

    def change_catalog(
        self,
        change: Callable[[Catalog], tuple[Catalog, list[CatalogChange]]],
        definitions: Callable[[WriteBatch, Catalog], None],
    ) -> Catalog:
        """Apply a change to the newest catalog, durably, one at a time; the catalog it made."""

    def frozen_catalog(self, work: Callable[[Catalog], Answer]) -> Answer:
        """Do `work` with what exists, while nobody changes it."""

    def clean(self, dropped: Sequence[TableSchema], actor: str | None) -> None:
        """Have the cold files of dropped tables removed in the background, where they have any."""

    def settle_dropped(self, job: JobContext) -> None:
        """Remove what is left of dropped tables now."""

    def now(self) -> datetime.datetime:
        """The instant, aware, UTC."""

    def checkpoint(self) -> int:
        """Write the rows in memory to hot segments."""

    @property
    def cold(self) -> ColdTier:
        """The rows in storages."""

    def keep_for(self, transaction: OpenTransaction) -> None:
        """Let no compaction drop what the transaction sees, for as long as it is open."""

    def fits_in_cache(self, miss: core.ColdMissError) -> bool:
        """Whether what a read lacks may be kept decoded."""

    def wrote(self, rows: int) -> None:
        """Told of rows that are about to be written."""

    def statistics(self) -> Mapping[str, int]:
        """The figures of system.stats."""


@dataclass(slots=True)
class Context:
    """One statement's user, names, snapshot, instant and values."""

    services: Services
    user: str
    role: Role
    namespace: str
    catalog: Catalog
    snapshot: int
    reader: Readable
    """What rows are read from, at `snapshot`, which it keeps."""
    now: datetime.datetime
    function_context: FunctionContext
    parameters: Sequence[object] = ()
    literals: Sequence[object] = ()
    rows: Sequence[tuple[object, ...]] | None = None
    """The rows of an INSERT of literals."""
    sync: bool = True
    load_cold: Callable[[core.ColdMissError], list[object]] = nothing_cold
    """Brings what `reader` lacks; what is returned keeps it in memory."""
    transaction: Transaction | None = None
    """Where its writes go and are seen, until they are committed together."""
    temporary: dict[str, Relation] = field(default_factory=dict)
    """Relations of this statement alone, by names that no table can have."""

    def write(self, batch: WriteBatch) -> int:
        """Commit the batch, or put it to the open transaction: all of it or nothing. The sequence number of its last
        operation, provisional in a transaction. Raises as Engine.commit."""
        if self.transaction is None:
            self.services.wrote(len(batch))
            return self.services.engine.commit(batch, sync=self.sync)
        try:
            return self.transaction.write(batch)
        except (core.DuplicateKeyError, core.WriteConflictError, core.ColdMissError):
            raise
        except core.CoreError as error:
            raise translated(error) from error

    def rows_of(self, schema: TableSchema) -> TableRows:
        """The table's encoder and reader."""
        return self.services.engine.rows(schema, self.catalog.history[schema.table_id])

    def partition(self, schema: TableSchema) -> bytes:
        """The partition this statement reads and writes: its own user's, or the SHARED table's one."""
        return self.rows_of(schema).partition(self.user)
