"""Four threads that write until they are killed: `python -m tests.crash.writers DIRECTORY DURABILITY NUMBER…`.

Each of them writes the rows of a user of its own, statement after statement, beginning with its NUMBER, and says
"thread number" on standard output once a statement is acknowledged. What a user's rows are after so many statements is
known to `rows_after`, so that whoever reads the output can tell what must be there. In one process of three a fifth
thread moves the rows to cold segments, and compacts these, all the time.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time

import kalamdb
from kalamdb.errors import Error, StorageUnavailable

CREATE = "CREATE USER TABLE IF NOT EXISTS rows (id BIGINT PRIMARY KEY, body TEXT)"
COUNTER = -1


def statement(number: int) -> tuple[str, list[object]]:
    """The statement `number` (from 1) of every thread: a few rows, many rows, an UPDATE, a DELETE."""
    if number % 4 == 2:
        sql = "INSERT INTO rows VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        return sql, [COUNTER, str(number)]
    if number % 4 == 0:
        return "DELETE FROM rows WHERE id = ?", [(number - 3) * 1000]
    values: list[object] = []
    for row in range(_count(number)):
        values += [number * 1000 + row, f"{number} {row}" + "." * (number % 300)]
    return f"INSERT INTO rows VALUES {', '.join(['(?, ?)'] * (len(values) // 2))}", values


def _count(number: int) -> int:
    return 300 if number % 40 == 1 else (number % 5) + 1


def rows_after(number: int) -> dict[int, str]:
    """What a user has after statement `number`."""
    rows: dict[int, str] = {}
    for one in range(1, number + 1):
        if one % 4 == 2:
            rows[COUNTER] = str(one)
        elif one % 4 == 0:
            del rows[(one - 3) * 1000]
        else:
            for row in range(_count(one)):
                rows[one * 1000 + row] = f"{one} {row}" + "." * (one % 300)
    return rows


def write(db: kalamdb.Database, thread: int, number: int) -> None:
    session = db.session(f"writer{thread}", role="service")
    while True:
        sql, parameters = statement(number)
        try:
            session.execute(sql, parameters)
        except Error as error:
            os.write(1, f"{thread} stopped {number} {error.code}\n".encode())
            return
        os.write(1, f"{thread} {number}\n".encode())
        number += 1


def move(db: kalamdb.Database) -> None:
    """Flush and compact without a pause, for as long as the database takes it."""
    for turn in itertools.count(1):
        try:
            db.flush()
            if turn % 4 == 0:
                db.compact()
        except StorageUnavailable:
            continue
        except Error:
            return


def take_all_memory() -> None:
    """Until somebody ends this process."""
    taken = []
    while True:
        taken.append(b"x" * (4 << 20))


def main(directory: str, durability: str, *numbers: str) -> None:
    # With a handler, as services have: the interpreter ends, and closes what is open.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGUSR1, lambda *_: take_all_memory())
    # Checkpoints come and go all the time.
    db = kalamdb.open(directory, durability=durability, wal_file_bytes="64KiB", memtable_bytes="64KiB")
    db.execute(CREATE)
    # Not in every process: what it imports takes longer than many of them live.
    moves = int(numbers[0]) % 3 == 1
    if moves:
        db.flush()
    os.write(1, b"ready\n")
    threads = [
        threading.Thread(target=write, args=(db, thread, int(number)), daemon=True)
        for thread, number in enumerate(numbers)
    ]
    for thread in threads:
        thread.start()
    if moves:
        threading.Thread(target=move, args=(db,), daemon=True).start()
    # In short waits: a signal that comes just before a wait that nothing ends is handled after it.
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.05)
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
