"""Databases for the tests of cold rows: in memory, to be closed and opened again, with segments of three rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from kalamcore.system import Clock, FileSystem
from kalamdb.database import Database
from kalamdb.errors import StorageUnavailable
from kalamdb.settings import Settings

ROWS = 3
PATH = "/database"
START_US = 1_893_456_000_000_000  # 2030-01-01Z


def make_tiny(db: Database, *, rows: int = ROWS) -> Database:
    """Let every segment hold so few rows, and leftovers go at once."""
    db.cold.row_group_rows = rows
    db.cold.segment_bytes_max = 1
    db.cold.grace_s = 0.0
    return db


class World:
    """A file system and a clock, and the database on them that is open."""

    def __init__(self) -> None:
        self.files = FileSystem.memory()
        self.clock = Clock.manual(START_US)
        self.db: Database | None = None

    def open(self, **settings: Any) -> Database:
        """The database with these settings; one that is open is closed first."""
        self.close()
        self.db = Database(self.files, PATH, Settings().with_overrides(settings), clock=self.clock)
        return make_tiny(self.db)

    def lives(self, *lives: dict[str, Any]) -> Iterator[Database]:
        """The database as it is, then opened anew with each of these settings."""
        assert self.db is not None
        yield self.db
        for settings in lives:
            yield self.open(**settings)

    def close(self) -> None:
        """Close it, if it is open."""
        if self.db is not None:
            self.db.close()
            self.db = None

    def advance_s(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.advance(int(seconds * 1_000_000))


def files_of(db: Database, suffix: str = ".parquet", storage_id: str = "local") -> list[str]:
    """The paths of a storage's files."""
    backend = db.storages.backend(db.catalog.require_storage(storage_id))
    return sorted(path for path in backend.list() if path.endswith(suffix))


def place_of(db: Database, table: str, user: str = "") -> Any:
    """Where a partition's cold rows are."""
    schema = db.catalog.table("default", table)
    assert schema is not None
    return db.cold.places.find(schema.table_id, user.encode())


class Gate:
    """Stands before a database's storage: `away`, nothing passes; what is in `holds` waits for `let_go`."""

    def __init__(self, db: Database, storage_id: str = "local") -> None:
        self.away = False
        self.holds: set[str] = set()
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self.calls: list[tuple[str, str]] = []
        self._behind = db.cold.backend(storage_id)
        ask = db.cold.backend
        db.cold.backend = lambda wanted: self if wanted == storage_id else ask(wanted)  # type: ignore

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def pass_on(path: str = "", *arguments: Any) -> Any:
            self.calls.append((name, path))
            if self.away:
                raise StorageUnavailable(f'storage "local" is unavailable: cannot {name} {path}')
            if name in self.holds:
                self.reached.set()
                assert self.let_go.wait(60)
            return getattr(self._behind, name)(path, *arguments)

        return pass_on
