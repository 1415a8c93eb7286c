"""Every operation on a file that fails, once and for good: what was acknowledged stays, and what comes later is right.

No room (ENOSPC, EDQUOT), or no descriptor for a new file (EMFILE): the statement is refused and undone, and the
database goes on once there is room. Anything else that fails in a write, sync, close or rename poisons the database:
nothing is tried again, every later write is refused, reads go on.
"""

from __future__ import annotations

import contextlib
import errno
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import CommitOutcomeUnknown, DatabasePoisoned, Error, StorageUnavailable
from tests.crash.history import EPOCH_US, State, open_database, state_of
from tests.crash.power_loss import LOSSES

WRITING = ("write", "sync", "rename", "close", "sync_directory", "preallocate", "open", "truncate", "remove")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
CODES = {"open": (errno.EMFILE, errno.EROFS), "write": (errno.EROFS,)}
"""What fails beside EIO and NO_ROOM, where it can."""
PARTIAL = (0, 1, 40, 4096)


@dataclass
class Figures:
    """What was tried, how it ended, and what was wrong."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        self.wrong += 1
        if len(self.findings) < 20:
            self.findings.append(what)


@dataclass(frozen=True)
class Step:
    """What one user runs as one commit: a statement, or several of them in a transaction."""

    user: str
    statements: tuple[tuple[str, tuple[object, ...]], ...]

    def run(self, db: Database) -> None:
        session = db.session(self.user, "system" if self.user == "root" else "service")
        if len(self.statements) == 1:
            session.execute(*self.statements[0])
            return
        with session.transaction():
            for sql, parameters in self.statements:
                session.execute(sql, parameters)


def script(count: int) -> Iterator[Step]:
    """All kinds of tables, statements and transactions; enough rows for many files of the log."""

    def one(user: str, sql: str, *parameters: object) -> Step:
        return Step(user, ((sql, parameters),))

    yield one("root", "CREATE NAMESPACE app")
    yield one("root", "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT, n INT DEFAULT 1)")
    yield one("root", "CREATE SHARED TABLE app.words (id TEXT PRIMARY KEY, n INT)")
    yield one(
        "root", "CREATE STREAM TABLE app.typing (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()) TTL 3600"
    )
    upsert = "INSERT INTO app.words (id, n) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n"
    for number in range(count - 4):
        # The statements that change a note name one that the same user has inserted three numbers before.
        user = "alice" if number % 3 else "bob"
        earlier = (number - 3) * 1000
        if number % 8 == 7:
            yield one("root", "CHECKPOINT")
        elif number % 11 == 10:
            yield one("root", f"ALTER TABLE app.words ADD COLUMN c{number} INT DEFAULT {number}")
        elif number % 29 == 13:
            yield one("root", f"CREATE SHARED TABLE app.t{number} (id BIGINT PRIMARY KEY)")
        elif number % 29 == 23:
            yield one("root", f"DROP TABLE IF EXISTS app.t{number - 10}")
        elif number % 31 == 16:
            yield one(
                "root", f"CREATE OR REPLACE VIEW app.many AS SELECT id FROM app.words WHERE n > {number}"
            )
        elif number % 13 == 12:
            yield Step(
                user,
                (
                    (
                        "INSERT INTO app.notes (id, body) VALUES (?, ?), (?, 'b')",
                        (number * 1000, "a", -number),
                    ),
                    ("DELETE FROM app.notes WHERE id = ?", (earlier,)),
                    ("INSERT INTO app.notes (id, body) VALUES (?, 'again')", (earlier,)),
                    ("INSERT INTO app.typing (id) VALUES (?)", (number,)),
                    (upsert, ("both", number)),
                ),
            )
        elif number % 17 == 9:
            yield one(user, "INSERT INTO app.typing (id) VALUES (?), (?)", number, -number)
        elif number % 7 == 6:
            yield one(user, "DELETE FROM app.notes WHERE id = ?", earlier)
        elif number % 7 == 5:
            yield one(user, "UPDATE app.notes SET body = ? WHERE id = ?", f"changed {number}", earlier)
        elif number % 7 == 4:
            yield one("root", upsert, f"word {number % 5}", number)
        else:
            rows = 500 if number % 97 == 7 else (1, 2, 20)[number % 3]
            places = ", ".join(["(?, ?)"] * rows)
            values: list[object] = []
            for row in range(rows):
                values += [number * 1000 + row, f"body {row} " + "x" * (20 * min(rows, 20))]
            yield one(user, f"INSERT INTO app.notes (id, body) VALUES {places}", *values)


@dataclass
class Reference:
    """The run without a failure: what stood after each step, and how often each operation came."""

    script: list[Step]
    states: list[State]
    operations: dict[str, int]


def reference(count: int) -> Reference:
    steps = list(script(count))
    files = FileSystem.memory()
    db = open_database(files, EPOCH_US)
    before = {name: files.count(name) for name in WRITING}
    states = [state_of(db, sequences=False)]
    for step in steps:
        step.run(db)
        states.append(state_of(db, sequences=False))
    operations = {name: files.count(name) - before[name] for name in WRITING}
    db.close()
    return Reference(steps, states, operations)


def fail_once(
    run: Reference,
    operation: str,
    at: int,
    code: int,
    sticky: bool,
    figures: Figures,
    partial: int = 0,
    losses: tuple[str, ...] = LOSSES,
) -> None:
    """Run the script with one failure, and look at everything that must hold after it."""
    figures.tried += 1
    if figures.tried % 50 == 0:
        gc.collect()  # a database that was left alone is garbage in a circle
    kind = "for good" if sticky else "once"
    where = f"{operation} {at} fails {kind} with {errno.errorcode[code]} after {partial} bytes"
    files = FileSystem.memory()
    db = open_database(files, EPOCH_US)
    files.fail([operation], at=at, errno=code, sticky=sticky, partial_bytes=partial)
    done = 0
    failure: Error | None = None
    for step in run.script:
        try:
            step.run(db)
        except Error as error:
            failure = error
            break
        done += 1
    if failure is None:
        figures.outcomes["met nobody"] += 1
        if state_of(db, sequences=False) != run.states[-1]:
            figures.find(f"{where}: no error, and rows are wrong")
        with contextlib.suppress(Error):
            db.close()
        return
    # Readers see what was acknowledged, and no more.
    if state_of(db, sequences=False) != run.states[done]:
        figures.find(f"{where}: readers do not see what {done} statements left")
    disks = [(loss, files.crash(loss, seed)) for seed, loss in enumerate(losses)]
    poisoned = is_poisoned(db)
    outcome = "poisoned" if poisoned else "refused, and went on"
    figures.outcomes[outcome] += 1
    if not isinstance(failure, CommitOutcomeUnknown | DatabasePoisoned | StorageUnavailable):
        figures.find(f"{where}: ended with {failure.code}: {failure}")
    refusable = code in NO_ROOM or (code == errno.EMFILE and operation == "open")
    if not poisoned and (not refusable or isinstance(failure, CommitOutcomeUnknown)):
        figures.find(f"{where}: takes writes after {failure.code}")
    # What a write has left of refused records must be wiped off; a disk that takes no byte of that leaves no choice.
    wiped = operation == "write" and not (sticky and partial)
    if poisoned and refusable and (operation in ("open", "preallocate") or wiped):
        figures.find(f"{where}: no room, and it was poisoned: {failure}")
    if poisoned:
        after_poison(db, files, run.states[done], figures, where)
    # A statement that was refused and undone is absent for good.
    last = done + 1 if isinstance(failure, CommitOutcomeUnknown) else done
    read: set[int] = set()
    for loss, disk in disks:
        if disk.fingerprint() in read:
            continue  # another loss has left the same
        read.add(disk.fingerprint())
        try:
            found = state_of(open_database(disk, EPOCH_US, 2), sequences=False)
            # After a failed sync a process that is started anew may read what the disk does not hold; what it then
            # answers must outlive the next loss of power.
            kept = found
            if loss == "none":
                kept = state_of(open_database(disk.crash("all"), EPOCH_US, 4), sequences=False)
        except Error as error:
            figures.find(f"{where}, loss {loss}: does not open: {error}")
            continue
        if found not in run.states[done : last + 1]:
            figures.find(f"{where}, loss {loss}: not what {done} statements left, after {failure.code}")
        if kept != found:
            figures.find(f"{where}: reopened, it showed what the next power cut took")
    if not poisoned:
        go_on(db, files, run, done, figures, where)


def is_poisoned(db: Database) -> bool:
    try:
        db.execute("CREATE NAMESPACE probe")
    except (DatabasePoisoned, CommitOutcomeUnknown):
        return True  # if not before, then now
    except Error:
        return False  # still no room
    return False


def after_poison(db: Database, files: FileSystem, state: State, figures: Figures, where: str) -> None:
    """Though nothing fails any more, nothing is written or synced again."""
    files.forgive()
    before = files.count("sync"), files.count("write")
    for number in range(5):
        try:
            db.execute(f"CREATE NAMESPACE later{number}")
            figures.find(f"{where}: a write was taken after the poison")
        except DatabasePoisoned:
            pass
        except Error as error:
            figures.find(f"{where}: a later write ended with {error.code}, not DatabasePoisoned")
    if state_of(db, sequences=False) != state:
        figures.find(f"{where}: reads changed after the poison")
    with contextlib.suppress(Error):
        db.close()
    if (files.count("sync"), files.count("write")) != before:
        figures.find(f"{where}: something was written or synced after the poison")


def go_on(db: Database, files: FileSystem, run: Reference, done: int, figures: Figures, where: str) -> None:
    """With room again, the rest of the script runs, and is there after a power cut."""
    files.forgive()
    try:
        for step in run.script[done:]:
            step.run(db)
        rows = state_of(db, sequences=False).rows
        if rows != run.states[-1].rows:
            figures.find(f"{where}: the rest of the script left other rows")
        again = open_database(files.crash("all"), EPOCH_US, 3)
        if state_of(again, sequences=False).rows != rows:
            figures.find(f"{where}: what went on was lost")
        db.close()
    except Error as error:
        figures.find(f"{where}: did not go on with room again: {error.code}: {error}")


def prove(count: int, *, every: int = 1, start: int = 0, losses: tuple[str, ...] = LOSSES) -> Figures:
    """Every operation of the script (or every `every`-th), with EIO, without room and more, once and for good."""
    figures = Figures()
    run = reference(count)
    number = start
    for operation, times in run.operations.items():
        for at in range(1, times + 1):
            for code in (errno.EIO, *NO_ROOM, *CODES.get(operation, ())):
                for sticky in (False, True):
                    number += 1
                    if number % every:
                        continue
                    partial = PARTIAL[number // every % 4] if operation == "write" else 0
                    fail_once(run, operation, at, code, sticky, figures, partial, losses)
    return figures


def prove_opening(seed: int) -> Figures:
    """Every operation of an opening that fails: it says so, changes nothing for good, and the next one succeeds."""
    figures = Figures()
    files = FileSystem.memory()
    db = open_database(files, EPOCH_US, seed)
    for step in script(120):  # enough for several files
        step.run(db)
    state = state_of(db)
    disk = files.crash("torn_1", seed)
    counted = disk.crash("none")
    before = {name: counted.count(name) for name in (*WRITING, "read", "list", "lock_directory")}
    open_database(counted, EPOCH_US, seed)
    for operation, already in before.items():
        for at in range(1, counted.count(operation) - already + 1):
            for code in (errno.EIO, errno.ENOSPC, errno.EMFILE):
                for sticky in (False, True):
                    figures.tried += 1
                    where = f"opening: {operation} {at} fails with {errno.errorcode[code]}, sticky {sticky}"
                    tried = disk.crash("none")
                    tried.fail([operation], at=at, errno=code, sticky=sticky)
                    try:
                        open_database(tried, EPOCH_US, seed)
                        figures.outcomes["opened all the same"] += 1
                    except StorageUnavailable:
                        figures.outcomes["refused"] += 1
                    except Error as error:
                        figures.find(f"{where}: {error.code}: {error}")
                    tried.forgive()
                    for loss in ("none", *LOSSES[1:]):
                        if state_of(open_database(tried.crash(loss, seed), EPOCH_US, seed)) != state:
                            figures.find(f"{where}, then {loss}: something was lost")
    return figures
