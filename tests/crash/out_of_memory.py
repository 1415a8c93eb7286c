"""The kernel's out-of-memory killer: four writers in a control group of 200 MB, until one of them takes it all.

Asks for root and a memory controller that may be written to, of either version of control groups.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash import kills

BYTES_MAX = 200 << 20
# (where groups are made, the file of the limit)
CONTROLLERS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


def missing() -> str:
    """Why nothing can be killed this way here; empty where it can."""
    if os.geteuid() != 0:
        return "a control group needs root"
    try:
        with memory_group():
            return ""
    except OSError as error:
        return f"no control group with a limit of memory can be made here: {error}"


@contextmanager
def memory_group() -> Iterator[str]:
    """The path of the file that takes pids into a new control group."""
    parent, limit = next((one for one in CONTROLLERS if one[0].exists()), CONTROLLERS[-1])
    group = parent / f"kalamdb-proof-{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(BYTES_MAX))
        yield str(group / "cgroup.procs")
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:  # what was killed has not quite left it
                time.sleep(0.05)


def prove(seed: int, count: int) -> kills.Figures:
    """`count` processes that ask for more than there is."""
    with memory_group() as group:
        return kills.prove(seed, count, "full", signal.SIGUSR1, group=group)
