"""Every allocation of the core that fails: an error, nothing half, nothing lost, and the process lives on.

A process of its own runs a script with an operator new that fails when it is told to (failing_new.cpp, built here by
the machine's C++ compiler).
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.database import Database, _open_databases
from kalamdb.errors import Error
from tests.crash.failures import Figures, script
from tests.crash.history import EPOCH_US, SETTINGS, State, state_of

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "failing_new.cpp"
STATEMENTS = 45


def missing() -> str:
    """Why allocations cannot be made to fail here; empty where they can."""
    if not sys.platform.startswith("linux"):
        return "LD_PRELOAD is used"
    return "" if _compiler() else "there is no C++ compiler"


def _compiler() -> str | None:
    return next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)


def prove(seed: int, every: int) -> Figures:
    """Fail every `every`-th allocation of the script and of an opening, one a run."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="allocations-", dir=memory) as directory:
        library = os.path.join(directory, "failing_new.so")
        compiler = _compiler()
        assert compiler is not None
        subprocess.run(
            [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", library, str(SOURCE)], check=True
        )
        command = [sys.executable, "-m", "tests.crash.allocations", directory, str(every), str(seed % every)]
        done = subprocess.run(
            command,
            env={**os.environ, "LD_PRELOAD": library},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    figures = Figures()
    if done.returncode != 0:
        figures.find(f"the process died with {done.returncode}: {done.stdout[-300:]}{done.stderr[-2000:]}")
        return figures
    told = json.loads(done.stdout.splitlines()[-1])
    figures.tried, figures.wrong = told["tried"], told["wrong"]
    figures.outcomes, figures.findings = Counter(told["outcomes"]), told["findings"]
    return figures


class Trial:
    """Runs in the process with the failing operator new."""

    def __init__(self, parent: str) -> None:
        self.library = ctypes.CDLL(None)
        # So short that no path is allocated: Cython copies them where an exception cannot be caught.
        os.chdir(parent)
        self.path = "d"
        # A view is planned by DataFusion, which takes its memory by the same operator new and ends the process without.
        self.script = [step for step in script(STATEMENTS) if "VIEW" not in step.statements[0][0]]
        self.figures = Figures()

    def open(self) -> Database:
        return Database(
            FileSystem.posix(),
            self.path,
            SETTINGS,
            clock=Clock.manual(EPOCH_US),
            random=RandomSource.seeded(1),
        )

    def abandon(self, db: Database) -> None:
        _open_databases.discard(db)
        db.engine.directory.release()

    def run(self, fail: int) -> tuple[Database, int, BaseException | None]:
        """A new database, and how many statements were acknowledged before the allocation failed."""
        shutil.rmtree(self.path, ignore_errors=True)
        db = self.open()
        self.library.kalam_fail_allocation(fail)
        done = 0
        failure: BaseException | None = None
        for step in self.script:
            try:
                step.run(db)
            except (Error, MemoryError) as error:
                failure = error
                break
            done += 1
        self.library.kalam_fail_allocation(0)
        return db, done, failure

    def prove(self, every: int, start: int) -> None:
        states: list[State] = []
        shutil.rmtree(self.path, ignore_errors=True)
        db = self.open()
        states.append(state_of(db, sequences=False))
        for step in self.script:
            step.run(db)
            states.append(state_of(db, sequences=False))
        self.abandon(db)
        before = self.library.kalam_allocations()
        db, _, _ = self.run(0)
        self.abandon(db)
        allocations = self.library.kalam_allocations() - before
        for fail in range(1 + start, allocations + 1, every):
            self.one(fail, states)
        # An opening of what the last run left.
        db, _, _ = self.run(0)
        self.abandon(db)
        before = self.library.kalam_allocations()
        self.abandon(self.open())
        for fail in range(1 + start, self.library.kalam_allocations() - before + 1, every):
            self.opening(fail, states[-1])

    def one(self, fail: int, states: list[State]) -> None:
        figures = self.figures
        figures.tried += 1
        db, done, failure = self.run(fail)
        where = f"allocation {fail} fails in statement {done + 1}"
        if failure is None:
            figures.outcomes["met nobody"] += 1
            self.abandon(db)
            return
        figures.outcomes[getattr(failure, "code", type(failure).__name__)] += 1
        found = state_of(db, sequences=False)
        if isinstance(failure, MemoryError) and found == states[done + 1]:
            # It was committed; what failed was the telling.
            figures.outcomes["MemoryError, and the statement is there"] += 1
            done += 1
        elif found != states[done]:
            figures.find(f"{where}: readers do not see what {done} statements left, after {failure!r}")
        unknown = getattr(failure, "code", "") in ("COMMIT_OUTCOME_UNKNOWN", "DATABASE_POISONED")
        reached = done
        if not unknown:
            try:
                for step in self.script[done:]:
                    step.run(db)
                reached = len(self.script)
            except (Error, MemoryError) as error:
                figures.find(f"{where}: did not go on: {error!r}, after {failure!r}")
        self.abandon(db)
        again = self.open()
        found = state_of(again, sequences=False)
        if found != states[reached] and not (unknown and found == states[min(done + 1, len(self.script))]):
            figures.find(f"{where}: opened again it is not what {reached} statements left, after {failure!r}")
        self.abandon(again)

    def opening(self, fail: int, state: State) -> None:
        self.figures.tried += 1
        self.library.kalam_fail_allocation(fail)
        try:
            self.abandon(self.open())
        except (Error, MemoryError) as error:
            self.figures.outcomes[f"opening: {getattr(error, 'code', type(error).__name__)}"] += 1
        self.library.kalam_fail_allocation(0)
        db = self.open()
        if state_of(db, sequences=False) != state:
            self.figures.find(f"allocation {fail} fails in an opening: something was lost")
        self.abandon(db)


if __name__ == "__main__":
    trial = Trial(sys.argv[1])
    trial.prove(int(sys.argv[2]), int(sys.argv[3]))
    told = trial.figures
    print(
        json.dumps(
            {"tried": told.tried, "wrong": told.wrong, "outcomes": told.outcomes, "findings": told.findings}
        )
    )
