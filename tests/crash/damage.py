"""Damaged logs: what a crash may leave is cut and told, everything else is refused with file and offset.

A torn tail is a log that ends anywhere inside of its last records, with anything behind the cut. Damage is a flipped
bit, or a record or file that was moved, repeated, removed, or put back from an earlier time.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kalamcore.errors import CorruptionError
from kalamcore.system import FileSystem, RandomSource
from kalamcore.wal import COMMIT, Log, survey

PAGE = 4096
RECORD_HEADER = 32
DIRECTORY = "log"
FILLS = ("cut", "zeros", "random", "previous file")


@dataclass
class Figures:
    """What was tried, and what was wrong."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        self.wrong += 1
        if len(self.findings) < 20:
            self.findings.append(what)


Record = tuple[int, int, bytes]


@dataclass
class Written:
    """A log as a process left it that ended without closing it."""

    files: FileSystem
    records: list[Record]
    """(type, number, payload)"""

    def path(self, index: int = -1) -> str:
        return f"{DIRECTORY}/{[name for name in self.files.list(DIRECTORY) if name.endswith('.log')][index]}"

    def with_file(self, path: str, content: bytes | None) -> FileSystem:
        """A copy in which one file holds other bytes, or is not there."""
        copy = self.files.crash()
        if content is None:
            copy.remove(path)
            copy.sync_directory(DIRECTORY)
        else:
            copy.write_atomic(path, content)
        return copy


def written(seed: int, count: int, *, sizes: tuple[int, int], file_bytes: int, group: int = 1) -> Written:
    """A log of `count` commits of random bytes; `group` of them share a sync."""
    dice = random.Random(seed)
    files = FileSystem.memory()
    files.make_directory(DIRECTORY)
    log = Log(files, DIRECTORY, file_bytes=file_bytes, random=RandomSource.seeded(seed))
    records: list[Record] = []
    for number in range(count):
        payload = dice.randbytes(dice.randint(*sizes))
        records.append((COMMIT, log.append(COMMIT, payload), payload))
        if number % group == group - 1:
            log.flush(log.last)
    log.flush(log.last)
    return Written(files.crash("none"), records)


def places(content: bytes) -> list[tuple[int, int]]:
    """Where each record of a file begins and ends."""
    found = []
    at = PAGE
    while at + RECORD_HEADER <= len(content) and any(content[at : at + RECORD_HEADER]):
        size = struct.unpack_from("<I", content, at + 8)[0]
        end = at + (RECORD_HEADER + size + 7) // 8 * 8
        found.append((at, end))
        at = end
    return found


def prove_torn_tails(seed: int, step: int = 1, records: int = 3, size: int = 1000) -> Figures:
    """The log cut at every `step`-th byte of its last records, times what stands behind the cut."""
    figures = Figures()
    dice = random.Random(seed)
    # Two full files, and one that holds a dozen records.
    log = written(seed, 70, sizes=(size, size * 2), file_bytes=48 << 10)
    path = log.path()
    content = log.files.read_file(path)
    previous = log.files.read_file(log.path(-2))
    ends = places(content)
    in_older = len(log.records) - len(ends)
    for cut in range(ends[-records][0] + dice.randrange(step), ends[-1][1], step):
        whole = in_older + sum(end <= cut for _, end in ends)
        # A record whose last bytes are only there to fill eight is whole without them.
        padding = (ends[whole - in_older][1] - cut) if whole < len(log.records) else 0
        for fill in FILLS:
            behind = {
                "cut": b"",
                "zeros": bytes(len(content) - cut),
                "random": dice.randbytes(len(content) - cut),
                "previous file": previous[cut : len(content)].ljust(len(content) - cut, b"\0"),
            }[fill]
            files = log.with_file(path, content[:cut] + behind)
            figures.tried += 1
            where = f"seed {seed}, cut at {cut}, then {fill}"
            try:
                reopened = Log(files, DIRECTORY, random=RandomSource.seeded(seed + 1))
            except CorruptionError as error:
                figures.find(f"{where}: refused: {error}")
                continue
            found = reopened.records
            if found != log.records[:whole] and not (padding < 8 and found == log.records[: whole + 1]):
                figures.find(f"{where}: {len(found)} records, {whole} are whole")
            anything = (content[:cut] + behind)[ends[len(found) - in_older - 1][1] :].rstrip(b"\0")
            told = reopened.recovery
            if told["torn_bytes"] != len(anything):
                figures.find(f"{where}: {len(anything)} bytes were cut, told are {told['torn_bytes']}")
            if anything and files.read_file(f"{DIRECTORY}/{told['kept_as']}") != anything:
                figures.find(f"{where}: what was cut was not kept")
            figures.outcomes["torn and told" if anything else "ends whole"] += 1
            # It takes new records, and the next opening sees nothing torn.
            reopened.flush(reopened.append(COMMIT, b"after"))
            again = Log(files.crash("all"), DIRECTORY, random=RandomSource.seeded(seed + 2))
            if [r[2] for r in again.records] != [*(r[2] for r in found), b"after"] or again.recovery[
                "torn_bytes"
            ]:
                figures.find(f"{where}: the second opening does not agree")
    return figures


