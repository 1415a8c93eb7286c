"""Queries that check each other: ternary logic partitioning and NoREC, and one answer wherever the rows are.

For any predicate p a row is in exactly one of WHERE p, WHERE NOT p and WHERE (p) IS NULL (TLP), and as many rows are in
WHERE p as rows say TRUE when each is asked for p without a WHERE, where nothing can be pruned or pushed down (NoREC).
The same tables stand in several databases, whose rows are all in memory, checkpointed, flushed, compacted, and opened
anew: each query must say the same in all of them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

import kalamdb
from kalamdb.errors import Error
from tests.execution.test_simple_select import COLUMNS, KEYS, Draft, make, shown
from tests.proof_seed import SEED

EXAMPLES = 60
AGGREGATED = [name for name, kind in COLUMNS.items() if kind in ("SMALLINT", "INT", "BIGINT", "TEXT", "DATE")]

Answer = tuple[str, object]
Database = kalamdb.Database


def memory(db: Database) -> None:
    """All rows are in the memtable."""


def checkpointed(db: Database) -> None:
    """All rows are in a hot segment."""
    db.checkpoint()


def flushed(db: Database) -> None:
    """All rows are in cold segments, some versions in several of them."""
    db.flush()


def compacted(db: Database) -> None:
    """All rows are in cold segments, each once."""
    db.flush()
    db.compact()


def spread(db: Database) -> None:
    """Cold rows under hot ones under some in memory: all that is read is merged."""
    db.flush()
    for step in (db.checkpoint, lambda: None):
        for user in ("alice", "bob"):
            session = db.session(user, role="service")
            for table in KEYS:
                session.execute(f"UPDATE {table} SET small = small WHERE number >= 0")
                session.execute(f"DELETE FROM {table} WHERE number = 99")
        step()


PLACES: dict[str, Callable[[Database], None]] = {
    "memory": memory,
    "checkpointed": checkpointed,
    "flushed": flushed,
    "compacted": compacted,
    "spread": spread,
}
REOPENED = "reopened"


def open_all(stack: ExitStack) -> dict[str, Database]:
    """The same rows in every place. Segments have few rows, so that there are many to prune."""
    worlds = {}
    for place, move in PLACES.items():
        db = worlds[place] = stack.enter_context(kalamdb.open(":memory:"))
        make_in(db, move)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queries-"))) / "data"
    with kalamdb.open(directory) as db:
        make_in(db, spread)
    worlds[REOPENED] = stack.enter_context(kalamdb.open(directory))
    return worlds


def make_in(db: Database, move: Callable[[Database], None]) -> None:
    db.cold.row_group_rows = 3
    db.cold.segment_bytes_max = 1
    make(db, streams=False)
    move(db)


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, Database]]:
    with ExitStack() as stack:
        yield open_all(stack)


def answer(session: kalamdb.Session, sql: str, parameters: list[Any]) -> Answer:
    """Rows in any order, or the error's code."""
    try:
        return "rows", Counter(shown(session.execute(sql, parameters).fetchall()))
    except Error as error:
        return "error", error.code


tried: Counter[str] = Counter()


def check_one(worlds: dict[str, Database], data: st.DataObject) -> None:
    """One predicate, drawn at random: the same rows everywhere, and each row once among its three parts."""
    table = data.draw(st.sampled_from(["t", "shared", *KEYS]))
    user = data.draw(st.sampled_from(["alice", "bob"]))
    sessions = {place: db.session(user) for place, db in worlds.items()}
    draft = Draft(data.draw, table)
    predicate = draft.predicate(2)
    parameters = draft.parameters
    answers = {
        place: answer(session, f"SELECT * FROM {table} WHERE {predicate}", parameters)
        for place, session in sessions.items()
    }
    tried["queries"] += 1
    first = answers["memory"]
    for place, found in answers.items():
        assert found == first, f"{place}: WHERE {predicate} of {table} as {user}, {parameters}"
    if first[0] == "error":
        tried["refused alike"] += 1
        return
    place = data.draw(st.sampled_from(list(sessions)))
    _partition(sessions[place], table, predicate, parameters, data)
    _count(sessions[place], table, predicate, parameters)


def _partition(
    session: kalamdb.Session, table: str, predicate: str, parameters: list[Any], data: st.DataObject
) -> None:
    """Ternary logic partitioning, of rows and of an aggregate."""
    parts = [f"WHERE {predicate}", f"WHERE NOT ({predicate})", f"WHERE ({predicate}) IS NULL"]
    whole = answer(session, f"SELECT * FROM {table}", [])
    found = [answer(session, f"SELECT * FROM {table} {part}", parameters) for part in parts]
    column = data.draw(st.sampled_from(AGGREGATED))
    kind = data.draw(st.sampled_from(["min", "max", "count"]))
    if any(kind_of_answer == "error" for kind_of_answer, _ in found):
        tried["refused in parts"] += 1
        return
    total: Counter[str] = Counter()
    for _, rows in found:
        assert isinstance(rows, Counter)
        total += rows
    assert ("rows", total) == whole, f"the parts of {table} by {predicate}, {parameters}"
    values = []
    for part in (*parts, ""):
        given = parameters if part else []
        ((value,),) = session.execute(f"SELECT {kind}({column}) FROM {table} {part}", given).fetchall()
        values.append(value)
    *parted, whole_value = values
    known = [value for value in parted if value is not None]
    if kind == "count":
        assert sum(known) == whole_value, f"count({column}) by {predicate}, {parameters}"
    else:
        extreme = {"min": min, "max": max}[kind]
        assert (extreme(known) if known else None) == whole_value, (
            f"{kind}({column}) by {predicate}, {parameters}"
        )
    tried["partitioned"] += 1


def _count(session: kalamdb.Session, table: str, predicate: str, parameters: list[Any]) -> None:
    """NoREC: what WHERE finds, and what is TRUE when every row is asked."""
    found = answer(session, f"SELECT count(*) FROM {table} WHERE {predicate}", parameters)
    asked = answer(session, f"SELECT sum(CASE WHEN {predicate} THEN 1 ELSE 0 END) FROM {table}", parameters)
    if "error" in (found[0], asked[0]):
        tried["not counted"] += 1
        return
    none_at_all = ("rows", Counter({"(None,)": 1}))
    wanted = ("rows", Counter({"(0,)": 1})) if asked == none_at_all else asked
    assert found == wanted, f"{table} WHERE {predicate}, {parameters}"
    tried["counted"] += 1


def prove(seed: int, queries: int) -> Counter[str]:
    """So many predicates that were partitioned and counted. Raises where two answers differ."""
    tried.clear()
    with ExitStack() as stack:
        opened = open_all(stack)
        while min(tried["partitioned"], tried["counted"]) < queries:
            drawn = max(50, queries - tried["partitioned"])
            options = settings(max_examples=drawn, deadline=None, suppress_health_check=list(HealthCheck))

            @seeded(seed + tried.total())
            @options
            @given(st.data())
            def check(data: st.DataObject) -> None:
                check_one(opened, data)

            check()
    return Counter(tried)


@seeded(SEED)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_each_row_is_in_one_of_three_parts_wherever_it_is(
    worlds: dict[str, Database], data: st.DataObject
) -> None:
    check_one(worlds, data)


def test_most_of_them_could_be_parted_and_counted() -> None:
    assert tried["partitioned"] > 0.5 * tried["queries"]
    assert tried["counted"] > 0.5 * tried["queries"]
