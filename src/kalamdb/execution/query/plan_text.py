"""The text in which DataFusion shows a logical plan, as a tree, and what stands in its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Node:
    """A line, with those below it that stand further in. `depth`: by how many blanks."""

    text: str
    depth: int
    children: list[Node] = field(default_factory=list)


def read_plan(plan: str) -> list[Node]:
    """The lines that stand furthest out."""
    roots: list[Node] = []
    open_: list[Node] = []
    for line in filter(str.strip, plan.splitlines()):
        node = Node(line.strip(), len(line) - len(line.lstrip()))
        while open_ and open_[-1].depth >= node.depth:
            open_.pop()
        (open_[-1].children if open_ else roots).append(node)
        open_.append(node)
    return roots


def last_of(name: str) -> str:
    """A column without its table."""
    return name if "(" in name else name.rpartition(".")[2]


def names_in(text: str, name: str) -> bool:
    """Whether an expression, or several, has a column."""
    # Without a table it may be shown with one elsewhere.
    before = r"(?<![\w.])" if "." in name else r"(?<!\w)"
    return re.search(rf"{before}{re.escape(name)}(?![\w.])", text) is not None


def qualified(names: Iterable[str], alias: str) -> set[str]:
    """What columns are called where their table, or subquery, has another name."""
    return {f"{alias}.{last_of(name)}" for name in names}


def parts_of(text: str) -> list[str]:
    """What commas separate, outside of brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, one in enumerate(text):
        if one == '"':
            quoted = not quoted
        elif not quoted:
            depth += (one in "([") - (one in ")]")
            if one == "," and depth == 0:
                parts.append(text[start:i])
                start = i + 1
    return [*parts, text[start:]]
