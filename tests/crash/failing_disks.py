"""Disks that fail below a real file system: EIO for every write of ext4 and XFS, while four threads write.

nbdkit is the disk, and fails while a file is there; its writes are those of the page cache, which shows afterwards what
the disk does not have. Asks for root, loop mounts, nbdkit with nbdfuse, and xfsprogs; `missing` says what is not there.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from tests.crash.kills import SECONDS_TO_END_MAX, THREADS, Figures, Writers, check
from tests.crash.power_cuts import FILE_SYSTEMS, PATH, REFUSALS, run

TOOLS = ("nbdkit", "nbdfuse", "losetup", "xfs_io", "mount", "umount")
BYTES = "320M"


def missing(kind: str) -> str:
    """Why such a disk cannot be tried here; empty where it can."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    for tool in (FILE_SYSTEMS[kind][0], *TOOLS):
        if shutil.which(tool, path=PATH) is None:
            return f"{tool} is not installed (Debian: nbdkit, libnbd-bin, xfsprogs, e2fsprogs)"
    with tempfile.TemporaryDirectory(prefix="disk-") as directory:
        try:
            FailingDisk(kind, directory).remove()
        except (subprocess.CalledProcessError, TimeoutError) as error:
            return f"a {kind} file system on nbdfuse cannot be mounted here: {error}"
    return ""


class FailingDisk:
    """A file system on a disk that fails when it is told to."""

    def __init__(self, kind: str, directory: str) -> None:
        self.path = os.path.join(directory, "mounted")
        self.disk = os.path.join(directory, "disk")
        self.fault = os.path.join(directory, "fault")
        os.mkdir(self.path)
        os.mkdir(self.disk)
        image = os.path.join(self.disk, "image")
        self.device = ""
        # Asking the directory would not do: one that was shut down answers with EIO.
        self.mounted = False
        self.server = subprocess.Popen(
            [
                "nbdfuse", image, "--command", "nbdkit", "-s", "--filter=error", "memory", BYTES,
                "error-pwrite=EIO", "error-pwrite-rate=100%", f"error-pwrite-file={self.fault}",
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while not os.path.exists(image):
                if time.monotonic() > deadline or self.server.poll() is not None:
                    raise TimeoutError("nbdfuse shows no disk")
                time.sleep(0.02)
            self.device = run("losetup", "-f", "--show", image).strip()
            run(*FILE_SYSTEMS[kind], self.device)
            self.mount()
        except BaseException:
            self.remove()
            raise

    def mount(self) -> None:
        run("mount", self.device, self.path)
        self.mounted = True

    def unmount(self) -> None:
        if self.mounted:
            run("umount", self.path)
            self.mounted = False

    def fail(self) -> None:
        with open(self.fault, "w"):
            pass

    def cut(self) -> None:
        """The power goes, and comes back to a disk that works. What was not synced is gone."""
        # XFS has shut itself down already where its own log could not be written.
        with contextlib.suppress(subprocess.CalledProcessError):
            run("xfs_io", "-x", "-c", "shutdown", self.path)
        os.remove(self.fault)
        self.unmount()
        self.mount()

    def remove(self) -> None:
        self.unmount()
        if self.device:
            run("losetup", "-d", self.device)
        if os.path.ismount(self.disk):
            run("umount", "-l", self.disk)
        self.server.terminate()
        self.server.wait()


def prove(seed: int, kind: str, count: int) -> Figures:
    """`count` disks that fail at a random time: writers are told, and after a power cut all they were told is there."""
    figures = Figures()
    dice = random.Random(seed)
    for number in range(count):
        where = f"seed {seed}, {kind}, disk {number}"
        with tempfile.TemporaryDirectory(prefix=f"failing-{kind}-") as directory:
            disk = FailingDisk(kind, directory)
            try:
                data = os.path.join(disk.path, "data")
                writers = Writers(data, "full", [1] * THREADS)
                time.sleep(dice.random() ** 2 * 0.6)
                disk.fail()
                # Each thread meets it by itself, and the process ends in its own time.
                seconds = writers.wait(time.monotonic())
                if seconds > SECONDS_TO_END_MAX:
                    writers.end(signal.SIGKILL)
                for line in writers.stopped:
                    if not line.endswith(REFUSALS):
                        figures.find("other", f"{where}: {line}")
                told = sum(line.endswith(REFUSALS) for line in writers.stopped)
                if told != THREADS:
                    figures.find("other", f"{where}: {told} of {THREADS} threads were told")
                disk.cut()
                figures.kills += 1
                figures.acknowledged += writers.count
                check(data, writers.acknowledged, figures, where, clean=True)
            finally:
                disk.remove()
    return figures
