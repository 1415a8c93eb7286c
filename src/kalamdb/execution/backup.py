"""Backup and restore: the statements, and the work of their jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalamcore.errors import CoreError
from kalamcore.store import WriteBatch
from kalamdb.auth import Action, authorize, may
from kalamdb.engine.core_errors import translated
from kalamdb.engine.jobs import BACKUP, RESTORE, JobContext, JobRequest
from kalamdb.errors import Error, InvalidDefinition
from kalamdb.result import Result
from kalamdb.schema import TableKind
from kalamdb.types import TEXT

if TYPE_CHECKING:
    from kalamdb.catalog.catalog import Catalog, CatalogChange
    from kalamdb.engine.backup import BackupTarget, RestoredTable
    from kalamdb.execution.context import Context, Services
    from kalamdb.sql.backup import Backup, Restore
    from kalamdb.storage import Storage

BACKUP_COLUMNS = ("job_id", "namespace_id", "table_name")


def backup(statement: Backup, context: Context) -> Result:
    """Have a backup made; answers at once, with the job's row."""
    authorize(context.rights, Action.BACKUP)
    if statement.namespace is not None:
        context.catalog.require_namespace(statement.namespace)
    _target(statement.uri, context.services)
    request = JobRequest(BACKUP, statement.namespace, parameters={"uri": statement.uri}, actor=context.user)
    (job_id,) = context.services.jobs.submit_all([request])
    return Result.from_rows(BACKUP_COLUMNS, (TEXT, TEXT, TEXT), [(job_id, statement.namespace, None)])


def restore(statement: Restore, context: Context) -> Result:
    """Bring back what a backup holds, where nothing of it exists; it is there when this returns."""
    authorize(context.rights, Action.BACKUP)
    _target(statement.uri, context.services)
    # What a backup holds may be anybody's work: who may not make users of role system gets none by it.
    parameters = {"uri": statement.uri, "system_users": may(context.rights, Action.CHANGE_SYSTEM_USERS)}
    request = JobRequest(RESTORE, statement.namespace, parameters=parameters, actor=context.user)
    (job,) = context.services.jobs.run_all([request])
    return Result.affected(0, f"Restored: {job.result}")


def run_backup(services: Services, job: JobContext) -> str:
    """The work of a job of type `backup`."""
    from kalamdb.catalog.transfer import describe
    from kalamdb.engine.backup import Held, take_backup

    target = _target(job.parameters["uri"], services)
    namespace = job.namespace

    def held(catalog: Catalog) -> Held:
        described = describe(catalog, namespace)
        tables = [
            schema.table_id
            for schema in catalog.tables.values()
            if namespace in (None, schema.namespace) and schema.kind is not TableKind.STREAM
        ]
        if namespace is None:
            names = {one.table_id: (one.namespace, one.name) for one in catalog.tables.values()}
            described |= services.accounts.exported(names)
        try:
            return Held(services.engine.store.hold_segments(), described, frozenset(tables))
        except CoreError as error:
            raise translated(error) from error

    made = take_backup(
        services.cold,
        target,
        lambda: services.frozen_catalog(held),
        namespace,
        services.now(),
        job,
    )
    pieces = len(made.chunks())
    job.progress(bytes=target.written_bytes)
    return f"backup {made.number}: {pieces} piece(s), {target.written} of them new"


def run_restore(services: Services, job: JobContext) -> str:
    """The work of a job of type `restore`."""
    from kalamdb.catalog.transfer import complete, prepare, read_description
    from kalamdb.engine.backup import RestoredTable, restore_rows

    target = _target(job.parameters["uri"], services)
    namespace = job.namespace
    found = target.require_newest()
    if namespace is None and found.namespace is not None:
        raise InvalidDefinition(
            f"this is a backup of a namespace; write RESTORE NAMESPACE {found.namespace} FROM …"
        )
    description = read_description(found.catalog, namespace)
    at = services.now()
    histories: list[Any] = []
    storages: list[str] = []

    def prepared(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        new, changes, histories[:], storages[:] = prepare(
            catalog, description, at, lambda storage: _usable(storage, services)
        )
        return new, changes

    def definitions(batch: WriteBatch, catalog: Catalog) -> None:
        for versions in histories:
            newest = versions[-1]
            batch.define_table(
                newest.table_id, newest.version, **services.engine.core_definition(newest, versions)
            )
        if namespace is None:
            made = {(new[-1].namespace, new[-1].name): new[-1].table_id for new in histories}
            services.accounts.put_imported(
                batch, found.catalog, made, system_users=bool(job.parameters["system_users"])
            )

    tables: list[RestoredTable] = []
    try:
        # Nobody takes the tables for dropped ones while they are being filled.
        with services.cold.files.held(job.check):
            services.change_catalog(prepared, _no_definitions)
            tables += [
                RestoredTable(old[-1].table_id, new)
                for old, new in zip(description.histories, histories)
                if new[-1].kind is not TableKind.STREAM
            ]
            restore_rows(services.cold, target, found, tables, job)
            job.check()
            services.change_catalog(
                lambda catalog: complete(catalog, description, histories, at), definitions
            )
            services.accounts.forget()
    except BaseException:
        _undo(services, tables, storages, job)
        raise
    return f"backup {found.number} of {found.created_at}, {len(histories)} table(s)"


def _target(uri: str, services: Services) -> BackupTarget:
    from kalamdb.engine.backup import BackupTarget

    return BackupTarget(services.storages.backend_at(uri, services.catalog.storages.values()))


def _usable(storage: Storage, services: Services) -> Storage:
    """With its credentials only where they were encrypted under this database's master key."""
    if storage.secret is None:
        return storage
    try:
        services.storages.master_key.decrypt(storage.secret, storage.storage_id)
    except Error:
        return replace(storage, secret=None)
    return storage


def _undo(services: Services, tables: list[RestoredTable], storages: list[str], job: JobContext) -> None:
    """Leave nothing of a restore that failed. What cannot be removed now is found by the next opening, as the tables
    count as dropped ones."""
    from kalamdb.engine.cold import remove_table

    undone = JobContext(job.job_id, job.request)
    try:
        batch = WriteBatch(services.engine.snapshot())
        for table in tables:
            batch.drop_table(table.schema.table_id)
        services.engine.commit(batch, sync=True)
        for table in tables:
            remove_table(services.cold, table.schema.table_id, undone)
        for name in storages:
            services.change_catalog(lambda catalog, name=name: catalog.drop_storage(name), _no_definitions)  # type: ignore[misc]
    except (Error, CoreError):
        return


def _no_definitions(batch: WriteBatch, catalog: Catalog) -> None:
    """Nothing for the core to learn."""
