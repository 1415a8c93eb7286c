"""A query as we understand it, made into a text that DataFusion understands.

Everything happens on tokens: our functions and operators, type names that DataFusion lacks, `*` where system columns
can be seen, and what columns are called. What is not ours goes on as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalamcore.statements import WORD, Scan
from kalamdb.execution.query.calls import Calls
from kalamdb.execution.query.functions import QueryFunctions, Running
from kalamdb.execution.query.json_operators import FUNCTIONS as JSON_OPERATORS
from kalamdb.execution.query.json_operators import rewrite_json_operators
from kalamdb.execution.query.memberships import ends_between
from kalamdb.execution.query.scalar_subqueries import let_scalar_subqueries_be_null
from kalamdb.execution.query.select_lists import SYSTEM_COLUMNS, rewrite_select_lists
from kalamdb.execution.query.tokens import Tokens

_TYPES = {
    "json": "VARCHAR", "jsonb": "VARCHAR", "uuid": "VARCHAR", "bytes": "BYTEA", "blob": "BYTEA", "binary": "BYTEA",
    "datetime": "TIMESTAMP", "float4": "REAL", "float8": "DOUBLE",
}  # fmt: skip
_BEFORE_OPERAND = (
    "and", "or", "not", "when", "then", "else", "case", "where", "on", "having", "select", "all", "qualify", "by",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A query ready for DataFusion: its text, what it can name (`*`: any column), and where it came from."""

    text: str
    words: frozenset[str]
    tokens: Tokens
    table_functions: frozenset[str] = frozenset()
    names: tuple[str, ...] | None = None
    """What the columns are called, where the text could not say it."""


def words_of(scan: Scan, tokens: Tokens) -> frozenset[str]:
    """Every name the query can mean; `*` among them when it can mean columns it does not name."""
    words: frozenset[str] = scan.words
    if "natural" in words or "pivot" in words or any(_means_all(tokens, i) for i in range(tokens.count)):
        return words | {"*"}
    return words


def rewrite(
    sql: str,
    tokens: Tokens,
    words: frozenset[str],
    functions: QueryFunctions,
    running: Running,
    parameters: Sequence[object],
    columns_of: Callable[[str | None, str | None, str], pa.Schema | None],
) -> Query:
    """Change the tokens and print them. `columns_of`: a table's columns, as a statement with these words sees them.

    Raises UndefinedFunction, InvalidSyntax, ResourcesExceeded, NotSupportedError.
    """
    calls = Calls(tokens, functions, running, parameters)
    calls.rewrite()
    if any(operator in tokens.values for operator in JSON_OPERATORS):
        rewrite_json_operators(tokens, calls.beginning)
    if not words.isdisjoint(_TYPES):
        _rewrite_types(tokens)
    if "distinct" in words:
        _bracket_distinct_from(tokens)
    let_scalar_subqueries_be_null(tokens, columns_of)
    schema_of = None if words.isdisjoint(SYSTEM_COLUMNS) else columns_of
    names = rewrite_select_lists(tokens, calls.named, schema_of)
    return Query(tokens.print(), words, tokens, frozenset(calls.table_functions), names)


def _means_all(tokens: Tokens, i: int) -> bool:
    if tokens.is_operator(i, "*"):
        before = i - 1
        if tokens.is_operator(before, ".", ",") or tokens.is_word(before, "select", "distinct", "all"):
            return True
        # DISTINCT ON (…) *
        return tokens.is_operator(before, ")") and tokens.is_word(tokens.match[before] - 1, "on")
    # FROM t AS x(a, b) renames columns by their place.
    return (
        tokens.clause[i] == "from"
        and tokens.is_name(i)
        and tokens.is_operator(i + 1, "(")
        and tokens.is_name(i - 1)
        and not tokens.is_word(i - 1, "from", "join", "lateral")
    )


def _rewrite_types(tokens: Tokens) -> None:
    for i in range(tokens.count):
        if tokens.kinds[i] != WORD or tokens.values[i] not in _TYPES:
            continue
        if tokens.is_operator(i - 1, "::") or (tokens.is_word(i - 1, "as") and _in_cast(tokens, i)):
            tokens.texts[i] = _TYPES[str(tokens.values[i])]


def _bracket_distinct_from(tokens: Tokens) -> None:
    """`a IS DISTINCT FROM b AND c`: DataFusion's parser takes `b AND c` for the right side, unless brackets end it."""
    for i in range(2, tokens.count - 2):
        if not (tokens.is_word(i, "distinct") and tokens.is_word(i + 1, "from")):
            continue
        last = i - 2 if tokens.is_word(i - 1, "is") else i - 3
        if last < 0 or not tokens.is_word(last + 1, "is"):
            continue
        begins, ends = _after_and_or(tokens, last), _before_and_or(tokens, i + 2)
        if begins is not None and ends is not None:
            tokens.before[begins] = "(" + tokens.before[begins]
            tokens.after[ends] += ")"


def _after_and_or(tokens: Tokens, last: int) -> int | None:
    """The first token of the operand that ends at `last`; None where BETWEEN makes an AND another one."""
    i, cases = last, 0
    while i >= 0 and tokens.opener[i] == tokens.opener[last] and not tokens.is_operator(i, ","):
        if 0 <= tokens.match[i] < i:
            i = tokens.match[i] - 1
            continue
        if tokens.is_word(i, "end"):
            cases += 1
        elif cases and tokens.is_word(i, "case"):
            cases -= 1
        elif not cases:
            if tokens.is_word(i, "between"):
                return None
            if tokens.is_word(i, *_BEFORE_OPERAND) and not tokens.is_word(i + 1, "in", "like", "ilike"):
                break
        i -= 1
    if tokens.is_word(i, "and") and ends_between(tokens, i):
        return None
    return i + 1 if i < last else None


def _before_and_or(tokens: Tokens, first: int) -> int | None:
    """The last token before the AND or OR that ends the operand which begins at `first`; None where none does."""
    i, cases = first, 0
    while i < tokens.count and tokens.opener[i] == tokens.opener[first]:
        if tokens.match[i] > i:
            i = tokens.match[i] + 1
            continue
        if tokens.is_word(i, "case"):
            cases += 1
        elif cases and tokens.is_word(i, "end"):
            cases -= 1
        elif not cases:
            if tokens.is_word(i, "and", "or"):
                return i - 1 if i > first else None
            if (
                tokens.match[i] >= 0
                or tokens.is_operator(i, ",")
                or tokens.is_word(i, "when", "then", "else", "end", "between")
                or tokens.clause[i] != tokens.clause[first]
            ):
                return None
        i += 1
    return None


def _in_cast(tokens: Tokens, i: int) -> bool:
    opening = tokens.opener[i]
    return opening > 0 and tokens.is_word(opening - 1, "cast", "try_cast")
