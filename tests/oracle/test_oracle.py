"""Queries at random beside SQLite and DuckDB: what both say, we say, wherever the rows are.

The tables are a shared one and two of a user, whose neighbour has other rows in them; all rows are in memory,
checkpointed, flushed, compacted, spread over all of it, and opened anew.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import Error
from tests.oracle.queries import TABLES, Drawn, draw, rows
from tests.oracle.witnesses import Answer, Row, Witnesses, normal
from tests.proof_seed import SEED

SAMPLED = 100
REFUSALS = (
    ("NOT_SUPPORTED", "INTERSECT ALL|EXCEPT ALL"),
    ("NOT_SUPPORTED", "NOT IN with a subquery that names columns of the query around it"),
    ("NOT_SUPPORTED", "which is the same in all rows of the optional side of an"),
    ("NOT_SUPPORTED", "a join with a condition that is never true"),
    ("NOT_SUPPORTED", "whose order begins with a TIME column"),
    ("NOT_SUPPORTED", "found no sound way to run this query"),
    ("NOT_SUPPORTED", "an expression stands twice in GROUP BY"),
    ("FUNCTION_NOT_FOUND", "does not take these arguments; cast them to the types it takes"),
)
"""What docs/sql.md says that is refused, by code and message. Any other refusal is wrong."""

_TYPES = {
    "I": "BIGINT", "R": "DOUBLE", "T": "TEXT", "B": "BOOLEAN", "D": "DATE", "M": "TIMESTAMP", "H": "TIME",
    "N": "DECIMAL(10,2)",
}  # fmt: skip
_KINDS = {"t1": "USER", "t2": "SHARED", "t3": "USER"}

Database = kalamdb.Database


def _memory(db: Database) -> None:
    """All rows are in the memtable."""


def _checkpointed(db: Database) -> None:
    db.checkpoint()


def _flushed(db: Database) -> None:
    db.flush()


def _compacted(db: Database) -> None:
    db.flush()
    db.compact()


def _spread(db: Database) -> None:
    """Newer versions over older ones, in all tiers."""
    db.flush()
    for column, step in (("a", db.checkpoint), ("id", _nothing)):
        for user in ("alice", "bob"):
            for table in TABLES:
                db.session(user, role="service").execute(
                    f"UPDATE {table} SET a = a WHERE {column} IS NOT NULL"
                )
        step()


def _nothing() -> None:
    pass


PLACES: dict[str, Callable[[Database], None]] = {
    "memory": _memory,
    "checkpointed": _checkpointed,
    "flushed": _flushed,
    "compacted": _compacted,
    "spread": _spread,
}
REOPENED = "reopened"


@dataclass
class Figures:
    """What was asked, and what came of it."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many answers were wrong."""
        return len(self.findings)


class World:
    """The same rows at both witnesses, and in a database for each place."""

    def __init__(self, stack: ExitStack, seed: int) -> None:
        source = random.Random(f"rows {seed}")
        own = {table: rows(table, source, 14) for table in TABLES}
        others = {table: rows(table, source, 14) for table in TABLES}
        self.witnesses = Witnesses(own)
        stack.callback(self.witnesses.close)
        self.sessions: dict[str, kalamdb.Session] = {}
        for place, move in PLACES.items():
            db = stack.enter_context(kalamdb.open(":memory:"))
            _fill(db, own, others, move)
            self.sessions[place] = db.session("alice")
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oracle-"))) / "data"
        with kalamdb.open(directory) as db:
            _fill(db, own, others, _spread)
        self.sessions[REOPENED] = stack.enter_context(kalamdb.open(directory)).session("alice")

    def check(self, seed: str, places: int, figures: Figures) -> None:
        """One query: the witnesses, and ours in so many places."""
        query = draw(seed)
        figures.asked += 1
        by_sqlite, by_duckdb = self.witnesses.ask(query)
        expected = by_sqlite if by_sqlite.rows is not None else by_duckdb
        if expected.rows is None:
            figures.outcomes["neither witness answers"] += 1
            return
        if by_duckdb.rows is not None and not expected.same(by_duckdb, query.ordered):
            figures.outcomes["the witnesses differ"] += 1
            return
        names = random.Random(seed).sample(sorted(self.sessions), places)
        answers = {name: _ask(self.sessions[name], query) for name in names}
        if all(answer.rows is None and _is_documented(answer.refusal) for answer in answers.values()):
            figures.outcomes["refused"] += 1
            return
        for name, answer in answers.items():
            if not answer.same(expected, query.ordered):
                got = answer.refusal if answer.rows is None else f"{_sorted(answer, query)}"
                figures.findings.append(
                    f"{seed}, {name}: {query.spoken('kalamdb')}\n    wanted {_sorted(expected, query)}\n    got {got}"
                )
                return
        figures.outcomes["the same"] += 1


def _sorted(answer: Answer, query: Drawn) -> list[Row]:
    assert answer.rows is not None
    return list(answer.rows) if query.ordered else sorted(answer.rows, key=repr)


def _ask(session: kalamdb.Session, query: Drawn) -> Answer:
    try:
        return Answer(normal(session.execute(query.spoken("kalamdb")).fetchall(), query.kinds))
    except Error as error:
        return Answer(None, f"{error.code}: {error}")


def _is_documented(refusal: str) -> bool:
    code, _, message = refusal.partition(": ")
    return any(code == one and re.search(said, message) for one, said in REFUSALS)


def _fill(
    db: Database, own: dict[str, list[Row]], others: dict[str, list[Row]], move: Callable[[Database], None]
) -> None:
    db.cold.row_group_rows = 3
    db.cold.segment_bytes_max = 1
    for table, columns in TABLES.items():
        declared = ", ".join(
            f"{name} {_TYPES[kind]}{' PRIMARY KEY' if name == 'id' else ''}" for name, kind in columns.items()
        )
        db.execute(f"CREATE {_KINDS[table]} TABLE {table} ({declared})")
        marks = ", ".join("?" * len(columns))
        for user, given in (("alice", own), ("bob", others)):
            if user == "alice" or _KINDS[table] == "USER":
                db.session(user, role="service").executemany(
                    f"INSERT INTO {table} VALUES ({marks})", given[table]
                )
    move(db)


def prove(seed: int, queries: int, places: int = len(PLACES) + 1) -> Figures:
    """So many queries, over rows that change every thousand."""
    figures = Figures()
    for first in range(0, queries, 1000):
        with ExitStack() as stack:
            world = World(stack, seed + first)
            for number in range(first, min(first + 1000, queries)):
                world.check(f"{seed}:{number}", places, figures)
    return figures


@pytest.fixture(scope="module")
def figures() -> Figures:
    return prove(SEED, SAMPLED, places=2)


def test_what_sqlite_and_duckdb_say_we_say_wherever_the_rows_are(figures: Figures) -> None:
    assert not figures.findings, "\n".join(figures.findings)


def test_most_queries_are_answered_by_all(figures: Figures) -> None:
    assert figures.outcomes["the same"] > 0.8 * figures.asked
