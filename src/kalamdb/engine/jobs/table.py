"""The rows of jobs: written by commits of their own, beside the catalog; see kalamdb.engine.jobs_schema.

A job whose row cannot be written for want of room goes on: flush and erase are what makes room. Its newest state is
kept here, shown, and written with the next one that can be.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.engine.core_errors import translated
from kalamdb.engine.jobs.job import INTERRUPTED, Job, JobRequest, JobStatus
from kalamdb.engine.jobs_schema import ENDED, JOBS, JOBS_ID, OPEN
from kalamdb.errors import StorageUnavailable

if TYPE_CHECKING:
    from kalamdb.engine.engine import Engine

UNWRITTEN_MAX = 1000
"""Ended jobs that wait in memory for room for their first row; beyond it the oldest are forgotten."""
TEXT_CHARACTERS_MAX = 10_000
"""Of `result` and `error`; the rest is cut."""
_PRUNED_TOGETHER_MAX = 1000


class JobTable:
    """Reads and writes the rows of jobs. Thread-safe. REQUIRES: the engine knows the table (`Engine.define`)."""

    def __init__(self, engine: Engine, *, sync: bool) -> None:
        self._engine = engine
        self._rows = engine.rows(JOBS, [JOBS])
        self._sync = sync
        # Held over a commit, so that the states of a job are written in order.
        self._writing = threading.Lock()
        self._open: dict[str, Job] = {}
        """What the OPEN partition holds."""
        self._unwritten: dict[str, Job] = {}

    def recover(self, now: datetime.datetime) -> list[Job]:
        """Mark as failed what an earlier life of the database left unfinished; these jobs."""
        for values in self._scan(OPEN):
            job = _job(values)
            self._open[job.job_id] = job
        interrupted = [
            replace(job, status=JobStatus.FAILED, error=INTERRUPTED, finished_at=now)
            for job in self._open.values()
        ]
        if interrupted:
            self.write(interrupted, sync=True)
        return interrupted

    def write(self, jobs: Iterable[Job], *, sync: bool) -> None:
        """Write the newest states of these jobs in one commit, with what could not be written before.

        Where there is no room they are kept in memory. Raises DatabasePoisoned, CommitOutcomeUnknown, DatabaseClosed.
        """
        with self._writing:
            unwritten = {**self._unwritten, **{job.job_id: job for job in jobs}}
            try:
                batch = WriteBatch(self._engine.snapshot())
                for job in unwritten.values():
                    self._put(batch, job)
                self._engine.commit(batch, sync=sync and self._sync)
            except StorageUnavailable:
                self._keep(unwritten)
                return
            except core.CoreError as error:
                raise translated(error) from error
            self._unwritten = {}
            for job in unwritten.values():
                if job.status.is_end:
                    self._open.pop(job.job_id, None)
                else:
                    self._open[job.job_id] = job

    def _put(self, batch: WriteBatch, job: Job) -> None:
        layout = self._rows.layout
        before = self._open.get(job.job_id)
        if not job.status.is_end:
            (batch.insert if before is None else batch.replace)(JOBS_ID, OPEN, layout, _values(job))
            return
        if before is not None:
            batch.delete(JOBS_ID, OPEN, layout, _values(before))
        batch.insert(JOBS_ID, ENDED, layout, _values(job))

    def _keep(self, jobs: dict[str, Job]) -> None:
        ended = [job_id for job_id, job in jobs.items() if job.status.is_end and job_id not in self._open]
        for job_id in ended[: max(0, len(ended) - UNWRITTEN_MAX)]:
            del jobs[job_id]
        self._unwritten = jobs

    def all(self) -> dict[str, Job]:
        """Every job that is kept, by id, as far as its states were written or are to be."""
        with self._writing:
            unwritten = dict(self._unwritten)
        snapshot = self._engine.snapshot()
        jobs = [_job(values) for part in (ENDED, OPEN) for values in self._scan(part, snapshot)]
        return {job.job_id: job for job in jobs} | unwritten

    def find(self, job_id: str) -> Job | None:
        """The job of this id, or None."""
        with self._writing:
            unwritten = self._unwritten.get(job_id)
        if unwritten is not None:
            return unwritten
        key, snapshot = self._rows.encode_key(job_id), self._engine.snapshot()
        for partition in (ENDED, OPEN):
            values = self._engine.store.get(JOBS_ID, partition, key, snapshot, self._rows.reader)
            if values is not None:
                return _job(values)
        return None

    def prune(self, before: datetime.datetime) -> int:
        """Delete what ended before this instant; how many jobs."""
        pruned = 0
        low: bytes | None = None
        # A job that ended before the instant was made before it too.
        high = self._rows.encode_key(_first_id_of(before))
        while True:
            snapshot = self._engine.snapshot()
            found = self._engine.store.scan(
                JOBS_ID, ENDED, snapshot, self._rows.reader, low=low, high=high, limit=_PRUNED_TOGETHER_MAX
            )
            batch = WriteBatch(snapshot)
            for values in found:
                finished_at = _job(values).finished_at
                if finished_at is not None and finished_at < before:
                    batch.delete(JOBS_ID, ENDED, self._rows.layout, values)
            if len(batch):
                self._engine.commit(batch, sync=False)
                pruned += len(batch)
            if len(found) < _PRUNED_TOGETHER_MAX:
                return pruned
            low = self._rows.encode_key(found[-1][0])

    def _scan(self, partition: bytes, snapshot: int | None = None) -> list[tuple[Any, ...]]:
        at = self._engine.snapshot() if snapshot is None else snapshot
        return self._engine.store.scan(JOBS_ID, partition, at, self._rows.reader)


def _values(job: Job) -> tuple[object, ...]:
    request = job.request
    return (
        job.job_id,
        request.job_type,
        job.status.value,
        request.namespace,
        request.table,
        json.dumps(dict(request.parameters)),
        request.actor,
        job.attempt,
        _text(job.result),
        _text(job.error),
        job.rows,
        job.bytes,
        job.created_at,
        job.started_at,
        job.finished_at,
    )


def _job(values: tuple[Any, ...]) -> Job:
    job_id, job_type, status, namespace, table, parameters, actor, attempt, *rest = values
    result, error, rows, bytes_, created_at, started_at, finished_at = rest
    request = JobRequest(job_type, namespace, table, json.loads(parameters), actor)
    return Job(
        job_id,
        request,
        JobStatus(status),
        created_at,
        attempt,
        result,
        error,
        rows,
        bytes_,
        started_at,
        finished_at,
    )


def _text(value: str | None) -> str | None:
    """What a function said, as a column takes it: a message may hold a path that is no Unicode."""
    if value is None:
        return None
    return value[:TEXT_CHARACTERS_MAX].encode(errors="replace").decode()


def _first_id_of(instant: datetime.datetime) -> str:
    """Sorts below every id that was made at this instant or later: its milliseconds, with which the ids begin."""
    milliseconds = max(0, int(instant.timestamp() * 1000))
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"
