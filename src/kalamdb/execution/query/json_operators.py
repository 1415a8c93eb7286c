"""`->` and `->>`, which DataFusion does not have, written as calls of our functions.

`document -> key -> key ->> key` becomes nested calls. The operators bind tighter than arithmetic and comparison and
looser than `::` and `.`: an operand is a name, literal, parameter, call or parenthesised expression, with its
subscripts and casts.
"""

from __future__ import annotations

from collections.abc import Callable

from kalamcore.statements import INTEGER, NUMBER, OPERATOR, QUOTED, WORD
from kalamdb.errors import InvalidSyntax, StatementTooLarge
from kalamdb.execution.query.tokens import Tokens

LINKS_MAX = 100
FUNCTIONS = {"->": "json_get_json", "->>": "json_get_str"}

# Words after which a parenthesis opens an expression, and is no call's.
_NO_FUNCTIONS = frozenset(
    {
        "select", "where", "and", "or", "not", "in", "on", "having", "by", "when", "then", "else",
        "case", "from", "join", "as", "values", "union", "all", "distinct", "exists", "like",
        "ilike", "between", "is", "any", "some", "using", "limit", "offset", "qualify", "intersect",
        "except", "returning", "over", "filter", "end", "set", "escape",
    }
)  # fmt: skip
_TYPE_TAILS = frozenset({"precision", "varying", "with", "without", "time", "zone", "unsigned"})


Call = Callable[[str, int, int], str]
"""`call(name, first, last)`: the beginning of a call of the function, up to its first argument; its key stands at the
tokens `first` to `last`, that one left out."""


def rewrite_json_operators(tokens: Tokens, call: Call) -> None:
    """Change the tokens. Raises InvalidSyntax for an operator without its operands."""
    _walk(tokens, 0, tokens.count, call)


def _walk(tokens: Tokens, i: int, stop: int, call: Call) -> None:
    """Rewrite the chains that begin between two tokens."""
    while i < stop:
        if tokens.is_operator(i, *FUNCTIONS):
            raise InvalidSyntax(
                f'syntax error at or near "{tokens.values[i]}": it needs a JSON document before it',
                position=tokens.starts[i],
            )
        end = _operand_end(tokens, i)
        if end is not None and end < stop and tokens.is_operator(end, *FUNCTIONS):
            i = _chain(tokens, i, end, call)
        else:
            i += 1 if end is None else _step(tokens, i, end)


def _step(tokens: Tokens, i: int, end: int) -> int:
    """How far to go after an operand that no operator of ours follows: inside it there may be some."""
    if tokens.is_word(i, "case"):
        return 1
    for inner in range(i, end):
        if tokens.match[inner] > inner:
            return inner + 1 - i
    return end - i


def _chain(tokens: Tokens, start: int, end: int, call: Call) -> int:
    """Rewrite `start … -> … ->> …`; the index after it."""
    _inside(tokens, start, end, call)
    links = 0
    while tokens.is_operator(end, *FUNCTIONS):
        operator = end
        links += 1
        if links > LINKS_MAX:
            raise StatementTooLarge(
                f"more than {LINKS_MAX} of -> and ->> in one chain", position=tokens.starts[operator]
            )
        key = end + 1
        key_end = _operand_end(tokens, key)
        if key_end is None:
            raise InvalidSyntax(
                f'syntax error at or near "{tokens.values[operator]}": it needs a key after it',
                position=tokens.starts[operator],
            )
        _inside(tokens, key, key_end, call)
        tokens.before[start] = (
            call(FUNCTIONS[str(tokens.values[operator])], key, key_end) + tokens.before[start]
        )
        tokens.texts[operator] = ","
        tokens.after[key_end - 1] += ")"
        end = key_end
    return end


def _inside(tokens: Tokens, start: int, end: int, call: Call) -> None:
    """Rewrite what stands in the parentheses of an operand, or between its CASE and END."""
    if tokens.is_word(start, "case"):
        _walk(tokens, start + 1, end, call)
        return
    i = start
    while i < end:
        closing = tokens.match[i]
        if closing > i:
            _walk(tokens, i + 1, closing, call)
            i = closing
        i += 1


def _operand_end(tokens: Tokens, i: int) -> int | None:
    """One past the operand that begins at i, or None if none begins there."""
    if i >= tokens.count:
        return None
    kind = tokens.kinds[i]
    if kind == OPERATOR:
        if tokens.is_operator(i, "-") and i + 1 < tokens.count and tokens.kinds[i + 1] in (INTEGER, NUMBER):
            # A sign only where an operand is due; after one it is a subtraction.
            return _postfix_end(tokens, i + 2) if _due(tokens, i) else None
        if not tokens.is_operator(i, "(", "[") or tokens.match[i] < 0:
            return None
        return _postfix_end(tokens, tokens.match[i] + 1)
    if kind == WORD and tokens.values[i] == "case":
        return _postfix_end(tokens, _case_end(tokens, i))
    end = i + 1
    if kind in (WORD, QUOTED):
        while tokens.is_operator(end, ".") and tokens.is_name(end + 1):
            end += 2
        if tokens.is_operator(end, "(") and tokens.match[end] > 0:
            if kind == WORD and end == i + 1 and tokens.values[i] in _NO_FUNCTIONS:
                return None
            end = tokens.match[end] + 1
    return _postfix_end(tokens, end)


def _due(tokens: Tokens, i: int) -> bool:
    return i == 0 or tokens.is_operator(i - 1, *FUNCTIONS, "(", ",", "[")


def _postfix_end(tokens: Tokens, end: int) -> int:
    """Past subscripts and casts."""
    while True:
        if tokens.is_operator(end, "[") and tokens.match[end] > 0:
            end = tokens.match[end] + 1
        elif tokens.is_operator(end, "::") and tokens.is_name(end + 1):
            end += 2
            while end < tokens.count and tokens.kinds[end] == WORD and tokens.values[end] in _TYPE_TAILS:
                end += 1
            if tokens.is_operator(end, "(") and tokens.match[end] > 0:
                end = tokens.match[end] + 1
        else:
            return end


def _case_end(tokens: Tokens, i: int) -> int:
    depth = 0
    for end in range(i, tokens.count):
        if tokens.is_word(end, "case"):
            depth += 1
        elif tokens.is_word(end, "end"):
            depth -= 1
            if depth == 0:
                return end + 1
    return tokens.count
