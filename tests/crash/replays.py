"""Recovery again and again: after it was killed, after the power went in the middle of it, it finds the same.

Short histories over very few keys, so that a key is written, deleted and written again, in one transaction too. The
log they leave is read three times in a row, and then once more after every operation of a reading that did not end.
"""

from __future__ import annotations

import gc
import random

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import Error
from tests.crash.failures import Figures
from tests.crash.history import EPOCH_US, State, open_database, state_of

LOSSES = ("none", "all", "subset", "torn_1")
KEYS = 5


def write(db: Database, dice: random.Random, statements: int) -> None:
    """A history of a SHARED and a USER table."""
    db.execute("CREATE TABLE one (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute("CREATE USER TABLE own (id TEXT PRIMARY KEY, n BIGINT, body TEXT)")
    for number in range(statements):
        session = db.session(dice.choice(("alice", "bob")), role="service")
        key, table = dice.randrange(KEYS), dice.choice(("one", "own"))
        named: object = f"key {key}" if table == "own" else key
        body = f"{number} " + "x" * dice.choice((0, 3, 300))
        put = f"INSERT INTO {table} (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        delete = f"DELETE FROM {table} WHERE id = ?"
        way = dice.randrange(6)
        if way == 0:
            with session.transaction():
                session.execute(delete, [named])
                session.execute(f"INSERT INTO {table} (id, body) VALUES (?, ?)", [named, body])
        elif way == 1:
            session.execute(put, [named, body])
            session.execute(delete, [named])
            session.execute(put, [named, body])
        elif way == 2:
            with session.transaction():
                session.execute(put, [named, body])
                session.execute(delete, [named])
        elif way == 3:
            session.execute(delete, [named])
        elif way == 4 and number % 5 == 0:
            db.execute(f"ALTER TABLE {table} ADD COLUMN c{number} INT DEFAULT {number}")
        else:
            session.execute(put, [named, body])


def prove(seed: int, histories: int) -> Figures:
    """`histories` of them, by seeds that follow each other."""
    figures = Figures()
    for number in range(seed, seed + histories):
        dice = random.Random(number)
        files = FileSystem.memory()
        db = open_database(files, EPOCH_US, number)
        write(db, dice, dice.randrange(5, 60))
        wanted = state_of(db)
        if dice.random() < 0.3:
            db.close()
        _read_again(files.crash(dice.choice(("none", "all")), number), wanted, f"history {number}", figures)
        if number % 10 == 9:
            gc.collect()  # a database that was left alone is garbage in a circle
    return figures


def _read_again(disk: FileSystem, wanted: State, where: str, figures: Figures) -> None:
    def read(files: FileSystem, when: str) -> None:
        figures.tried += 1
        try:
            if state_of(open_database(files, EPOCH_US)) != wanted:
                figures.find(f"{where}, {when}: not what it was")
        except Error as error:
            figures.find(f"{where}, {when}: {error.code}: {error}")

    files = disk.crash("none")
    for time in ("once", "twice", "three times"):
        read(files, f"read {time}")
        figures.outcomes["read in a row"] += 1
        files = files.crash("none")
    files = disk.crash("none")
    files.record()
    open_database(files, EPOCH_US)
    for moment in range(files.recorded()):
        for loss in LOSSES:
            left = files.crash(loss, moment, after=moment)
            read(left, f"a reading ended after operation {moment}, loss {loss}")
            figures.outcomes["read after one that did not end"] += 1
