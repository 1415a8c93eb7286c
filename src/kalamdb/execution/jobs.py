"""Jobs by statement: flush and compaction are asked for here and done in the background; who may see and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.auth import Action, authorize, hidden_table, undefined_table
from kalamdb.engine.jobs import COMPACT, FLUSH, JobRequest, JobStatus
from kalamdb.errors import InvalidDefinition
from kalamdb.execution.scan import relation
from kalamdb.execution.visible_views import is_visible_view
from kalamdb.result import Result
from kalamdb.schema import TableKind, TableSchema
from kalamdb.sql.jobs import Checkpoint, CompactAll, CompactTable, FlushAll, FlushTable, KillJob, ShowJobs
from kalamdb.sql.names import TableName
from kalamdb.types import TEXT

if TYPE_CHECKING:
    from kalamdb.execution.context import Context

SUBMITTED_COLUMNS = ("job_id", "namespace_id", "table_name")


def flush(statement: FlushTable | FlushAll, context: Context) -> Result:
    """Have rows moved to cold segments; answers at once, with one row a table."""
    return _submit(FLUSH, statement, context)


def compact(statement: CompactTable | CompactAll, context: Context) -> Result:
    """Have segments put together; answers at once, with one row a table."""
    return _submit(COMPACT, statement, context)


def _submit(
    job_type: str, statement: FlushTable | FlushAll | CompactTable | CompactAll, context: Context
) -> Result:
    # Before the tables are looked at, so that the answer is the same whether there are any.
    authorize(context.rights, Action.FLUSH)
    context.services.jobs.require(job_type)
    requests = requests_for(job_type, statement, context)
    job_ids = context.services.jobs.submit_all(requests)
    rows = [(job_id, one.namespace, one.table) for job_id, one in zip(job_ids, requests, strict=True)]
    return Result.from_rows(SUBMITTED_COLUMNS, (TEXT, TEXT, TEXT), rows)


def requests_for(
    job_type: str, statement: FlushTable | FlushAll | CompactTable | CompactAll, context: Context
) -> list[JobRequest]:
    """One request a table that the statement is about, by name. Raises UndefinedTable, UndefinedNamespace, and
    InvalidDefinition for what has no segments."""
    if isinstance(statement, (FlushTable, CompactTable)):
        tables = [_stored_table(statement.table, job_type, context)]
    else:
        if statement.namespace is not None:
            context.catalog.require_namespace(statement.namespace)
        tables = [
            schema
            for _, schema in sorted(context.catalog.tables.items())
            if statement.namespace in (None, schema.namespace)
            and schema.kind is not TableKind.STREAM
            and context.may_see(schema)
        ]
    return [JobRequest(job_type, schema.namespace, schema.name, actor=context.user) for schema in tables]


def _stored_table(name: TableName, job_type: str, context: Context) -> TableSchema:
    namespace = name.namespace or context.namespace
    schema = context.catalog.table(namespace, name.name) if name.catalog is None else None
    if schema is None:
        if name.catalog is None and is_visible_view(context.catalog, namespace, name.name, context.may_see):
            raise InvalidDefinition(f'"{name}" is a view; {job_type} the tables that it reads')
        raise undefined_table(str(name))
    if not context.may_see(schema):
        raise hidden_table(str(name))
    if schema.kind is TableKind.STREAM:
        raise InvalidDefinition(
            f"{schema.qualified_name} is a STREAM table; its rows stay in memory, there is nothing to {job_type}"
        )
    return schema


def show_jobs(statement: ShowJobs, context: Context) -> Result:
    """The rows of system.jobs, the newest first."""
    import pyarrow as pa

    found = relation(context, "kalam", "system", "jobs", frozenset({"*"}))
    jobs = pa.Table.from_batches(found.batches or [], schema=found.schema)
    newest_first = jobs.sort_by([("created_at", "descending"), ("job_id", "descending")])
    return Result.from_arrow(newest_first.schema, newest_first.to_batches())


def kill_job(statement: KillJob, context: Context) -> Result:
    """End a job; one that has ended already stays as it is."""
    authorize(context.rights, Action.KILL_JOB)
    job = context.services.jobs.kill(statement.job_id)
    if job.status.is_end and job.status is not JobStatus.CANCELLED:
        return Result.affected(0, f"Job {job.job_id} has {job.status.value} already")
    return Result.affected(1, f"Job {job.job_id} is cancelled, if it is running at its next safe point")


def checkpoint(statement: Checkpoint, context: Context) -> Result:
    """Write the rows in memory to hot segments."""
    authorize(context.rights, Action.FLUSH)
    context.services.checkpoint()
    return Result.affected(0, "Checkpoint written")
