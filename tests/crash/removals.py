"""DROP TABLE, DROP NAMESPACE and ERASE USER DATA stopped at every operation on a file, clean-up included.

What was dropped is there with every row or not at all, nothing of it stays in a storage, and its name can be given
again. Of what was erased no file holds a byte once that is acknowledged, or once it was asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import Corruption, Error, StorageUnavailable
from tests.crash.backups import contents, settle
from tests.crash.cold import Figures, files_below, open_database, orphans, rows_of
from tests.crash.cut_disks import CutDisks
from tests.crash.history import DIRECTORY

CANARY = "CANARY-51c0de"
ERASED = f"{CANARY} of alice"
USERS = ("alice", "bob")
STATEMENTS = {
    "drop table": "DROP TABLE app.notes",
    "drop namespace": "DROP NAMESPACE app CASCADE",
    "erase": "ERASE USER DATA FOR alice",
}
STORAGES = ("local", "shelf")
NAMESPACES = {"app": "local", "rest": "shelf"}


def world(
    files: FileSystem,
    shelf: str = "TYPE filesystem URI 'shelf'",
    namespaces: Mapping[str, str] = NAMESPACES,
) -> Database:
    """Rows of two users in all tiers, uncompressed; a namespace that is to go, and one to stay. `shelf`: where that
    storage lies; `namespaces`: the storage of each one's rows."""
    db = open_database(files)
    db.execute(f"CREATE STORAGE shelf {shelf}")
    for namespace, storage in namespaces.items():
        options = f"STORAGE {storage} WITH (COMPRESSION = none)"
        db.execute(f"CREATE NAMESPACE {namespace}")
        db.execute(f"CREATE USER TABLE {namespace}.notes (id BIGINT PRIMARY KEY, body TEXT) {options}")
        db.execute(f"CREATE TABLE {namespace}.words (id TEXT PRIMARY KEY) {options}")
    db.execute("CREATE USER TABLE app.tags (name TEXT PRIMARY KEY) STORAGE shelf WITH (COMPRESSION = none)")
    _write(db, 0)
    db.flush()
    _write(db, 10)
    db.flush()
    db.compact()
    db.compact()
    _write(db, 20)
    db.flush("app.tags")
    db.checkpoint()
    _write(db, 30)
    return db


def _write(db: Database, start: int) -> None:
    for user in USERS:
        session = db.session(user)
        for namespace in ("app", "rest"):
            session.executemany(
                f"INSERT INTO {namespace}.notes VALUES (?, ?)",
                [(start + number, f"{CANARY} of {user} {number}") for number in range(4)],
            )
        session.execute("INSERT INTO app.tags VALUES (?)", [f"{CANARY} of {user} {start}"])
        if start:
            session.execute("DELETE FROM app.notes WHERE id = ?", [start - 9])
    for namespace in ("app", "rest"):
        db.execute(f"INSERT INTO {namespace}.words VALUES ('word {start}')")


@dataclass
class Run:
    """What was recorded. `answered`: how many operations there were when the statement returned; clean-up goes on."""

    files: FileSystem
    statement: str
    answered: int
    before: dict[str, object]
    after: dict[str, object]


def seen(db: Database) -> dict[str, object]:
    """Every table's partitions with their rows, by the table's name and the user; a table without rows too."""
    _, rows = contents(db)
    found: dict[str, object] = {schema.qualified_name: True for schema in db.catalog.tables.values()}
    found |= dict.fromkeys(db.catalog.namespaces, True)
    found |= {f"{name} of {partition.decode()}": values for (name, partition), values in rows.items()}
    return found


def recorded(statement: str) -> Run:
    files = FileSystem.memory()
    db = world(files)
    before = seen(db)
    files.record()
    db.execute(STATEMENTS[statement])
    answered = files.recorded()
    settle(db)
    return Run(files, statement, answered, before, seen(db))


def with_canary(files: FileSystem) -> list[str]:
    """Files that hold a byte of what was erased."""
    return [path for path in files_below(files, DIRECTORY) if ERASED.encode() in files.read_file(path)]


