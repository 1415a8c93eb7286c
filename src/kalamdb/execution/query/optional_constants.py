"""Columns that are the same in all rows of a join's optional side, or of each arm of a UNION, and are not so after it.

DataFusion believes that they are, and drops them from what rows are sorted by. Where no other words help, a query that
orders or groups by one of them is refused. Read from the plans as DataFusion shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kalamdb.errors import NotSupportedError
from kalamdb.execution.query.plan_text import Node, last_of, names_in, parts_of, qualified, read_plan

_merging = re.compile(r"join_type=(?:Left|Right|Full)\b|UnionExec|InterleaveExec")
_join = re.compile(r"(Left|Right|Full) Join:")
_literal = re.compile(r"(?:NULL|[A-Z]\w*\(.*\))\Z", re.DOTALL)
_column = re.compile(r"[^\s()]+\Z")
_brackets = re.compile(r"(?:PARTITION|ORDER) BY \[([^\]]*)\]")
_OPTIONAL = {"Left": (1,), "Right": (0,), "Full": (0, 1)}


def may_have_optional_constants(plan: str) -> bool:
    """Whether a physical plan has a LEFT, RIGHT or FULL JOIN, or a UNION."""
    return _merging.search(plan) is not None


def check_optional_constants(logical: str, physical: str) -> None:
    """Raises NotSupportedError for a plan, shown indented, whose order or groups depend on such a column."""
    for root in read_plan(logical):
        _Look("ordering_mode=" in physical).at(root)


@dataclass(frozen=True)
class _Look:
    groups_in_order: bool

    def at(self, node: Node) -> tuple[set[str], set[str]]:
        """Columns that are the same in all rows, and those that are held for it wrongly. Deeper ones first."""
        below = [self.at(child) for child in node.children]
        same = set[str]().union(*(one for one, _ in below))
        wrong = set[str]().union(*(other for _, other in below))
        text = node.text
        if joined := _join.match(text):
            for side in _OPTIONAL[joined[1]]:
                if side < len(below):
                    wrong |= below[side][0]
            return same - wrong, wrong
        if text.startswith("Sort:"):
            self._check(text[5:], wrong | (_same_in_arms(node, self) if ", fetch=" in text else set()))
        elif text.startswith("WindowAggr:"):
            for keys in _brackets.findall(text):
                self._check(keys, wrong)
        elif text.startswith("Aggregate:"):
            return self._aggregated(text, same, wrong)
        elif text.startswith("Union"):
            return set(), wrong
        elif text.startswith("Filter:"):
            same = same | {name for part in text[7:].split(" AND ") if (name := _equal_to_literal(part))}
        elif text.startswith("SubqueryAlias:"):
            alias = text[14:].strip()
            return qualified(same, alias), qualified(wrong, alias)
        elif text.startswith("Projection:"):
            return _projected(text[11:], same, literals=True), _projected(text[11:], wrong, literals=False)
        return same, wrong

    def _aggregated(self, text: str, same: set[str], wrong: set[str]) -> tuple[set[str], set[str]]:
        keys, _, rest = text.removeprefix("Aggregate: groupBy=[[").partition("]], aggr=[[")
        if self.groups_in_order:
            self._check(keys, wrong)
        if not keys:
            return {part.strip() for part in parts_of(rest.removesuffix("]]"))}, set()
        return {name for name in same if names_in(keys, name)}, {
            name for name in wrong if names_in(keys, name)
        }

    def _check(self, keys: str, wrong: set[str]) -> None:
        for name in wrong:
            if names_in(keys, name):
                raise NotSupportedError(
                    f'to order or group by "{last_of(name)}", which is the same in all rows of the optional side of an '
                    "outer join, or of each arm of a UNION, is not supported; have a column decide what it is: "
                    "CASE WHEN b.id IS NOT NULL THEN … END"
                )


def _same_in_arms(sort: Node, look: _Look) -> set[str]:
    """Columns with one value in each arm of a UNION ALL that is sorted up to a LIMIT.

    What is sorted first keeps from the other arms what would come before it.
    """
    node, renamed = sort.children[0], []
    while node.text.startswith(("Projection:", "SubqueryAlias:")):
        renamed.append(node)
        node = node.children[0]
    if not node.text.startswith("Union"):
        return set()
    # Its columns are called as those of the first arm.
    arms = [look.at(child)[0] for child in node.children]
    found = {
        name for name in arms[0] if all(any(last_of(name) == last_of(one) for one in arm) for arm in arms[1:])
    }
    for above in reversed(renamed):
        found = (
            _projected(above.text[11:], found, literals=False)
            if above.text.startswith("Projection:")
            else qualified(found, above.text[14:].strip())
        )
    return found


def _equal_to_literal(part: str) -> str:
    left, equals, right = part.strip().partition(" = ")
    if not equals:
        return ""
    if _literal.match(right) and _column.match(left):
        return left
    return right if _literal.match(left) and _column.match(right) else ""


def _projected(text: str, names: set[str], *, literals: bool) -> set[str]:
    """What such columns are called above a projection, with literals of its own."""
    found = set()
    for part in parts_of(text):
        value, _, alias = part.strip().rpartition(" AS ")
        value = value or alias
        if any(names_in(value, name) for name in names) or (literals and _literal.match(value)):
            found.add(alias)
    return found
