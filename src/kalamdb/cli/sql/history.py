"""What was typed before, a file for each database, which nobody else may read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from kalamdb.cli.connection import Target
from kalamdb.cli.preferences import configuration_folder

_SECRET = re.compile(r"\b(password|credentials|secret|token)\b", re.IGNORECASE)


class _Discreet(FileHistory):
    """Keeps no statement that has a secret in it, on the disk."""

    def store_string(self, string: str) -> None:
        if not _SECRET.search(string):
            super().store_string(string)

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []


def history_file(target: Target) -> Path:
    """Where that of a database is."""
    place = target.place if target.is_server else os.path.abspath(target.place)
    named = re.sub(r"\W+", "_", os.path.basename(place.rstrip("/")))[:40] or "root"
    return configuration_folder() / "history" / f"{named}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def history_of(target: Target, wanted: bool) -> History:
    """That of a database; one that is forgotten where it is not wanted, or where there is no place for it."""
    path = history_file(target)
    try:
        if not wanted:
            return InMemoryHistory()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return _Discreet(str(path))
