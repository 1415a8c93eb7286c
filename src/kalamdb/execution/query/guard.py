"""What may reach DataFusion at all: one query, and no join that nobody could stop.

DataFusion's own options refuse the same statements once more (SQLOptions, all off); this is the first of two walls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kalamcore.statements import OPERATOR, Scan
from kalamdb.errors import (
    EmptyStatement,
    InvalidSyntax,
    NotSupportedError,
    ResourcesExceeded,
    StatementTooLarge,
)
from kalamdb.execution.query.tokens import Tokens

SUBQUERY_DEPTH_MAX = 16
"""Subqueries in expressions, one in the other: each level doubles the time that planning takes."""
REFERENCES_MAX = 500
"""Tables that a query reads, counted anew for every mention of a CTE or a view: each is planned as often."""
JOIN_ROWS_MAX = 50_000_000
"""How many pairs of rows a join without an equality may have to look at."""

_QUERIES = frozenset({"SELECT", "WITH", "VALUES", "("})
_WINDOW_WORDS = ("partition", "order", "rows", "range", "groups")
_UNBOUNDED_JOINS = ("CrossJoinExec", "NestedLoopJoinExec")
_rows = re.compile(r"statistics=\[Rows=(?:Exact|Inexact)\((\d+)\)")
_single_row = re.compile(r"AggregateExec: .*\bgby=\[\]|PlaceholderRowExec")


def check_query(scan: Scan) -> None:
    """Only SELECT, WITH, VALUES and a query in parentheses. Raises EmptyStatement, NotSupportedError, InvalidSyntax."""
    if not scan.kind:
        raise EmptyStatement("the statement is empty")
    if scan.kind not in _QUERIES:
        raise NotSupportedError(
            f"{scan.kind} is not a query; only SELECT, WITH and VALUES are run here", position=0
        )


def check_tokens(tokens: Tokens) -> None:
    """One statement, and none that writes: `;` in its midst, SELECT INTO. Raises InvalidSyntax, NotSupportedError."""
    for i in range(tokens.count):
        if tokens.kinds[i] == OPERATOR:
            if tokens.values[i] == ";":
                raise InvalidSyntax(
                    'syntax error at or near ";": one statement at a time', position=tokens.starts[i]
                )
        elif tokens.clause[i] == "into" and tokens.is_word(i, "into"):
            raise NotSupportedError(
                "SELECT INTO is not supported; use CREATE TABLE and INSERT", position=tokens.starts[i]
            )


def check_forms(tokens: Tokens) -> None:
    """Raises NotSupportedError for what DataFusion would answer wrongly and is not written otherwise here."""
    for i in range(tokens.count):
        if (
            tokens.clause[i] == "set"
            and tokens.is_word(i, "intersect", "except")
            and tokens.is_word(i + 1, "all")
        ):
            word = str(tokens.values[i]).upper()
            raise NotSupportedError(
                f"{word} ALL is not supported; use {word}, whose rows are distinct. To count equal rows, number them "
                "on both sides: row_number() OVER (PARTITION BY …)",
                position=tokens.starts[i],
            )
        if tokens.is_name(i) and not tokens.is_word(i, *_WINDOW_WORDS) and _opens_window(tokens, i - 1):
            raise NotSupportedError(
                "a window made from another one is not supported; use OVER with its name alone, without brackets, or "
                "write PARTITION BY, ORDER BY and the frame out",
                position=tokens.starts[i],
            )
        if tokens.is_word(i, "join") and (side := _outer_right(tokens, i)) and _joins_by_name(tokens, i):
            raise NotSupportedError(
                f"{side} JOIN with USING or NATURAL is not supported; use ON, and COALESCE(a.id, b.id) for the column "
                "of both",
                position=tokens.starts[i],
            )


def _opens_window(tokens: Tokens, opening: int) -> bool:
    """Whether the bracket is that of OVER (…), or of WINDOW w AS (…)."""
    if not tokens.is_operator(opening, "("):
        return False
    return tokens.is_word(opening - 1, "over") or (
        tokens.is_word(opening - 1, "as") and tokens.clause[opening] == "window"
    )


def _outer_right(tokens: Tokens, join: int) -> str:
    """RIGHT or FULL, if the join keeps rows of its right side that have no partner."""
    side = join - 1 - tokens.is_word(join - 1, "outer")
    return str(tokens.values[side]).upper() if tokens.is_word(side, "right", "full") else ""


def _joins_by_name(tokens: Tokens, join: int) -> bool:
    side = join - 1 - tokens.is_word(join - 1, "outer")
    if tokens.is_word(side - 1, "natural"):
        return True
    i, inner = join + 1, 0
    while i < tokens.count and tokens.opener[i] == tokens.opener[join]:
        if tokens.is_word(i, "join") and not tokens.is_word(i - 1, "cross"):
            inner += 1
        elif tokens.is_word(i, "on", "using"):
            if inner == 0:
                return tokens.is_word(i, "using")
            inner -= 1
        elif tokens.clause[i] not in ("from", "on", "using"):
            return False
        i = tokens.match[i] + 1 if tokens.match[i] > i else i + 1
    return False


def check_nesting(tokens: Tokens) -> None:
    """Raises StatementTooLarge beyond SUBQUERY_DEPTH_MAX."""
    depths = [0] * tokens.count
    for i in range(tokens.count):
        outer = depths[tokens.opener[i]] if tokens.opener[i] >= 0 else 0
        inner = (
            tokens.match[i] > i
            and tokens.is_word(i + 1, "select", "with")
            and tokens.clause[i] not in ("from", "with")
        )
        depths[i] = outer + inner
        if depths[i] > SUBQUERY_DEPTH_MAX:
            raise StatementTooLarge(
                f"more than {SUBQUERY_DEPTH_MAX} subqueries in expressions, one in the other; use joins or WITH",
                position=tokens.starts[i],
            )


def references(tokens: Tokens, views: Mapping[str, int]) -> int:
    """How many tables the query reads when its CTEs and views are written out; `views`: the same of each view.

    Raises StatementTooLarge beyond REFERENCES_MAX.
    """
    weights = dict(views)
    bodies = _cte_bodies(tokens)
    for name, opening in sorted(bodies, key=lambda body: tokens.match[body[1]]):
        weights[name] = _references(tokens, opening + 1, tokens.match[opening], weights, bodies, name)
    whole = _references(tokens, 0, tokens.count, weights, bodies, None)
    if whole > REFERENCES_MAX:
        raise StatementTooLarge(
            f"the query reads {whole} tables when its CTEs and views are written out; the limit is {REFERENCES_MAX}"
        )
    return whole


def _references(
    tokens: Tokens,
    i: int,
    end: int,
    weights: Mapping[str, int],
    bodies: list[tuple[str, int]],
    own: str | None,
) -> int:
    skipped = {opening for _, opening in bodies}
    total = 0
    while i < end:
        if i in skipped:
            i = tokens.match[i]
        elif (
            tokens.is_name(i)
            and tokens.clause[i] == "from"
            and (tokens.is_word(i - 1, "from", "join") or tokens.is_operator(i - 1, ","))
        ):
            while tokens.is_operator(i + 1, ".") and tokens.is_name(i + 2):
                i += 2
            name = str(tokens.values[i])
            total += 1 if name == own else weights.get(name, 1)
        i += 1
    return total


def _cte_bodies(tokens: Tokens) -> list[tuple[str, int]]:
    """The name of each CTE and the parenthesis that opens its query."""
    bodies = []
    for i in range(tokens.count):
        if not tokens.is_word(i, "as") or tokens.clause[i] != "with":
            continue
        opening = i + 1
        while tokens.is_word(opening, "not", "materialized"):
            opening += 1
        name = i - 1
        if tokens.is_operator(name, ")"):
            name = tokens.match[name] - 1
        if tokens.is_operator(opening, "(") and tokens.match[opening] > 0 and tokens.is_name(name):
            bodies.append((str(tokens.values[name]), opening))
    return bodies


def has_unbounded_join(plan: str) -> bool:
    """Whether a physical plan joins without an equality, which no timeout can stop."""
    return any(join in plan for join in _UNBOUNDED_JOINS)


def may_have_pushed_false(plan: str) -> bool:
    """Whether it is worth looking at the logical plan of this physical one for check_pushed_false."""
    return "JoinExec" in plan and ("PlaceholderRowExec" in plan or "EmptyExec" in plan)


def check_pushed_false(plan: str) -> None:
    """Raises NotSupportedError where an aggregate of no rows stands below a join.

    A condition of the join that is never true, whatever the rows, is moved below an aggregate without GROUP BY, which
    answers a row for no rows, too. An aggregate over WHERE FALSE looks alike, and is refused with it.
    """
    lines = plan.splitlines()
    for at, line in enumerate(lines[:-1]):
        if not line.lstrip().startswith("Aggregate: groupBy=[[]]"):
            continue
        below = at + 1
        while below < len(lines) - 1 and lines[below].lstrip().startswith(("SubqueryAlias:", "Projection:")):
            below += 1
        if lines[below].lstrip() != "EmptyRelation: rows=0":
            continue
        if any(
            re.match(r"(?:\w+ )?Join:", above.lstrip()) and _depth(above) < _depth(line)
            for above in lines[:at]
        ):
            raise NotSupportedError(
                "a join with a condition that is never true, or always NULL, over an aggregate without GROUP BY is not "
                "supported; leave the condition out, or the join"
            )


def check_joins(plan: str) -> None:
    """`plan`: a physical plan, indented, with statistics. Raises ResourcesExceeded beyond JOIN_ROWS_MAX pairs."""
    for name, children in _joins(plan.splitlines()):
        pairs = 1.0
        for child in children:
            pairs *= child
        if pairs > JOIN_ROWS_MAX:
            raise ResourcesExceeded(
                f"a join without an equality ({name.removesuffix('Exec')}) would look at about {pairs:.3g} "
                f"pairs of rows; the limit is {JOIN_ROWS_MAX}. Join on equal columns, or narrow both sides first"
            )


def _joins(lines: list[str]) -> Iterator[tuple[str, list[float]]]:
    for at, line in enumerate(lines):
        depth = _depth(line)
        name = next((join for join in _UNBOUNDED_JOINS if line.lstrip().startswith(join)), None)
        if name is None:
            continue
        children = []
        for below in range(at + 1, len(lines)):
            if _depth(lines[below]) <= depth:
                break
            if _depth(lines[below]) == depth + 2:
                children.append(_rows_of(lines, below))
        yield name, children


def _rows_of(lines: list[str], at: int) -> float:
    """At most how many rows the node at a line gives; where it does not know, as many as all below it together."""
    line, depth = lines[at], _depth(lines[at])
    if _single_row.search(line):
        return 1
    children = []
    for below in range(at + 1, len(lines)):
        if _depth(lines[below]) <= depth:
            break
        if _depth(lines[below]) == depth + 2:
            children.append(_rows_of(lines, below))
    known = _rows.search(line)
    if line.lstrip().startswith(_UNBOUNDED_JOINS):
        # Its own estimate may be a guess at a filter's effect; the pairs are what it costs.
        product = 1.0
        for child in children:
            product *= child
        return float(known[1]) if known else product
    if known:
        return max(float(known[1]), 1)
    series = re.search(r"(?:generate_series|range): start=(-?\d+), end=(-?\d+)", line)
    if series:
        return max(abs(int(series[2]) - int(series[1])), 1)
    return max(children, default=1.0) if "UnionExec" not in line else sum(children)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
