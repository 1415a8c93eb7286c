"""How large are the cold files of many users, and how much memory does it take to write and to read them?

Every user has a thousand rows; 10,000 users in full. The files stand beside zstd Parquet of the same rows, one file a
user. Memory is what a process of its own has grown by since all modules were loaded, at its peak, while rows come in,
are flushed and are read: at several numbers of rows, since it must not grow with them. (P13)
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kalamdb
from bench.compare.parquet import write_synced
from bench.messages import TABLE, arrow_of, message
from bench.race import FULL, note

ROWS_A_USER = 1_000
SIZES = (100, 1_000, 10_000) if FULL else (100, 250, 500)
MEMORY_GOAL = "≤ 256 MiB, and the same at every size"
ROOT = Path(__file__).resolve().parent.parent


def rows_of(user: int) -> Any:
    """A user's rows as Arrow."""
    return arrow_of(message(number) for number in range(user * ROWS_A_USER, (user + 1) * ROWS_A_USER))


def cold_bytes(folder: Path) -> int:
    """Of all segments and manifests."""
    return sum(path.stat().st_size for kind in ("*.parquet", "manifest.json") for path in folder.rglob(kind))


def memory(name: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def load_flush_and_read(directory: Path, users: int) -> dict[str, int]:
    """Bytes of the cold files, and by how much memory had grown at its peak in each stage."""
    with kalamdb.open(directory / "warm") as warm:
        # Every module is loaded, and every thread that stays is there.
        warm.execute(TABLE.replace("CREATE TABLE", "CREATE USER TABLE"))
        warm.session("a").insert("messages", rows_of(0))
        warm.flush()
        warm.session("a").execute("SELECT sender, COUNT(*) FROM messages GROUP BY sender").arrow()
    gc.collect()
    idle, grown = memory("VmRSS"), {}

    def peak(stage: str) -> None:
        grown[stage] = memory("VmHWM") - idle
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew

    Path("/proc/self/clear_refs").write_text("5")
    with kalamdb.open(directory / "kalamdb", durability="normal") as db:
        db.execute(TABLE.replace("CREATE TABLE", "CREATE USER TABLE"))
        for user in range(users):
            db.session(f"user{user}").insert("messages", rows_of(user))
        peak("loading")
        db.flush()
        peak("flush")
        draw = random.Random(13).randrange
        for _ in range(2_000):
            user = draw(users)
            found = db.session(f"user{user}").execute("SELECT * FROM messages").fetchall()
            assert len(found) == ROWS_A_USER
        root = db.session("root", role="system")
        (count,) = root.execute("SELECT COUNT(*) FROM all_users.default.messages").fetchone()
        assert count == users * ROWS_A_USER
        peak("reading")
    return {"cold": cold_bytes(directory / "kalamdb"), **grown}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("users", SIZES)
def test_size(benchmark: Any, tmp_path: Path, users: int) -> None:
    program = "import sys; from bench import bench_size; bench_size.measure(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(users)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    plain = 0
    for user in range(users):
        path = write_synced(rows_of(user), tmp_path, "plain.parquet")
        plain += path.stat().st_size
    rows = users * ROWS_A_USER
    stages = ("loading", "flush", "reading")
    note(
        benchmark,
        [
            (f"P13 size, {rows:,} rows, cold", "kalamdb", found["cold"], "≤ 1.15 × a file per user"),
            (f"P13 size, {rows:,} rows, cold", "a zstd Parquet file per user", plain, ""),
            *(
                (f"P13 memory grown by {stage}, {rows:,} rows", "kalamdb", found[stage], MEMORY_GOAL)
                for stage in stages
            ),
        ],
        "bytes",
    )


def measure(directory: str, users: str) -> None:
    """In a process of its own: prints the figures."""
    print(json.dumps(load_flush_and_read(Path(directory), int(users))))
