"""Outer joins, written so that DataFusion answers them rightly.

`a RIGHT JOIN b` becomes `b LEFT JOIN a`: of a filter over a RIGHT JOIN it takes a column of one side for that of the
other side with the same name. And `b.kind = 'x'` in an ON or in the WHERE of a subquery becomes IS NOT DISTINCT FROM,
which is the same where the answer is a condition by itself: of `=` it concludes that the column is the same in all
rows, and goes on to believe so where the join has put NULL into it, so that ORDER BY, GROUP BY and windows are wrong.

Done on tokens, before anything else looks at the select lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from kalamcore.statements import OPERATOR, PARAMETER, QUOTED, WORD
from kalamdb.errors import NotSupportedError
from kalamdb.execution.query.tokens import Token, Tokens

_SIDES = ("left", "right", "full")
_JOINING = ("inner", "left", "right", "full", "cross", "natural", "join")
_CLAUSES = ("where", "on")
_ENDS = (
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "union",
    "intersect",
    "except",
    "window",
    "qualify",
)


def with_sound_outer_joins(tokens: Tokens, sql: str, parameters: Sequence[object]) -> Tokens:
    """The same query. Raises NotSupportedError for a RIGHT JOIN that cannot be turned round."""
    if not any(tokens.is_word(i, *_SIDES) and _join_of(tokens, i) for i in range(tokens.count)):
        return tokens
    spans = list(_equalities(tokens, parameters))
    if spans:
        tokens = tokens.replaced(spans).read(sql)
    while (side := _first_right(tokens)) is not None:
        tokens = _turned(tokens, side).read(sql)
    return tokens


def _join_of(tokens: Tokens, side: int) -> int:
    """Where the JOIN of LEFT, RIGHT or FULL stands; 0 where it is none, or one that keeps no rows without a partner."""
    if tokens.is_operator(side - 1, ".") or tokens.clause[side] not in ("from", "on"):
        return 0
    join = side + 1 + tokens.is_word(side + 1, "outer")
    return join if tokens.is_word(join, "join") else 0


def _first_right(tokens: Tokens) -> int | None:
    """Where the next one begins; not one without a condition, of which DataFusion says that it lacks one."""
    return next(
        (i for i in range(tokens.count) if tokens.is_word(i, "right") and _has_condition(tokens, i)), None
    )


def _has_condition(tokens: Tokens, side: int) -> bool:
    join = _join_of(tokens, side)
    if not join:
        return False
    end = _level(tokens, join + 1, side, ("on", "using", *_JOINING, *_ENDS))
    return end < tokens.count and not tokens.is_word(end, *_ENDS)


def _turned(tokens: Tokens, side: int) -> Tokens:
    """With the RIGHT JOIN at `side` as a LEFT JOIN."""
    join = _join_of(tokens, side)
    begin = _begin_of_left(tokens, side)
    on = _level(tokens, join + 1, side, ("on", *_JOINING))
    if not tokens.is_word(on, "on") or tokens.clause[on] != "on":
        raise NotSupportedError(
            "a RIGHT JOIN around another join is not supported; use LEFT JOIN, or brackets",
            position=tokens.starts[side],
        )
    written: list[tuple[int, int, list[Token]]] = []
    if (star := _star(tokens, begin)) is not None:
        written.append((star, star, _expanded(tokens, star, begin, side)))
    left = [tokens.token(i) for i in range(begin, side)]
    if any(tokens.is_word(i, "join") and tokens.opener[i] == tokens.opener[side] for i in range(begin, side)):
        left = [_operator(tokens, side, "("), *left, _operator(tokens, side, ")")]
    right = [tokens.token(i) for i in range(join + 1, on)]
    words = [_word(tokens, side, word) for word in ("left", "join")]
    written.append((begin, on - 1, [*right, *words, *left]))
    return tokens.replaced(written)


def _begin_of_left(tokens: Tokens, side: int) -> int:
    """The first token of what is joined: behind FROM, a comma, or the bracket around it."""
    i = side - 1
    while i >= 0 and i != tokens.opener[side]:
        if 0 <= tokens.match[i] < i:
            i = tokens.match[i] - 1
            continue
        if (tokens.is_word(i, "from") and tokens.clause[i] == "from") or (
            tokens.is_operator(i, ",") and tokens.clause[i] in ("from", "on")
        ):
            break
        i -= 1
    return i + 1


def _level(tokens: Tokens, i: int, of: int, words: tuple[str, ...]) -> int:
    """The next of some words at the level of token `of`, from `i` on."""
    while i < tokens.count and tokens.opener[i] == tokens.opener[of]:
        if tokens.is_word(i, *words) and not tokens.is_operator(i - 1, "."):
            return i
        i = tokens.match[i] + 1 if tokens.match[i] > i else i + 1
    return tokens.count


def _star(tokens: Tokens, begin: int) -> int | None:
    """The `*` that means every column of the FROM in which token `begin` stands."""
    first = begin - 1
    while tokens.is_operator(first, "(") and tokens.clause[first] == "from":
        first -= 1
    i = first
    while i >= 0 and not (
        tokens.opener[i] == tokens.opener[first]
        and tokens.is_word(i, "select")
        and tokens.clause[i] == "select"
    ):
        i -= 1
    for at in range(i + 1, first):
        if (
            tokens.opener[at] == tokens.opener[first]
            and tokens.is_operator(at, "*")
            and (tokens.is_operator(at - 1, ",") or tokens.is_word(at - 1, "select", "distinct", "all"))
        ):
            return at
    return None


def _expanded(tokens: Tokens, star: int, begin: int, side: int) -> list[Token]:
    """`a.*, b.*` for `*`, as turning the join round would turn the columns round, too."""
    select_end = begin - 1
    end = select_end + 1
    names: list[Token] = []
    expects = True
    depth = tokens.opener[side]
    while (
        end < tokens.count and tokens.opener[end] == depth and tokens.clause[end] in ("from", "on", "using")
    ):
        if tokens.clause[end] != "from":
            expects = False
        elif tokens.is_word(end, "join") or tokens.is_operator(end, ","):
            expects = True
        elif expects and (tokens.is_name(end) or tokens.is_operator(end, "(")):
            alias, end = _alias(tokens, end)
            names.append(alias)
            expects = False
            continue
        end = tokens.match[end] + 1 if tokens.match[end] > end else end + 1
    begins = tokens.is_word(select_end, "from")
    follows = tokens.is_operator(star + 1, ",") or tokens.is_word(star + 1, "from")
    if not begins or not follows:
        raise NotSupportedError(
            "* over a RIGHT JOIN is not supported in this place; name the columns, or use LEFT JOIN",
            position=tokens.starts[star],
        )
    written: list[Token] = []
    for number, name in enumerate(names):
        if number:
            written.append(_operator(tokens, star, ","))
        written += [name, _operator(tokens, star, "."), _operator(tokens, star, "*")]
    return written


def _alias(tokens: Tokens, i: int) -> tuple[Token, int]:
    """What the table, subquery or function that begins at `i` is called, and where it ends."""
    first, name = i, None
    if tokens.is_operator(i, "("):
        i = tokens.match[i] + 1
    else:
        while tokens.is_operator(i + 1, ".") and tokens.is_name(i + 2):
            i += 2
        name = tokens.token(i)
        i += 1
        if tokens.is_operator(i, "("):
            i, name = tokens.match[i] + 1, None
    if tokens.is_word(i, "as"):
        i += 1
    if (
        tokens.is_name(i)
        and not tokens.is_word(i, "on", "using", "where", *_JOINING)
        and tokens.clause[i] == "from"
    ):
        name = tokens.token(i)
        i += 1
        if tokens.is_operator(i, "("):
            i = tokens.match[i] + 1
    if name is None:
        raise NotSupportedError(
            "* over a RIGHT JOIN needs a name for each subquery in it; give it one, or name the columns",
            position=tokens.starts[first],
        )
    return name, i


def _equalities(tokens: Tokens, parameters: Sequence[object]) -> list[tuple[int, int, list[Token]]]:
    """The `=` of `column = literal` among the conditions of each ON, and of each WHERE of a subquery."""
    found = []
    for i in range(1, tokens.count - 1):
        if not tokens.is_operator(i, "=") or not _feeds_clause(tokens, i):
            continue
        left, right = _sole_operand(tokens, i, -1), _sole_operand(tokens, i, 1)
        if left is None or right is None:
            continue
        if (_is_column(tokens, left) and _is_known(tokens, right, parameters)) or (
            _is_column(tokens, right) and _is_known(tokens, left, parameters)
        ):
            # In brackets, for DataFusion's parser takes an AND behind it for a part of the right side.
            written = [_operator(tokens, i, "("), *(tokens.token(at) for at in range(left[0], left[1] + 1))]
            written += [_word(tokens, i, word) for word in ("is", "not", "distinct", "from")]
            written += [
                *(tokens.token(at) for at in range(right[0], right[1] + 1)),
                _operator(tokens, i, ")"),
            ]
            found.append((left[0], right[1], written))
    return found


def _sole_operand(tokens: Tokens, i: int, step: int) -> tuple[int, int] | None:
    """First and last token of what stands before or behind the operator, up to AND or the end of the clause."""
    at = i + step
    while (
        0 <= at < tokens.count
        and tokens.opener[at] == tokens.opener[i]
        and tokens.clause[at] == tokens.clause[i]
        and not tokens.is_word(at, "and", *_CLAUSES, *_JOINING)
        and not tokens.is_operator(at, ",")
    ):
        if tokens.match[at] >= 0:
            return None
        at += step
    first, last = (at + 1, i - 1) if step < 0 else (i + 1, at - 1)
    return (first, last) if first <= last else None


def _is_column(tokens: Tokens, operand: tuple[int, int]) -> bool:
    first, last = operand
    if (last - first) % 2 or last - first > 6:
        return False
    return all(
        tokens.is_operator(i, ".") if (i - first) % 2 else tokens.is_name(i) for i in range(first, last + 1)
    ) and not tokens.is_word(first, "null", "true", "false")


def _is_known(tokens: Tokens, operand: tuple[int, int], parameters: Sequence[object]) -> bool:
    """Whether it is one literal, and not NULL."""
    first, last = operand
    if tokens.is_operator(first, "-", "+") or (
        tokens.is_word(first, "date", "time", "timestamp") and first < last
    ):
        first += 1
    if first != last or tokens.kinds[first] in (OPERATOR, QUOTED):
        return False
    if tokens.kinds[first] == PARAMETER:
        number = int(tokens.values[first])  # type: ignore[call-overload]
        return number < len(parameters) and parameters[number] is not None
    return tokens.kinds[first] != WORD or tokens.is_word(first, "true", "false")


def _feeds_clause(tokens: Tokens, i: int) -> bool:
    """Whether it is one of the conditions of an ON, or of the WHERE of a subquery, brackets around them or not."""
    while _is_condition(tokens, i):
        opening, clause = tokens.opener[i], tokens.clause[i]
        if clause in _CLAUSES:
            return clause == "on" or opening >= 0
        if (
            clause != ""
            or opening < 1
            or not (tokens.is_operator(opening - 1, "(") or tokens.is_word(opening - 1, "and", *_CLAUSES))
        ):
            return False
        i = opening
    return False


def _is_condition(tokens: Tokens, i: int) -> bool:
    """Whether nothing but AND joins it to what is beside it in the clause, so that FALSE and NULL come to the same."""
    for step in (-1, 1):
        at = i
        while (
            0 <= at < tokens.count
            and tokens.opener[at] == tokens.opener[i]
            and tokens.clause[at] == tokens.clause[i]
        ):
            if tokens.is_word(at, "or", "not", "case", "end", "between", "is") and not tokens.is_operator(
                at - 1, "."
            ):
                return False
            partner = tokens.match[at]
            at = (partner if partner >= 0 and (partner - at) * step > 0 else at) + step
    return True


def _word(tokens: Tokens, at: int, word: str) -> Token:
    return WORD, tokens.starts[at], tokens.stops[at], word


def _operator(tokens: Tokens, at: int, text: str) -> Token:
    return OPERATOR, tokens.starts[at], tokens.stops[at], text
