"""Threads of Python on one store: no commit waits, with the GIL in hand, for a thread that waits for the GIL."""

from __future__ import annotations

import subprocess
import sys

MIX = """
import sys, threading
from kalamcore.rows import BIGINT, TEXT, Layout
from kalamcore.store import Store, WriteBatch
from kalamcore.system import FileSystem

sys.setswitchinterval(1e-6)
files = FileSystem.memory()
files.make_directory("data")
store = Store(files, "data")
store.define_table(1, 1)
store.define_table(2, 1, stream_ttl_us=10**9, stream_rows_max=10)
layout = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)], 0)

def write(table, seat):
    # A large commit lets go of the GIL for all of it, and so keeps others waiting for the commit lock.
    count, text = (4_000, "large" * 4_000) if seat == 0 else (15_000, "")
    for n in range(count):
        batch = WriteBatch(store.snapshot())
        batch.insert(table, b"", layout, (n * 8 + seat, text))
        store.commit(batch, sync=False)

threads = [threading.Thread(target=write, args=(1 + seat % 2, seat)) for seat in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert store.count(1, b"", store.snapshot()) == 49_000
print("done")
"""


def test_commits_of_streams_do_not_stop_those_of_tables() -> None:
    # A process of its own, because a hang of this kind cannot be interrupted.
    done = subprocess.run(
        [sys.executable, "-c", MIX], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout == "done\n", done.stderr


CLOSING = """
import sys, threading
from kalamcore.errors import CoreError
from kalamcore.rows import BIGINT, TEXT, Layout, Reader
from kalamcore.store import Store, WriteBatch
from kalamcore.system import FileSystem

sys.setswitchinterval(1e-6)
layout = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, False)], 0)
reader = Reader([layout], [None, ""])
for life in range(40):
    files = FileSystem.memory()
    files.make_directory("data")
    files.make_directory("hot")
    acknowledged = [0] * 4

    def opened():
        store = Store(files, "data", hot_directory="hot", memtable_bytes=512, wal_file_bytes=1 << 16)
        store.define_table(1, 1, reader=reader)
        return store

    def write(seat):
        try:
            while True:
                batch = WriteBatch(store.snapshot())
                first = acknowledged[seat] * 400 + seat
                batch.insert_many(1, b"", layout, [(first + i * 4, "x" * 200) for i in range(100)])
                store.commit(batch, sync=seat % 2 == 0)
                acknowledged[seat] += 1
        except CoreError as error:
            assert "closed" in str(error), error

    def checkpoint():
        try:
            while True:
                store.checkpoint()
        except CoreError as error:
            assert "closed" in str(error), error

    store = opened()
    threads = [threading.Thread(target=write, args=(seat,)) for seat in range(4)]
    threads += [threading.Thread(target=checkpoint)] * (life % 2)
    for thread in threads:
        thread.start()
    while sum(acknowledged) < life:
        pass
    store.close()
    for thread in threads:
        thread.join()
    store = opened()
    count = store.count(1, b"", store.snapshot())
    assert count == 100 * sum(acknowledged), (count, acknowledged)
print("done")
"""


def test_a_store_is_closed_beside_writers_that_wait_for_memory_and_checkpoints() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSING], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout == "done\n", done.stderr
