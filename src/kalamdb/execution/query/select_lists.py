"""Select lists: what the columns of a result are called, which of them are the same, and what `*` means.

- A column that is an expression is called as it was written, words folded (`count(*)`, `price * 2`), a lone call of
  our functions by the function's name. DataFusion would show its own text and refuse two columns of one name.
- In a statement that names a system column, `*` means the table's own columns all the same.
- Over a join with USING `*` is written out, the column of both being the left side's. DataFusion keeps the one whose
  table is first by its name, which in a LEFT JOIN can be the side without a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from kalamcore.statements import OPERATOR, STRING, WORD
from kalamdb.errors import NotSupportedError
from kalamdb.execution.query.normalize import DUPLICATE_MARK
from kalamdb.execution.query.tokens import Tokens, quoted_name

SYSTEM_COLUMNS = frozenset({"_seq", "_updated", "_deleted"})

SchemaOf = Callable[[str | None, str | None, str], "pa.Schema | None"]
"""Catalog, namespace, name of a table in FROM: its columns; None for a view and for what is not there."""

_ENDS_LIST = frozenset(
    {"from", "where", "group", "having", "order", "limit", "qualify", "window", "set", "into", "values"}
)
# A last word after an operand is an alias, unless it is one of these.
_NO_ALIAS = frozenset({"end", "null", "true", "false", "unknown", "precision", "zone", "nulls"})
_NO_COLUMN = frozenset(
    {"null", "true", "false", "current_date", "current_time", "current_timestamp", "localtimestamp"}
)
_UNITS = frozenset(
    {
        "year", "years", "month", "months", "week", "weeks", "day", "days", "hour", "hours",
        "minute", "minutes", "second", "seconds", "millisecond", "milliseconds", "microsecond",
        "microseconds",
    }
)  # fmt: skip
_NEEDS_OPERAND = frozenset(
    {
        "and", "or", "not", "is", "like", "ilike", "between", "in", "over", "collate", "distinct",
        "from", "case", "when", "then", "else", "escape", "any", "some", "all", "similar", "to",
        "regexp", "rlike", "div", "xor",
    }
)  # fmt: skip
_JOIN_WORDS = frozenset(
    {"join", "inner", "left", "right", "full", "outer", "cross", "natural", "semi", "anti"}
)


@dataclass
class _Item:
    """One part of a select list: tokens `first` to `last`, both included."""

    first: int
    last: int
    name: str | None = None
    alias: int | None = None
    star: int | None = None
    plain: bool = False


def rewrite_select_lists(
    tokens: Tokens, functions: Mapping[int, str], schema_of: SchemaOf | None
) -> tuple[str, ...] | None:
    """Change the tokens. `functions`: where calls of the registry begin, and their names. `schema_of` is given when
    the statement names a system column. The names of the result's columns are returned where the text cannot carry
    them, else None. Raises NotSupportedError for a `*` over joins that cannot be expanded."""
    names: tuple[str, ...] | None = None
    first = True
    for i in range(tokens.count):
        if tokens.is_word(i, "select") and tokens.clause[i] == "select":
            outermost = tokens.opener[i] < 0 or _only_wrapped(tokens, i)
            of_list = _rewrite_list(tokens, i, functions, schema_of, outermost)
            if outermost and first:
                names, first = of_list, False
    return names


def _rewrite_list(
    tokens: Tokens, select: int, functions: Mapping[int, str], schema_of: SchemaOf | None, outermost: bool
) -> tuple[str, ...] | None:
    first, distinct = list_start(tokens, select)
    end = list_end(tokens, select, first)
    items = [_item(tokens, a, b, functions) for a, b in _split(tokens, select, first, end)]
    if any(item.star is not None for item in items) and (
        schema_of is not None or any(tokens.is_word(i, "using", "natural") for i in range(end, tokens.count))
    ):
        froms = from_items(tokens, select, end)
        ctes = cte_names(tokens)
        for item in items:
            if item.star is not None:
                _expand_star(tokens, item, froms, ctes, schema_of)
    # Two expressions that DataFusion shows alike clash; one alone is fine in a subquery.
    expressions = sum(1 for item in items if item.name is not None and not item.plain and item.alias is None)
    # ORDER BY of a DISTINCT must show the very expression of the list, without a name.
    ordered = distinct and _has_order(tokens, select, end)
    name_them = not ordered and (outermost or expressions > 1)
    has_star = any(item.star is not None for item in items)
    seen: set[str] = set()
    for number, item in enumerate(items):
        if item.name is None:
            continue
        name, again = item.name, item.name in seen
        seen.add(name)
        unique = f"{name}{DUPLICATE_MARK}{number}" if again or (has_star and item.plain) else name
        if item.alias is not None:
            if again:
                tokens.texts[item.alias] = quoted_name(unique)
        elif item.plain:
            if unique != name and item.first <= item.last:
                tokens.after[item.last] += f" AS {quoted_name(unique)}"
        elif name_them:
            tokens.after[item.last] += f" AS {quoted_name(unique)}"
    if not ordered or has_star:
        return None
    return tuple(item.name for item in items if item.name is not None)


def list_start(tokens: Tokens, select: int) -> tuple[int, bool]:
    first = select + 1
    if tokens.is_word(first, "all"):
        return first + 1, False
    if not tokens.is_word(first, "distinct"):
        return first, False
    first += 1
    if tokens.is_word(first, "on") and tokens.is_operator(first + 1, "(") and tokens.match[first + 1] > 0:
        first = tokens.match[first + 1] + 1
    return first, True


def list_end(tokens: Tokens, select: int, first: int) -> int:
    depth = tokens.opener[select]
    for i in range(first, tokens.count):
        if depth >= 0 and i == tokens.match[depth]:
            return i
        if tokens.opener[i] == depth and tokens.clause[i] in _ENDS_LIST and tokens.kinds[i] == WORD:
            return i
    return tokens.count


def _split(tokens: Tokens, select: int, first: int, end: int) -> list[tuple[int, int]]:
    depth, parts, start = tokens.opener[select], [], first
    for i in range(first, end):
        if tokens.opener[i] == depth and tokens.is_operator(i, ","):
            parts.append((start, i - 1))
            start = i + 1
    parts.append((start, end - 1))
    return [(a, b) for a, b in parts if a <= b]


def _item(tokens: Tokens, first: int, last: int, functions: Mapping[int, str]) -> _Item:
    item = _Item(first, last)
    i = first
    while i + 1 <= last and tokens.is_name(i) and tokens.is_operator(i + 1, "."):
        i += 2
    if i <= last and tokens.is_operator(i, "*"):
        item.star = i
        return item
    if i == last and tokens.is_name(i):
        if i == first and first in functions:
            item.name = functions[first]
        elif tokens.kinds[i] == WORD and i == first and tokens.values[i] in _NO_COLUMN:
            item.name = str(tokens.values[i])
        else:
            item.name, item.plain = str(tokens.values[i]), True
        return item
    if (
        last > first
        and tokens.is_name(last)
        and (tokens.is_word(last - 1, "as") or _is_alias(tokens, first, last))
    ):
        item.alias, item.name = last, str(tokens.values[last])
        return item
    if first in functions and tokens.is_operator(first + 1, "(") and tokens.match[first + 1] == last:
        item.name = functions[first]
    elif tokens.kinds[last] == STRING and last > first and tokens.is_word(last - 1, "as"):
        item.name = None
    else:
        # Arrow's names are C strings when they cross to Python.
        item.name = tokens.source(first, last).replace("\0", "")
    return item


def _is_alias(tokens: Tokens, first: int, last: int) -> bool:
    before = last - 1
    if tokens.kinds[before] == OPERATOR and not tokens.is_operator(before, ")", "]", "}"):
        return False
    if tokens.kinds[before] == WORD and tokens.values[before] in _NEEDS_OPERAND:
        return False
    if tokens.kinds[last] != WORD:
        return True
    if tokens.values[last] in _UNITS and tokens.is_word(last - 2, "interval"):
        return False
    return tokens.values[last] not in _NO_ALIAS


def _only_wrapped(tokens: Tokens, select: int) -> bool:
    """Whether only parentheses around the whole query stand before it: `(SELECT …)`."""
    return all(tokens.is_operator(i, "(") for i in range(select))


def _has_order(tokens: Tokens, select: int, end: int) -> bool:
    depth = tokens.opener[select]
    return any(
        tokens.opener[i] == depth and tokens.is_word(i, "order") and tokens.clause[i] == "order"
        for i in range(end, tokens.count)
    )


# ---- what `*` means where system columns can be seen


@dataclass
class FromEntry:
    """One entry of a FROM: a table by its name, or something else (a subquery, a table function)."""

    alias: str | None
    path: tuple[str, ...] | None
    aliased: bool = True
    using: tuple[str, ...] = ()
    natural: bool = False
    left: bool = False
    hidden: bool = False


def from_items(tokens: Tokens, select: int, start: int) -> list[FromEntry]:
    if not tokens.is_word(start, "from"):
        return []
    items: list[FromEntry] = []
    depth, i = tokens.opener[select], start + 1
    joined: list[str] = []
    while i < tokens.count and tokens.clause[i] in ("from", "on", "using") and not _closes(tokens, i, depth):
        if tokens.kinds[i] == WORD and tokens.values[i] in _JOIN_WORDS:
            joined.append(str(tokens.values[i]))
            i += 1
            continue
        if tokens.is_operator(i, ","):
            joined = []
            i += 1
            continue
        if tokens.is_word(i, "on"):
            while i < tokens.count and tokens.clause[i] == "on" and not _closes(tokens, i, depth):
                if tokens.match[i] > i:
                    i = tokens.match[i]
                elif (
                    tokens.kinds[i] == WORD
                    and tokens.values[i] in _JOIN_WORDS
                    and not tokens.is_operator(i + 1, "(")
                ):
                    break
                i += 1
            continue
        if tokens.is_word(i, "using") and tokens.is_operator(i + 1, "("):
            if items:
                columns = tokens.arguments(i + 1)
                items[-1].using = tuple(str(tokens.values[a]) for a, _ in columns)
            i = tokens.match[i + 1] + 1
            continue
        item, i = _from_item(tokens, i)
        item.natural = "natural" in joined
        item.left = "left" in joined
        item.hidden = "semi" in joined or "anti" in joined
        if item.hidden and "right" in joined:
            raise NotSupportedError(
                "* of a RIGHT SEMI or ANTI JOIN cannot be used in a statement that names a system column or joins "
                "by NATURAL or USING; name the columns"
            )
        items.append(item)
        joined = []
    return items


def _closes(tokens: Tokens, i: int, depth: int) -> bool:
    return depth >= 0 and i == tokens.match[depth]


def _from_item(tokens: Tokens, i: int) -> tuple[FromEntry, int]:
    while tokens.is_word(i, "lateral", "only"):
        i += 1
    path: tuple[str, ...] | None = None
    if tokens.is_operator(i, "(") and tokens.match[i] > 0:
        i = tokens.match[i] + 1
    elif tokens.is_name(i):
        names = [str(tokens.values[i])]
        i += 1
        while tokens.is_operator(i, ".") and tokens.is_name(i + 1):
            names.append(str(tokens.values[i + 1]))
            i += 2
        if tokens.is_operator(i, "(") and tokens.match[i] > 0:
            i = tokens.match[i] + 1
        else:
            path = tuple(names)
    else:
        return FromEntry(None, None), i + 1
    alias, aliased = path[-1] if path else None, False
    if tokens.is_word(i, "as"):
        i += 1
    if tokens.is_name(i) and not (
        tokens.kinds[i] == WORD
        and (
            tokens.values[i] in _JOIN_WORDS
            or tokens.clause[i] not in ("from", "on", "using")
            or tokens.is_word(i, "on", "using", "tablesample")
        )
    ):
        alias, aliased = str(tokens.values[i]), True
        i += 1
        if tokens.is_operator(i, "(") and tokens.match[i] > 0:
            i = tokens.match[i] + 1
            path = None
    return FromEntry(alias, path, aliased), i


def cte_names(tokens: Tokens) -> frozenset[str]:
    """Names that WITH gives: `name [(…)] AS [[NOT] MATERIALIZED] (`."""
    names = set()
    for i in range(tokens.count):
        if not tokens.is_word(i, "as"):
            continue
        after = i + 1
        while tokens.is_word(after, "not", "materialized"):
            after += 1
        if not tokens.is_operator(after, "("):
            continue
        before = i - 1
        if tokens.is_operator(before, ")"):
            before = tokens.match[before] - 1
        if tokens.is_name(before):
            names.add(str(tokens.values[before]))
    return frozenset(names)


def _expand_star(
    tokens: Tokens, item: _Item, froms: list[FromEntry], ctes: frozenset[str], schema_of: SchemaOf | None
) -> None:
    assert item.star is not None
    hidden = {
        id(entry): () if schema_of is None else _system_columns(entry, ctes, schema_of) for entry in froms
    }
    if item.star > item.first:
        alias = str(tokens.values[item.star - 2])
        for entry in froms:
            if entry.alias == alias:
                _exclude(tokens, item, hidden[id(entry)])
        return
    if not any(hidden.values()):
        _write_out_using(tokens, item, froms)
        return
    if any(entry.natural for entry in froms):
        raise NotSupportedError(
            "NATURAL JOIN cannot be used with * in a statement that names a system column; use JOIN … USING"
        )
    shown = [entry for entry in froms if not entry.hidden]
    if len(shown) == 1:
        _exclude(tokens, item, hidden[id(shown[0])])
        return
    if item.star != item.last or any(entry.alias is None for entry in shown):
        raise NotSupportedError(
            "* with EXCLUDE or REPLACE over a join cannot be used in a statement that names a system column; "
            "name the columns"
        )
    tokens.texts[item.star] = ", ".join(
        _star_of(entry, (*hidden[id(entry)], *entry.using)) for entry in shown
    )


def _write_out_using(tokens: Tokens, item: _Item, froms: list[FromEntry]) -> None:
    """Raises NotSupportedError where it cannot be and DataFusion's own `*` could be wrong."""
    assert item.star is not None
    shown = [entry for entry in froms if not entry.hidden]
    if any(entry.natural for entry in froms):
        if any(entry.left and (entry.natural or entry.using) for entry in froms):
            raise NotSupportedError("NATURAL LEFT JOIN cannot be used with *; use LEFT JOIN … USING")
    elif any(entry.using for entry in shown):
        if item.star == item.last and all(entry.alias is not None for entry in shown):
            tokens.texts[item.star] = ", ".join(_star_of(entry, entry.using) for entry in shown)
        elif any(entry.left and entry.using for entry in froms):
            raise NotSupportedError(
                "* with EXCLUDE or REPLACE, or of a query without a name, cannot be used with LEFT JOIN … USING; name "
                "the columns"
            )


