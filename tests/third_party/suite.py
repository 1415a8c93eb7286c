"""Asks the queries of a script in one of four modes, and counts what comes of it.

shared      the tables are SHARED
user        they are USER tables, and another user has other rows under the same keys
hot         SHARED, and all rows are in hot segments
cold        USER tables beside another user, all rows are in Parquet, and the database was opened anew
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.settings import Settings
from tests.script_runner import Record, read_script
from tests.third_party import listed
from tests.third_party.answers import same_rows

SCRIPTS = Path(__file__).with_name("sqlite")
PATHS = sorted(SCRIPTS.glob("*.slt"))
MODES = ("shared", "user", "hot", "cold")
_LITERAL = re.compile(r"X'[0-9a-f]*'|'(?:[^']|'')*'|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass
class Figures:
    """What was asked, and what came of it."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    refusals: dict[str, kalamdb.Error] = field(default_factory=dict)
    """By the name of the query."""

    @property
    def wrong(self) -> int:
        """How many came out as nothing says."""
        return len(self.findings)

    def add(self, other: Figures) -> None:
        """Counts what another script came to."""
        self.asked += other.asked
        self.outcomes += other.outcomes
        self.findings += other.findings


class World:
    """A database in memory whose tables are of one mode."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._kind = "SHARED" if mode in ("shared", "hot") else "USER"
        self._files = FileSystem.memory()
        self._settled = True
        self._open()

    def _open(self) -> None:
        self._database = Database(self._files, "/data", Settings())
        self._database.cold.row_group_rows = 8
        self._asker = self._database.session("alice", role="service")
        self._neighbour = self._database.session("bob", role="service")

    def prepare(self, sql: str) -> None:
        """A statement that makes tables, views or rows. Raises kalamdb.Error."""
        self._settled = False
        if sql.startswith("INSERT"):
            self._asker.execute(sql)
            if self._kind == "USER":
                self._neighbour.execute(_LITERAL.sub(_other, sql))
        else:
            self._database.execute(re.sub(r"^CREATE TABLE", f"CREATE {self._kind} TABLE", sql))

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """The rows that a query answers. Raises kalamdb.Error."""
        if not self._settled:
            self._settle()
        return self._asker.execute(sql).fetchall()

    def _settle(self) -> None:
        if self._mode == "hot":
            self._database.checkpoint()
        if self._mode == "cold":
            self._database.flush()
            self.close()
            self._open()
        self._settled = True

    def close(self) -> None:
        """Lets go of it."""
        self._database.close()


def _other(match: re.Match[str]) -> str:
    """Another value of the same type, another for each."""
    text = match[0]
    if text.startswith("X'"):
        return f"{text[:-1]}00'"
    if text.startswith("'"):
        return f"{text[:-1]}~'"
    if "." in text or "e" in text:
        return repr(float(text) * 2)
    # Kept away from the ends of BIGINT.
    return str(int(text) + 1) if int(text) < 2**62 else text


def run(
    path: Path,
    mode: str,
    differences: Mapping[listed.Query, str],
    refused: Mapping[listed.Query, str],
    wanted: Callable[[int], bool] = lambda number: True,
) -> Figures:
    """The queries of a script, or those whose number is wanted. Raises AssertionError where its tables cannot be
    made."""
    figures = Figures()
    world = World(mode)
    number = 0
    try:
        for record in read_script(path.read_text(encoding="utf-8")):
            if record.command == "query":
                number += 1
                if wanted(number):
                    _ask(record, world, path.stem, differences, refused, figures)
                continue
            try:
                world.prepare(record.sql)
            except kalamdb.Error as error:
                if record.arguments != "maybe":
                    raise AssertionError(f"{path.name}:{record.line}: {record.sql[:300]}: {error}") from None
    finally:
        world.close()
    return figures


def _ask(
    record: Record,
    world: World,
    file: str,
    differences: Mapping[listed.Query, str],
    refused: Mapping[listed.Query, str],
    figures: Figures,
) -> None:
    letters, order, name = record.arguments.split(" ", 2)
    figures.asked += 1
    code = refused.get((file, name), "").split(":")[0]

    def find(what: str) -> None:
        figures.findings.append(f"{file}, {name}: {record.sql}\n    {what}")

    try:
        got = world.ask(record.sql)
    except kalamdb.Error as error:
        figures.outcomes["refused"] += 1
        figures.refusals[name] = error
        if error.code != code:
            find(f"{'it is refused' if not code else f'{code} is listed'}: {error.code}: {error.message}")
        return
    expected = [_row(letters, line) for line in record.expected]
    if code:
        find(f"it is listed as refused with {code}, and answers; write refused.md anew")
    elif (file, name) in differences:
        figures.outcomes["listed as different"] += 1
    elif same_rows(got, expected, ordered=order == "nosort"):
        figures.outcomes["the same"] += 1
    else:
        find(f"wanted {expected[:10]}\n    got    {got[:10]}")


_READ: dict[str, Callable[[str], object]] = {
    "I": int,
    "R": float,
    "T": str,
    "X": lambda text: bytes.fromhex(text[2:-1]),
    "?": str,
}


def _row(letters: str, line: str) -> tuple[object, ...]:
    return tuple(
        None if cell == "NULL" else "" if cell == "(empty)" else _READ[letter](cell)
        for letter, cell in zip(letters, line.split(" | "), strict=True)
    )


def prove() -> Figures:
    """All scripts, in all modes."""
    differences, refused = listed.read(listed.DIFFERENCES), listed.read(listed.REFUSED)
    figures = Figures()
    for path in PATHS:
        for mode in MODES:
            figures.add(run(path, mode, differences, refused))
    return figures
