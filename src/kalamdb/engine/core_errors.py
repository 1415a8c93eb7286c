"""The core's exceptions as kalamdb's: the one place where the two trees meet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kalamcore import errors as core
from kalamdb.errors import (
    CommitOutcomeUnknown,
    Corruption,
    DatabaseClosed,
    DatabaseLocked,
    DatabasePoisoned,
    Error,
    InternalError,
    ReadOnlyDatabase,
    StorageUnavailable,
    UnknownFormat,
)


def translated(error: core.CoreError) -> Error:
    """The same error in kalamdb's tree. Conflicts and bad values are met by the statement itself, not here."""
    message = str(error)
    if isinstance(error, core.LockedError):
        return DatabaseLocked(f"{message}; close it there, or open another directory")
    if isinstance(error, core.PoisonedError) and "read-only" in message:
        return ReadOnlyDatabase("the database is open read-only; open it without read_only to change it")
    if isinstance(error, core.PoisonedError):
        return DatabasePoisoned(f"{message}; close the database and open it again")
    if isinstance(error, core.OutcomeUnknownError):
        return CommitOutcomeUnknown(f"{message}; open the database again and look whether the rows are there")
    if isinstance(error, core.CorruptionError):
        return Corruption(message)
    if isinstance(error, core.UnknownFormatError):
        return UnknownFormat(message)
    if isinstance(error, core.IoError):
        return StorageUnavailable(f"{message}; nothing was written by this statement")
    if "is closed" in message:
        return DatabaseClosed("the database is closed; open it again")
    return InternalError(message)


@contextlib.contextmanager
def core_errors_translated() -> Iterator[None]:
    """Let a block's core errors leave it as kalamdb's."""
    try:
        yield
    except core.CoreError as error:
        raise translated(error) from error
