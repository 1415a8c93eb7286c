"""`(a, b) < (c, d)`, written column by column.

DataFusion compares the rows as values of their own, in which NULL is equal to NULL and larger than all else; in SQL
`(1, NULL) = (1, 2)` is NULL, and a row is found by neither `(1, NULL) < (1, 2)` nor its contrary.
"""

from __future__ import annotations

from collections.abc import Callable

from kalamdb.execution.query.memberships import BEFORE_OPERAND, COMPARED_MAX
from kalamdb.execution.query.tokens import Token, Tokens, TokenWriter

_COMPARISONS = ("=", "==", "<>", "!=", "<", "<=", ">", ">=")

Span = tuple[int, int]
"""First and one past the last token of a column of a row."""


def with_rows_compared_by_column(tokens: Tokens, sql: str, is_volatile: Callable[[str], bool]) -> Tokens:
    """The same query. `is_volatile`: whether a function of this name answers anew at each call; rows that call one stay
    as they are."""
    while True:
        written: list[tuple[int, int, list[Token]]] = []
        end = 0
        for closing in range(tokens.count):
            if not 0 <= tokens.match[closing] < closing or tokens.match[closing] < end:
                continue
            left = _row(tokens, tokens.match[closing])
            found = _comparison(tokens, closing, left) if left else None
            if found is None:
                continue
            last, text = found
            if not _calls_volatile(tokens, tokens.match[closing], last, is_volatile):
                written.append((tokens.match[closing], last, text))
                end = last + 1
        if not written:
            return tokens
        tokens = tokens.replaced(written).read(sql)


def _comparison(tokens: Tokens, closing: int, left: list[Span]) -> tuple[int, list[Token]] | None:
    """The last token of the comparison whose left row ends at `closing`, and what stands for it."""
    after = closing + 1
    writer = TokenWriter(tokens, after if after < tokens.count else closing)
    if tokens.is_operator(after, *_COMPARISONS):
        right = _row(tokens, after + 1, len(left))
        if right is None:
            return None
        _compare(writer, str(tokens.values[after]), left, right)
        return tokens.match[after + 1], writer.written
    negated = tokens.is_word(after, "not")
    word = after + negated
    if tokens.is_word(word, "between"):
        middle = tokens.match[word + 1] + 1 if tokens.is_operator(word + 1, "(") else 0
        low, high = _row(tokens, word + 1, len(left)), _row(tokens, middle + 1, len(left))
        if low is None or high is None or not tokens.is_word(middle, "and"):
            return None
        writer.words("( not (" if negated else "(")
        _compare(writer, ">=", left, low)
        writer.words("and")
        _compare(writer, "<=", left, high)
        return tokens.match[middle + 1], writer.words(") )" if negated else ")").written
    if tokens.is_word(word, "in") and tokens.is_operator(word + 1, "(") and tokens.match[word + 1] > 0:
        items = tokens.arguments(word + 1)
        rows = [
            _row(tokens, first, len(left)) if tokens.match[first] == end - 1 else None for first, end in items
        ]
        if not 0 < len(rows) <= COMPARED_MAX:
            return None
        writer.words("( not (" if negated else "(")
        for number, row in enumerate(rows):
            if row is None:
                return None
            if number:
                writer.words("or")
            _compare(writer, "=", left, row)
        return tokens.match[word + 1], writer.words(") )" if negated else ")").written
    return None


def _row(tokens: Tokens, opening: int, columns: int = 0) -> list[Span] | None:
    """The columns of `(a, b)`, of so many where it is told; None for anything else in brackets."""
    if not tokens.is_operator(opening, "(") or tokens.match[opening] < 0:
        return None
    before = opening - 1
    if tokens.is_name(before) and not tokens.is_word(before, *BEFORE_OPERAND, "between"):
        return None
    # After ON of DISTINCT, and BY, brackets are a list of expressions.
    if tokens.is_operator(before, ".", "]") or tokens.is_word(opening + 1, "select", "with", "values"):
        return None
    spans = tokens.arguments(opening)
    if len(spans) < 2 or (columns and len(spans) != columns) or any(first == end for first, end in spans):
        return None
    return spans


def _compare(writer: TokenWriter, operator: str, left: list[Span], right: list[Span]) -> None:
    def column(at: int, operator: str) -> None:
        writer.copy(left[at][0], left[at][1] - 1).words(operator).copy(right[at][0], right[at][1] - 1)

    writer.words("(")
    last = len(left) - 1
    for at in range(last):
        if operator in ("=", "==", "<>", "!="):
            column(at, operator)
            writer.words("and" if operator in ("=", "==") else "or")
        else:
            column(at, operator[0])
            writer.words("or (")
            column(at, "=")
            writer.words("and (")
    column(last, operator)
    if operator[0] in "<>" and operator != "<>":
        writer.words(" ".join([") )"] * last))
    writer.words(")")


def _calls_volatile(tokens: Tokens, first: int, last: int, is_volatile: Callable[[str], bool]) -> bool:
    return any(
        tokens.is_name(i) and tokens.is_operator(i + 1, "(") and is_volatile(str(tokens.values[i]))
        for i in range(first, last)
    )
