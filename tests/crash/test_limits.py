"""Too few descriptors, short writes, interrupted calls, read-only places, second owners: said plainly, nothing half."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import DatabaseLocked, ForkedProcess, StorageUnavailable
from tests.crash import limits

ROOT = Path(__file__).parents[2]
CREATE = "CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT)"


def python(code: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60, env=env)


def tree(directory: Path) -> dict[str, bytes]:
    """What is in a directory, but for who owns it."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "LOCK"
    }


@pytest.fixture
def filled(directory: Path) -> Path:
    """A closed database of ten rows."""
    with kalamdb.open(directory) as db:
        db.execute(CREATE)
        db.executemany("INSERT INTO rows VALUES (?, ?)", [(n, f"row {n}") for n in range(10)])
    return directory


def test_without_descriptors_a_statement_is_refused_and_the_next_goes_on(directory: Path) -> None:
    with kalamdb.open(directory, wal_file_bytes="64KiB") as db:
        db.execute(CREATE)
        # What is imported at its first use is imported while there are descriptors.
        db.execute("INSERT INTO rows VALUES (1001, 'before')")
        db.execute("SELECT id FROM rows ORDER BY id").fetchall()
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
            done = 0
            refusal = ""
            while not refusal and done < 100:
                try:
                    db.execute("INSERT INTO rows VALUES (?, ?)", [done, "x" * 5000])
                    done += 1
                except StorageUnavailable as error:
                    refusal = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert "Too many open files" in refusal
        assert 0 < done < 100
        db.execute("INSERT INTO rows VALUES (1000, 'again')")
        rows = db.execute("SELECT id FROM rows ORDER BY id").fetchall()
        assert rows == [(n,) for n in [*range(done), 1000, 1001]]
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT id FROM rows ORDER BY id").fetchall() == rows


def test_beyond_a_limit_on_file_sizes_a_statement_is_refused_and_small_ones_go_on(directory: Path) -> None:
    code = """
import resource, signal, sys, kalamdb
from kalamdb.errors import StorageUnavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
db = kalamdb.open(sys.argv[1])
db.execute("CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT)")
resource.setrlimit(resource.RLIMIT_FSIZE, (400 << 10, 400 << 10))
db.execute("INSERT INTO rows VALUES (1, 'kept')")
try:
    db.execute("INSERT INTO rows VALUES (2, ?)", ["x" * 1_000_000])
except StorageUnavailable as error:
    print(error)
db.execute("INSERT INTO rows VALUES (3, 'kept')")
print([row[0] for row in db.execute("SELECT id FROM rows ORDER BY id")])
"""
    done = python(code, str(directory))
    assert done.returncode == 0, done.stderr
    said, rows = done.stdout.splitlines()
    assert "File too large" in said
    assert rows == "[1, 3]"
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT id FROM rows ORDER BY id").fetchall() == [(1,), (3,)]


INTERPOSER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>

/* Of three calls the first is interrupted, the second does a part, the third does all it can. */
static int turn(void) { static __thread int calls; return calls++ % 3; }
static size_t part(size_t size) {
    static __thread int parts;
    if (size < 2) return size;
    switch (parts++ % 3) { case 0: return 1; case 1: return size / 2; default: return size - 1; }
}
#define REAL(result, name, ...) static result (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)

