"""Looking through a database that is not open for damage, and making it open again.

`check` changes nothing. `repair` says what it would drop, and with `apply=True` drops it: the log is cut at its first
damage, because what a commit built upon must be there before it. Whatever is cut is kept beside the log. What a
checkpoint has moved to hot segments is nowhere else: damage there is found, and only a backup mends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kalamcore import store, wal
from kalamcore.system import FileSystem
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.directory import FORMAT_VERSION, is_identity_lost, write_identity
from kalamdb.errors import DatabaseLocked, StorageUnavailable, UnknownFormat

LOG = "wal"
SEGMENTS = "hot"
IDENTITY = "database.json"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    `kind`: damage (the database does not open), torn (an end that a crash left; the next opening cuts it off and keeps
    it), kept (bytes that an earlier opening or repair put aside), lost (rows of hot segments that cannot be read, or
    the checkpoint that names them: no repair mends it, a backup does) or cold (what a storage has of a partition cannot
    be read; the database opens, and says so when its rows are asked for). `file`: relative to the database directory,
    or `storage:path`.
    `offset`: bytes from its start. `lsn`: the number of the log record that should stand there, 0 where that is not
    known. `what`: the whole of it in words.
    """

    kind: str
    file: str
    offset: int
    lsn: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}, byte {self.offset}: {self.what}"


@dataclass(frozen=True)
class Repair:
    """What a repair drops, or (`applied`) has dropped.

    The `kept_records` records up to number `kept_lsn` stay. Behind them `dropped_records` whole records, as far as
    they can be told, and `dropped_bytes` bytes of the log go; once applied they are in files named `*.damaged`.
    """

    findings: tuple[Finding, ...]
    kept_records: int
    kept_lsn: int
    dropped_records: int
    dropped_bytes: int
    applied: bool
    cold: tuple[str, ...] = ()
    """What of the storages is dropped, or replaced by an earlier state: a sentence for each partition."""

    @property
    def needed(self) -> bool:
        """Whether there is damage, so that the database does not open without a repair."""
        return any(finding.kind == "damage" for finding in self.findings)

    def __str__(self) -> str:
        lost = [finding.file for finding in self.findings if finding.kind == "lost"]
        parts = [self._dropped()] if self.needed else []
        parts += self.cold
        if lost:
            parts.append(f"no repair mends {', '.join(dict.fromkeys(lost))}: restore a backup")
        return "; ".join(parts) or "nothing to repair"

    def _dropped(self) -> str:
        what = f"{self.dropped_records} record(s), {self.dropped_bytes} bytes behind record {self.kept_lsn}"
        return (
            f"dropped {what}; they are kept in files named *.damaged"
            if self.applied
            else f"would drop {what}"
        )


def check(path: str | os.PathLike[str]) -> list[Finding]:
    """Look through the database in the directory `path`, which must not be open, and change nothing.

    An empty list: it opens, and nothing was ever cut from it. Raises DatabaseLocked, StorageUnavailable,
    UnknownFormat.
    """
    directory = _existing(path)
    with core_errors_translated(), _unopened(directory):
        return _findings(FileSystem.posix(), directory) + _cold_findings(directory)


def repair(path: str | os.PathLike[str], *, apply: bool = False) -> Repair:
    """Say what must be dropped for the database in the directory `path` to open again; with `apply`, drop it.

    Commits are kept in order up to the first damage, and none behind it. A torn end needs no repair. Of what is cold,
    what cannot be read is dropped, a segment at a time where that is enough. Raises
    DatabaseLocked, StorageUnavailable, UnknownFormat.
    """
    from kalamdb.cold_check import cold_damage, drop_cold_damage, would_drop

    directory = _existing(path)
    files = FileSystem.posix()
    with core_errors_translated():
        if not apply:
            with _unopened(directory):
                would = _repair(files, directory, apply=False)
                return replace(would, cold=tuple(would_drop(cold_damage(directory))))
        lock = files.lock_directory(directory)
        try:
            done = _repair(files, directory, apply=True)
            damaged = bool(cold_damage(directory))
        finally:
            lock.release()
        # Its commits need the database, which has to open by now.
        return replace(done, cold=tuple(drop_cold_damage(directory))) if damaged else done


