"""The runner: takes jobs in, runs them on threads of its own, and knows what became of each.

- Jobs of one table run one after the other; jobs of different tables, up to `workers_max` of them, side by side.
- A request for what waits or runs already is answered with that job.
- A thread is there only while a job waits or runs. Threads are daemons: they never keep the process alive.
- A job stops at its own safe points (JobContext.check), for KILL JOB as for close().
- Where a storage did not answer, the job fails with the reason, and a new one, its retry, waits (RetryDelay).
"""

from __future__ import annotations

import copy
import datetime
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kalamcore.errors import CoreError
from kalamdb.engine.core_errors import translated
from kalamdb.engine.jobs.context import JobContext
from kalamdb.engine.jobs.job import INTERRUPTED, Job, JobRequest, JobStatus
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.engine.jobs.table import JobTable
from kalamdb.engine.periodic import Periodic
from kalamdb.errors import (
    DatabaseClosed,
    Error,
    InternalError,
    JobCancelled,
    NotSupportedError,
    ResourcesExceeded,
    StorageUnavailable,
    UndefinedObject,
)

_log = logging.getLogger("kalamdb.jobs")

JobFunction = Callable[[JobContext], str | None]
"""Does the work; what it returns is the job's `result`."""
Work = tuple[str, str | None, str | None, str]
"""JobRequest.work"""
Place = tuple[str | None, str]
"""A table, by the names of its namespace and its own."""

_SHOWN_MAX = 64
PRUNE_INTERVAL = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _JobType:
    function: JobFunction
    joins: bool
    retries: bool


@dataclass(slots=True, eq=False)
class _Active:
    """A job that has not ended. Its fields change under the runner's lock."""

    job: Job
    context: JobContext
    not_before_s: float = 0.0
    running: bool = False
    ending: bool = False
    """Its work is over or will not begin, and only its row is still to be written: nobody joins it any more."""
    killed: bool = False
    failure: Error | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def now(self) -> Job:
        """The job with its progress."""
        if self.job.status is JobStatus.RUNNING:
            return replace(self.job, rows=self.context.rows, bytes=self.context.bytes)
        return self.job

    @property
    def place(self) -> Place | None:
        """The table that it needs for itself; None for a job of no table."""
        request = self.job.request
        return None if request.table is None else (request.namespace, request.table)


@dataclass(frozen=True, slots=True)
class _End:
    """How a job ends. `message`: its error, where that is not the failure's own."""

    active: _Active
    status: JobStatus
    failure: Error | None
    result: str | None = None
    message: str | None = None