#define TRANSFER(symbol, buffer) \
    ssize_t symbol(int fd, buffer bytes, size_t size, off_t offset) { \
        REAL(ssize_t, #symbol, int, buffer, size_t, off_t); \
        int now = turn(); \
        if (now == 0) { errno = EINTR; return -1; } \
        return real(fd, bytes, now == 1 ? part(size) : size, offset); \
    }
TRANSFER(pwrite, const void *)
TRANSFER(pwrite64, const void *)
TRANSFER(pread, void *)
TRANSFER(pread64, void *)

#define INTERRUPTED(symbol) \
    int symbol(int fd) { \
        REAL(int, #symbol, int); \
        if (turn() == 0) { errno = EINTR; return -1; } \
        return real(fd); \
    }
INTERRUPTED(fsync)
INTERRUPTED(fdatasync)
"""

SCRIPT = """
import sys
from kalamcore.system import FileSystem, RandomSource
from kalamcore.wal import Log
for life in range(3):
    log = Log(FileSystem.posix(), sys.argv[1], file_bytes=64 << 10, random=RandomSource.seeded(life))
    print(len(log.records), hash(tuple(payload for _, _, payload in log.records)))
    for number in range(60):
        log.flush(log.append(1, bytes([life, number]) * (number * 37)), sync=number % 3 == 0)
    if life < 2:
        log.flush(log.last)
    log.close()
"""


def test_short_writes_and_interrupted_calls_are_invisible(tmp_path: Path) -> None:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("LD_PRELOAD and a C compiler are used")
    source = tmp_path / "interrupted.c"
    source.write_text(INTERPOSER)
    library = tmp_path / "interrupted.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    results = []
    for name, preload in (("plain", {}), ("interrupted", {"LD_PRELOAD": str(library)})):
        (tmp_path / name).mkdir()
        done = python(SCRIPT, str(tmp_path / name), env={**os.environ, "PYTHONHASHSEED": "1", **preload})
        assert done.returncode == 0, done.stderr
        results.append((done.stdout, tree(tmp_path / name)))
    assert results[0] == results[1]


@pytest.fixture
def read_only(filled: Path) -> Iterator[Path]:
    """The same database on a read-only mount."""
    if reason := limits.missing_mounts():
        pytest.skip(reason)
    subprocess.run(["mount", "--bind", filled, filled], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", filled], check=True)
        yield filled
    finally:
        subprocess.run(["umount", filled], check=True)


def test_on_a_read_only_disk_opening_fails_plainly_and_changes_nothing(read_only: Path) -> None:
    before = tree(read_only)
    with pytest.raises(StorageUnavailable, match="Read-only file system"):
        kalamdb.open(read_only)
    with pytest.raises(StorageUnavailable, match="Read-only file system"):
        kalamdb.open(read_only / "new")
    assert tree(read_only) == before


def without_rights(code: str, directory: Path) -> str:
    """What the code says as a user that owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    for parent in directory.parents:
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    become = f"import os, sys; import kalamdb; kalamdb.open; os.setuid(65534)\n{code}"
    done = python(become, str(directory))
    assert done.returncode == 0, done.stderr
    return done.stdout


OPEN = """
from kalamdb.errors import StorageUnavailable
try:
    kalamdb.open(sys.argv[1])
except StorageUnavailable as error:
    print(error)
"""


def test_without_the_right_to_read_opening_fails_plainly(filled: Path) -> None:
    filled.chmod(0o700)
    before = tree(filled)
    assert "Permission denied" in without_rights(OPEN, filled)
    assert tree(filled) == before


def test_without_the_right_to_write_opening_fails_plainly_and_changes_nothing(filled: Path) -> None:
    for path in [filled, *filled.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = tree(filled)
    assert "Permission denied" in without_rights(OPEN, filled)
    assert tree(filled) == before


def test_where_a_directory_cannot_be_made_nothing_is_left(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert "Permission denied" in without_rights(OPEN, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# One process owns a directory.

HOLD = """
import sys, time, kalamdb
db = kalamdb.open(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def owner(filled: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(filled)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_refused_with_the_owners_pid(filled: Path, owner: subprocess.Popen[str]) -> None:
    with pytest.raises(DatabaseLocked, match=str(owner.pid)):
        kalamdb.open(filled)


def test_a_removed_lock_file_does_not_let_another_process_in(
    filled: Path, owner: subprocess.Popen[str]
) -> None:
    (filled / "LOCK").unlink()
    with pytest.raises(DatabaseLocked):
        kalamdb.open(filled)


def test_a_killed_owner_leaves_the_database_free_at_once(filled: Path, owner: subprocess.Popen[str]) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with kalamdb.open(filled) as db:
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (10,)


@pytest.mark.parametrize("by", ["the same path", "a relative path", "a link", "a link to its parent", "dots"])
def test_a_second_opening_in_one_process_is_refused(
    filled: Path, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(filled)
    (tmp_path / "parent").symlink_to(filled.parent)
    other = {
        "the same path": filled,
        "a relative path": Path(filled.name),
        "a link": tmp_path / "link",
        "a link to its parent": tmp_path / "parent" / filled.name,
        "dots": filled / ".." / filled.name,
    }[by]
    with kalamdb.open(filled) as db:
        with pytest.raises(DatabaseLocked, match=str(os.getpid())):
            kalamdb.open(other)
        db.execute("INSERT INTO rows VALUES (10, 'still the owner')")
    kalamdb.open(other).close()


def test_a_forked_child_is_refused_and_takes_nothing_from_its_parent(filled: Path) -> None:
    with kalamdb.open(filled) as db:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                db.execute("INSERT INTO rows VALUES (11, 'by the child')")
            except ForkedProcess:
                try:
                    kalamdb.open(filled)
                except DatabaseLocked:
                    code = 0
            finally:
                os._exit(code)
        deadline = time.monotonic() + 30
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ended == (child, 0)
        db.execute("INSERT INTO rows VALUES (10, 'by the parent')")
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (11,)
