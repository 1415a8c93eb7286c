"""Damage that is planted in a database and in a backup, a byte at a time: `check` finds it, and RESTORE refuses it.

A database that is closed is changed in every file that it has. What check then says nothing of must not matter: the
database opens and shows the same. Of a backup every byte matters: none that was changed may be restored.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kalamdb
from kalamdb.errors import Corruption, Error, UndefinedBackup, UnknownFormat
from tests.backup.world import fill, shown
from tests.crash.failures import Figures

UNREAD = ("LOCK", "manifest.previous.json", "master.key")
"""Nobody's rows depend on them."""
PER_FILE_MAX = 4000


def places(content: bytes, seed: int, step: int) -> Iterator[int]:
    """Every `step`-th byte, in large files fewer of them."""
    dice = random.Random(seed)
    step = max(step, len(content) // PER_FILE_MAX)
    yield from range(dice.randrange(step), len(content), step)


def changes(content: bytes, seed: int, step: int) -> Iterator[tuple[str, bytes | None]]:
    """What may become of a file: a bit that flipped, an end that is missing, nothing left, no file."""
    dice = random.Random(seed)
    for at in places(content, seed, step):
        flipped = bytearray(content)
        flipped[at] ^= 1 << dice.randrange(8)
        yield f"byte {at} changed", bytes(flipped)
    for at in (0, 1, len(content) // 2, len(content) - 1):
        yield f"cut at {at}", content[:at]
    yield "missing", None


def files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name not in UNREAD)


@contextlib.contextmanager
def planted(path: Path, content: bytes | None) -> Iterator[None]:
    """The file with another content, or away, for a block."""
    kept = path.read_bytes()
    try:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        yield
    finally:
        path.write_bytes(kept)


def prove_checked(seed: int, step: int = 1) -> Figures:
    """Damage of a database that is closed, with rows in the log, hot, and cold."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="damage-") as directory:
        whole, tried = Path(directory) / "whole", Path(directory) / "tried"
        with kalamdb.open(whole, wal_file_bytes=64 << 10) as db:
            fill(db)
            wanted = shown(db)
        assert kalamdb.check(whole) == []
        for path in files_of(whole):
            name = path.relative_to(whole)
            content = path.read_bytes()
            # A log is preallocated: behind its records there are zeros that nobody reads.
            coarse = step * 16 if name.parts[0] == "wal" else step
            for what, changed in changes(content, seed, coarse):
                if changed == content:
                    continue
                figures.tried += 1
                with planted(path, changed):
                    try:
                        found = kalamdb.check(whole)
                    except (UnknownFormat, Corruption):
                        found = ["refused"]
                    if any(name.name in str(one) or one == "refused" for one in found):
                        figures.outcomes["found"] += 1
                        continue
                    if found:
                        figures.outcomes["found by what it does to others"] += 1
                        continue
                    # Opened in a copy, as an opening may mend it.
                    shutil.rmtree(tried, ignore_errors=True)
                    shutil.copytree(whole, tried)
                try:
                    with kalamdb.open(tried) as db:
                        same = shown(db) == wanted
                except Error as error:
                    figures.find(f"{name}, {what}: check found nothing, and {error.code}: {error}")
                    continue
                figures.outcomes["nothing that matters"] += 1
                if not same:
                    figures.find(f"{name}, {what}: check found nothing, and rows are others")
    return figures


def prove_restored(seed: int, step: int = 1) -> Figures:
    """Damage of a backup: the restore is refused, and brings nothing."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="damage-") as directory:
        target = Path(directory) / "target"
        with kalamdb.open(":memory:") as db:
            fill(db)
            db.backup(target)
        with kalamdb.open(":memory:") as db:
            for path in files_of(target):
                content = path.read_bytes()
                for what, changed in changes(content, seed, step):
                    figures.tried += 1
                    where = f"{path.relative_to(target)}, {what}"
                    with planted(path, changed):
                        try:
                            db.execute(f"RESTORE DATABASE FROM '{target}'")
                        except (Corruption, UndefinedBackup, UnknownFormat):
                            figures.outcomes["refused"] += 1
                        except Error as error:
                            figures.find(f"{where}: ended with {error.code}: {error}")
                        else:
                            figures.find(f"{where}: restored")
                            return figures
                    if list(db.catalog.namespaces) != ["default"] or db.catalog.tables:
                        figures.find(f"{where}: refused, and something of it is there")
                        return figures
    return figures
