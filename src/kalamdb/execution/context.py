"""What one statement needs to run."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kalamcore import errors as core
from kalamdb.auth import Action, Rights, Role, authorize, may_see
from kalamdb.catalog.catalog import Catalog, CatalogChange
from kalamdb.engine import Engine, TableRows
from kalamdb.engine.core_errors import translated
from kalamdb.engine.engine import nothing_cold
from kalamdb.execution.audited import entry_of, entry_of_reading
from kalamdb.functions.registry import FunctionContext, FunctionRegistry
from kalamdb.schema import TableSchema
from kalamdb.settings import Settings

if TYPE_CHECKING:
    from kalamcore.store import Readable, Transaction, WriteBatch
    from kalamdb.auth.accounts import Accounts
    from kalamdb.auth.audit import AuditLog
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
    accounts: Accounts
    audit: AuditLog
    read_only: bool

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

    def watch_policies(self) -> None:
        """Look whether there is anything that becomes due by itself."""

    def hash_password(self, password: str) -> str:
        """What is kept of a password. Raises InvalidValue for one that there cannot be, ResourcesExceeded."""

    def password_changed(self, user: str) -> None:
        """Told of a new password: earlier failures to log in do not count any more."""

    def live_queries(self, user: str | None) -> list[tuple[object, ...]]:
        """The rows of system.live_queries: of a user, or of all."""

    def listeners(self, table_id: int) -> int:
        """How many live queries are open on a table."""

    def kill_live_query(self, live_id: str, user: str, rights: Rights) -> None:
        """End a live query. Raises UndefinedObject."""

    def wrote(self, rows: int) -> None:
        """Told of rows that are about to be written."""

    def statistics(self) -> Mapping[str, int]:
        """The figures of system.stats."""


@dataclass(slots=True)
class Context:
    """One statement's user, names, snapshot, instant and values."""

    services: Services
    user: str
    rights: Rights
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
    timeout_s: float | None = None
    """How long a query of it may run; None: for ever."""
    transaction: Transaction | None = None
    """Where its writes go and are seen, until they are committed together."""
    actor: str | None = None
    """Who acts as `user`, for the audit log; None where that is the user."""
    address: str | None = None
    """Where the request came from; None within the process."""
    noted: set[str] = field(default_factory=set)
    """What of its reading is in the audit log already."""
    temporary: dict[str, Relation] = field(default_factory=dict)
    """Relations of this statement alone, by names that no table can have."""

    @property
    def role(self) -> Role:
        """The user's role."""
        return self.rights.role

    def authorize(self, action: Action, schema: TableSchema, name: str | None = None) -> None:
        """See kalamdb.auth.authorize. What counts is the table's ACCESS as it is now, also in a transaction that began
        when it was another."""
        authorize(self.rights, action, self._as_it_is(schema), name)

    def may_see(self, schema: TableSchema) -> bool:
        """Whether the table exists for the user."""
        return may_see(self.rights, self._as_it_is(schema))

    def _as_it_is(self, schema: TableSchema) -> TableSchema:
        return self.services.catalog.table_by_id(schema.table_id) or schema

    def note(self, statement: Any, batch: WriteBatch) -> None:
        """Put the statement's row of the audit log into the commit that does what it says."""
        entry = entry_of(statement, self.actor or self.user, self.user, self.address)
        self.services.audit.put(batch, entry)

    def note_reading(self, target: str) -> None:
        """Write a row of the audit log for what is read across users, before it is."""
        if not self.services.read_only and target not in self.noted:
            self.noted.add(target)
            entry = entry_of_reading(target, self.actor or self.user, self.user, self.address)
            self.services.audit.write(entry)

    def change_catalog(
        self,
        statement: Any,
        change: Callable[[Catalog], tuple[Catalog, list[CatalogChange]]],
        definitions: Callable[[WriteBatch, Catalog], None] | None = None,
    ) -> Catalog:
        """Services.change_catalog, with the statement's row of the audit log in the same commit."""

        def with_row(batch: WriteBatch, catalog: Catalog) -> None:
            if definitions is not None:
                definitions(batch, catalog)
            self.note(statement, batch)

        return self.services.change_catalog(change, with_row)

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