def _star_of(entry: FromEntry, without: tuple[str, ...]) -> str:
    qualifier = (entry.alias or "",) if entry.aliased or entry.path is None else entry.path
    return f"{'.'.join(map(quoted_name, qualifier))}.*{_exclude_clause(without)}"


def _exclude(tokens: Tokens, item: _Item, columns: tuple[str, ...]) -> None:
    assert item.star is not None
    if not columns:
        return
    after = item.star + 1
    if tokens.is_word(after, "exclude", "except") and after < item.last:
        names = ", ".join(quoted_name(column) for column in columns)
        if tokens.is_operator(after + 1, "("):
            own = {str(tokens.values[a]) for a, _ in tokens.arguments(after + 1)}
            left = [quoted_name(column) for column in columns if column not in own]
            if left:
                tokens.after[after + 1] += ", ".join(left) + ", "
        else:
            tokens.before[after + 1] += f"({names}, "
            tokens.after[after + 1] += ")"
        return
    tokens.after[item.star] += _exclude_clause(columns)


def _exclude_clause(columns: tuple[str, ...]) -> str:
    return f" EXCLUDE ({', '.join(quoted_name(column) for column in columns)})" if columns else ""


def _system_columns(entry: FromEntry, ctes: frozenset[str], schema_of: SchemaOf) -> tuple[str, ...]:
    path = entry.path
    if path is None or len(path) > 3 or (len(path) == 1 and path[0] in ctes):
        return ()
    catalog, namespace = (path[0] if len(path) == 3 else None), (path[-2] if len(path) > 1 else None)
    schema = schema_of(catalog, namespace, path[-1])
    if schema is None:
        return ()
    return tuple(name for name in schema.names if name in SYSTEM_COLUMNS)
