"""Eight threads that ask one database for everything at once, for the sanitizers.

Each thread is a user who inserts, updates, deletes, reads through the core and through DataFusion, writes Arrow, feeds
a stream, runs transactions, asks for checkpoints, and makes, changes and drops tables that the others use. It knows its
own rows, and finds them as it left them: in the end, and when the database is opened again.

    python tests/native/python_mix.py SECONDS

Returns 0, or prints what was wrong and returns 1. Errors of kalamdb are part of the life here; any other is a fault.
"""

from __future__ import annotations

import faulthandler
import itertools
import random
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

import kalamdb
from kalamdb.errors import UniqueViolation

THREADS = 8
KEYS = 200

SCHEMA = """
CREATE NAMESPACE app;
CREATE SHARED TABLE app.notes (id BIGINT PRIMARY KEY, owner INT NOT NULL, body TEXT, n DOUBLE);
CREATE USER TABLE app.mine (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT NOT NULL, n INT DEFAULT 7);
CREATE STREAM TABLE app.events (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT) TTL 1 MAX_ROWS 50
"""


class User:
    """One thread's session, and what it knows of its rows in app.notes."""

    def __init__(self, database: kalamdb.Database, number: int, seed: int) -> None:
        self.number = number
        self.random = random.Random(seed * THREADS + number)
        # Two of eight share a name, and so a partition.
        self.session = database.session(user=f"user{number % 7}", role="dba" if number < 2 else "user")
        self.root = database
        self.rows: dict[int, str] = {}
        self.steps = 0
        self.refused = 0
        self.keys: Iterator[int] = itertools.count()

    def run(self, end: float) -> None:
        ways = [
            *[self.insert, self.update, self.delete] * 3,
            self.read, self.read, self.join, self.stream, self.arrow, self.transaction, self.define, self.own_rows,
            self.checkpoint,
        ]  # fmt: skip
        while time.monotonic() < end:
            try:
                self.random.choice(ways)()
            except kalamdb.Error:
                self.refused += 1
            self.steps += 1

    def key(self) -> int:
        return self.random.randrange(KEYS) * THREADS + self.number

    def text(self) -> str:
        return self.random.choice("aäπ漢") * self.random.randrange(1, 300)

    def insert(self) -> None:
        key, text = self.key(), self.text()
        sql = "INSERT INTO app.notes (id, owner, body, n) VALUES (?, ?, ?, ?)"
        try:
            self.root.execute(sql, [key, self.number, text, key / 3])
        except UniqueViolation:
            if key not in self.rows:
                raise AssertionError(f"key {key} is refused, and was never there") from None
        else:
            if key in self.rows:
                raise AssertionError(f"key {key} is taken twice")
            self.rows[key] = text

    def update(self) -> None:
        key, text = self.key(), self.text()
        changed = self.root.execute("UPDATE app.notes SET body = ? WHERE id = ?", [text, key]).rowcount
        assert changed == (key in self.rows), f"{changed} rows of key {key} updated"
        if changed:
            self.rows[key] = text

    def delete(self) -> None:
        key = self.key()
        changed = self.root.execute(f"DELETE FROM app.notes WHERE id = {key}").rowcount
        assert changed == (key in self.rows), f"{changed} rows of key {key} deleted"
        self.rows.pop(key, None)

    def read(self) -> None:
        key = self.key()
        assert self.one(key) == self.rows.get(key), f"key {key} is not as it was left"
        low = self.random.randrange(KEYS * THREADS)
        self.root.execute(
            "SELECT id, body FROM app.notes WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 20",
            [low, low + 300],
        )
        self.root.execute("SELECT COUNT(*), MIN(id), MAX(n) FROM app.notes")
        self.root.execute("SELECT id FROM app.notes WHERE id IN (1, 9, 17) OR body IS NULL").arrow()

    def checkpoint(self) -> None:
        if self.random.randrange(10) == 0:
            self.root.checkpoint()

    def one(self, key: int) -> str | None:
        rows = self.root.execute("SELECT body FROM app.notes WHERE id = ?", [key]).fetchall()
        return rows[0][0] if rows else None

    def join(self) -> None:
        count = self.root.execute(
            "SELECT a.owner, COUNT(*) AS c, AVG(length(a.body)) FROM app.notes a JOIN app.notes b ON a.id = b.id"
            " WHERE a.owner = $1 GROUP BY a.owner HAVING COUNT(*) > 0",
            [self.number],
        ).fetchall()
        assert sum(row[1] for row in count) == len(self.rows), "a query misses rows"

    def stream(self) -> None:
        rows = [[n] for n in range(self.random.randrange(1, 9))]
        self.session.executemany("INSERT INTO app.events (n) VALUES (?)", rows)
        self.session.execute("SELECT n FROM app.events ORDER BY id").fetchall()

    def arrow(self) -> None:
        bodies = [self.text() for _ in range(self.random.randrange(1, 200))]
        self.session.insert(
            "app.mine", pa.table({"body": bodies, "n": pa.array(range(len(bodies)), pa.int32())})
        )
        self.session.insert("app.mine", [{"body": body} for body in bodies[:3]])

    def own_rows(self) -> None:
        table = self.session.execute(
            "SELECT id, body, n, _seq FROM app.mine WHERE n < 100 ORDER BY id"
        ).arrow()
        if table.num_rows > 1000:
            self.session.execute("DELETE FROM app.mine WHERE n < 50")
        self.session.execute("SELECT n, COUNT(DISTINCT body) FROM app.mine GROUP BY n").fetchall()

    def transaction(self) -> None:
        session = self.root.session(user=f"user{self.number}", role="system")
        key, text = self.key(), self.text()
        keep = self.random.random() < 0.7
        session.begin()
        if key in self.rows:
            session.execute("UPDATE app.notes SET body = ? WHERE id = ?", [text, key])
        else:
            session.execute(
                "INSERT INTO app.notes (id, owner, body) VALUES (?, ?, ?)", [key, self.number, text]
            )
        found = session.execute("SELECT body FROM app.notes WHERE id = ?", [key]).fetchall()
        assert found == [(text,)], "a transaction does not see its own write"
        if keep:
            session.commit()
            self.rows[key] = text
        else:
            session.rollback()

    def define(self) -> None:
        """Tables of two names that appear, change and go while others use them."""
        name = f"app.t{self.random.randrange(2)}"
        way = self.random.randrange(6)
        if way == 0:
            self.root.execute(f"CREATE SHARED TABLE IF NOT EXISTS {name} (id BIGINT PRIMARY KEY, a TEXT)")
        elif way == 1:
            self.root.execute(f"ALTER TABLE {name} ADD COLUMN b INT DEFAULT 5")
        elif way == 2:
            self.root.execute(f"ALTER TABLE {name} DROP COLUMN b")
        elif way == 3:
            self.root.execute(f"DROP TABLE {name}")
        else:
            self.root.execute(
                f"INSERT INTO {name} (id, a) VALUES (?, 'x')", [next(self.keys) * THREADS + self.number]
            )
            self.root.execute(f"SELECT * FROM {name} ORDER BY id LIMIT 5").fetchall()
        self.root.execute("SHOW TABLES")

    def check(self, database: kalamdb.Database) -> None:
        found = dict(
            database.execute("SELECT id, body FROM app.notes WHERE owner = ?", [self.number]).fetchall()
        )
        assert found == self.rows, f"user {self.number} finds other rows than it left"


