"""`x ISNULL` and `x NOTNULL`, which are IS NULL and IS NOT NULL in PostgreSQL, SQLite and DuckDB; DataFusion would take
the word for a name of x."""

from __future__ import annotations

from kalamcore.statements import OPERATOR, WORD
from kalamdb.execution.query.memberships import BEFORE_OPERAND
from kalamdb.execution.query.tokens import Token, Tokens, TokenWriter

_TESTS = {"isnull": "is null", "notnull": "is not null"}
_BEFORE_NAME = (
    *BEFORE_OPERAND,
    "as",
    "from",
    "join",
    "between",
    "in",
    "is",
    "like",
    "ilike",
    "with",
    "recursive",
    "into",
)


def with_null_tests_said(tokens: Tokens, sql: str) -> Tokens:
    """The same query in the words of the standard. A name after AS, and a column that is called so, stay."""
    written: list[tuple[int, int, list[Token]]] = [
        (i, i, TokenWriter(tokens, i).words(_TESTS[str(tokens.values[i])]).written)
        for i in range(1, tokens.count)
        if tokens.is_word(i, *_TESTS)
        and _ends_operand(tokens, i - 1)
        and not tokens.is_operator(i + 1, ".", "(")
    ]
    return tokens.replaced(written).read(sql) if written else tokens


def _ends_operand(tokens: Tokens, i: int) -> bool:
    if tokens.kinds[i] == OPERATOR:
        return tokens.is_operator(i, ")", "]")
    return not (tokens.kinds[i] == WORD and tokens.values[i] in _BEFORE_NAME)