def outcome(log: Written, files: FileSystem, figures: Figures, where: str) -> None:
    """Open a damaged log: it must be refused with file and offset, or hold exactly what it held.

    A survey must find the same beforehand without changing anything, and what is refused must open again after a
    repair, with the records before the damage and no others.
    """
    figures.tried += 1
    before = files.fingerprint()
    surveyed = survey(files, DIRECTORY)
    damage = [finding for finding in surveyed["findings"] if finding[0] == "damage"]
    if files.fingerprint() != before:
        figures.find(f"{where}: the survey changed something")
    try:
        found = Log(files, DIRECTORY, random=RandomSource.seeded(1)).records
    except CorruptionError as error:
        figures.outcomes["refused"] += 1
        if not error.path.startswith(f"{DIRECTORY}/") or error.path not in str(error):
            figures.find(f"{where}: the refusal does not name the file: {error}")
        if "repair" not in str(error) and "backup" not in str(error):
            figures.find(f"{where}: the refusal does not say what to do: {error}")
        if files.fingerprint() != before:
            figures.find(f"{where}: the refusal changed something")
        # The survey tells the first damage in the log's order; a bad header is met before all records.
        if (error.path, error.offset) not in [
            (f"{DIRECTORY}/{file}", offset) for _, file, offset, *_ in damage
        ]:
            figures.find(f"{where}: refused at {error.path}, {error.offset}; the survey found {damage}")
        repaired(log, files, surveyed, figures, where)
        return
    if damage:
        figures.find(f"{where}: opened, though the survey found {damage}")
    if found == log.records:
        figures.outcomes["reads the same"] += 1
    else:
        figures.find(f"{where}: opened silently with {len(found)} of {len(log.records)} records")


def repaired(log: Written, files: FileSystem, surveyed: dict[str, Any], figures: Figures, where: str) -> None:
    """Repair a log that was refused; `surveyed`: what it was said to lose."""
    survey(files, DIRECTORY, repair=True)
    if not any(name.endswith(".damaged") for name in files.list(DIRECTORY)) and surveyed["dropped_bytes"]:
        figures.find(f"{where}: the repair kept nothing aside")
    files = files.crash("all")
    try:
        found = Log(files, DIRECTORY, random=RandomSource.seeded(2)).records
    except CorruptionError as error:
        figures.find(f"{where}: refused after a repair: {error}")
        return
    kept = surveyed["kept_records"]
    if found != log.records[:kept]:
        figures.find(f"{where}: {len(found)} records after a repair that keeps {kept}")
    if surveyed["kept_lsn"] != (log.records[kept - 1][1] if kept else 0):
        figures.find(f"{where}: record {surveyed['kept_lsn']} is not the last of {kept}")
    figures.outcomes["opened after a repair"] += 1
    figures.outcomes["records dropped"] += surveyed["dropped_records"]
    figures.outcomes["records lost"] += len(log.records) - kept - surveyed["dropped_records"]


