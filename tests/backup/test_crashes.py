"""Power that goes at any moment of a restore or an erasing: all of it or nothing, and it can be done again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.settings import Settings
from tests.backup.test_user_data import CANARY, make, write
from tests.backup.world import fill, shown

PATH = "/db"
MOMENTS = 30
"""How many moments are tried, spread over all of them; which ones is told by the seed."""


def opened(files: FileSystem) -> Database:
    """The database on a file system in memory."""
    return Database(files, PATH, Settings())


def moments(files: FileSystem, seed: int) -> Iterator[tuple[int, FileSystem]]:
    """What the disk holds after some of the recorded operations, with some loss of what was not synced."""
    chosen = random.Random(seed)
    for number in sorted(chosen.sample(range(files.recorded()), min(MOMENTS, files.recorded()))):
        yield number, files.crash(chosen.choice(["all", "none", "subset", "torn_512"]), seed, after=number)


def tree(files: FileSystem, folder: str = PATH) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder."""
    for name in files.list(folder):
        path = f"{folder}/{name}"
        try:
            content = files.read_file(path)
        except Exception:
            yield from tree(files, path)
        else:
            yield path, content


def settled(db: Database) -> None:
    """Returns when no job is at work."""
    while db._jobs is not None and db.jobs.count():
        time.sleep(0.01)


@pytest.fixture
def seed() -> int:
    """Another one each time; printed where a test fails."""
    chosen = random.randrange(1 << 30)
    print(f"seed {chosen}")
    return chosen


def test_a_crash_in_a_restore_leaves_all_or_nothing(tmp_path, seed):
    with Database(FileSystem.memory(), PATH, Settings()) as source:
        fill(source)
        expected = shown(source)
        source.backup(tmp_path / "backup")
    files = FileSystem.memory()
    opened(files).close()
    db = opened(files)
    files.record()
    db.execute(f"RESTORE DATABASE FROM '{tmp_path}/backup'")
    nothing = 0
    for number, crashed in moments(files, seed):
        with opened(crashed) as again:
            settled(again)
            if "app" not in again.catalog.namespaces:
                nothing += 1
                assert not any("/cold/" in path or "/tmp/" in path for path, _ in tree(crashed)), number
                again.execute(f"RESTORE DATABASE FROM '{tmp_path}/backup'")
            assert shown(again) == expected, number
            again.flush()
            assert shown(again) == expected, number
    assert nothing > 0
    db.close()


def test_a_crash_while_a_user_is_erased_leaves_others_alone_and_is_finished_by_another(seed):
    files = FileSystem.memory()
    db = opened(files)
    make(db)
    write(db, 0)
    db.flush()
    write(db, 100)
    db.checkpoint()
    write(db, 200)
    bobs = sorted(db.session("bob").execute("SELECT * FROM app.notes").fetchall())
    files.record()
    db.execute("ERASE USER DATA FOR alice")
    for number, crashed in moments(files, seed):
        with opened(crashed) as again:
            settled(again)
            assert sorted(again.session("bob").execute("SELECT * FROM app.notes").fetchall()) == bobs, number
            again.execute("ERASE USER DATA FOR alice")
            assert again.session("alice").execute("SELECT * FROM app.notes").fetchall() == []
            left = [path for path, content in tree(crashed) if f"{CANARY} of alice".encode() in content]
            assert left == [], number
    db.close()


def test_what_a_crash_left_half_erased_the_next_opening_ends(seed):
    files = FileSystem.memory()
    db = opened(files)
    make(db)
    write(db, 0)
    db.flush()
    write(db, 100)
    db.checkpoint()
    write(db, 200)
    before = sorted(db.session("alice").execute("SELECT * FROM app.notes").fetchall())
    files.record()
    db.execute("ERASE USER DATA FOR alice")
    gone = 0
    for number, crashed in moments(files, seed):
        # Before it was ended once more, too.
        for disk in (crashed, again_cut(crashed, number)):
            with opened(disk) as again:
                rows = sorted(again.session("alice").execute("SELECT * FROM app.notes").fetchall())
                open_jobs = again.execute("SELECT * FROM system.jobs WHERE finished_at IS NULL").fetchall()
                assert rows in ([], before), number
                assert open_jobs == [], number
                gone += rows == []
    assert gone
    db.close()


def again_cut(files: FileSystem, number: int) -> FileSystem:
    """The disk after a power cut in the middle of the next opening."""
    copied = files.crash("none")
    copied.record()
    db = opened(copied)
    count = copied.recorded()
    db.close()
    return copied.crash("all", after=number % count) if count else files.crash("none")