def check_drop(disk: FileSystem, run: Run, *, acknowledged: bool) -> tuple[str, str]:
    """(what was there, what is wrong) after a power cut in a DROP."""
    step, found = "opening", ""
    try:
        db = open_database(disk)
        settle(db)
        held = seen(db)
        if held == run.before:
            found = "all of it"
        elif held == run.after:
            found = "nothing of it"
        else:
            return found, "a part of it is there, or something else is not"
        if found == "all of it":
            if acknowledged:
                return found, "it was acknowledged, and is there"
            step = "dropping again"
            db.execute(STATEMENTS[run.statement])
            settle(db)
            if seen(db) != run.after:
                return found, "not what there should be once it was dropped again"
        if left := _left(db):
            return found, f"left over: {left}"
        step = "creating it anew"
        db.execute("CREATE NAMESPACE IF NOT EXISTS app")
        db.execute("CREATE USER TABLE app.notes (id TEXT PRIMARY KEY, other INT)")
        for user in USERS:
            db.session(user).execute("INSERT INTO app.notes VALUES ('new', 1), ('newer', 2)")
        db.flush()
        wanted = seen(db)
        db.close()
        step = "second opening"
        db = open_database(disk)
        settle(db)
        if seen(db) != wanted:
            return found, "other rows after the second opening"
        step = "compaction"
        db.compact()
        db.compact()
        if left := _left(db):
            return found, f"left over at last: {left}"
        if seen(db) != wanted:
            return found, "other rows after a compaction"
        db.close()
    except Error as error:
        return found, f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return found, f"{step}: {error}"
    return found, ""


def _left(db: Database) -> list[str]:
    return [path for storage_id in STORAGES for path in orphans(db, storage_id)]


def check_erasure(disk: FileSystem, run: Run, *, acknowledged: bool) -> tuple[str, str]:
    """(what was there, what is wrong) after a power cut in an ERASE USER DATA."""
    step, found = "opening", ""
    if acknowledged and (left := with_canary(disk)):
        return found, f"it was acknowledged, and {left} hold bytes of it"
    try:
        db = open_database(disk)
        settle(db)
        found, wrong = _held_of_erased(db, run)
        if wrong:
            return found, wrong
        if acknowledged and found != "nothing of it":
            return found, "it was acknowledged, and rows are there"
        step = "erasing again"
        db.execute(STATEMENTS["erase"])
        if seen(db) != run.after:
            return found, "not what there should be once it was erased again"
        if left := with_canary(disk):
            return found, f"erased again, and {left} hold bytes of it"
        step = "writing anew"
        db.session("alice").execute("INSERT INTO app.notes VALUES (1, 'new'), (77, 'newer')")
        db.flush()
        wanted = seen(db)
        db.close()
        step = "second opening"
        db = open_database(disk)
        settle(db)
        if seen(db) != wanted:
            return found, "other rows after the second opening"
        db.compact()
        db.compact()
        if left := _left(db) + with_canary(disk):
            return found, f"left over at last: {left}"
        db.close()
    except Error as error:
        return found, f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return found, f"{step}: {error}"
    return found, ""


def _held_of_erased(db: Database, run: Run) -> tuple[str, str]:
    """Others' rows are as they were; of the erased user's, a table's are all there, or gone, or refused."""
    counted = {"all of it": 0, "nothing of it": 0, "refused": 0}
    names = [schema.qualified_name for schema in db.catalog.tables.values()]
    if sorted(names) != sorted(name for name in run.before if "." in name and " of " not in name):
        return "", "other tables than there were"
    for name in names:
        for user in ("", *USERS):
            key = f"{name} of {user}"
            wanted = run.before.get(key)
            try:
                held = _rows(db, name, user)
            except (Corruption, StorageUnavailable) as error:
                if user != "alice":
                    return "", f"{key}: {error.code}: {error}"
                counted["refused"] += 1
                continue
            if user != "alice":
                if held != wanted:
                    return "", f"{key} has other rows"
            elif wanted is not None:
                if held == wanted:
                    counted["all of it"] += 1
                elif held is None:
                    counted["nothing of it"] += 1
                else:
                    return "", f"{key}: a part of the rows is there"
    kinds = [kind for kind, count in counted.items() if count]
    return (kinds[0] if len(kinds) == 1 else "some tables of it"), ""


def _rows(db: Database, name: str, user: str) -> object:
    return rows_of(db, deleted=True, tables=[name], partitions=[user.encode()]).get((name, user.encode()))


def prove(seed: int, *, every: int = 1) -> Figures:
    """The power is cut after every operation (or every `every`-th) of each statement, times 8 losses."""
    cuts = CutDisks(seed, every)
    for statement in STATEMENTS:
        run = recorded(statement)
        check: Callable[..., tuple[str, str]] = check_erasure if statement == "erase" else check_drop

        def checked(disk: FileSystem, acknowledged: bool) -> tuple[str, str]:
            found, wrong = check(disk, run, acknowledged=acknowledged)  # noqa: B023 - called before the next one
            return f"{statement}: {found or 'wrong'}", wrong  # noqa: B023

        cuts.cut(statement, run.files, checked, acknowledged_at=run.answered - 1)
    return cuts.figures
