"""A backup as a database of its own, in a new directory."""

from __future__ import annotations

import os
import shutil
from typing import Any

from kalamcore.system import FileSystem
from kalamdb.database import open as open_database
from kalamdb.errors import StorageInUse

UNFINISHED = ".restoring"


def restore(uri: str | os.PathLike[str], directory: str | os.PathLike[str], **settings: Any) -> None:
    """Restore the newest backup at `uri` into `directory`, which must not be there yet.

    `settings`: as of kalamdb.open, for the time of the restoring. The directory appears when all is there and verified;
    where it fails nothing is left. Raises StorageInUse where the directory exists, Corruption where the backup is not
    whole, and as RESTORE DATABASE.
    """
    target = os.path.abspath(os.fspath(directory))
    unfinished = target + UNFINISHED
    for path in (target, unfinished):
        if os.path.lexists(path):
            raise StorageInUse(
                f"{path} exists; nothing is overwritten: give a directory that does not exist, or remove it"
            )
    place = os.fspath(uri)
    if "://" not in place:
        place = os.path.abspath(place)
    try:
        with open_database(unfinished, **settings) as database:
            database.execute(f"RESTORE DATABASE FROM '{place.replace(chr(39), 2 * chr(39))}'")
            # So that it may be opened read-only from the first.
            database.checkpoint()
        os.rename(unfinished, target)
        FileSystem.posix().sync_directory(os.path.dirname(target))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
