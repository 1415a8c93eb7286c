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
