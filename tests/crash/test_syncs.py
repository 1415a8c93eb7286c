"""Syncs of the machine's own file system: one for all that wait, waited for without the GIL, never tried again.

A library in front of fsync, fdatasync and syncfs counts them, holds them back while a file is there, or lets one fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kalamdb

ROOT = Path(__file__).parents[2]

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* KALAM_SYNCS: a directory. A byte is added to "calls" at every call; while "gate" is there nothing gets on; where
   "fault" is there it is taken away, and the call fails. */
static int there(const char *name) { return access(name, F_OK) == 0; }

static int before(void) {
    const char *directory = getenv("KALAM_SYNCS");
    char calls[4096], gate[4096], fault[4096];
    if (!directory) return 0;
    snprintf(calls, sizeof calls, "%s/calls", directory);
    snprintf(gate, sizeof gate, "%s/gate", directory);
    snprintf(fault, sizeof fault, "%s/fault", directory);
    int fd = open(calls, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, ".", 1) != 1) abort();
    close(fd);
    while (there(gate)) usleep(500);
    return there(fault) && unlink(fault) == 0;
}

#define SYNC(symbol) \
    int symbol(int fd) { \
        static int (*real)(int); \
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #symbol); \
        if (before()) { errno = EIO; return -1; } \
        return real(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)
"""

BEGIN = """
import contextlib, sys, threading, time
from pathlib import Path
import kalamdb
from kalamdb.errors import CommitOutcomeUnknown, DatabasePoisoned, Error

watched, directory = Path(sys.argv[1]), sys.argv[2]
calls = lambda: (watched / "calls").stat().st_size
db = kalamdb.open(directory)
db.execute("CREATE TABLE rows (id BIGINT PRIMARY KEY)")
insert = lambda n: db.execute("INSERT INTO rows VALUES (?)", [n])
insert(0)
"""

# The first of eight waits for its sync; the others come meanwhile, and wait for the next one together.
WAIT = """
before, sequence = calls(), db.engine.store.statistics()["memtable_entries"]
(watched / "gate").touch()
threads = [threading.Thread(target=insert, args=(n,)) for n in range(1, 9)]
threads[0].start()
while calls() == before:
    time.sleep(0.001)
print("others run while one waits")
for thread in threads[1:]:
    thread.start()
while db.engine.store.statistics()["memtable_entries"] < sequence + 8:
    time.sleep(0.001)
print("seen before it is durable:", db.execute("SELECT count(*) FROM rows").fetchone()[0] - 1)
(watched / "gate").unlink()
for thread in threads:
    thread.join()
print("syncs:", calls() - before)
db.close()
"""

# While no sync gets on, a commit that waits for none is told; one comes for it all the same.
BEHIND = """
before = calls()
(watched / "gate").touch()
db.session("root", role="system", durability="normal").execute("INSERT INTO rows VALUES (1)")
print("rows:", db.execute("SELECT count(*) FROM rows").fetchone()[0])
while calls() == before:
    time.sleep(0.001)
print("a sync comes behind it")
(watched / "gate").unlink()
db.close()
"""

FAIL = """
(watched / "fault").touch()
try:
    insert(1)
except Error as error:
    print(type(error).__name__)
before, refused = calls(), 0
for n in range(2, 22):
    try:
        insert(n)
    except DatabasePoisoned:
        refused += 1
print("refused:", refused)
print("rows:", db.execute("SELECT count(*) FROM rows").fetchone()[0])
with contextlib.suppress(Error):
    db.close()
print("syncs:", calls() - before)
"""


# Twenty files in twenty folders: one sync for all files and one for all names, or, where the first of these fails, one
# for each file and what was to be synced in common the second time.
MANY = """
import errno
from kalamcore.errors import IoError
from kalamcore.system import FileSystem

files, root = FileSystem.posix(), directory + "/many"
files.make_directory(root)
names = [f"{root}/{number}/x" for number in range(20)]
for fault in (False, True):
    before = calls()
    if fault:
        (watched / "fault").touch()
    answers = files.write_atomic_all([(name, name.encode()) for name in names])
    print(answers == [None] * 20, files.read_all(names) == [name.encode() for name in names], calls() - before)
db.close()
"""


@pytest.fixture
def preload(tmp_path: Path) -> Path:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("LD_PRELOAD and a C compiler are used")
    source, library = tmp_path / "syncs.c", tmp_path / "syncs.so"
    source.write_text(LIBRARY)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def said(code: str, library: Path, directory: Path) -> list[str]:
    watched = library.parent / "watched"
    watched.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, str(watched), str(directory)],
        env={**os.environ, "LD_PRELOAD": str(library), "KALAM_SYNCS": str(watched)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,  # for ever, if somebody waits with the GIL in hand
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_threads_that_wait_share_a_sync_and_nobody_waits_with_the_gil(preload: Path, directory: Path) -> None:
    assert said(WAIT, preload, directory) == [
        "others run while one waits",
        "seen before it is durable: 0",
        "syncs: 2",
    ]
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (9,)


def test_durability_normal_waits_for_no_sync_and_one_comes_behind_it(preload: Path, directory: Path) -> None:
    assert said(BEHIND, preload, directory) == ["rows: 2", "a sync comes behind it"]


def test_a_failed_sync_is_never_tried_again(preload: Path, directory: Path) -> None:
    assert said(FAIL, preload, directory) == ["CommitOutcomeUnknown", "refused: 20", "rows: 1", "syncs: 0"]
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT min(id), max(id) <= 1 FROM rows").fetchone() == (0, True)


def test_many_files_share_their_syncs_unless_one_of_these_fails(preload: Path, directory: Path) -> None:
    first, second = (line.split() for line in said(MANY, preload, directory))

    assert first[:2] == second[:2] == ["True", "True"]
    if first[2] == "41":
        pytest.skip("this file system is not one whose common sync is relied on")
    # Files and names: one in common, and the last one's own.
    assert first[2] == "4"
    # The one in common, each file's own; for names as before.
    assert second[2] == "23"
