"""Threads with deep stacks: where every call into DataFusion runs.

DataFusion plans an expression by recursion, and a chain of a thousand terms overflows a small stack and kills the
process. The caller's thread may have any stack, so the work is handed to a thread of ours and waited for. Whatever
the work raises is raised in the caller, panics of native code included, which Python sees as a BaseException.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from kalamdb import interrupts
from kalamdb.errors import DatabaseClosed, StatementTimeout

STACK_BYTES = 16 * 1024 * 1024

T = TypeVar("T")

_stack_size_lock = threading.Lock()


class GivenUp(BaseException):
    """What meets a query of which nobody waits for the end, where it stands."""


class Deadline:
    """When a statement must be done, and whether its caller has given up on it. Times by `time.monotonic`, seconds.

    Thread safety: all methods may be called from any thread."""

    __slots__ = ("_lock", "_thread", "abandoned", "at", "timeout_s")

    def __init__(self, timeout_s: float | None, now_s: float) -> None:
        self.timeout_s = timeout_s
        self.at = None if timeout_s is None else now_s + timeout_s
        self.abandoned = False
        self._lock = threading.Lock()
        self._thread: int | None = None

    def check(self, now_s: float) -> None:
        """Raises StatementTimeout when the time is over or nobody waits any more."""
        self._check_wanted()
        if self.at is not None and now_s >= self.at:
            raise self.error()

    def _check_wanted(self) -> None:
        if self.abandoned:
            raise self.error()

    def give_up(self) -> None:
        """Nobody waits for it any more: what runs in `stoppable` ends with GivenUp."""
        if self.abandoned:
            return
        with self._lock:
            self.abandoned = True
            if self._thread is not None:
                _raise_in(self._thread, GivenUp)

    def stoppable(self, step: Callable[[], T]) -> T:
        """What `step` gives, which is nothing but a call into DataFusion: that looks now and then whether Python has an
        exception for its thread, and lets go of its work then. Raises StatementTimeout, GivenUp."""
        with self._lock:
            self._check_wanted()
            self._thread = threading.get_ident()
        try:
            return step()
        finally:
            with self._lock:
                self._thread = None
            if self.abandoned:
                # It was too late to stop the step, and must meet nothing behind it.
                _raise_in(threading.get_ident(), None)

    def error(self) -> StatementTimeout:
        """What the caller is told."""
        if self.timeout_s is None:
            return interrupts.interrupted()
        return StatementTimeout(
            f"the statement took longer than statement_timeout_s ({self.timeout_s:g} s) and was stopped"
        )


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have another thread meet an exception as soon as it runs Python; None for what it has not met yet."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind)
    )


class _Job(Generic[T]):
    """One piece of work and the place where its result is left."""

    __slots__ = ("_lock", "_over", "context", "done", "failure", "given_up", "result", "work")

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.context = contextvars.copy_context()
        self.done = threading.Lock()
        self.done.acquire()
        self.result: T | None = None
        self.failure: BaseException | None = None
        self.given_up = False
        self._lock = threading.Lock()
        self._over = False

    def run(self) -> None:
        try:
            self.result = self.context.run(self.work)
        except BaseException as failure:  # a panic is no Exception, and must not end the thread
            self.failure = failure
        finally:
            self._end(given_up=False)

    def give_up(self) -> None:
        """Wake who waits for it, whether it is done or not."""
        self._end(given_up=True)

    def _end(self, *, given_up: bool) -> None:
        with self._lock:
            if not self._over:
                self._over = True
                self.given_up = given_up
                self.done.release()


class _Worker:
    """One thread; idle while it waits for its bell."""

    def __init__(self, threads: DeepThreads, number: int) -> None:
        self.threads = threads
        self.bell = threading.Lock()
        self.bell.acquire()
        self.job: _Job[object] | None = None
        # A daemon: a statement that cannot be cancelled must not keep the process from ending.
        self.thread = threading.Thread(target=self.run, name=f"kalamdb-query-{number}", daemon=True)

    def run(self) -> None:
        while True:
            self.bell.acquire()
            job, self.job = self.job, None
            if job is None:
                return
            # Idle again before the caller wakes, so that one caller after another is served by one thread.
            try:
                job.run()
            finally:
                del job
                self.threads.give_back(self)


class DeepThreads:
    """A pool of threads with 16 MB stacks, started as needed.

    Thread safety: all methods may be called from any thread. `threads_max` bounds what runs at once; more callers
    wait for a free thread.
    """

    def __init__(self, threads_max: int = 64) -> None:
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(threads_max)
        self._started = 0
        self._closed = False

    def call(self, work: Callable[[], T], deadline: Deadline | None = None) -> T:
        """Run `work` with the caller's context variables; its result, or what it raised.

        Raises StatementTimeout at the deadline, and where the caller is interrupted, even when the work itself does not
        look at it: it is then abandoned, and its thread comes back when the work notices. Raises DatabaseClosed after
        close().
        """
        remaining = None if deadline is None or deadline.timeout_s is None else deadline.timeout_s
        if not self._slots.acquire(timeout=remaining):
            assert deadline is not None
            raise deadline.error()
        try:
            interrupts.check()
            worker = self._take()
        except BaseException:
            self._slots.release()
            raise
        job = _Job(work)
        worker.job = job  # type: ignore[assignment]
        worker.bell.release()
        interrupt = interrupts.current()
        waking = contextlib.nullcontext() if interrupt is None else interrupt.waking(job.give_up)
        try:
            with waking:
                finished = job.done.acquire(timeout=-1 if remaining is None else remaining)
        except BaseException:
            if deadline is not None:
                deadline.give_up()
            raise
        if job.given_up or not finished:
            if deadline is not None:
                deadline.give_up()
            raise interrupts.interrupted() if job.given_up or deadline is None else deadline.error()
        if job.failure is not None:
            try:
                raise job.failure
            finally:
                job.failure = None  # no reference cycle through the traceback
        return job.result  # type: ignore[return-value]

    def give_back(self, worker: _Worker) -> None:
        """A worker has done its work."""
        with self._lock:
            if self._closed:
                worker.bell.release()
            else:
                self._idle.append(worker)
        self._slots.release()

    def close(self) -> None:
        """End the idle threads; a busy one ends when its work does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.bell.release()

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise DatabaseClosed("the database is closed; open it again")
            if self._idle:
                return self._idle.pop()
            self._started += 1
            worker = _Worker(self, self._started)
        # The stack size is a setting of the whole process: it holds only while this thread is started.
        with _stack_size_lock:
            before = threading.stack_size(STACK_BYTES)
            try:
                worker.thread.start()
            finally:
                # Who set another meanwhile keeps it: else what stood for a moment would stay.
                if threading.stack_size() == STACK_BYTES:
                    threading.stack_size(before)
        return worker
