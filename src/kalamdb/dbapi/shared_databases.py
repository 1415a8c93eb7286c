"""Databases that connections share: one process owns a directory once, and may have many connections to it.

A directory is opened for its first connection and closed with its last. A connection that was dropped counts as closed.
The garbage collector may find it in the middle of anything, so it leaves a note, which the next to come here reads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kalamdb.database import MEMORY, Database
from kalamdb.database import open as open_database
from kalamdb.errors import InterfaceError, InvalidSetting
from kalamdb.settings import Settings, load_settings

Path = str | os.PathLike[str]


class Hold:
    """One connection's part in a database. To let go twice is to let go once."""

    def __init__(self, database: Database, place: str | None, *, owned: bool = True) -> None:
        """`place`: where it is shared, or None. `owned`: whether the last to let go closes it."""
        self.database = database
        self._place = place
        self._owned = owned
        self._let_go = False

    def let_go(self) -> None:
        """Have no part in it any more; the last one closes the database."""
        with _lock:
            self._release()
            _read_notes()

    def abandon(self) -> None:
        """The same for a connection that was dropped, from wherever the garbage collector runs."""
        _abandoned.append(self)
        # A thread of a database may hold what closing that database asks for.
        if not threading.current_thread().name.startswith("kalamdb-") and _lock.acquire(blocking=False):
            try:
                _read_notes()
            finally:
                _lock.release()

    def _release(self) -> None:
        """REQUIRES: the lock."""
        if self._let_go:
            return
        self._let_go = True
        if self._place is not None:
            others = _holders.get(self._place, set())
            others.discard(self)
            if others:
                return
            _holders.pop(self._place, None)
        if self._owned:
            # With the lock held, so that who connects meanwhile waits, instead of finding the directory locked.
            self.database.close()


_lock = threading.Lock()
_holders: dict[str, set[Hold]] = {}
"""Who holds the database of a directory, by its real path; never an empty set."""
_abandoned: deque[Hold] = deque()


def hold(
    database: Path | Database,
    settings: Settings | Path | None,
    overrides: Mapping[str, Any],
    *,
    read_only: bool,
) -> Hold:
    """A part in the database at a path, which is opened if nobody of this process has it; or in one that is open.

    One in memory, or open read-only, is not shared. Raises as kalamdb.open, and InvalidSetting where the directory is
    open with other settings than these.
    """
    if isinstance(database, Database):
        if settings is not None or overrides or read_only:
            raise InterfaceError(
                "a database that is open has its settings; give them to kalamdb.open instead"
            )
        database.check_open()
        return Hold(database, None, owned=False)
    if os.fspath(database) == MEMORY or read_only:
        return Hold(open_database(database, settings=settings, read_only=read_only, **overrides), None)
    place = os.path.realpath(os.fspath(database))
    with _lock:
        _read_notes()
        found = _usable(place)
        if found is None:
            found = open_database(place, settings=settings, **overrides)
            _holders[place] = set()
        else:
            _check_settings(found.settings, settings, overrides)
        mine = Hold(found, place)
        _holders[place].add(mine)
        return mine


def _usable(place: str) -> Database | None:
    """The database that is shared there; None where it was closed otherwise, or is the parent process's."""
    for other in _holders.get(place, ()):
        with contextlib.suppress(InterfaceError):
            other.database.check_open()
            return other.database
    return None


def _check_settings(now: Settings, settings: Settings | Path | None, overrides: Mapping[str, Any]) -> None:
    """Raises InvalidSetting where others were asked for than the database is open with."""
    asked = now.with_overrides(overrides)
    if isinstance(settings, Settings):
        asked = settings.with_overrides(overrides)
    elif settings is not None:
        asked = load_settings(os.fspath(settings), os.environ, overrides)
    other = [field.name for field in fields(now) if getattr(now, field.name) != getattr(asked, field.name)]
    if other:
        raise InvalidSetting(
            f"this process has the database open with other values of {', '.join(other)}; close its connections "
            "first, or leave the settings out"
        )


def _read_notes() -> None:
    """Let go for connections that were dropped. REQUIRES: the lock."""
    while _abandoned:
        _abandoned.popleft()._release()


def _new_lock() -> None:
    """In a forked child: another thread of the parent may have held it, and nobody would let it go."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)
