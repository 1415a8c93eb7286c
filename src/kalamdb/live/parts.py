"""What a commit changed in a partition, as the rows of one plan: some of one kind at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from kalamcore.changes import DELETE, INSERT, UPDATE, ChangeSet, LoadedRows
from kalamdb.errors import SubscriptionLagged
from kalamdb.live.judged import JudgedPlan

if TYPE_CHECKING:
    from kalamdb.live.plan import Plan

LOADED_ROWS_AT_ONCE = 4096
KINDS = {INSERT: "insert", UPDATE: "update", DELETE: "delete"}


class Part(NamedTuple):
    """Some rows of one kind (see Event), as tuples of the plan's columns."""

    kind: str
    rows: list[tuple[Any, ...]]
    old_rows: list[tuple[Any, ...]]
    seq: int


def parts_of(plan: Plan, one: ChangeSet, after: int) -> Iterator[Part]:
    """What of a set is behind `after` and to be told by a plan. Raises SubscriptionLagged where not all of it is
    known any more."""
    return _loaded(plan, one, after) if one.loaded else _changed(plan, one, after)


def _changed(plan: Plan, one: ChangeSet, after: int) -> Iterator[Part]:
    """Changes of one kind that follow one another in a commit are told together."""
    part: Part | None = None
    try:
        changes = plan.core.changes(one, after)
    except LookupError:
        raise not_kept() from None
    for kind, sequence, row, old_row in changes:
        if part is None or part.kind != KINDS[kind]:
            if part is not None:
                yield part
            part = Part(KINDS[kind], [], [], sequence)
        if row is not None:
            part.rows.append(row)
        if old_row is not None:
            part.old_rows.append(old_row)
        part = part._replace(seq=sequence)
    if part is not None:
        yield part


def _loaded(plan: Plan, one: ChangeSet, before: int) -> Iterator[Part]:
    """Rows of a load come in order of their keys: only with the last of them is all of it told."""
    rows = LoadedRows(one)
    waiting: list[tuple[Any, ...]] = []
    while (some := _next(plan, rows)) is not None:
        if waiting:
            yield Part("insert", waiting, [], before)
        waiting = some
    if waiting:
        yield Part("insert", waiting, [], one.last)


def _next(plan: Plan, rows: LoadedRows) -> list[tuple[Any, ...]] | None:
    core = plan.core
    if isinstance(core, JudgedPlan):
        return core.loaded(rows, LOADED_ROWS_AT_ONCE)
    return rows.next(core, LOADED_ROWS_AT_ONCE)


def not_kept() -> SubscriptionLagged:
    """What is raised where changes that are to be told are gone."""
    return SubscriptionLagged("the changes since then are not all kept any more; begin anew with a snapshot")
