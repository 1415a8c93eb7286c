"""Power cuts of real file systems: ext4 and XFS in a file, mounted as a loop, shut down while four threads write.

`xfs_io -x -c shutdown` stops the file system as a power cut does: what was not synced is gone. Asks for root, loop
mounts and xfsprogs; `missing` says what is not there.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from tests.crash.kills import THREADS, Figures, Writers, check

FILE_SYSTEMS = {"ext4": ["mkfs.ext4", "-qF"], "xfs": ["mkfs.xfs", "-qf"]}
IMAGE_BYTES = {"ext4": 96 << 20, "xfs": 320 << 20}
CUTS_PER_IMAGE = 20
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# Of a write, and of what it reads first: whether a key is there may have to be read from a hot segment.
REFUSALS = ("DATABASE_POISONED", "COMMIT_OUTCOME_UNKNOWN", "STORAGE_UNAVAILABLE")


def missing(kind: str) -> str:
    """Why power cuts of this file system cannot be tried here; empty where they can."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    for tool in (FILE_SYSTEMS[kind][0], "xfs_io", "mount", "umount"):
        if shutil.which(tool, path=PATH) is None:
            return f"{tool} is not installed (Debian: xfsprogs, e2fsprogs)"
    with tempfile.TemporaryDirectory(prefix="mounts-") as directory:
        try:
            mounted = Mounted(kind, directory)
        except subprocess.CalledProcessError as error:
            return f"a {kind} image cannot be mounted here: {error.stderr.strip()}"
        mounted.remove()
    return ""


def run(*command: str) -> str:
    """What it said. Raises CalledProcessError."""
    environment = {**os.environ, "PATH": PATH}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


class Mounted:
    """A file system in a file of `directory`, mounted beside it."""

    def __init__(self, kind: str, directory: str) -> None:
        self.image = os.path.join(directory, "disk.img")
        self.path = os.path.join(directory, "mounted")
        os.makedirs(self.path, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES[kind])
        run(*FILE_SYSTEMS[kind], self.image)
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop", self.image, self.path)

    def cut(self) -> None:
        run("xfs_io", "-x", "-c", "shutdown", self.path)

    def unmount(self) -> None:
        for _ in range(50):
            try:
                run("umount", self.path)
                return
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        run("umount", "-l", self.path)

    def remove(self) -> None:
        self.unmount()
        os.remove(self.image)


def prove(seed: int, kind: str, cuts: int) -> Figures:
    """`cuts` power cuts at random times, four threads writing with durability full."""
    figures = Figures()
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix=f"cuts-{kind}-") as directory:
        mounted: Mounted | None = None
        following: list[int] = []
        try:
            for cut in range(cuts):
                if cut % CUTS_PER_IMAGE == 0 or not following:
                    if mounted is not None:
                        mounted.remove()
                    mounted = Mounted(kind, directory)
                    following = [1] * THREADS
                assert mounted is not None
                data = os.path.join(mounted.path, "data")
                writers = Writers(data, "full", following)
                time.sleep(dice.random() ** 2 * 0.6)
                mounted.cut()
                # They meet a failing disk, and say so; then they are no more.
                time.sleep(0.02)
                writers.end(signal.SIGKILL)
                for line in writers.stopped:
                    if not line.endswith(REFUSALS):
                        figures.find("other", f"seed {seed}, {kind}, cut {cut}: {line}")
                mounted.unmount()
                mounted.mount()
                figures.kills += 1
                figures.acknowledged += writers.count
                where = f"seed {seed}, {kind}, cut {cut}"
                following = check(data, writers.acknowledged, figures, where, clean=True)
        finally:
            if mounted is not None:
                mounted.remove()
    return figures