def prove_flipped_bits(seed: int, sampled: int | None = None) -> Figures:
    """Every bit of 4 KiB in the middle of a log, one at a time (or `sampled` of them), and of a file's header."""
    figures = Figures()
    dice = random.Random(seed)
    log = written(seed, 120, sizes=(20, 400), file_bytes=64 << 10)
    path = log.path(0)
    content = log.files.read_file(path)
    ends = places(content)
    start = ends[len(ends) // 3][0]
    bits = [*range(start * 8, (start + PAGE) * 8), *range(64 * 8)]
    for bit in bits if sampled is None else dice.sample(bits, sampled):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        files = log.with_file(path, bytes(flipped))
        outcome(log, files, figures, f"seed {seed}, bit {bit % 8} of byte {bit // 8}")
    return figures


def moved(log: Written, seed: int) -> Iterator[tuple[str, FileSystem]]:
    """Records and files of a log of several files swapped, repeated, removed, put back, one change at a time."""
    dice = random.Random(seed)
    names = [f"{DIRECTORY}/{name}" for name in log.files.list(DIRECTORY) if name.endswith(".log")]
    contents = {name: log.files.read_file(name) for name in names}
    for name in names:
        content = contents[name]
        ends = places(content)
        last = len(ends) - (3 if name == names[-1] else 1)
        for number in range(last):
            (a, b), (c, d) = ends[number], ends[number + 1]
            yield (
                f"{name}: record {number} twice",
                log.with_file(name, content[:b] + content[a:b] + content[b:]),
            )
            yield f"{name}: record {number} removed", log.with_file(name, content[:a] + content[b:])
            yield (
                f"{name}: records {number} and {number + 1} swapped",
                log.with_file(name, content[:a] + content[c:d] + content[a:b] + content[d:]),
            )
            yield (
                f"{name}: record {number} zeroed",
                log.with_file(name, content[:a] + bytes(b - a) + content[b:]),
            )
        other = dice.choice([one for one in names if one != name])
        yield f"{name}: holds {other}", log.with_file(name, contents[other])
        if name not in (names[0], names[-1]):
            yield f"{name}: removed", log.with_file(name, None)
            yield f"{name}: empty", log.with_file(name, b"")
            yield f"{name}: cut in half", log.with_file(name, content[: len(content) // 2])


def prove_moved(seed: int) -> Figures:
    """All of `moved`, and a file put back from an earlier life of the log."""
    figures = Figures()
    log = written(seed, 80, sizes=(20, 900), file_bytes=16 << 10)
    for what, files in moved(log, seed):
        outcome(log, files, figures, f"seed {seed}, {what}")
    # The same file, of a time when it was shorter, or of another life with another salt.
    other = written(seed + 1, 80, sizes=(20, 900), file_bytes=16 << 10)
    for index, name in enumerate(log.files.list(DIRECTORY)[:-1]):
        path = f"{DIRECTORY}/{name}"
        content = log.files.read_file(path)
        ends = places(content)
        older = content[: ends[len(ends) // 2][0]].ljust(len(content), b"\0")
        outcome(log, log.with_file(path, older), figures, f"seed {seed}, {name} as it was before")
        if index and other.files.exists(path):
            theirs = other.files.read_file(path)
            outcome(
                log, log.with_file(path, theirs), figures, f"seed {seed}, {name} ({index}) of another log"
            )
    return figures


def prove_foreign_files(seed: int) -> Figures:
    """Each file of a log in the place of the same file of another one, whose records have the same sizes."""
    figures = Figures()
    logs = [written(seed + number, 80, sizes=(300, 300), file_bytes=16 << 10) for number in range(2)]
    for name in logs[0].files.list(DIRECTORY):
        figures.tried += 1
        path = f"{DIRECTORY}/{name}"
        files = logs[0].with_file(path, logs[1].files.read_file(path))
        try:
            Log(files, DIRECTORY, random=RandomSource.seeded(1))
            figures.find(f"{name} of another log was taken silently")
        except CorruptionError:
            figures.outcomes["refused"] += 1
    return figures
