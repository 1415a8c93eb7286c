"""A backup as a database of its own, in a new directory."""

from __future__ import annotations

import os
import shutil
from typing import Any

from kalamcore.system import FileSystem
from kalamdb.database import open as open_database
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.errors import StorageInUse

UNFINISHED = ".restoring"


def restore(uri: str | os.PathLike[str], directory: str | os.PathLike[str], **settings: Any) -> None:
    """Restore the newest backup at `uri` into `directory`, which must not be there yet.

    `settings`: as of kalamdb.open, for the time of the restoring. The directory appears when all is there and verified;
    where it fails nothing is left. A process or a machine that ends meanwhile leaves `DIRECTORY.restoring`, which is
    refused until it is removed, and never the directory. Raises StorageInUse where either exists, Corruption where the
    backup is not whole, and as RESTORE DATABASE.
    """
    files = FileSystem.posix()
    target = os.path.abspath(os.fspath(directory))
    unfinished = target + UNFINISHED
    if _is_there(files, target):
        raise StorageInUse(
            f"{target} exists; nothing is overwritten: give a directory that does not exist, or remove it"
        )
    if _is_there(files, unfinished):
        # Perhaps another process is at it now; so it is never removed here.
        raise StorageInUse(
            f"{unfinished} exists: another restore is at work, or ended before it was done; remove it if none is"
        )
    place = os.fspath(uri)
    if "://" not in place:
        place = os.path.abspath(place)
    try:
        with open_database(unfinished, **settings) as database:
            database.execute(f"RESTORE DATABASE FROM '{place.replace(chr(39), 2 * chr(39))}'")
            # So that it may be opened read-only from the first.
            database.checkpoint()
        with core_errors_translated():
            files.rename(unfinished, target)
            files.sync_directory(os.path.dirname(target))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _is_there(files: FileSystem, path: str) -> bool:
    return files.exists(path) or files.is_link(path)
