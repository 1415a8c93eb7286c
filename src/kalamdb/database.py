"""A database: the one place where everything is built, and taken down again."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
import threading
import unicodedata
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.ids import Ulids, UuidsV7
from kalamcore.store import WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.auth import Role
from kalamdb.catalog.catalog import Catalog, CatalogChange
from kalamdb.catalog.loading import load_catalog
from kalamdb.catalog.reserved import DROPPED_TABLES_ID, RESERVED
from kalamdb.engine import Engine
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.errors import DatabaseClosed, ForkedProcess, InvalidName, InvalidParameter, NotSupportedError
from kalamdb.execution.write_plan import WritePlans
from kalamdb.functions import builtin_functions
from kalamdb.functions.user_function import scalar_function
from kalamdb.result import Result
from kalamdb.session import Session
from kalamdb.settings import Settings, load_settings

if TYPE_CHECKING:
    from kalamdb.execution.query import QueryEngine
    from kalamdb.execution.simple_select import Plan
    from kalamdb.functions.registry import Volatility
    from kalamdb.sql.query import SimpleSelect

ROOT = "root"
USER_NAME_LENGTH_MAX = 128
MEMORY = ":memory:"

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
    Raises DatabaseLocked, Corruption, UnknownFormat, StorageUnavailable, InvalidSetting.
    """
    if read_only:
        raise NotSupportedError("read_only is not available in this version; open the directory without it")
    if isinstance(settings, Settings):
        chosen = settings.with_overrides(overrides)
    else:
        chosen = load_settings(None if settings is None else os.fspath(settings), os.environ, overrides)
    if os.fspath(path) == MEMORY:
        return Database(FileSystem.memory(), "/kalamdb", chosen)
    return Database(FileSystem.posix(), os.path.abspath(os.fspath(path)), chosen)


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
    ) -> None:
        self.settings = settings
        self.path = path
        self.functions = builtin_functions()
        self._clock = clock or Clock.system()
        self._catalog_lock = threading.Lock()
        self._queries_lock = threading.Lock()
        self._queries: QueryEngine | None = None
        self.select_plans: dict[tuple[SimpleSelect, str], Plan] = {}
        """Plans of simple SELECTs by statement and namespace (execution.simple_select)."""
        self.write_plans = WritePlans(self)
        self._closed = False
        self._forked = False
        self.engine = Engine(
            files,
            path,
            wal_file_bytes=settings.wal_file_bytes,
            stream_bytes_max=settings.stream_memory_bytes,
            sync_interval_ms=settings.wal_sync_interval_ms,
            worker_id=settings.worker_id,
            memtable_bytes=settings.memtable_bytes,
            hot_cache_bytes=settings.hot_cache_bytes,
            clock=clock,
            random=random,
        )
        try:
            self.ids = _Ids(self.engine, clock, random)
            with core_errors_translated():
                self._catalog = self._load_catalog()
        except BaseException:
            self.engine.close()
            raise
        self._root = Session(self, ROOT, Role.SYSTEM, "default")
        _open_databases.add(self)

    def _load_catalog(self) -> Catalog:
        """The catalog's own rows first, then every table they tell of."""
        snapshot = self.engine.snapshot()
        rows: dict[int, list[tuple[Any, ...]]] = {}
        for schema in RESERVED:
            self.engine.define(schema, [schema])
            reader = self.engine.rows(schema, [schema]).reader
            rows[schema.table_id] = self.engine.store.scan(schema.table_id, b"", snapshot, reader)
        catalog = load_catalog(rows)
        for table in catalog.tables.values():
            self.engine.define(table, catalog.history[table.table_id])
        for table_id, *_ in rows[DROPPED_TABLES_ID]:
            self.engine.drop(table_id)
        return catalog

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

    def change_catalog(
        self,
        change: Callable[[Catalog], tuple[Catalog, list[CatalogChange]]],
        definitions: Callable[[WriteBatch, Catalog], None],
    ) -> Catalog:
        """Apply a change to the newest catalog: one at a time, durable before anybody sees it."""
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
            return catalog

    def now(self) -> datetime.datetime:
        """The instant, aware, UTC, in microseconds."""
        return _EPOCH + datetime.timedelta(microseconds=self._clock.now_us())

    def statistics(self) -> Mapping[str, int]:
        """Figures for system.stats."""
        return self.engine.store.statistics()

    # For the application

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Result:
        """Run SQL as root. See Session.execute."""
        return self._root.execute(sql, parameters)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        """Run one statement as root for every row of parameters. See Session.executemany."""
        return self._root.executemany(sql, rows)

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

    def session(
        self, user: str, role: str | None = None, namespace: str = "default", durability: str | None = None
    ) -> Session:
        """A session for any user by name; the application is trusted. `role`: user, service, dba or system.

        `durability`: "normal" where the database is "full"; None for the database's. Raises InvalidName,
        InvalidParameter, InvalidSetting, UndefinedNamespace.
        """
        self.check_open()
        check_user_name(user)
        if role is None:
            role = Role.SYSTEM if user == ROOT else Role.USER
        try:
            chosen = Role(role)
        except ValueError:
            raise InvalidParameter(
                f'role "{role}" does not exist; roles are user, service, dba and system'
            ) from None
        session = Session(self, user, chosen, "default", durability)
        if namespace != "default":
            session._use(namespace)
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
        """Figures of the database: bytes and entries in memory, rows of streams, bytes of the log."""
        self.check_open()
        return dict(self.statistics())

    def check_open(self) -> None:
        """Raises DatabaseClosed, ForkedProcess."""
        if self._closed:
            raise DatabaseClosed("the database is closed; open it again")
        if self._forked:
            raise ForkedProcess(
                "the database was opened before this process was forked; open it in the child anew"
            )

    def close(self) -> None:
        """Sync and close. Statements that run meanwhile end first or fail whole; closing twice does nothing."""
        if self._closed or self._forked:
            return
        self._closed = True
        _open_databases.discard(self)
        if self._queries is not None:
            self._queries.close()
        self.engine.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Database {self.path}{', closed' if self._closed else ''}>"


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def check_user_name(user: str) -> None:
    """Raises InvalidName unless it is text of 1 to 128 characters without control characters or lone surrogates."""
    if not isinstance(user, str) or not 1 <= len(user) <= USER_NAME_LENGTH_MAX:
        raise InvalidName(f"a user's name is text of 1 to {USER_NAME_LENGTH_MAX} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in user):
        raise InvalidName("a user's name has no control characters and no lone surrogates")


def _refuse_in_forked_child() -> None:
    for database in list(_open_databases):
        database._forked = True


def _close_at_exit() -> None:
    for database in list(_open_databases):
        database.close()


os.register_at_fork(after_in_child=_refuse_in_forked_child)
atexit.register(_close_at_exit)
