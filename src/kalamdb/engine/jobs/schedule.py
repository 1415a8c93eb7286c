"""The schedule of policies: asks the engine at every turn which tables are due, and has them flushed.

Its thread is there only while a table has a policy.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from kalamdb.engine.jobs.job import JobRequest

_log = logging.getLogger("kalamdb.jobs")

Due = Callable[[], Iterable[JobRequest]]
"""What is to be flushed now, by every policy."""
Wait = Callable[[threading.Event, float], bool]
"""Waits for the event, or for as many seconds; whether the event came. The schedule's clock."""


class PolicySchedule:
    """Submits what is due. Thread-safe.

    `submit`: JobRunner.submit_due, which passes over what failed a moment ago and joins what waits or runs.
    """

    def __init__(
        self,
        submit: Callable[[JobRequest], object],
        *,
        interval_s: float = 1.0,
        wait: Wait = threading.Event.wait,
    ) -> None:
        self._submit = submit
        self._interval_s = interval_s
        self._wait = wait
        self._lock = threading.Lock()
        self._due: Due | None = None
        self._wanted = False
        self._closed = False
        self._stop: threading.Event | None = None
        """Ends the present thread; None where there is none."""
        self._thread: threading.Thread | None = None

    def begin(self, due: Due) -> None:
        """From here on the engine can tell what is due."""
        with self._lock:
            self._due = due
            self._follow()

    def watch(self, wanted: bool) -> None:
        """Tell whether any table has a policy, whenever that may have changed."""
        with self._lock:
            self._wanted = wanted
            self._follow()

    def close(self, timeout_s: float | None = None) -> None:
        """End the thread and wait for that, `timeout_s` at most; it never begins again."""
        with self._lock:
            self._closed = True
            self._follow()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    @property
    def is_running(self) -> bool:
        """Whether it asks at every turn."""
        return self._stop is not None

    def _follow(self) -> None:
        """Have a thread, or none. REQUIRES: the lock."""
        due = self._due
        if self._wanted and due is not None and not self._closed:
            if self._stop is None:
                stop = threading.Event()
                thread = threading.Thread(
                    target=self._turn, args=(due, stop), name="kalamdb-policies", daemon=True
                )
                thread.start()
                self._stop, self._thread = stop, thread
        elif self._stop is not None:
            self._stop.set()
            self._stop = None

    def _turn(self, due: Due, stop: threading.Event) -> None:
        trouble: str | None = None
        while not self._wait(stop, self._interval_s):
            try:
                for request in due():
                    if stop.is_set():
                        return
                    self._submit(request)
                trouble = None
            except Exception as error:
                # The next turn may do better; a table whose flush fails is the runner's to delay. Told once.
                if str(error) != trouble and not stop.is_set():
                    _log.warning("the flush policies could not be followed", exc_info=error)
                trouble = str(error)
