"""A database: the one place where everything is built, and taken down again."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from kalamcore import errors as core
from kalamcore.ids import Ulids, UuidsV7
from kalamcore.store import WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.auth import Rights, Role
from kalamdb.auth.account import ROOT, check_user_name
from kalamdb.auth.accounts import Accounts
from kalamdb.auth.audit import AuditLog
from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.auth.passwords import Passwords
from kalamdb.catalog.catalog import Catalog, CatalogChange
from kalamdb.catalog.loading import load_catalog
from kalamdb.catalog.reserved import DROPPED_TABLES, DROPPED_TABLES_ID, RESERVED
from kalamdb.engine import Engine
from kalamdb.engine.cold_schema import COLD_PARTITIONS, has_cold_places
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.jobs_schema import JOBS, JOBS_ID, OPEN
from kalamdb.engine.periodic import Periodic
from kalamdb.errors import (
    Corruption,
    DatabaseClosed,
    Error,
    ForkedProcess,
    InvalidParameter,
    NotSupportedError,
    ReadOnlyDatabase,
    StorageUnavailable,
    UndefinedTable,
)
from kalamdb.execution.write_plan import WritePlans
from kalamdb.functions import builtin_functions
from kalamdb.functions.user_function import scalar_function
from kalamdb.result import Result
from kalamdb.session import Session, Statement
from kalamdb.settings import Settings, load_settings
from kalamdb.storage import Pace, Storages

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.auth.front_door import FrontDoor
    from kalamdb.auth.identity import Identity
    from kalamdb.engine.cold import ColdTier
    from kalamdb.engine.jobs import JobContext, JobRequest, JobRunner, PolicySchedule
    from kalamdb.execution.query import QueryEngine
    from kalamdb.execution.simple_select import Plan
    from kalamdb.execution.transaction import OpenTransaction
    from kalamdb.functions.registry import Volatility
    from kalamdb.live import LiveQueries, Subscription
    from kalamdb.schema import TableSchema
    from kalamdb.server import Application
    from kalamdb.sql.query import SimpleQuery

Answer = TypeVar("Answer")
MEMORY = ":memory:"
WRITES_BETWEEN_LOOKS = 256
"""Rows written between two looks at whether hot segments come near `hot_budget_bytes`."""
EXPIRY_INTERVAL = datetime.timedelta(hours=1)
"""Between two looks at who was deleted long ago."""
EXIT_WAIT_S = 3.0
"""How long the end of the process waits for jobs to reach a safe point."""

_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def open(  # noqa: A001 - kalamdb.open, as the tour has it
    path: str | os.PathLike[str],
    *,
    settings: Settings | str | os.PathLike[str] | None = None,
    read_only: bool = False,
    **overrides: Any,
) -> Database:
    """Open the database in the directory `path`, making it when it is not there; `":memory:"` is a new one in memory.

    `settings`: a Settings object, or the path of a TOML file; `overrides`: single settings by name, which win.
    `read_only`: beside a process that owns the database, too: takes no lock, changes nothing, and shows it as of its
    last checkpoint at the time of opening.
    Raises DatabaseLocked, Corruption, UnknownFormat, StorageUnavailable, InvalidSetting.
    """
    if isinstance(settings, Settings):
        chosen = settings.with_overrides(overrides)
    else:
        chosen = load_settings(None if settings is None else os.fspath(settings), os.environ, overrides)
    if os.fspath(path) == MEMORY:
        if read_only:
            raise InvalidParameter("a database in memory is always a new one; open it without read_only")
        return Database(FileSystem.memory(), "/kalamdb", chosen, in_memory=True)
    access = "checkpoint" if read_only else "own"
    return Database(FileSystem.posix(), os.path.abspath(os.fspath(path)), chosen, access=access)


class _Ids:
    """The database's own generators of identifiers; Snowflake ids go on increasing over a reopen."""

    def __init__(self, engine: Engine, clock: Clock | None, random: RandomSource | None) -> None:
        self._store = engine.store
        self._uuids = UuidsV7(clock=clock, random=random)
        self._ulids = Ulids(clock=clock, random=random)

    def snowflake_id(self) -> int:
        return self._store.snowflake_id()

    def snowflake_ids(self, count: int) -> bytearray:
        return self._store.snowflake_ids(count)

    def uuid_v7(self) -> str:
        return self._uuids.one()

    def uuid_v7s(self, count: int) -> list[str]:
        return _cut(self._uuids.many(count), 36)

    def uuid_v7_text(self, count: int) -> bytearray:
        """`count` ids of 36 characters, end to end."""
        return self._uuids.many(count)

    def ulid(self) -> str:
        return self._ulids.one()

    def ulids(self, count: int) -> list[str]:
        return _cut(self._ulids.many(count), 26)

    def ulid_text(self, count: int) -> bytearray:
        """`count` ids of 26 characters, end to end."""
        return self._ulids.many(count)