class JobRunner:
    """Runs the jobs of one database. Thread-safe.

    `new_id`: ids that sort by time. `now`: the instant, for the rows; `monotonic_s`: the clock of delays.
    """

    def __init__(
        self,
        table: JobTable,
        *,
        new_id: Callable[[], str],
        now: Callable[[], datetime.datetime],
        retention: datetime.timedelta,
        workers_max: int = 2,
        delay: RetryDelay | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._new_id = new_id
        self._now = now
        self._retention = retention
        self._workers_max = workers_max
        self._delay = delay or RetryDelay()
        self._monotonic_s = monotonic_s
        self._types: dict[str, _JobType] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._active: dict[str, _Active] = {}
        self._by_work: dict[Work, _Active] = {}
        """What a request for the same is answered with."""
        self._queue: list[_Active] = []
        self._busy: set[Place] = set()
        """Tables that a job runs on."""
        self._workers: set[threading.Thread] = set()
        self._idle = 0
        self._failures: dict[Work, tuple[int, float]] = {}
        """Work that failed last time: how often in a row, and until when no policy is heard about it."""
        self._pruning = Periodic(PRUNE_INTERVAL)
        self._closing = False

    # What jobs there can be

    def register(
        self, job_type: str, function: JobFunction, *, joins: bool = True, retries: bool = True
    ) -> None:
        """Let jobs of this type be run by `function`, which replaces an earlier one.

        `joins`: a request for what waits or runs already is answered with that job. `retries`: after
        StorageUnavailable the job is tried again. The function is called on a thread of the runner; it calls
        `context.check()` often, and lets what that raises pass.
        """
        self._types[job_type] = _JobType(function, joins, retries)

    def require(self, job_type: str) -> None:
        """Raises NotSupportedError where no function does this type."""
        if job_type not in self._types:
            raise NotSupportedError(f"{job_type} is not available in this version")

    # Asking for work

    def submit(
        self,
        job_type: str,
        namespace: str | None = None,
        table: str | None = None,
        parameters: dict[str, object] | None = None,
        actor: str | None = None,
    ) -> str:
        """Let the work be done soon; the id of its job. See submit_all."""
        return self.submit_all([JobRequest(job_type, namespace, table, parameters or {}, actor)])[0]

    def submit_all(self, requests: Sequence[JobRequest]) -> list[str]:
        """Let all of this be done soon; the ids of the jobs, in order. Their rows are one commit, durable on return.

        What waits or runs already is joined; a retry that waits for its turn gets it now. Raises NotSupportedError,
        DatabaseClosed, DatabasePoisoned, ResourcesExceeded.
        """
        return [active.job.job_id for active, _ in self._submit(requests)]

    def submit_due(self, request: JobRequest) -> str | None:
        """As submit, for policies: None, and nothing is done, while the delay after a failure of this work lasts. A
        retry that waits is not hastened."""
        self.require(request.job_type)
        with self._lock:
            waiting = self._same(request)
            if waiting is not None:
                return waiting.job.job_id
            _, until_s = self._failures.get(request.work, (0, 0.0))
            if self._monotonic_s() < until_s:
                return None
        return self.submit_all([request])[0]

    def run_all(self, requests: Sequence[JobRequest]) -> list[Job]:
        """Have all of this done from its beginning, and wait for it; the jobs. Raises what the first that failed met,
        JobCancelled where it was killed, and as submit_all. A retry that follows a failure is not waited for.

        A job that ran already when it was asked for may have passed by what was written since, so after it another
        one is run.
        """
        submitted = self._submit(requests)
        done = [active for active, _ in submitted]
        for active in done:
            active.ended.wait()
        again = [place for place, (active, ran) in enumerate(submitted) if ran and active.failure is None]
        if again:
            for place, (active, _) in zip(again, self._submit([requests[place] for place in again])):
                active.ended.wait()
                done[place] = active
        for active in done:
            if active.failure is not None:
                # A copy: several may wait for one job, and each raises with its own traceback.
                raise copy.copy(active.failure) from active.failure
        return [active.job for active in done]

    # Looking at jobs

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job once it has ended, or as it is after `timeout_s`. Raises UndefinedObject."""
        with self._lock:
            active = self._active.get(job_id)
        if active is None:
            return self.job(job_id)
        active.ended.wait(timeout_s)
        return active.now()

    def job(self, job_id: str) -> Job:
        """The job as it is. Raises UndefinedObject."""
        with self._lock:
            active = self._active.get(job_id)
            if active is not None:
                return active.now()
        job = self._table.find(job_id)
        if job is None:
            shown = (
                job_id if job_id.isprintable() and len(job_id) <= _SHOWN_MAX else ascii(job_id[:_SHOWN_MAX])
            )
            raise UndefinedObject(f'job "{shown}" does not exist; SHOW JOBS lists those that do')
        return job

    def jobs(self, actor: str | None = None) -> list[Job]:
        """Every job that is kept, the oldest first; of one actor, or of all."""
        with self._lock:
            active = {job_id: one.now() for job_id, one in self._active.items()}
        found = self._table.all()
        # Read after `active`: a job that ended in between is told by its row.
        ended = {job_id for job_id, job in found.items() if job.status.is_end}
        found |= {job_id: job for job_id, job in active.items() if job_id not in ended}
        jobs = [job for job in found.values() if actor is None or job.request.actor == actor]
        return sorted(jobs, key=lambda job: (job.created_at, job.job_id))

    def count(self) -> int:
        """How many jobs wait or run."""
        return len(self._active)

    # Ending jobs

    def kill(self, job_id: str) -> Job:
        """End a job: one that waits at once, one that runs at its next safe point; the job as it is then.

        One that has ended stays as it is. Policies leave the work alone for the longest delay, or they would have it
        begun anew at once. Raises UndefinedObject.
        """
        waits = False
        with self._lock:
            active = self._active.get(job_id)
            if active is not None and not active.ending:
                active.killed = True
                active.context.stopping = True
                work = active.job.request.work
                failures, _ = self._failures.get(work, (0, 0.0))
                self._failures[work] = failures, self._monotonic_s() + self._delay.max_s
                waits = active in self._queue
                if waits:
                    self._queue.remove(active)
                    active.ending = True
                    self._changed.notify_all()
        if active is None:
            return self.job(job_id)
        if waits:
            self._end([self._without_run(active)])
        return active.now()

    def recover(self) -> list[Job]:
        """At open: mark what an earlier life left unfinished, forget what is too old; the interrupted jobs."""
        interrupted = self._table.recover(self._now())
        self._prune()
        return interrupted

    def close(self, timeout_s: float | None = None) -> bool:
        """End all jobs, those that run at their next safe point, and wait for that. Afterwards none can be submitted.

        Whether all have ended; without `timeout_s` it waits until they have.
        """
        with self._lock:
            self._closing = True
            waiting, self._queue = self._queue, []
            for active in self._active.values():
                active.context.stopping = True
            for active in waiting:
                active.ending = True
            workers = [worker for worker in self._workers if worker is not threading.current_thread()]
            self._changed.notify_all()
        self._end([self._without_run(active) for active in waiting])
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in workers:
            worker.join(None if until_s is None else max(0.0, until_s - time.monotonic()))
        return not any(worker.is_alive() for worker in workers)

    # Taking in

    def _submit(self, requests: Sequence[JobRequest]) -> list[tuple[_Active, bool]]:
        """The jobs that do this, and of each whether it ran already."""
        for request in requests:
            self.require(request.job_type)
        found: list[tuple[_Active, bool]] = []
        new: list[_Active] = []
        with self._lock:
            if self._closing:
                raise DatabaseClosed("the database is closed; open it again")
            for request in requests:
                active = self._same(request)
                if active is None:
                    active = self._add(request)
                    new.append(active)
                elif active.not_before_s > 0.0:
                    active.not_before_s = 0.0
                    self._changed.notify_all()
                found.append((active, active.running))
        self._enqueue(new)
        return found

    def _same(self, request: JobRequest) -> _Active | None:
        """A job that does the same. REQUIRES: the lock."""
        if not self._types[request.job_type].joins:
            return None
        active = self._by_work.get(request.work)
        return None if active is None or active.ending or active.killed else active

    def _add(self, request: JobRequest, attempt: int = 1, not_before_s: float = 0.0) -> _Active:
        """A new job, which others may join from here on, and which runs once it is enqueued. REQUIRES: the lock."""
        job = Job(self._new_id(), request, JobStatus.NEW, self._now(), attempt)
        active = _Active(job, JobContext(job.job_id, request, attempt), not_before_s)
        self._active[job.job_id] = self._by_work[request.work] = active
        return active

    def _enqueue(self, new: Sequence[_Active]) -> None:
        """Write their rows, then let them run: no work is done for a job that nobody could find after a crash."""
        if not new:
            return
        try:
            self._table.write([active.job for active in new], sync=True)
        except BaseException as raised:
            with self._lock:
                for active in new:
                    failure = (
                        raised if isinstance(raised, Error) else InternalError("its row was not written")
                    )
                    self._forget(active, failure)
            raise
        with self._lock:
            # It may have been killed, and the database closed, while its row was written.
            refused = [active for active in new if active.killed or self._closing]
            self._queue += [active for active in new if not (active.killed or self._closing)]
            started = self._start_workers()
            if not started:
                refused += self._queue
                self._queue = []
            for active in refused:
                active.ending = True
        self._end([self._without_run(active) for active in refused])
        if not started:
            raise ResourcesExceeded("no thread could be started for jobs; free some and try again")

    def _start_workers(self) -> bool:
        """Whether what is queued has a thread that takes it. REQUIRES: the lock."""
        wanted = min(self._workers_max - len(self._workers), len(self._queue) - self._idle)
        for _ in range(wanted):
            worker = threading.Thread(target=self._work, name="kalamdb-jobs", daemon=True)
            try:
                worker.start()
            except RuntimeError:
                break
            self._workers.add(worker)
        self._changed.notify_all()
        return bool(self._workers) or not self._queue

    # Running

    def _work(self) -> None:
        """A worker's life: as long as there is a job for it."""
        try:
            while (active := self._take()) is not None:
                self._run(active)
        finally:
            with self._lock:
                self._workers.discard(threading.current_thread())

    def _take(self) -> _Active | None:
        """The next job whose time has come and whose table is free; None where none waits for that any more."""
        with self._lock:
            while self._queue:
                active, delay_s = self._next()
                if active is not None:
                    self._queue.remove(active)
                    active.running = True
                    if active.place is not None:
                        self._busy.add(active.place)
                    return active
                self._idle += 1
                self._changed.wait(delay_s)
                self._idle -= 1
            # Gone, for all who look for a worker from here on.
            self._workers.discard(threading.current_thread())
            return None

    def _next(self) -> tuple[_Active | None, float | None]:
        """What may run now, or else in how many seconds the first may by time alone. REQUIRES: the lock.

        Where every job's table is busy that is None: the worker that is done there wakes the others.
        """
        now_s = self._monotonic_s()
        delay_s: float | None = None
        for active in self._queue:
            if active.place in self._busy:
                continue
            left_s = active.not_before_s - now_s
            if left_s <= 0.0:
                return active, None
            delay_s = left_s if delay_s is None else min(delay_s, left_s)
        return None, delay_s

    def _run(self, active: _Active) -> None:
        job_type = self._types[active.job.request.job_type]
        with self._lock:
            active.job = replace(active.job, status=JobStatus.RUNNING, started_at=self._now())
        # Not waited for on the disk: a crash makes it `interrupted` whether it was new or running.
        self._write([active.job], sync=False)
        try:
            active.context.check()
            result = job_type.function(active.context)
            end = _End(active, JobStatus.COMPLETED, None, None if result is None else str(result))
        except BaseException as raised:
            # A panic of native code is no Exception; it ends the job too, and not the thread.
            end = self._failed(active, raised)
        retry = self._settle(active, job_type, end.failure)
        if end.failure is not None and retry is not None:
            delay_s = self._delay.after(active.job.attempt)
            message = f"{end.failure.message}; tried again in {delay_s:g} s as job {retry.job.job_id}"
            end = replace(end, message=message)
        self._end([end])
        if retry is not None:
            try:
                self._enqueue([retry])
            except Error as error:
                _log.warning("job %s cannot be tried again: %s", active.job.job_id, error)
        if not self._closing:
            self._prune()

    def _failed(self, active: _Active, raised: BaseException) -> _End:
        """What its function raised, as the end of a job."""
        if isinstance(raised, CoreError):
            raised = translated(raised)
        if isinstance(raised, (JobCancelled, DatabaseClosed)):
            if active.killed:
                return _End(active, JobStatus.CANCELLED, JobCancelled(f"job {active.job.job_id} was killed"))
            if self._closing:
                return _interrupted(active)
        if isinstance(raised, Error):
            return _End(active, JobStatus.FAILED, raised)
        # Its text may show what only the application's log should, so it does not go to the row.
        _log.error("job %s failed", active.job.job_id, exc_info=raised)
        failure = InternalError(f"internal error: {type(raised).__name__}; see the log output")
        return _End(active, JobStatus.FAILED, failure)

    def _settle(self, active: _Active, job_type: _JobType, failure: Error | None) -> _Active | None:
        """Free its table, and note whether its work failed; the retry that is to follow it, if one is."""
        request, attempt = active.job.request, active.job.attempt
        with self._lock:
            active.running = False
            active.ending = True
            if active.place is not None:
                self._busy.discard(active.place)
            self._changed.notify_all()
            if failure is None:
                self._failures.pop(request.work, None)
            if failure is None or self._closing or active.killed:
                return None
            failures, _ = self._failures.get(request.work, (0, 0.0))
            now_s = self._monotonic_s()
            # What no policy asked for in a long time is forgotten.
            oldest_s = now_s - self._delay.max_s
            self._failures = {work: one for work, one in self._failures.items() if one[1] > oldest_s}
            self._failures[request.work] = failures + 1, now_s + self._delay.after(failures + 1)
            retries = job_type.retries and isinstance(failure, StorageUnavailable)
            if not retries or attempt > self._delay.retries_max:
                return None
            return self._add(request, attempt + 1, now_s + self._delay.after(attempt))

    # The last step

    def _without_run(self, active: _Active) -> _End:
        """The end of a job that never ran."""
        if active.killed:
            failure = JobCancelled(f"job {active.job.job_id} was killed before it began")
            return _End(active, JobStatus.CANCELLED, failure)
        if self._closing:
            return _interrupted(active)
        return _End(active, JobStatus.FAILED, ResourcesExceeded("no thread could be started for it"))

    def _end(self, ends: Sequence[_End]) -> None:
        """Write how they ended, then tell who waits: whoever has waited finds the row."""
        if not ends:
            return
        now = self._now()
        with self._lock:
            for end in ends:
                error = end.message or (None if end.failure is None else end.failure.message)
                end.active.job = replace(
                    end.active.now(),
                    status=end.status,
                    error=None if end.status is JobStatus.CANCELLED else error,
                    result=end.result,
                    finished_at=now,
                )
        self._write([end.active.job for end in ends], sync=True)
        with self._lock:
            for end in ends:
                self._forget(end.active, end.failure)

    def _forget(self, active: _Active, failure: Error | None) -> None:
        """REQUIRES: the lock."""
        self._active.pop(active.job.job_id, None)
        work = active.job.request.work
        if self._by_work.get(work) is active:
            del self._by_work[work]
        active.failure = failure
        active.ended.set()

    def _write(self, jobs: list[Job], *, sync: bool) -> None:
        """Where the rows cannot be written the work goes on, and the log output tells: who waits must not wait on."""
        try:
            self._table.write(jobs, sync=sync)
        except Exception as error:
            _log.warning("the states of %d job(s) could not be written: %s", len(jobs), error)

    def _prune(self) -> None:
        """Forget jobs beyond their retention, once an hour at most."""
        now = self._now()
        if not self._pruning.is_due(now):
            return
        try:
            self._table.prune(now - self._retention)
        except (CoreError, Error) as error:
            _log.warning("old jobs could not be removed: %s", error)


def _interrupted(active: _Active) -> _End:
    """The end of a job whose database is closed first."""
    closed = f"the database was closed before job {active.job.job_id} ended; open it and ask again"
    return _End(active, JobStatus.FAILED, DatabaseClosed(closed), message=INTERRUPTED)
