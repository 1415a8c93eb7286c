"""One job: what was asked for, and what has become of it so far."""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FLUSH = "flush"
COMPACT = "compact"
CLEAN = "clean"
BACKUP = "backup"
RESTORE = "restore"
ERASE = "erase"
EXPIRE = "expire"
INTERRUPTED = "interrupted"
"""The error of a job that the end of its database's life cut short."""


class JobStatus(enum.StrEnum):
    """new → running → completed, failed or cancelled; a job that never ran goes from new to failed or cancelled."""

    NEW = "new"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows it."""
        return self not in (JobStatus.NEW, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is asked for: work of one type on one table, a namespace (`table` None), or the database (both None).

    `actor`: the user who asked, None where the database asks itself. `parameters`: plain JSON.
    """

    job_type: str
    namespace: str | None = None
    table: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None

    @property
    def work(self) -> tuple[str, str | None, str | None, str]:
        """What is to be done, whoever asks: one job does for all requests that are equal in this."""
        return (self.job_type, self.namespace, self.table, json.dumps(dict(self.parameters), sort_keys=True))


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment; each step makes a new value. `attempt`: 1, or more for a retry of one that failed."""

    job_id: str
    request: JobRequest
    status: JobStatus
    created_at: datetime.datetime
    attempt: int = 1
    result: str | None = None
    error: str | None = None
    rows: int | None = None
    bytes: int | None = None
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None
