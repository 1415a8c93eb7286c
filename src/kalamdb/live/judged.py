"""The look of a live query whose predicate the core does not judge: it decodes all columns, and rows are judged here.

The same predicate that a DELETE takes, a row's own columns in it, evaluated as everything is that we evaluate
ourselves (kalamdb.execution.expressions). What it answers must be the row's alone: what changes with the time, with
chance or with other rows is refused, for nothing would tell when it changes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.changes import DELETE, INSERT, UPDATE
from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.errors import TypeMismatch, UndefinedColumn, UnsupportedLiveQuery
from kalamdb.execution.expressions import evaluate
from kalamdb.execution.matching import from_clause
from kalamdb.execution.returning import EPOCH, frame_of
from kalamdb.sql.expressions import ColumnReference, Expression, FunctionCall, Opaque, to_sql, walk

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet, LivePlan, LoadedRows
    from kalamcore.store import Readable
    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema

Row = tuple[Any, ...]
Change = tuple[int, int, Row | None, Row | None]
CHANGING = frozenset(
    {
        "current_date", "current_role", "current_time", "current_timestamp", "now", "random", "today", "uuid",
    }
)  # fmt: skip
"""Functions whose value is not the row's alone, those of the query engine among them."""


SYSTEM_SHOWN = tuple(SYSTEM_COLUMNS[name] for name in ("_seq", "_updated"))


def check_predicate(predicate: Expression, schema: TableSchema, alias: str | None, context: Context) -> None:
    """Raises UndefinedColumn, UnsupportedLiveQuery, TypeMismatch, and what planning it does."""
    functions = context.services.functions
    names = {column.name for column in schema.columns}
    for node in walk(predicate):
        match node:
            case Opaque():
                raise UnsupportedLiveQuery(
                    "a subquery, EXISTS, EXTRACT or an array cannot be part of a live query's WHERE; compare columns"
                )
            case ColumnReference(name=name) if name in SYSTEM_COLUMNS:
                raise UnsupportedLiveQuery(
                    f"{name} is compared with values by itself alone in a live query, not beside other predicates "
                    "than comparisons"
                )
            case ColumnReference(name=name, table=table):
                if table is None and name not in names and functions.get(name) is not None:
                    _check_function(name, context)
                elif name not in names or table not in (None, alias or schema.name):
                    shown = name if table is None else f"{table}.{name}"
                    raise UndefinedColumn(f'column "{shown}" does not exist in {schema.qualified_name}')
            case FunctionCall():
                _check_function(node.name, context)
    # Whatever is wrong with it is said before anything is opened, whether there are rows or not.
    value = to_sql(predicate, context.literals)
    sql = f'SELECT ({value}) AS "_value" FROM {from_clause(schema, alias)} LIMIT 0'
    found = context.services.queries.select(context, sql, context.parameters).schema.field(0).type
    if str(found) not in ("bool", "null"):
        raise TypeMismatch("the WHERE of a live query is TRUE or FALSE; compare the value with another")


def _check_function(name: str, context: Context) -> None:
    function = context.services.functions.get(name)
    changing = function is not None and function.volatility == "volatile"
    if name in CHANGING or changing:
        raise UnsupportedLiveQuery(
            f"{name} may have another value without any change of the row, of which nobody would be told; pass its "
            "value as a parameter, or register your own function as immutable"
        )


class JudgedPlan:
    """As LivePlan, but for its predicate. Immutable; any thread may use it.

    `every`: decodes `every_positions` of every row: all columns of `schema`, then the system columns.
    """

    def __init__(
        self,
        every: LivePlan,
        every_positions: Sequence[int],
        positions: Sequence[int],
        predicate: Expression,
        schema: TableSchema,
        alias: str | None,
        context: Callable[[], Context],
    ) -> None:
        self._every = every
        self._shown = tuple(every_positions.index(position) for position in positions)
        self._sequence_at, self._updated_at = map(every_positions.index, SYSTEM_SHOWN)
        self._predicate = predicate
        self._schema = schema
        self._alias = alias
        self._context = context

    def snapshot(self, reader: Readable, partition: bytes, limit: int | None = None) -> list[Row]:
        """As LivePlan.snapshot."""
        found = self._wanted(self._every.snapshot(reader, partition))
        return self._projected(found if limit is None else found[max(0, len(found) - limit) :])

    def page(
        self, reader: Readable, partition: bytes, limit: int | None, after: int, rows_max: int, bytes_max: int
    ) -> tuple[list[Row], int]:
        """As LivePlan.page; bytes are those of texts and bytes, and 8 for any other value."""
        found = self._wanted(
            [row for row in self._every.snapshot(reader, partition) if self._sequence(row) > after]
        )
        if limit is not None:
            found = found[max(0, len(found) - limit) :]
        count, size = 0, 0
        for row in found[:rows_max]:
            size += sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in row)
            if count and size > bytes_max:
                break
            count += 1
        return self._projected(found[:count]), len(found) - count

    def changes(self, one: ChangeSet, after: int) -> list[Change]:
        """As LivePlan.changes."""
        every = self._every.changes(one, after)
        rows = [row for _, _, *both in every for row in both if row is not None]
        wanted = iter(self._judged(rows))
        found: list[Change] = []
        for kind, sequence, new, old in every:
            is_wanted = new is not None and next(wanted)
            was_wanted = old is not None and next(wanted)
            if kind == UPDATE and is_wanted and was_wanted:
                found.append((UPDATE, sequence, self._project(new), self._project(old)))
            elif is_wanted:
                found.append((INSERT, sequence, self._project(new), None))
            elif was_wanted:
                found.append((DELETE, sequence, None, self._project(old, sequence)))
        return found

    def loaded(self, rows: LoadedRows, rows_max: int) -> list[Row] | None:
        """What it wants among the next rows of a load; None at the end."""
        some = rows.next(self._every, rows_max)
        return None if some is None else self._projected(self._wanted(some))

    def _judged(self, rows: Sequence[Row]) -> list[bool]:
        if not rows:
            return []
        values = evaluate(self._predicate, frame_of(self._schema, rows, self._alias), self._context())
        return [value is True for value in values]

    def _wanted(self, rows: list[Row]) -> list[Row]:
        return [row for row, wanted in zip(rows, self._judged(rows)) if wanted]

    def _projected(self, rows: list[Row]) -> list[Row]:
        return [self._project(row) for row in rows]

    def _project(self, row: Row | None, sequence: int | None = None) -> Row:
        """`sequence`: of the change that took the row out of the predicate, which its system columns tell then."""
        assert row is not None
        if sequence is None:
            return tuple(row[at] for at in self._shown)
        updated = EPOCH + datetime.timedelta(milliseconds=sequence >> 22)
        own = {self._sequence_at: sequence, self._updated_at: updated}
        return tuple(own[at] if at in own else row[at] for at in self._shown)

    def _sequence(self, row: Row) -> int:
        found: int = row[self._sequence_at]
        return found