def main(seconds: float) -> int:
    seed = int(time.time_ns() % 1_000_000)
    print(f"python_mix: seed {seed}, {seconds:g} s", flush=True)
    # A hang is a fault too, and says where.
    faulthandler.dump_traceback_later(seconds * 4 + 240, exit=True)
    with tempfile.TemporaryDirectory(prefix="kalamdb-mix-") as directory:
        path = Path(directory) / "data"
        faults: list[str] = []
        with kalamdb.open(path, durability="normal", memtable_bytes="64KiB") as database:
            database.execute(SCHEMA)
            users = [User(database, number, seed) for number in range(THREADS)]
            end = time.monotonic() + seconds

            def live(user: User) -> None:
                try:
                    user.run(end)
                except BaseException:
                    faults.append(f"thread {user.number}:\n{traceback.format_exc()}")

            threads = [threading.Thread(target=live, args=(user,)) for user in users]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if not faults:
                for user in users:
                    user.check(database)
        if not faults:
            with kalamdb.open(path, memtable_bytes="64KiB") as database:
                for user in users:
                    user.check(database)
    for fault in faults:
        print(fault, file=sys.stderr)
    steps, refused = sum(user.steps for user in users), sum(user.refused for user in users)
    print(f"python_mix: {steps} steps of {THREADS} threads, {refused} refused, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
