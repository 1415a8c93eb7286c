"""The hold on files: while a job has it, no clean-up takes a file away that the job may need.

Clean-ups of several tables run beside each other: one that found another at work and left would leave its files to
chance."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

WAIT_S = 0.1
"""A job that waits for the hold looks up so often whether it is to stop."""


class FileHold:
    """One job has it at a time; clean-ups, which hold up nobody, run side by side while none has. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._cleaning = 0

    @contextlib.contextmanager
    def held(self, check: Callable[[], None]) -> Iterator[None]:
        """Have it in this block; waits for the job that has it and for clean-ups, and meanwhile calls `check`, which
        may raise."""
        with self._changed:
            while self._held:
                self._changed.wait(WAIT_S)
                check()
            self._held = True
        try:
            with self._changed:
                # No clean-up begins any more; those under way end soon.
                self._changed.wait_for(lambda: self._cleaning == 0)
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    @contextlib.contextmanager
    def cleaning(self) -> Iterator[bool]:
        """For clean-up that can as well be done another time: whether it may be done in this block."""
        with self._changed:
            may = not self._held
            self._cleaning += may
        try:
            yield may
        finally:
            if may:
                with self._changed:
                    self._cleaning -= 1
                    self._changed.notify_all()