def _repair(files: FileSystem, directory: str, *, apply: bool) -> Repair:
    findings = _findings(files, directory)
    survey: dict[str, Any] = {"kept_records": 0, "kept_lsn": 0, "dropped_records": 0, "dropped_bytes": 0}
    if files.exists(f"{directory}/{LOG}"):
        survey = wal.survey(files, f"{directory}/{LOG}")
        if apply and any(finding.kind == "damage" and finding.file.startswith(LOG) for finding in findings):
            # First, so that a crash in between leaves a log that is still to be repaired.
            if not any(finding.file == f"{SEGMENTS}/checkpoint" for finding in findings):
                store.lower_checkpoint(files, f"{directory}/{SEGMENTS}", survey["kept_lsn"])
            wal.survey(files, f"{directory}/{LOG}", repair=True)
        del survey["findings"], survey["kept_first_lsn"]
    if apply and any(finding.file == IDENTITY for finding in findings):
        if files.exists(f"{directory}/{IDENTITY}"):
            files.rename(f"{directory}/{IDENTITY}", f"{directory}/{IDENTITY}.damaged")
        write_identity(files, directory)
    return Repair(tuple(findings), **survey, applied=apply)


def _findings(files: FileSystem, directory: str) -> list[Finding]:
    findings = _identity_findings(files, directory)
    log: dict[str, Any] = {"findings": [], "kept_first_lsn": 1, "kept_lsn": 0}
    if files.exists(f"{directory}/{LOG}"):
        log = wal.survey(files, f"{directory}/{LOG}")
        for kind, file, offset, lsn, what in log["findings"]:
            findings.append(Finding(kind, f"{LOG}/{file}", offset, lsn, what))
    if files.exists(f"{directory}/{SEGMENTS}"):
        segments = store.check_segments(files, f"{directory}/{SEGMENTS}")
        for file, offset, what in segments["findings"]:
            findings.append(Finding("lost", f"{SEGMENTS}/{file}", offset, 0, what))
        if segments["lsn"] is not None and not any(finding.file.startswith(LOG) for finding in findings):
            findings += _place_findings(segments["lsn"], log["kept_first_lsn"], log["kept_lsn"])
    return findings


def _place_findings(lsn: int, first_lsn: int, last_lsn: int) -> list[Finding]:
    """The checkpoint's place must be in the log, or just before it."""
    if first_lsn - 1 <= lsn <= last_lsn:
        return []
    what = (
        f"the checkpoint goes up to record {lsn}, and the log has {first_lsn} to {last_lsn}; one of the two is of "
        "another time: put the right one back, or restore a backup"
    )
    return [Finding("lost", f"{SEGMENTS}/checkpoint", 0, lsn, what)]


def _cold_findings(directory: str) -> list[Finding]:
    if not os.path.exists(f"{directory}/{IDENTITY}"):
        return []
    from kalamdb.cold_check import cold_damage

    return [Finding("cold", one.file, 0, 0, one.what) for one in cold_damage(directory)]


def _identity_findings(files: FileSystem, directory: str) -> list[Finding]:
    path = f"{directory}/{IDENTITY}"
    if is_identity_lost(files, directory):
        what = "it is missing, and was there; restore it from a backup, or let a repair make a new one"
        return [Finding("damage", IDENTITY, 0, 0, what)]
    if not files.exists(path):
        return []
    try:
        identity = json.loads(files.read_file(path))
        version, _ = int(identity["format"]), str(identity["database_id"])
    except (ValueError, KeyError, TypeError):
        what = "it cannot be read; restore it from a backup, or let a repair put a new one in its place"
        return [Finding("damage", IDENTITY, 0, 0, what)]
    if version > FORMAT_VERSION:
        raise UnknownFormat(
            f"the database has format {version}, this version of kalamdb reads up to {FORMAT_VERSION}; "
            "look through it with the newer kalamdb that wrote it"
        )
    return []


def _existing(path: str | os.PathLike[str]) -> str:
    directory = os.path.abspath(os.fspath(path))
    if not os.path.isdir(directory):
        raise StorageUnavailable(f"there is no directory {directory}; give the path of a database directory")
    return directory


@contextlib.contextmanager
def _unopened(directory: str) -> Iterator[None]:
    """Nobody opens the database meanwhile. A shared claim, which leaves no trace and works on a read-only disk."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageUnavailable(f"open {directory}: {error.strerror}; let this user read it") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseLocked(
                f"{directory} is open; close the database there before it is looked through"
            ) from None
        yield
    finally:
        os.close(descriptor)
