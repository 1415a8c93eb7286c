"""`(SELECT …)` as a value, which is NULL where the subquery has no row.

DataFusion takes it for never NULL where the subquery's column never is (a key, a literal, count(*)), and makes of
`(SELECT id …) IS NULL` FALSE, of `coalesce((SELECT id …), 0)` the subquery alone. In NULLIF it may be NULL.
"""

from __future__ import annotations

from kalamdb.execution.query.tokens import Tokens

_BEFORE_VALUE = (
    "select", "distinct", "and", "or", "not", "when", "then", "else", "case", "where", "on", "having", "qualify", "by",
    "between", "like", "ilike", "escape",
)  # fmt: skip
_NO_VALUES = ("from", "using", "with", "set", "limit", "")


def let_scalar_subqueries_be_null(tokens: Tokens) -> None:
    """Prints each subquery that stands for a value inside of NULLIF."""
    for i in range(tokens.count):
        if (
            tokens.is_operator(i, "(")
            and tokens.match[i] > i
            and tokens.is_word(i + 1, "select", "with", "values")
            and _stands_for_a_value(tokens, i)
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
