"""One user's data: taken along as files, or gone for good."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.auth import Action, Role, authorize
from kalamdb.auth.account import ROOT
from kalamdb.auth.audit import SUCCESS, AuditEntry
from kalamdb.auth.refresh import RefreshTokens
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.jobs import ERASE, JobContext, JobRequest
from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.errors import AccessDenied, Corruption, StorageInUse, StorageUnavailable, UndefinedTable
from kalamdb.execution.scan import partition_columns
from kalamdb.result import Result
from kalamdb.schema import TableKind, TableSchema
from kalamdb.types import BIGINT, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from kalamdb.catalog.catalog import Catalog
    from kalamdb.execution.context import Context, Services
    from kalamdb.sql.backup import EraseUserData, ExportUserData

FORMAT_VERSION = 1
DESCRIPTION = "export.json"
EXPORT_COLUMNS = ("namespace_id", "table_name", "file", "rows")
ERASE_COLUMNS = ("namespace_id", "table_name", "rows")
_TRUSTED = frozenset({Role.DBA, Role.SYSTEM})


def export_user_data(statement: ExportUserData, context: Context) -> Result:
    """Write a user's rows of every USER and STREAM table to Parquet files, as of one moment."""
    import orjson

    from kalamdb.engine.segments import parquet_of

    authorize(
        context.rights,
        Action.EXPORT_OWN_DATA if statement.user == context.user else Action.EXPORT_ANY_DATA,
    )
    services = context.services
    trusted = context.role in _TRUSTED
    if not trusted and not services.settings.storage_roots:
        raise AccessDenied(
            "permission denied to write files: the setting storage_roots names no directory where users may put "
            "their exports; ask a dba"
        )
    if not trusted and "://" in statement.path and not statement.path.lower().startswith("file://"):
        raise AccessDenied("permission denied to write to a bucket; give a path, or ask a dba")
    backend = services.storages.backend_at(statement.path, services.catalog.storages.values(), lend=trusted)
    if next(iter(backend.list()), None) is not None:
        raise StorageInUse("there are files in this place; nothing is overwritten: choose another path")
    rows, tables = [], []
    for schema in _tables_of_users(context.catalog):
        name = f"{schema.namespace}.{schema.name}.parquet"
        count, content = parquet_of(_rows_of(context, schema, statement.user.encode()), schema)
        backend.write(name, content)
        rows.append((schema.namespace, schema.name, name, count))
        tables.append(
            {
                "namespace": schema.namespace,
                "table": schema.name,
                "kind": schema.kind.value,
                "file": name,
                "rows": count,
                "columns": [{"name": one.name, "type": str(one.type)} for one in schema.columns],
            }
        )
    described = {
        "format_version": FORMAT_VERSION,
        "user_id": statement.user,
        "exported_at": context.now.isoformat(),
        "database_id": services.engine.directory.database_id,
        "tables": tables,
    }
    backend.replace(DESCRIPTION, orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n", None)
    return Result.from_rows(EXPORT_COLUMNS, (TEXT, TEXT, TEXT, BIGINT), rows)


def _tables_of_users(catalog: Catalog) -> list[TableSchema]:
    return [schema for _, schema in sorted(catalog.tables.items()) if schema.kind is not TableKind.SHARED]


def _rows_of(context: Context, schema: TableSchema, partition: bytes) -> Iterator[list[pa.Array]]:
    positions = [*range(len(schema.columns)), SYSTEM_COLUMNS["_seq"]]
    return partition_columns(context, schema, partition, positions, deleted=False)


def erase_user_data(statement: EraseUserData, context: Context) -> Result:
    """Remove every row of a user, and whatever file holds a byte of one; a row a table says how many rows lived, NULL
    where that could not be read."""
    authorize(context.rights, Action.ERASE_DATA)
    rows = _erase(context.services, statement.user, context.user)
    return Result.from_rows(ERASE_COLUMNS, (TEXT, TEXT, BIGINT), rows)


def _erase(services: Services, user: str, actor: str | None) -> list[tuple[str, str, int | None]]:
    """Namespace, table and count of rows, a table."""
    tables = _tables_of_users(services.catalog)
    jobs = services.jobs.run_all(
        [JobRequest(ERASE, schema.namespace, schema.name, {"user": user}, actor) for schema in tables]
    )
    # Last, and once for all of them.
    services.jobs.run_all([JobRequest(ERASE, parameters={"user": user}, actor=actor)])
    return [(schema.namespace, schema.name, job.rows) for schema, job in zip(tables, jobs)]


def run_expire(services: Services, job: JobContext) -> str:
    """The work of a job of type `expire`: users who were deleted long enough ago go for good, with their rows. One such
    job runs at a time, and another worker is there for those that it waits for."""
    before = expired_before(services)
    gone = 0
    tokens = RefreshTokens(
        services.engine,
        ttl=datetime.timedelta(days=services.settings.refresh_token_ttl_d),
        now=services.now,
        # Whatever a check has kept of the family is asked for anew.
        on_end=lambda family: services.accounts.forget(),
    )
    for listed in services.accounts.deleted():
        job.check()
        # Looked at once more: it may be long since the list was made, and a dba may have brought the user back.
        account = services.accounts.find(listed.user_id)
        if account is None or account.deleted_at is None or account.deleted_at > before:
            continue
        _erase(services, account.user_id, None)
        tokens.forget_user(account.user_id)
        entry = AuditEntry(ROOT, "EXPIRE USER", SUCCESS, target=account.user_id)
        services.accounts.remove(account.user_id, lambda batch, entry=entry: services.audit.put(batch, entry))  # type: ignore[misc]
        gone += 1
    return f"{gone} user(s) are gone for good"


def expired_before(services: Services) -> datetime.datetime:
    """Who was deleted up to then is kept no longer."""
    return services.now() - datetime.timedelta(days=services.settings.user_retention_d)


def run_erase(services: Services, job: JobContext) -> str:
    """The work of a job of type `erase`: of one table, or, without one, the log and what was cut from it."""
    partition = str(job.parameters["user"]).encode()
    if job.table is None:
        services.settle_dropped(job)
        with core_errors_translated():
            services.engine.purge(job.check)
        return "the log holds nothing of it any more"
    schema = services.catalog.table(job.namespace or "", job.table)
    if schema is None:
        raise UndefinedTable(f'relation "{job.namespace}.{job.table}" does not exist any more')
    with core_errors_translated():
        lived = _count(services, schema, partition)
        if schema.kind is TableKind.STREAM:
            _delete_stream_rows(services, schema, partition)
        else:
            from kalamdb.engine.cold import erase_partition

            erase_partition(services.cold, schema, partition, job)
    job.progress(rows=lived)
    return "erased" if lived is None else f"erased {lived} row(s)"


def _count(services: Services, schema: TableSchema, partition: bytes) -> int | None:
    """How many rows live; None where they cannot be read, which does not keep them from being erased."""
    held: list[object] = []
    while True:
        view = services.engine.view()
        try:
            return view.count(schema.table_id, partition, view.snapshot)
        except core.ColdMissError as miss:
            try:
                held += services.engine.load_cold(miss)
            except (Corruption, StorageUnavailable):
                return None


def _delete_stream_rows(services: Services, schema: TableSchema, partition: bytes) -> None:
    """They are in memory alone, and nothing of them outlives the deletion."""
    rows = services.engine.rows(schema, services.catalog.history[schema.table_id])
    positions = list(range(len(schema.columns)))
    while True:
        view = services.engine.view()
        found: list[Any] = view.scan(schema.table_id, partition, view.snapshot, rows.reader, positions)
        if not found:
            return
        batch = WriteBatch(view.snapshot)
        for values in found:
            batch.delete(schema.table_id, partition, rows.layout, values)
        try:
            services.engine.commit(batch, sync=False)
        except core.WriteConflictError:
            continue
