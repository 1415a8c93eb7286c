"""Writes to directories wait for their turn beside commits, and for nothing where there are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import StorageConflict
from kalamdb.settings import Settings
from kalamdb.storage import Pace
from kalamdb.storage.filesystem import FilesystemBackend
from kalamdb.storage.pace import BUSY_SYNCS, PAUSE_MAX_S, QUIET_S, SYNCS_BETWEEN, PacedBackend


class World:
    """A clock that goes on while somebody sleeps, and a log that somebody else syncs meanwhile."""

    def __init__(self, syncs_per_s: Callable[[float], float]) -> None:
        self.now_s = 0.0
        self.syncs = 0.0
        self._syncs_per_s = syncs_per_s
        self.pace = Pace(lambda: int(self.syncs), now_s=lambda: self.now_s, sleep=self.sleep)

    def sleep(self, time_s: float) -> None:
        self.now_s += time_s
        self.syncs += time_s * self._syncs_per_s(self.now_s)

    def turn_s(self) -> float:
        """How long a write waits for its turn."""
        begun_s = self.now_s
        with self.pace.turn():
            waited_s = self.now_s - begun_s
            self.syncs += 1
        return waited_s


def test_nobody_commits_and_nobody_waits() -> None:
    world = World(lambda now_s: 0.0)
    assert [world.turn_s() for _ in range(3)] == [0.0, 0.0, 0.0]
    # Its own notes are no reason to.
    world.syncs += BUSY_SYNCS - 1
    assert world.turn_s() == 0.0


def test_beside_commits_a_write_waits_until_many_went_through() -> None:
    per_s = 2 * SYNCS_BETWEEN / PAUSE_MAX_S
    world = World(lambda now_s: per_s)
    world.sleep(0.01)
    for _ in range(3):
        before = world.syncs
        assert 0 < world.turn_s() < PAUSE_MAX_S
        assert world.syncs - before + 0.01 * per_s >= SYNCS_BETWEEN
        world.sleep(0.01)


def test_where_they_are_slow_no_longer_than_that() -> None:
    world = World(lambda now_s: 0.5 * SYNCS_BETWEEN / PAUSE_MAX_S)
    world.sleep(0.01)
    assert world.turn_s() == pytest.approx(PAUSE_MAX_S, abs=0.0015)


def test_the_time_between_writes_counts() -> None:
    world = World(lambda now_s: 1000.0)
    with world.pace.turn():
        pass
    world.sleep(SYNCS_BETWEEN / 1000.0)
    assert world.turn_s() == 0.0


def test_once_they_end_it_waits_no_more() -> None:
    world = World(lambda now_s: 5000.0 if now_s < 0.02 else 0.0)
    world.sleep(0.01)
    assert world.turn_s() == pytest.approx(0.01 + QUIET_S, abs=0.0025)


def test_every_write_of_a_storage_waits_and_no_read() -> None:
    files = FileSystem.memory()
    world = World(lambda now_s: 5000.0)
    backend = PacedBackend(FilesystemBackend("s", files, "/store"), world.pace)

    def waited_s(act: Callable[[], object]) -> float:
        world.syncs += BUSY_SYNCS
        begun_s = world.now_s
        act()
        return world.now_s - begun_s

    assert waited_s(lambda: backend.write("a/1", b"one")) > 0
    assert waited_s(lambda: backend.write_all([("a/2", b"two"), ("a/3", b"three")])) > 0
    assert waited_s(lambda: backend.replace("m", b"first", None)) > 0
    assert waited_s(lambda: backend.replace_all([("n", b"first", None)])) > 0
    assert waited_s(lambda: backend.delete("a/3")) > 0
    assert waited_s(lambda: backend.replace_all([])) == 0

    def conflict() -> None:
        with pytest.raises(StorageConflict):
            backend.replace("m", b"second", None)

    assert waited_s(conflict) > 0
    assert waited_s(lambda: backend.read("a/1")) == 0
    assert (backend.read("a/1"), backend.read_range("a/2", 1, 2), backend.size("a/2")) == (b"one", b"wo", 3)
    assert sorted(backend.list()) == ["a/1", "a/2", "m", "n"]
    assert [answer[0] for answer in backend.read_tagged_all(["m", "n"])] == [b"first", b"first"]  # type: ignore
    backend.probe()
    assert (backend.storage_id, repr(backend)) == ("s", "<FilesystemBackend s>")


def test_a_database_counts_the_syncs_that_commits_waited_for() -> None:
    db = Database(FileSystem.memory(), "/database", Settings())
    assert isinstance(db.storages.backend(db.catalog.require_storage("local")), PacedBackend)
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    before = db.engine.store.syncs
    for number in range(10):
        db.execute("INSERT INTO t VALUES (?)", (number,))
    assert db.engine.store.syncs == before + 10
    db.close()
