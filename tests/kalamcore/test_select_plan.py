"""Plans of simple SELECTs in the core, against the same in plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from kalamcore.errors import CorruptionError, ValueMismatchError
from kalamcore.rows import BIGINT, DECIMAL, DOUBLE, TEXT, Layout, Reader
from kalamcore.select_plan import (
    AND,
    EQUAL,
    GIVEN,
    GREATER,
    GREATER_EQUAL,
    GREATEST,
    IN,
    IS_NULL,
    LEAST,
    LESS,
    LESS_EQUAL,
    LITERAL,
    NOT,
    NOT_EQUAL,
    OR,
    PARAMETER,
    PREFIX,
    ROWS,
    VALUES,
    SelectPlan,
)
from kalamcore.store import Store, WriteBatch
from kalamcore.system import FileSystem

TABLE = 7
COLUMNS = [(1, BIGINT, 0, 0, False), (2, BIGINT, 0, 0, True), (3, TEXT, 0, 0, True), (4, DOUBLE, 0, 0, True)]
ID, NUMBER, NAME, REAL = range(4)
Row = tuple[Any, ...]


class World:
    """A store with one table, and its rows as a list. `layers`: where the rows are."""

    def __init__(self, keys: range = range(-50, 4950), layers: str = "memory") -> None:
        files = FileSystem.memory()
        files.make_directory("/wal")
        files.make_directory("/hot")
        self.store = Store(files, "/wal", hot_directory="/hot")
        self.layout = Layout(1, COLUMNS, ID)
        self.reader = Reader([self.layout], [None] * 4)
        self.store.define_table(TABLE, 1, reader=self.reader, column_names=("id", "number", "name", "real"))
        draw = random.Random(3)
        self.rows: list[Row] = [
            (
                key,
                draw.choice([None, 1, 2, 3, 40]),
                draw.choice([None, "", "a", "ab", "b"]),
                draw.choice([None, -0.0, 0.0, 1.5]),
            )
            for key in keys
        ]
        batch = WriteBatch(self.store.snapshot())
        batch.insert_many(TABLE, b"me", self.layout, self.rows)
        batch.insert(TABLE, b"you", self.layout, (1, 1, "yours", None))
        self.store.commit(batch, sync=False)
        if layers != "memory":
            self.store.checkpoint()
        batch = WriteBatch(self.store.snapshot())
        for row in self.rows[100:200]:
            batch.delete(TABLE, b"me", self.layout, row)
        for at in range(0, len(self.rows), 7) if layers != "memory" else ():
            if 100 <= at < 200:
                continue
            # What the older version would have been in the answer for, the newer one is not.
            changed = (self.rows[at][ID], draw.choice([None, 1, 3]), draw.choice([None, "a", "b"]), None)
            batch.replace(TABLE, b"me", self.layout, changed)
            self.rows[at] = changed
        self.store.commit(batch, sync=False)
        del self.rows[100:200]
        if layers == "segments":
            self.store.checkpoint()

    def plan(self, **options: Any) -> SelectPlan:
        return SelectPlan(self.reader, TABLE, **{"shared": False, "columns": range(4)} | options)

    def run(
        self, plan: SelectPlan, *parameters: object, literals: tuple[object, ...] = (), timeout_s: float = 0.0
    ) -> Any:
        return plan.run(self.store, "me", None, parameters, literals, timeout_s)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module", params=["memory", "memory over a segment", "segments"])
def anywhere(request: pytest.FixtureRequest) -> World:
    """The same, wherever its rows are."""
    return World(layers=request.param)


def first(index: int = 0) -> tuple[int, int, bool]:
    return (PARAMETER, index, False)


def given(value: object) -> tuple[int, object, bool]:
    return (GIVEN, value, False)


def test_a_key_finds_its_row_and_nobody_elses(anywhere: World) -> None:
    plan = anywhere.plan(predicate=(EQUAL, ID, [first()]))
    assert anywhere.run(plan, 7) == [row for row in anywhere.rows if row[ID] == 7]
    assert anywhere.run(plan, 60) == []
    assert anywhere.run(plan, None) == []
    assert plan.run(anywhere.store, "you", None, (1,), ()) == [(1, 1, "yours", None)]
    assert plan.run(anywhere.store, "nobody", None, (1,), ()) == []


def test_a_snapshot_sees_what_it_saw(world: World) -> None:
    plan = world.plan(aggregates=[(ROWS, -1)])
    assert world.run(plan) == [(4900,)]
    assert plan.run(world.store, "me", 0, (), ()) == [(0,)]


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ((LESS, ID, [given(-40)]), lambda row: row[ID] < -40),
        ((GREATER_EQUAL, ID, [given(4945)]), lambda row: row[ID] >= 4945),
        (
            (AND, [(GREATER, ID, [given(45)]), (LESS_EQUAL, ID, [given(155)])]),
            lambda row: 45 < row[ID] <= 155,
        ),
        ((IN, ID, [given(5), given(3), given(5), given(None), given(99999)]), lambda row: row[ID] in (3, 5)),
        ((IN, NUMBER, [given(n) for n in range(2, 60)]), lambda row: row[NUMBER] in range(2, 60)),
        ((NOT, [(IN, NUMBER, [given(1), given(None)])]), lambda row: False),
        ((NOT, [(IN, NUMBER, [*[given(n) for n in range(5, 60)], given(None)])]), lambda row: False),
        ((NOT, [(EQUAL, NUMBER, [given(1)])]), lambda row: row[NUMBER] not in (None, 1)),
        ((NOT_EQUAL, NAME, [given("a")]), lambda row: row[NAME] not in (None, "a")),
        ((PREFIX, NAME, [given("a%")]), lambda row: row[NAME] in ("a", "ab")),
        ((PREFIX, NAME, [given("%")]), lambda row: row[NAME] is not None),
        ((IS_NULL, NAME, []), lambda row: row[NAME] is None),
        ((EQUAL, REAL, [given(0.0)]), lambda row: row[REAL] == 0.0),
        (
            (OR, [(IS_NULL, NUMBER, []), (AND, [(EQUAL, NAME, [given("b")]), (LESS, NUMBER, [given(3)])])]),
            lambda row: row[NUMBER] is None or (row[NAME] == "b" and row[NUMBER] < 3),
        ),
    ],
)
def test_predicates_choose_rows(anywhere: World, predicate: Any, holds: Callable[[Row], bool]) -> None:
    expected = [row for row in anywhere.rows if holds(row)]
    assert sorted(anywhere.run(anywhere.plan(predicate=predicate)), key=repr) == sorted(expected, key=repr)
    assert anywhere.run(anywhere.plan(predicate=predicate, aggregates=[(ROWS, -1)])) == [(len(expected),)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (3, 2), (200, 4800), (5000, 0), (10, 6000), (0, 0)])
def test_the_keys_order_and_its_limit(anywhere: World, descending: bool, limit: int, offset: int) -> None:
    plan = anywhere.plan(
        predicate=(GREATER, NUMBER, [first()]),
        order=(ID, descending, False),
        limit=first(1),
        offset=(LITERAL, 0, False),
        arrow_rows=10_000,
    )
    rows = [row for row in anywhere.rows if row[NUMBER] is not None and row[NUMBER] > 1]
    rows = rows[::-1] if descending else rows
    assert anywhere.run(plan, 1, limit, literals=(offset,)) == rows[offset : offset + limit]


@pytest.mark.parametrize("column", [NUMBER, NAME])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("nulls_first", [False, True])
@pytest.mark.parametrize(("limit", "offset"), [(None, None), (7, None), (7, 3), (1500, 2000), (9000, 100)])
def test_another_columns_order(
    anywhere: World, column: int, descending: bool, nulls_first: bool, limit: int | None, offset: int | None
) -> None:
    plan = anywhere.plan(
        columns=[column],
        order=(column, descending, nulls_first),
        limit=None if limit is None else given(limit),
        offset=None if offset is None else given(offset),
        arrow_rows=10_000,
    )
    values = sorted((row[column] for row in anywhere.rows if row[column] is not None), reverse=descending)
    nulls = [None] * (len(anywhere.rows) - len(values))
    expected = [*nulls, *values] if nulls_first else [*values, *nulls]
    begin = offset or 0
    assert anywhere.run(plan) == [
        (value,) for value in expected[begin : None if limit is None else begin + limit]
    ]


def test_keys_of_a_list_come_in_the_order_asked_for(anywhere: World) -> None:
    plan = anywhere.plan(
        columns=[ID], predicate=(IN, ID, [first(), first(1), first(2)]), order=(ID, True, True)
    )
    assert anywhere.run(plan, 3, 9, 5) == [(9,), (5,), (3,)]


def test_aggregates_of_rows_and_of_none(anywhere: World) -> None:
    plan = anywhere.plan(
        predicate=(GREATER, ID, [first()]),
        aggregates=[(ROWS, -1), (VALUES, NUMBER), (LEAST, ID), (GREATEST, NAME)],
    )
    numbers = [row for row in anywhere.rows if row[ID] > 4000]
    counted = sum(row[NUMBER] is not None for row in numbers)
    assert anywhere.run(plan, 4000) == [(len(numbers), counted, 4001, "b")]
    assert anywhere.run(plan, 5000) == [(0, 0, None, None)]


def test_a_value_of_another_kind_is_left_to_who_knows_what_to_say(world: World) -> None:
    number = world.plan(predicate=(EQUAL, NUMBER, [first()]))
    for value in ("1", 1.0, True, 2**63, b"1", object()):
        assert world.run(number, value) is None
    text = world.plan(predicate=(EQUAL, NAME, [first()]))
    for value in (1, "\ud800", b"a"):
        assert world.run(text, value) is None
    pattern = world.plan(predicate=(PREFIX, NAME, [first()]))
    for value in ("a", "a_%", "%a%", "a\\%", None, 1):
        assert world.run(pattern, value) is None
    limited = world.plan(limit=first())
    for value in (-1, None, "1", True):
        assert world.run(limited, value) is None
    assert world.run(world.plan(predicate=(IN, REAL, [first()])), 0.0) is None


def test_many_rows_come_as_arrow(anywhere: World) -> None:
    count, batches = anywhere.run(anywhere.plan(arrow_rows=100))
    assert count == 4900 == sum(len(batch) for batch in batches)
    rows = [tuple(row.values()) for batch in batches for row in pa.record_batch(batch).to_pylist()]
    # In no order that is promised.
    assert sorted(rows, key=lambda row: row[ID]) == anywhere.rows
    assert anywhere.run(anywhere.plan(arrow_rows=100, bytes_max=1000)) is None


def test_a_run_that_takes_too_long_ends() -> None:
    world = World(range(-50, 40_000))
    with pytest.raises(TimeoutError):
        world.run(world.plan(predicate=(EQUAL, NUMBER, [given(1)]), arrow_rows=0), timeout_s=1e-9)
    with pytest.raises(TimeoutError):
        world.run(world.plan(), timeout_s=1e-9)
    assert world.run(world.plan(predicate=(EQUAL, ID, [given(1)])), timeout_s=1e-9) == [world.rows[51]]


@pytest.mark.parametrize(
    "options",
    [
        {"predicate": (EQUAL, 9, [given(1)])},
        {"predicate": (EQUAL, -1, [given(1)])},
        {"predicate": (EQUAL, ID, [])},
        {"predicate": (EQUAL, ID, [given(1), given(2)])},
        {"predicate": (PREFIX, ID, [given("a%")])},
        {"predicate": (NOT, [])},
        {"predicate": (AND, [])},
        {"order": (9, False, False)},
        {"aggregates": [(LEAST, 4)]},
        {"aggregates": [(ROWS, -1)], "order": (ID, False, False)},
    ],
)
def test_a_plan_that_cannot_be_is_refused(world: World, options: Any) -> None:
    with pytest.raises(ValueMismatchError):
        world.plan(**options)


def test_decimals_are_not_compared_with_values() -> None:
    reader = Reader([Layout(1, [(1, BIGINT, 0, 0, False), (2, DECIMAL, 10, 2, True)], 0)], [None, None])
    with pytest.raises(ValueMismatchError):
        SelectPlan(reader, TABLE, shared=True, columns=[0], predicate=(EQUAL, 1, [given(1)]))


def test_a_damaged_row_is_told(world: World) -> None:
    other = Reader([Layout(9, COLUMNS, ID)], [None] * 4)
    plan = SelectPlan(other, TABLE, shared=False, columns=range(4), predicate=(GREATER, NUMBER, [given(0)]))
    with pytest.raises(CorruptionError):
        world.run(plan)
