"""Conditions above an aggregate without GROUP BY that no row of it decides.

DataFusion moves such a condition below the aggregate, which then answers a row for no rows, where there is to be none:
`SELECT * FROM (SELECT count(*) AS n, 1 AS k FROM t) x WHERE k = 2`. There it has no other words, and is refused. Read
from the plan as DataFusion shows it before anything is optimized.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kalamdb.errors import NotSupportedError
from kalamdb.execution.query.plan_text import Node, last_of, names_in, parts_of, qualified, read_plan

_qualified_column = re.compile(r'(?<![\w".])(?:\w+|"[^"]+")(?:\.(?:\w+|"[^"]+"))+(?!\()')
_volatile = re.compile(r"\b(?:random|uuid)\(")
_semi_join = re.compile(r"\b(?:EXISTS|IN) \(<subquery>\)")
_join = re.compile(r"(?:Inner|Left|Right|Full) Join: ")


def may_have_hollow_conditions(plan: str) -> bool:
    """Whether a physical plan has an aggregate without GROUP BY, or what became of one."""
    return "gby=[]" in plan or "PlaceholderRowExec" in plan or "EmptyExec" in plan


def check_hollow_conditions(plan: str) -> None:
    """Raises NotSupportedError for a logical plan, shown indented, that has such a condition."""
    if "Aggregate: groupBy=[[]]" in plan:
        for root in read_plan(plan):
            _look(root)


@dataclass(frozen=True)
class _Rows:
    """What is known of a plan's rows.

    `over_all`: an aggregate of all rows is below, and a condition may be moved below it. `values`: columns with what it
    has computed; `hollow`: those of which nothing is decided by its rows.
    """

    over_all: bool
    values: frozenset[str] = frozenset()
    hollow: frozenset[str] = frozenset()


_OTHER = _Rows(False)


def _look(node: Node) -> _Rows:
    found = [_look(child) for child in node.children]
    below = [rows for child, rows in zip(node.children, found, strict=True) if child.text != "Subquery:"]
    rows = _Rows(
        any(one.over_all for one in below),
        frozenset[str]().union(*(one.values for one in below)),
        frozenset[str]().union(*(one.hollow for one in below)),
    )
    text = node.text
    if text.startswith("Aggregate: groupBy=[[]]"):
        computed = text.partition("aggr=[[")[2].removesuffix("]]")
        return _Rows(True, frozenset(part.strip() for part in parts_of(computed)))
    if not rows.over_all:
        return _OTHER
    if text.startswith("Limit:"):
        # Nothing is moved below it.
        return _OTHER
    if text.startswith("Filter:"):
        _check(text.removeprefix("Filter:"), rows)
    elif _join.match(text):
        _check(text.partition("Filter: ")[2], rows)
    elif text.startswith("Projection:"):
        return _projected(text.removeprefix("Projection:"), rows)
    elif text.startswith("SubqueryAlias:"):
        alias = text.removeprefix("SubqueryAlias:").strip()
        return _Rows(True, frozenset(qualified(rows.values, alias)), frozenset(qualified(rows.hollow, alias)))
    return rows


def _projected(text: str, rows: _Rows) -> _Rows:
    values: set[str] = set()
    hollow: set[str] = set()
    for part in parts_of(text):
        value, _, alias = part.strip().rpartition(" AS ")
        (hollow if _is_hollow(value or alias, rows) else values).add(alias)
    return _Rows(True, frozenset(values), frozenset(hollow))


def _is_hollow(text: str, rows: _Rows) -> bool:
    """Whether an expression names no column, or none but such ones."""
    if any(names_in(text, name) for name in rows.values):
        return False
    hollow = rows.hollow | {last_of(name) for name in rows.hollow}
    return all(name in hollow for name in _qualified_column.findall(text))


def _check(condition: str, rows: _Rows) -> None:
    for part in _conjuncts(condition):
        if _is_hollow(part, rows) and _moves(part):
            raise NotSupportedError(
                "a condition over an aggregate without GROUP BY that none of its values decides is not supported; "
                "write LIMIT 1 into the subquery that aggregates, or leave the condition out"
            )


def _moves(condition: str) -> bool:
    """Whether it is not computed, or made a join, before anything is moved."""
    return (
        _qualified_column.search(condition) is not None
        or _volatile.search(condition) is not None
        or "(<subquery>)" in _semi_join.sub("", condition)
    )


def _conjuncts(condition: str) -> list[str]:
    """What AND joins at the top of a condition; the whole, where OR does."""
    parts, depth, start = [], 0, 0
    text = condition.strip()
    if not text:
        return []
    for at, one in enumerate(text):
        depth += (one in "([") - (one in ")]")
        if depth == 0 and one == " ":
            if text.startswith(" OR ", at):
                return [text]
            if text.startswith(" AND ", at) and " BETWEEN " not in text[start:at]:
                parts.append(text[start:at])
                start = at + 5
    return [*parts, text[start:]]
