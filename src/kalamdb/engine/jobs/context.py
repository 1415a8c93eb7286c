"""What a job's function is given: what to do, where to tell how far it is, and whether to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kalamdb.engine.jobs.job import JobRequest
from kalamdb.errors import JobCancelled


class JobContext:
    """One running job, as its function sees it. `progress` and `check` may be called from any thread."""

    __slots__ = ("attempt", "bytes", "job_id", "request", "rows", "stopping")

    def __init__(self, job_id: str, request: JobRequest, attempt: int = 1) -> None:
        self.job_id = job_id
        self.request = request
        self.attempt = attempt
        self.rows: int | None = None
        self.bytes: int | None = None
        self.stopping = False
        """KILL JOB named it, or the database is being closed."""

    @property
    def namespace(self) -> str | None:
        """The namespace that it is about, or None."""
        return self.request.namespace

    @property
    def table(self) -> str | None:
        """The table that it is about, by name, or None."""
        return self.request.table

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was asked for with."""
        return self.request.parameters

    @property
    def actor(self) -> str | None:
        """The user who asked for it; None where the database did."""
        return self.request.actor

    def check(self) -> None:
        """A safe point: the place to stop, where nothing is half done. Raises JobCancelled when the job is to end.

        Call it often, between any two waits, and last of all before the step that makes the work count.
        """
        if self.stopping:
            raise JobCancelled(f"job {self.job_id} was stopped; what it had not committed was left undone")

    def progress(self, rows: int | None = None, bytes: int | None = None) -> None:
        """Tell how many rows and bytes are done so far, in all."""
        if rows is not None:
            self.rows = int(rows)
        if bytes is not None:
            self.bytes = int(bytes)
