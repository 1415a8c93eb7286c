"""The rows of a simple SELECT a page after the other, as of one moment, so that memory holds a page of them.

A page is the statement itself over a range of keys. The range ends with the key that stands so many rows behind where
it begins, whether those rows are wanted or not: so no page looks at more than that, however few rows the statement has.
Where something is cold, it ends at the next fence, if that comes first: a range without an end would ask for all of it.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.rows import BIGINT, decode_key
from kalamcore.select_plan import GIVEN
from kalamcore.select_plan import PARAMETER as FROM_PARAMETER
from kalamdb.errors import ResourcesExceeded
from kalamdb.execution.simple_select import Plan, allowed, explained, plan_of
from kalamdb.execution.transaction import OpenTransaction, snapshot_gone
from kalamdb.sql.query import (
    AggregateItem,
    Column,
    ColumnItem,
    Combined,
    Comparison,
    Ordering,
    Predicate,
    SimpleSelect,
    Value,
)
from kalamdb.types import TypeName

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.result import Result
    from kalamdb.session import Session

PAGE_ROWS = 16_384
PAGE_BYTES_MAX = 16 * 1024 * 1024
"""A page whose rows take more is read again as several, down to one row each."""


def row_pages(
    session: Session, simple: SimpleSelect, parameters: Sequence[Any] | None, literals: Sequence[Any]
) -> pa.RecordBatchReader | None:
    """The rows, or None where the statement is to be answered as a whole, errors among that. Raises what reading the
    first page raises; whoever reads gets what the others raise."""
    import pyarrow as pa

    if (
        simple.everybody
        or simple.ordering is not None
        or simple.limit is not None
        or simple.offset is not None
        or any(isinstance(item, AggregateItem) for item in simple.items)
    ):
        return None
    given = () if parameters is None else parameters
    if not isinstance(given, (list, tuple)) or len(given) != simple.parameters:
        return None
    pages = _Pages(session, simple, tuple(given), literals)
    if not pages.can_read():
        return None
    first = pages.next()
    if first is None:
        # One row alone is too large, or a value is of a kind that its column is not compared with here.
        return None
    schema = first.arrow().schema

    def batches() -> Iterator[pa.RecordBatch]:
        page: Result | None = first
        while page is not None:
            if page.rowcount:
                yield from page.arrow().to_batches()
            page = pages.following()

    return pa.RecordBatchReader.from_batches(schema, batches())


class _Cold(Exception):
    """Something is cold, and where the fences are is not known yet."""


class _Pages:
    """One reading of a statement's rows. For one thread at a time."""

    def __init__(
        self, session: Session, simple: SimpleSelect, parameters: tuple[Any, ...], literals: Sequence[Any]
    ) -> None:
        self.session = session
        self.simple = simple
        self.parameters = parameters
        self.literals = literals
        # Nothing is written in it: it is what keeps its snapshot from being compacted away.
        self.opened = OpenTransaction.begin(session._database, sync=False)
        # Of a database that is open beside its owner it may be another one tomorrow.
        self.engine = session._database.engine
        self.plans: dict[tuple[bool, bool], Plan] = {}
        self.key = ""
        self.low: Any = None
        """The last key that was read; None before the first."""
        self.rows = PAGE_ROWS
        self.at_end = False
        self.fences: list[Any] | None = None
        """None: nothing cold was met yet."""

    def can_read(self) -> bool:
        """Whether the core reads these rows, and the session may."""
        plan = self._plan(low=False, high=False)
        if plan.core is None or plan.schema is None:
            return False
        self.key = plan.schema.primary_key
        return allowed(plan, self.session.rights)

    def following(self) -> Result | None:
        """The next page; None behind the last. Raises as Session.execute."""
        if self.at_end:
            return None
        page = self.next()
        if page is None:
            raise ResourcesExceeded(
                f"a row of {self.simple.table} takes more than {PAGE_BYTES_MAX >> 20} MB, or its neighbours in a "
                "storage more than cache_bytes has room for; read it with a SELECT of its own"
            )
        return page

    def next(self) -> Result | None:
        """A page; None where a row alone is too large."""
        while True:
            try:
                page = self._page()
            except _Cold:
                self.fences = self._fences()
                continue
            if page is not None:
                self.rows = min(PAGE_ROWS, self.rows * 2)
                return page
            if self.rows == 1:
                return None
            self.rows = max(1, self.rows // 8)

    def _page(self) -> Result | None:
        held: list[object] = []
        end = self._next_fence()
        behind = self._answer(
            self._plan_of_ends(end is not None), (self.rows - 1, *self._given(end)), (), held
        )
        if behind is None:
            return None
        row = behind.fetchone()
        high = end if row is None else row[0]
        plan = self._plan(low=self.low is not None, high=high is not None)
        page = self._answer(plan, (*self.parameters, *self._given(high)), self.literals, held)
        if page is not None:
            self.low, self.at_end = high, high is None
        return page

    def _given(self, high: Any) -> tuple[Any, ...]:
        return tuple(key for key in (self.low, high) if key is not None)

    def _plan_of_ends(self, high: bool) -> Plan:
        """Of the key that stands so many rows behind the last one that was read, up to another or to the end."""
        bounds = self._bounds(1, low=self.low is not None, high=high)
        key = Column(None, self.key)
        return self._planned(
            SimpleSelect(
                namespace=self.simple.namespace,
                table=self.simple.table,
                everybody=False,
                alias=None,
                items=(ColumnItem(key, None),),
                where=_all_of(bounds),
                ordering=Ordering(key, False, False),
                limit=Value(GIVEN, 1, False),
                offset=_parameter(0),
                parameters=1 + len(bounds),
                literals=False,
                head=None,
            )
        )

    def _plan(self, *, low: bool, high: bool) -> Plan:
        """Of the statement between two keys."""
        plan = self.plans.get((low, high))
        if plan is None:
            simple = self.simple
            bounds = self._bounds(simple.parameters, low=low, high=high)
            # Beside the bounds, and not within another AND: there they would not tell where to look.
            own: Sequence[Predicate] = () if simple.where is None else (simple.where,)
            if isinstance(simple.where, Combined) and simple.where.word == "and":
                own = simple.where.parts
            bounded = replace(
                simple, where=_all_of((*bounds, *own)), parameters=simple.parameters + len(bounds)
            )
            plan = self.plans[low, high] = self._planned(bounded)
        return plan

    def _bounds(self, parameters: int, *, low: bool, high: bool) -> list[Predicate]:
        """Of the key, by parameters behind so many others."""
        found: list[Predicate] = []
        for wanted, operator in ((low, ">"), (high, "<=")):
            if wanted:
                found.append(
                    Comparison(Column(None, self.key), operator, _parameter(parameters + len(found)))
                )
        return found

    def _planned(self, statement: SimpleSelect) -> Plan:
        session = self.session
        return plan_of(session._database, self.opened.catalog, statement, session.namespace, PAGE_BYTES_MAX)

    def _next_fence(self) -> Any:
        fences = self.fences or []
        at = 0 if self.low is None else bisect_right(fences, self.low)
        return fences[at] if at < len(fences) else None

    def _fences(self) -> list[Any]:
        database = self.session._database
        schema = self._plan(low=False, high=False).schema
        assert schema is not None
        partition = self.engine.rows(schema, self.opened.catalog.history[schema.table_id]).partition(
            self.session.user
        )
        keys = database.cold.key_fences(
            schema.table_id,
            partition,
            rows_max=PAGE_ROWS,
            bytes_max=database.settings.cache_bytes // 8,
        )
        if schema.columns[schema.position(schema.primary_key)].type.name is TypeName.BIGINT:
            return [decode_key(BIGINT, key) for key in keys]
        # One that was cut may end in the midst of a character.
        return [key.decode("utf-8", "ignore") for key in keys]

    def _answer(
        self, plan: Plan, parameters: tuple[Any, ...], literals: Sequence[Any], held: list[object]
    ) -> Result | None:
        assert plan.core is not None
        session, database = self.session, self.session._database
        while True:
            database.check_open()
            self.opened.used_at = time.monotonic()
            try:
                found: Result | None = plan.core.answer(
                    self.opened.rows, session.user, parameters, literals, 0, session.statement_timeout_s
                )
                return found
            except core.ColdMissError as miss:
                if miss.blocks and self.fences is None:
                    raise _Cold from None
                if not database.fits_in_cache(miss):
                    return None
                try:
                    held += self.engine.load_cold(miss)
                except core.WriteConflictError as error:
                    raise snapshot_gone() from error
            except core.WriteConflictError as error:
                raise snapshot_gone() from error
            except (core.CoreError, TimeoutError) as error:
                raise explained(session, error) from error


def _parameter(index: int) -> Value:
    return Value(FROM_PARAMETER, index, False)


def _all_of(parts: Sequence[Predicate]) -> Predicate | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return Combined("and", tuple(parts))
