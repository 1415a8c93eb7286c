"""Work in the background: the statements of jobs.lark."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.sql.names import TableName
from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class FlushTable:
    """STORAGE FLUSH TABLE table | FLUSH TABLE table"""

    table: TableName


@dataclass(frozen=True, slots=True)
class FlushAll:
    """STORAGE FLUSH ALL [IN namespace]"""

    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class CompactTable:
    """STORAGE COMPACT TABLE table"""

    table: TableName


@dataclass(frozen=True, slots=True)
class CompactAll:
    """STORAGE COMPACT ALL [IN namespace]"""

    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ShowJobs:
    """SHOW JOBS"""


@dataclass(frozen=True, slots=True)
class KillJob:
    """KILL JOB 'id'"""

    job_id: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """CHECKPOINT"""


class JobRules(Rules):
    """The rules of jobs.lark."""

    def flush_table(self, table: TableName) -> FlushTable:
        return FlushTable(table)

    def flush_all(self, namespace: Token | None) -> FlushAll:
        return FlushAll(namespace.value if namespace else None)

    def compact_table(self, table: TableName) -> CompactTable:
        return CompactTable(table)

    def compact_all(self, namespace: Token | None) -> CompactAll:
        return CompactAll(namespace.value if namespace else None)

    def show_jobs(self) -> ShowJobs:
        return ShowJobs()

    def kill_job(self, job_id: Token) -> KillJob:
        return KillJob(job_id.fixed)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint()
