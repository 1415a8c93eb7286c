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
from kalamdb.execution.query.select_lists import SYSTEM_COLUMNS, rewrite_select_lists
from kalamdb.execution.query.tokens import Tokens

_TYPES = {
    "json": "VARCHAR", "jsonb": "VARCHAR", "uuid": "VARCHAR", "bytes": "BYTEA", "blob": "BYTEA", "binary": "BYTEA",
    "datetime": "TIMESTAMP", "float4": "REAL", "float8": "DOUBLE",
}  # fmt: skip


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


def _in_cast(tokens: Tokens, i: int) -> bool:
    opening = tokens.opener[i]
    return opening > 0 and tokens.is_word(opening - 1, "cast", "try_cast")
