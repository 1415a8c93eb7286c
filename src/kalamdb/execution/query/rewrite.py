"""A query as we understand it, made into a text that DataFusion understands.

Everything happens on tokens: our functions and operators, type names that DataFusion lacks, `*` where system columns
can be seen, and what columns are called. What is not ours goes on as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalamcore.statements import STRING, WORD, Scan
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
_COUNTING = ("row_number", "rank", "dense_rank", "ntile", "approx_distinct", "regr_count")
"""What counts in numbers without a sign: beside a BIGINT, DataFusion would make both a DECIMAL."""
_TEXTS = ("text", "varchar", "string", "char")
_TIME = "'Time64(Microsecond)'"
"""As TIME columns are; TIME alone has another unit, and cannot be compared with them."""
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
    if not words.isdisjoint(_TYPES):
        _rewrite_types(tokens)
    if "time" in words:
        _rewrite_times(tokens)
    # ORDER BY of a DISTINCT must show the very expression of the list, and is not told that these are the same.
    if not words.isdisjoint(_TEXTS) and not {"distinct", "order"} <= words:
        _rewrite_casts_to_text(tokens)
    # Behind the casts, which bind closer.
    if any(operator in tokens.values for operator in JSON_OPERATORS):
        rewrite_json_operators(tokens, calls.beginning)
    if not words.isdisjoint(_COUNTING):
        _rewrite_counts(tokens)
    if "group" in words:
        _group_once(tokens)
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


def _rewrite_times(tokens: Tokens) -> None:
    """CAST(x AS TIME), x::TIME and TIME '12:00'."""
    for i in range(1, tokens.count):
        if not tokens.is_word(i, "time"):
            continue
        opening = tokens.opener[i]
        if (
            tokens.is_word(i - 1, "as")
            and opening > 0
            and tokens.is_word(opening - 1, "cast")
            and tokens.match[opening] == i + 1
        ):
            tokens.texts[opening - 1], tokens.texts[i - 1], tokens.texts[i] = "arrow_cast", ",", _TIME
        elif tokens.is_operator(i - 1, "::"):
            first = _begin_of_primary(tokens, i - 2)
            tokens.before[first] = "arrow_cast(" + tokens.before[first]
            tokens.texts[i - 1], tokens.texts[i] = ",", f"{_TIME})"
        elif i + 1 < tokens.count and tokens.kinds[i + 1] == STRING and not tokens.is_operator(i - 1, "."):
            tokens.texts[i] = "arrow_cast("
            tokens.after[i + 1] = f", {_TIME})" + tokens.after[i + 1]


def _rewrite_casts_to_text(tokens: Tokens) -> None:
    """CAST(x AS TEXT) and x::TEXT: of a column that is text to DataFusion, UUID and JSON, they would be the column."""
    for i in range(2, tokens.count):
        if not tokens.is_word(i, *_TEXTS):
            continue
        opening = tokens.opener[i]
        if tokens.is_word(i - 1, "as") and _in_cast(tokens, i) and tokens.match[opening] == i + 1:
            first, last = opening - 1, i + 1
        elif tokens.is_operator(i - 1, "::") and not tokens.is_operator(i + 1, "(", "[", "::"):
            first, last = _begin_of_primary(tokens, i - 2), i
        else:
            continue
        # What a filter compares has no type that anybody sees.
        if tokens.clause[first] not in ("where", "on"):
            tokens.before[first] = "(" + tokens.before[first]
            tokens.after[last] += " || '')"


def _begin_of_primary(tokens: Tokens, last: int) -> int:
    """The first token of the literal, name, call or bracket that ends at `last`, casts of it included."""
    i = last
    while True:
        if tokens.match[i] >= 0:
            i = tokens.match[i]
            if tokens.is_name(i - 1) and not tokens.is_word(i - 1, *_BEFORE_OPERAND, "in", "from"):
                i -= 1
        if tokens.is_operator(i - 1, ".", "::"):
            i -= 2
        elif tokens.kinds[i] == STRING and tokens.is_word(i - 1, "date", "timestamp"):
            i -= 1
        else:
            return i


def _group_once(tokens: Tokens) -> None:
    """GROUP BY a, b, a: without the second a."""
    for by in range(1, tokens.count - 1):
        if not (
            tokens.is_word(by, "by") and tokens.is_word(by - 1, "group") and tokens.clause[by] == "group"
        ):
            continue
        seen: set[str] = set()
        first = i = by + 1
        while True:
            ends = (
                i >= tokens.count
                or tokens.opener[i] != tokens.opener[by]
                or tokens.clause[i] != "group"
                or tokens.match[i] >= 0
            )
            if ends or tokens.is_operator(i, ","):
                item = tokens.source(first, i - 1)
                if item in seen:
                    tokens.clear(first - 1, i - 1)
                seen.add(item)
                first = i + 1
            if ends:
                break
            i += 1


def _rewrite_counts(tokens: Tokens) -> None:
    """Calls of what counts, with OVER and FILTER, as BIGINT."""
    for i in range(tokens.count - 2):
        if not tokens.is_word(i, *_COUNTING) or not tokens.is_operator(i + 1, "(") or tokens.match[i + 1] < 0:
            continue
        last = tokens.match[i + 1]
        while tokens.is_word(last + 1, "filter", "over", "ignore", "respect"):
            last += 2
            if tokens.is_operator(last, "("):
                last = tokens.match[last]
        tokens.before[i] = "CAST(" + tokens.before[i]
        tokens.after[last] += " AS BIGINT)"


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
