"""`(SELECT …)` as a value, which is NULL where the subquery has no row.

DataFusion takes it for never NULL where the subquery's column never is (a key, a literal, count(*)), and makes of
`(SELECT id …) IS NULL` FALSE, of `coalesce((SELECT id …), 0)` the subquery alone. In NULLIF it may be NULL. A column of
a table that may be NULL needs none of it, and stays what it is: NULLIF would make a text of a UUID or of JSON.
"""

from __future__ import annotations

from kalamdb.errors import NotSupportedError
from kalamdb.execution.query.select_lists import SchemaOf, cte_names, from_items, list_end, list_start
from kalamdb.execution.query.tokens import Tokens

_BEFORE_VALUE = (
    "select", "distinct", "and", "or", "not", "when", "then", "else", "case", "where", "on", "having", "qualify", "by",
    "between", "like", "ilike", "escape",
)  # fmt: skip
_NO_VALUES = ("from", "using", "with", "set", "limit", "")


def let_scalar_subqueries_be_null(tokens: Tokens, columns_of: SchemaOf) -> None:
    """Prints subqueries that stand for a value inside of NULLIF. `columns_of`: the columns of a table."""
    for i in range(tokens.count):
        if (
            tokens.is_operator(i, "(")
            and tokens.match[i] > i
            and tokens.is_word(i + 1, "select", "with", "values")
            and _stands_for_a_value(tokens, i)
            and not _may_be_null(tokens, i + 1, columns_of)
        ):
            tokens.before[i] += "nullif("
            tokens.after[tokens.match[i]] = ", NULL)" + tokens.after[tokens.match[i]]


def _stands_for_a_value(tokens: Tokens, opening: int) -> bool:
    """Not for rows: after IN, EXISTS, ANY, a set operation, in FROM or WITH; nor for the argument of ARRAY()."""
    before = opening - 1
    if tokens.is_name(before) and not tokens.is_word(before, *_BEFORE_VALUE):
        return False
    if tokens.is_operator(before, "(") and tokens.is_word(before - 1, "exists", "any", "some", "all"):
        return False
    outermost = opening
    while tokens.clause[outermost] == "" and tokens.opener[outermost] >= 0:
        outermost = tokens.opener[outermost]
    clause = tokens.clause[outermost]
    # A comma ends the condition of ON, and another table follows.
    return clause not in _NO_VALUES and not (clause == "on" and tokens.is_operator(outermost - 1, ","))


def _may_be_null(tokens: Tokens, select: int, columns_of: SchemaOf) -> bool:
    """Whether DataFusion knows it: the one column is a table's, and none that is NOT NULL."""
    if not tokens.is_word(select, "select"):
        return False
    column, _ = list_start(tokens, select)
    end = list_end(tokens, select, column)
    qualifier = tokens.values[column] if end == column + 3 and tokens.is_operator(column + 1, ".") else None
    if not tokens.is_name(end - 1) or end != column + (1 if qualifier is None else 3):
        return False
    ctes, found = cte_names(tokens), []
    try:
        entries = from_items(tokens, select, end)
    except NotSupportedError:
        # Of a join whose `*` it could not tell.
        return False
    for entry in entries:
        path = entry.path
        if path is None or len(path) > 3 or (len(path) == 1 and path[0] in ctes):
            return False
        if qualifier is not None and entry.alias != qualifier:
            continue
        schema = columns_of(
            path[0] if len(path) == 3 else None, path[-2] if len(path) > 1 else None, path[-1]
        )
        if schema is None:
            return False
        found += [field.nullable for field in schema if field.name == tokens.values[end - 1]]
    return bool(found) and all(found)