def _cut(text: bytearray, width: int) -> list[str]:
    whole = text.decode("ascii")
    return [whole[start : start + width] for start in range(0, len(whole), width)]


class Database:
    """An open database. Safe for threads; a context manager. Its own statements run as user root, role system."""

    def __init__(
        self,
        files: FileSystem,
        path: str,
        settings: Settings,
        *,
        clock: Clock | None = None,
        random: RandomSource | None = None,
        access: str = "own",
        in_memory: bool = False,
    ) -> None:
        """`in_memory`: nothing of it is for a later life. `access`: "own", or, to change nothing, "checkpoint" (beside
        the owner) or "log" (where there is none)."""
        self.settings = settings
        self._access = access
        self.read_only = access != "own"
        self.in_memory = in_memory
        self.path = path
        self.functions = builtin_functions()
        self._clock = clock or Clock.system()
        self._catalog_lock = threading.Lock()
        self._queries_lock = threading.Lock()
        self._queries: QueryEngine | None = None
        self._cold: ColdTier | None = None
        self._transactions: weakref.WeakSet[OpenTransaction] = weakref.WeakSet()
        self._transactions_lock = threading.Lock()
        self._jobs_lock = threading.RLock()
        self._reopening = threading.Lock()
        self._jobs: JobRunner | None = None
        self._policies: PolicySchedule | None = None
        self.select_plans: dict[tuple[SimpleQuery, str], Plan] = {}
        """Plans of simple SELECTs by statement and namespace (execution.simple_select)."""
        self.write_plans = WritePlans(self)
        self.writes_left = WRITES_BETWEEN_LOOKS
        """Rows that may be written before somebody looks at the hot budget: see wrote()."""
        self._expiring = Periodic(EXPIRY_INTERVAL)
        self.passwords = Passwords()
        self._hashing = HashingSlots()
        self._front_door: FrontDoor | None = None
        self._live: LiveQueries | None = None
        self._application: Application | None = None
        self._closed = False
        self._forked = False
        self._files = files
        self._random = random
        self.engine = self._open_engine()
        pace = Pace(lambda: self.engine.store.syncs)
        self.storages = Storages(files, path, roots=settings.storage_roots, pace=pace)
        """The backends of storages: `db.storages.backend(db.catalog.require_storage("local"))`."""
        try:
            self.ids = _Ids(self.engine, clock, random)
            with core_errors_translated():
                self._catalog = self._load_catalog(self.engine)
            self.accounts = Accounts(lambda: self.engine)
            self.audit = AuditLog(
                lambda: self.engine,
                lambda: self.engine.store.snowflake_id(),
                self.now,
                datetime.timedelta(days=settings.audit_retention_d),
                sync=settings.durability == "full",
            )
            if not self.read_only:
                self._recover_jobs()
                self._clean_up_after_crash()
            self._root = Session(self, ROOT, Role.SYSTEM, "default")
            self.watch_policies()
        except BaseException:
            self.engine.close()
            raise
        _open_databases.add(self)

    def _open_engine(self) -> Engine:
        settings = self.settings
        engine = Engine(
            self._files,
            self.path,
            wal_file_bytes=settings.wal_file_bytes,
            stream_bytes_max=settings.stream_memory_bytes,
            sync_interval_ms=settings.wal_sync_interval_ms,
            worker_id=settings.worker_id,
            memtable_bytes=settings.memtable_bytes,
            hot_cache_bytes=settings.hot_cache_bytes,
            cold_cache_bytes=settings.cache_bytes,
            deleted_retention_h=settings.deleted_retention_h,
            change_retention_bytes=0 if self.in_memory else settings.change_retention_bytes,
            change_retention_h=settings.change_retention_h,
            clock=self._clock,
            random=self._random,
            access=self._access,
        )
        if self.read_only:
            engine.load_cold = lambda miss: self._load_beside_owner(engine, miss)
        else:
            engine.load_cold = lambda miss: self.cold.load(miss)
        return engine

    def _load_catalog(self, engine: Engine) -> Catalog:
        """The catalog's own rows first, then every table they tell of."""
        snapshot = engine.snapshot()
        rows: dict[int, list[tuple[Any, ...]]] = {}
        for schema in RESERVED:
            engine.define(schema, [schema])
            reader = engine.rows(schema, [schema]).reader
            rows[schema.table_id] = engine.store.scan(schema.table_id, b"", snapshot, reader)
        catalog = load_catalog(rows)
        engine.define(COLD_PARTITIONS, [COLD_PARTITIONS])
        engine.define(JOBS, [JOBS])
        Accounts.define(engine)
        for table in catalog.tables.values():
            if has_cold_places(engine, table.table_id):
                # Before it is defined: from then on a checkpoint may drop tombstones that hide nothing cold.
                engine.store.add_cold_table(table.table_id)
            engine.define(table, catalog.history[table.table_id])
        for table_id, *_ in rows[DROPPED_TABLES_ID]:
            engine.drop(table_id)
        return catalog

    def _recover_jobs(self) -> None:
        """Mark what an earlier life left unfinished; most often nothing, and then nothing is built for it."""
        if self.engine.store.count(JOBS_ID, OPEN, self.engine.snapshot()):
            self._finish_erasing()
            self.jobs.recover()

    def _finish_erasing(self) -> None:
        """Go on with what was to be erased when the process ended, before anybody reads a part of it or writes anew.

        The old jobs are marked afterwards, so that the next opening finds them where this one ends early, too. Where a
        storage does not answer a job says so, and the database opens all the same.
        """
        from kalamdb.engine.jobs import ERASE

        unfinished = [job.request for job in self.jobs.jobs() if not job.status.is_end]
        requests = {one.work: one for one in unfinished if one.job_type == ERASE}
        users = {
            str(one.parameters["user"]): replace(one, namespace=None, table=None) for one in requests.values()
        }
        # The log last, as erase_user_data has it.
        for request in [*(one for one in requests.values() if one.table is not None), *users.values()]:
            with contextlib.suppress(Error):
                self.jobs.run_all([request])

    def _dropped_with_files(self) -> list[tuple[int, str, str]]:
        """Ids and names of dropped tables whose cold files are not all removed yet."""
        rows = self.engine.rows(DROPPED_TABLES, [DROPPED_TABLES]).reader
        view = self.engine.view()
        dropped: list[tuple[Any, ...]] = view.scan(DROPPED_TABLES_ID, b"", view.snapshot, rows)
        return [
            (table_id, namespace, name)
            for table_id, namespace, name, _ in dropped
            if has_cold_places(self.engine, table_id)
        ]

    def _clean_up_after_crash(self) -> None:
        left = self._dropped_with_files()
        if left:
            self.jobs.submit_all([_clean_request(*one, None) for one in left])

    def watch_policies(self) -> None:
        """Look whether there is anything that becomes due by itself."""
        if self.read_only:
            return
        options = (table.options for table in self._catalog.tables.values())
        wanted = any(one.flush_rows is not None or one.flush_interval_s is not None for one in options)
        wanted = wanted or self._nears_hot_budget() or self.accounts.any_deleted()
        if wanted or self._policies is not None:
            self.policies.watch(wanted)

    def _nears_hot_budget(self) -> bool:
        """Whether hot segments take half of `hot_budget_bytes`. A database far below it needs no thread to watch it."""
        return self.engine.store.statistics()["hot_bytes"] * 2 > self.settings.hot_budget_bytes

    def wrote(self, rows: int) -> None:
        """Told of rows that a statement is about to write. Nothing else makes segments grow: this is when to look."""
        self.writes_left -= rows
        if self.writes_left < 0:
            self.writes_left = WRITES_BETWEEN_LOOKS
            if self._nears_hot_budget():
                self.policies.watch(True)

    # What statements use (execution.context.Services)

    @property
    def catalog(self) -> Catalog:
        """What exists now; an immutable value."""
        return self._catalog

    @property
    def queries(self) -> QueryEngine:
        """The SELECT engine, started at its first use: its imports cost more than opening the database."""
        if self._queries is None:
            with self._queries_lock:
                if self._queries is None:
                    from kalamdb.execution.query import QueryEngine
                    from kalamdb.execution.scan import relation

                    self._queries = QueryEngine(self.functions, relation, self.settings)
        return self._queries

    @property
    def cold(self) -> ColdTier:
        """The rows in storages, built when there are any."""
        if self._cold is None:
            with self._jobs_lock:
                if self._cold is None:
                    from kalamdb.engine.cold import ColdTier

                    self._cold = ColdTier(
                        self.engine,
                        self.storages,
                        lambda storage_id: self._catalog.require_storage(storage_id),
                        lambda table_id: self._catalog.history[table_id],
                        self.now,
                        deleted_retention_h=self.settings.deleted_retention_h,
                        oldest_snapshot=self._oldest_snapshot,
                        user_storage=self._user_storage,
                        beside_owner=self.read_only,
                    )
        return self._cold

    def _user_storage(self, user: str) -> str | None:
        """The storage that a user's cold rows go to, where the user has one of its own."""
        account = self.accounts.find(user)
        if (
            account is None
            or account.storage_mode != "region"
            or account.storage_id not in self._catalog.storages
        ):
            return None
        return account.storage_id

    def keep_for(self, transaction: OpenTransaction) -> None:
        """Let no compaction drop what the transaction sees, for as long as it is open."""
        with self._transactions_lock:
            self._transactions.add(transaction)

    def _oldest_snapshot(self) -> int | None:
        """Of the transactions that are open; None where none is."""
        with self._transactions_lock:
            found = list(self._transactions)
        timeout_s = self.settings.transaction_timeout_s
        snapshots = (
            one.rows.snapshot for one in found if not one.ended_by_session and one.idle_s() <= timeout_s
        )
        return min(snapshots, default=None)

    def _load_beside_owner(self, engine: Engine, miss: core.ColdMissError) -> list[object]:
        """As ColdTier.load; where the owner has moved the rows, the newest checkpoint is opened, and the statement
        is to be evaluated anew."""
        if engine is self.engine:
            try:
                return self.cold.load(miss)
            except (Corruption, StorageUnavailable):
                with self._reopening:
                    if engine is self.engine and not self._reopen():
                        raise
        raise core.WriteConflictError("rows were moved meanwhile; evaluate the statement anew", -1)

    def _reopen(self) -> bool:
        """Read the newest checkpoint; False where it is the one that is open. Statements that still read the old one
        keep its files."""
        newest = self._open_engine()
        if newest.snapshot() == self.engine.snapshot():
            newest.close()
            return False
        catalog = self._load_catalog(newest)
        self._cold = None
        self._catalog = catalog
        self.engine = newest
        self.ids = _Ids(newest, self._clock, self._random)
        self.select_plans.clear()
        self.accounts.forget()
        return True

    def fits_in_cache(self, miss: core.ColdMissError) -> bool:
        """Whether what a read lacks may be kept decoded: at most half of `cache_bytes`. A manifest always may."""
        size = self.cold.block_bytes(miss.table_id, miss.partition, miss.blocks)
        return size * 2 <= self.settings.cache_bytes

    @property
    def jobs(self) -> JobRunner:
        """What works in the background, built at its first use; it may be asked for work from then on."""
        if self._jobs is None:
            with self._jobs_lock:
                if self._jobs is None:
                    self.check_open()
                    self.check_writable()
                    from kalamdb.engine.jobs import (
                        BACKUP,
                        CLEAN,
                        COMPACT,
                        ERASE,
                        EXPIRE,
                        FLUSH,
                        RESTORE,
                        JobRunner,
                        JobTable,
                    )
                    from kalamdb.execution.backup import run_backup, run_restore
                    from kalamdb.execution.user_data import run_erase, run_expire

                    runner = JobRunner(
                        JobTable(self.engine, sync=self.settings.durability == "full"),
                        new_id=self.ids.uuid_v7,
                        now=self.now,
                        retention=datetime.timedelta(days=self.settings.job_retention_d),
                    )
                    runner.register(FLUSH, self._flush_job)
                    runner.register(COMPACT, self._compact_job)
                    runner.register(CLEAN, self._clean_job)
                    runner.register(BACKUP, lambda job: run_backup(self, job))
                    runner.register(RESTORE, lambda job: run_restore(self, job), joins=False, retries=False)
                    runner.register(ERASE, lambda job: run_erase(self, job), joins=False, retries=False)
                    runner.register(EXPIRE, lambda job: run_expire(self, job))
                    self._jobs = runner
        return self._jobs

    @property
    def policies(self) -> PolicySchedule:
        """What has tables flushed by their policies, built with the first policy."""
        if self._policies is None:
            with self._jobs_lock:
                if self._policies is None:
                    from kalamdb.engine.jobs import PolicySchedule

                    self._policies = PolicySchedule(self.jobs.submit_due)
                    self._policies.begin(self._due_flushes)
        return self._policies

    @property
    def live(self) -> LiveQueries:
        """The live queries that are open, built with the first."""
        if self._live is None:
            with self._jobs_lock:
                if self._live is None:
                    self.check_open()
                    self.check_writable()
                    from kalamdb.live import LiveQueries

                    self._live = LiveQueries(self)
        return self._live

    def live_queries(self, user: str | None) -> list[tuple[object, ...]]:
        """The rows of system.live_queries: of a user, or of all."""
        return [] if self._live is None else self._live.rows(user)

    def listeners(self, table_id: int) -> int:
        """How many live queries are open on a table."""
        return 0 if self._live is None else self._live.count_on(table_id)

    def kill_live_query(self, live_id: str, user: str, rights: Rights) -> None:
        """End a live query. Raises UndefinedObject."""
        self.live.kill(live_id, user, rights)

    def _flush_job(self, context: JobContext) -> str:
        from kalamdb.engine.cold import flush_table

        return flush_table(self.cold, self._table_of(context), context)

    def _compact_job(self, context: JobContext) -> str:
        from kalamdb.engine.cold import compact_table

        return compact_table(self.cold, self._table_of(context), context)

    def _clean_job(self, context: JobContext) -> str:
        from kalamdb.engine.cold import remove_table

        return remove_table(self.cold, context.parameters["table_id"], context)

    def clean(self, dropped: Sequence[TableSchema], actor: str | None) -> None:
        """Have the cold files of dropped tables removed in the background, where they have any."""
        requests = [
            _clean_request(schema.table_id, schema.namespace, schema.name, actor)
            for schema in dropped
            if has_cold_places(self.engine, schema.table_id)
        ]
        if requests:
            self.jobs.submit_all(requests)

    def settle_dropped(self, job: JobContext) -> None:
        """Remove what is left of dropped tables now."""
        from kalamdb.engine.cold import remove_table

        with self.cold.files.held(job.check):
            left = self._dropped_with_files()
        for table_id, _, _ in left:
            remove_table(self.cold, table_id, job)

    def frozen_catalog(self, work: Callable[[Catalog], Answer]) -> Answer:
        """Do `work` with what exists, while nobody changes it."""
        with self._catalog_lock:
            return work(self._catalog)

    def _table_of(self, context: JobContext) -> TableSchema:
        schema = self._catalog.table(context.namespace or "", context.table or "")
        if schema is None:
            raise UndefinedTable(f'relation "{context.namespace}.{context.table}" does not exist any more')
        return schema

    def _due_flushes(self) -> list[JobRequest]:
        from kalamdb.engine.cold import due_flushes

        tables = list(self._catalog.tables.values())
        due = list(due_flushes(self.cold, tables, self.now(), self.settings.hot_budget_bytes))
        if self._expiring.is_due(self.now()):
            due += self._due_expiry()
        return due

    def _due_expiry(self) -> list[JobRequest]:
        """The job that erases users who were deleted long ago, where there are any."""
        from kalamdb.engine.jobs import EXPIRE, JobRequest
        from kalamdb.execution.user_data import expired_before

        before = expired_before(self)
        if any(one.deleted_at is not None and one.deleted_at <= before for one in self.accounts.deleted()):
            return [JobRequest(EXPIRE)]
        return []

    def change_catalog(
        self,
        change: Callable[[Catalog], tuple[Catalog, list[CatalogChange]]],
        definitions: Callable[[WriteBatch, Catalog], None],
    ) -> Catalog:
        """Apply a change to the newest catalog: one at a time, durable before anybody sees it."""
        self.check_writable()
        with self._catalog_lock:
            catalog, changes = change(self._catalog)
            if not changes:
                return self._catalog
            batch = WriteBatch(self.engine.snapshot())
            reserved = {schema.table_id: self.engine.rows(schema, [schema]) for schema in RESERVED}
            for one in changes:
                write = {"insert": batch.insert, "replace": batch.replace, "delete": batch.delete}[one.action]
                write(one.table_id, b"", reserved[one.table_id].layout, one.values)
            definitions(batch, catalog)
            # A segment is written in a table's newest version, which readers must know before they meet one.
            with self.engine.definitions_held():
                self.engine.commit(batch, sync=True)
                self._catalog = catalog
            self.watch_policies()
            return catalog

    @property
    def front_door(self) -> FrontDoor:
        """Log-ins and tokens, built at its first use. Raises ReadOnlyDatabase, InvalidSetting for a secret that is too
        short, NotSupportedError where PyJWT is missing."""
        if self._front_door is None:
            with self._jobs_lock:
                if self._front_door is None:
                    self.check_open()
                    self.check_writable()
                    from kalamdb.auth.front_door import FrontDoor

                    self._front_door = FrontDoor(
                        self.engine,
                        self.accounts,
                        self.audit,
                        self.settings,
                        files=self._files,
                        directory=self.path,
                        environment=os.environ,
                        now=self.now,
                        unix_s=lambda: self._clock.now_us() / 1e6,
                        passwords=self.passwords,
                        slots=self._hashing,
                    )
        return self._front_door

    def session_by_token(self, access_token: str, address: str, namespace: str = "default") -> Session:
        """A session of whom an access token speaks for, with the rights of that user now. `address`: where it comes
        from. Raises InvalidToken, TokenExpired, IssuerUnavailable, UndefinedNamespace."""
        self.check_open()
        return self.session_of(self.front_door.identity_of(access_token), address, namespace)

    def session_of(self, identity: Identity, address: str, namespace: str = "default") -> Session:
        """A session of whom a verified token speaks for; as session_by_token. Raises UndefinedNamespace, and
        AccessDenied for a user who was deleted meanwhile."""
        self.check_open()
        session = Session(self, identity.user, None, "default", address=address)
        if namespace != "default":
            session.use(namespace)
        return session

    def password_changed(self, user: str) -> None:
        """Told of a new password: earlier failures to log in do not count any more."""
        if self._front_door is not None:
            self._front_door.forgive(user)

    def hash_password(self, password: str) -> str:
        """What is kept of a password. Raises InvalidValue for one that there cannot be, ResourcesExceeded."""
        with self._hashing.taken():
            return self.passwords.hash(password)

    def now(self) -> datetime.datetime:
        """The instant, aware, UTC, in microseconds."""
        return _EPOCH + datetime.timedelta(microseconds=self._clock.now_us())

    def statistics(self) -> Mapping[str, int]:
        """Figures for system.stats."""
        from kalamdb.engine.statistics import figures

        return figures(self.engine, 0 if self._jobs is None else self._jobs.count())

    # For the application

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Result:
        """Run SQL as root. See Session.execute."""
        return self._root.execute(sql, parameters)

    def stream(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.RecordBatchReader:
        """Run one query as root, its rows as Arrow, batch by batch. See Session.stream."""
        return self._root.stream(sql, parameters)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        """Run one statement as root for every row of parameters. See Session.executemany."""
        return self._root.executemany(sql, rows)

    def prepare(self, sql: str) -> Statement:
        """A statement of user root that is parsed once; see Session.prepare."""
        return self._root.prepare(sql)

    def insert(
        self, table: str, data: Any, *, progress: Callable[[int, int], object] | None = None
    ) -> Result:
        """Insert rows as user root, all of them or none; see Session.insert."""
        return self._root.insert(table, data, progress=progress)

    def begin(self, *, durability: str | None = None) -> None:
        """Open a transaction as root. See Session.begin."""
        self._root.begin(durability=durability)

    def commit(self) -> None:
        """Commit root's transaction. See Session.commit."""
        self._root.commit()

    def rollback(self) -> None:
        """Roll root's transaction back. See Session.rollback."""
        self._root.rollback()

    def transaction(self, *, durability: str | None = None) -> contextlib.AbstractContextManager[Session]:
        """A block of root's statements as one transaction. See Session.transaction."""
        return self._root.transaction(durability=durability)

    def subscribe(
        self,
        sql: str,
        parameters: Sequence[Any] | None = None,
        *,
        last_rows: int | None = None,
        from_seq: int | None = None,
    ) -> Subscription:
        """Listen as root. See Session.subscribe."""
        return self._root.subscribe(sql, parameters, last_rows=last_rows, from_seq=from_seq)

    def session(
        self, user: str, role: str | None = None, namespace: str = "default", durability: str | None = None
    ) -> Session:
        """A session for any user by name; the application is trusted. `role`: user, service, dba or system, instead of
        the user's own, which is `user` for a name that no user has.

        `durability`: "normal" where the database is "full"; None for the database's. Raises InvalidName,
        InvalidParameter, InvalidSetting, UndefinedNamespace, and AccessDenied for a user who was deleted.
        """
        self.check_open()
        check_user_name(user)
        try:
            chosen = None if role is None else Role(role)
        except ValueError:
            raise InvalidParameter(
                f'role "{role}" does not exist; roles are user, service, dba and system'
            ) from None
        session = Session(self, user, chosen, "default", durability)
        if namespace != "default":
            session.use(namespace)
        return session

    def register_function(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Sequence[str],
        result: str,
        volatility: Volatility = "volatile",
    ) -> None:
        """Make a Python function callable in SQL: in DEFAULT, SELECT, WHERE, SET, VALUES and RETURNING.

        `function` is called once a row with one value an argument, of the Python type of its SQL type. `arguments` and
        `result`: SQL types. `volatility`: immutable (the arguments alone decide), stable (one result a statement) or
        volatile (a new result per row). It is not stored: register it after every open.
        """
        self.check_open()
        self.functions.register(scalar_function(name, function, arguments, result, volatility))

    def flush(self, table: str | None = None) -> None:
        """Move the rows of `table` (`name` or `namespace.name`), or of all tables, to cold segments, and wait for it.

        Rows that were there before the call are cold after it. Raises UndefinedTable, StorageUnavailable, JobCancelled
        where the job was killed, and what else the job met.
        """
        self._run_jobs("flush", table)

    def compact(self, table: str | None = None) -> None:
        """Put the segments of `table`, or of all tables, together, and wait for it. Raises as flush."""
        self._run_jobs("compact", table)

    def backup(self, uri: str | os.PathLike[str]) -> None:
        """Make a backup of the whole database at `uri`, a path, s3://…, gs://… or az://…, and wait for it.

        It is what was committed at one moment, while writes go on; every piece is read back and verified. A further
        backup to the same place copies only what has changed, and changes nothing of the earlier ones. Raises
        StorageInUse where another database has its backups there, InvalidDefinition where the setting storage_roots
        does not permit the place, StorageUnavailable, JobCancelled.
        """
        from kalamdb.engine.jobs import BACKUP, JobRequest

        self.check_open()
        place = os.fspath(uri)
        if "://" not in place:
            place = os.path.abspath(place)
        self.jobs.run_all([JobRequest(BACKUP, parameters={"uri": place}, actor=ROOT)])

    def _run_jobs(self, job_type: str, table: str | None) -> None:
        from kalamdb.execution.jobs import requests_for
        from kalamdb.sql.jobs import FlushAll, FlushTable
        from kalamdb.sql.names import TableName

        self.check_open()
        self.jobs.require(job_type)
        statement: FlushTable | FlushAll = FlushAll()
        if table is not None:
            namespace, _, name = table.rpartition(".")
            statement = FlushTable(TableName(name, namespace or None))
        self.jobs.run_all(requests_for(job_type, statement, self._root.context()))

    @property
    def recovery(self) -> Mapping[str, object]:
        """What opening found in the log: records, last_lsn; torn_bytes, torn_file, kept_as where its end was torn."""
        return self.engine.store.recovery

    def checkpoint(self) -> int:
        """Write what memory holds to hot segments, and let go of the log up to there; the rows written.

        It happens by itself beyond `memtable_bytes`. Raises StorageUnavailable where there was no room (nothing has
        changed then), DatabasePoisoned.
        """
        self.check_open()
        return self.engine.checkpoint()

    def stats(self) -> dict[str, int]:
        """Figures of the database: rows, bytes, segments, memory_bytes, jobs, and what they are made of, tier by tier.

        docs/python.md says what each of them counts. No storage is asked.
        """
        self.check_open()
        return dict(self.statistics())

    def asgi(self) -> Application:
        """The database over HTTP, as an ASGI application; the same one each time.

        For one event loop. Mounted in another application, that has `kalamdb.server.lifespan` for its lifespan.
        Raises NotSupportedError where the extra `kalamdb[server]` is not installed.
        """
        self.check_open()
        with self._jobs_lock:
            if self._application is None:
                try:
                    from kalamdb.server import Application
                except ModuleNotFoundError as error:
                    raise NotSupportedError(
                        f"a server needs {error.name}; install it with: pip install kalamdb[server]"
                    ) from None
                self._application = Application(self)
            return self._application

    def check_open(self) -> None:
        """Raises DatabaseClosed, ForkedProcess."""
        if self._closed:
            raise DatabaseClosed("the database is closed; open it again")
        if self._forked:
            raise ForkedProcess(
                "the database was opened before this process was forked; open it in the child anew"
            )

    def check_writable(self) -> None:
        """Raises ReadOnlyDatabase."""
        if self.read_only:
            raise ReadOnlyDatabase("the database is open read-only; open it without read_only to change it")

    def close(self) -> None:
        """Sync and close. Statements that run meanwhile end first or fail whole, jobs end at their next safe point;
        closing twice does nothing."""
        self._close(None)

    def _close(self, jobs_timeout_s: float | None) -> None:
        if self._closed or self._forked:
            return
        self._closed = True
        _open_databases.discard(self)
        with self._jobs_lock:
            live = self._live
        if live is not None:
            live.close_all()
        ended = self._close_jobs(jobs_timeout_s)
        if self._queries is not None:
            self._queries.close()
        # A job that is still at work may write to files of this directory: it is not given up before that is over,
        # if need be by the end of the process, which the next open takes for a crash.
        if ended:
            self.engine.close()

    def _close_jobs(self, timeout_s: float | None) -> bool:
        """Whether no job is at work any more."""
        with self._jobs_lock:
            policies, jobs = self._policies, self._jobs
        if policies is not None:
            policies.close(timeout_s)
        return jobs is None or jobs.close(timeout_s)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Database {self.path}{', closed' if self._closed else ''}>"


def _clean_request(table_id: int, namespace: str, name: str, actor: str | None) -> JobRequest:
    from kalamdb.engine.jobs import CLEAN, JobRequest

    return JobRequest(CLEAN, namespace, name, {"table_id": table_id}, actor)


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _refuse_in_forked_child() -> None:
    for database in list(_open_databases):
        database._forked = True


def _close_at_exit() -> None:
    for database in list(_open_databases):
        database._close(EXIT_WAIT_S)


os.register_at_fork(after_in_child=_refuse_in_forked_child)
atexit.register(_close_at_exit)
