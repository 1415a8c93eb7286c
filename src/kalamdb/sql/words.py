"""The words that mean something in SQL here: keywords of the grammar, types, functions; for colours and completion."""

from __future__ import annotations

import functools
import re

from kalamdb.functions import builtin_functions
from kalamdb.types import TYPE_WORDS

QUERY_WORDS = frozenset(
    [
        "all",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "between",
        "both",
        "by",
        "case",
        "cast",
        "cross",
        "cube",
        "current_date",
        "current_time",
        "current_timestamp",
        "desc",
        "distinct",
        "else",
        "end",
        "escape",
        "except",
        "exists",
        "explain",
        "extract",
        "false",
        "filter",
        "following",
        "for",
        "from",
        "full",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "inner",
        "intersect",
        "interval",
        "is",
        "join",
        "last",
        "lateral",
        "leading",
        "left",
        "like",
        "limit",
        "natural",
        "not",
        "null",
        "nulls",
        "offset",
        "on",
        "or",
        "order",
        "outer",
        "over",
        "partition",
        "position",
        "preceding",
        "qualify",
        "range",
        "recursive",
        "respect",
        "right",
        "rollup",
        "row",
        "rows",
        "select",
        "semi",
        "sets",
        "similar",
        "some",
        "substring",
        "then",
        "to",
        "trailing",
        "trim",
        "true",
        "try_cast",
        "unbounded",
        "union",
        "unnest",
        "using",
        "values",
        "when",
        "where",
        "window",
        "with",
        "within",
    ]
)
"""Words of queries, which the query engine reads and the grammar hands over whole."""


@functools.cache
def keywords() -> frozenset[str]:
    """In lower case: the grammar's, as its chapters have them, and those of queries."""
    from importlib.resources import files

    found = set(QUERY_WORDS) | {"subscribe", "options", "last_rows"}
    for chapter in (files("kalamdb") / "grammar").iterdir():
        if chapter.name.endswith(".lark"):
            text = re.sub(r"(?<!\S)//.*", "", chapter.read_text(encoding="utf-8"))
            found |= {word.lower() for word in re.findall(r'"([A-Za-z_]{2,})"i', text)}
    return frozenset(found)


def type_words() -> frozenset[str]:
    """Names of types, in lower case."""
    return frozenset(word.lower() for word in TYPE_WORDS if " " not in word)


def function_words() -> tuple[str, ...]:
    """Names of our own functions, in lower case, sorted."""
    return builtin_functions().names()
