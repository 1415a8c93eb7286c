"""From the scanner's tokens to the grammar's terminals.

A word is a keyword only where the grammar, as far as it has come, asks for that keyword; everywhere else it
is a name. So nothing is reserved that need not be. What DataFusion reads (queries, subqueries, its own
syntax in expressions) becomes one token that holds the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark.common import LexerConf
from lark.lexer import Lexer, LexerState
from lark.lexer import Token as LarkToken
from lark.parsers.lalr_analysis import Shift

from kalamdb.errors import InvalidSyntax
from kalamdb.sql.rules import NeedsText, RawToken, Reading, Token

WORD, QUOTED, STRING, BYTES, INTEGER, NUMBER, PARAMETER, OPERATOR = range(1, 9)

_TERMINALS = {
    QUOTED: "NAME",
    STRING: "STRING",
    BYTES: "BYTES",
    INTEGER: "INTEGER",
    NUMBER: "NUMBER",
    PARAMETER: "PARAMETER",
}

# A keyword is one only before one of these words; where another follows, it is a name.
_ONLY_BEFORE: dict[str, set[object]] = {
    "if": {"not", "exists"},
    "primary": {"key"},
    "cast": {"("},
    "default": {",", ")", "returning", "where", "values", "on", ";", None},
}

_TYPED = frozenset(
    {"interval", "timestamp", "timestamptz", "datetime", "date", "time", "uuid", "json", "jsonb"}
)
_UNITS = frozenset(
    unit + plural
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")
    for plural in ("", "s")
)
_QUERY_WORDS = frozenset({"select", "with", "values"})
_QUERY_GOES_ON = ("union", "intersect", "except", "order", "limit", "offset")
# Syntax of DataFusion's that looks like a function: always, or with one of these words among its arguments.
_OPAQUE_CALLS = frozenset({"exists", "extract", "try_cast", "any", "all", "some", "array", "unnest"})
_OPAQUE_WITH = {
    "substring": {"from", "for"},
    "substr": {"from", "for"},
    "trim": {"both", "leading", "trailing", "from"},
    "position": {"in"},
    "overlay": {"placing"},
    "ceil": {"to"},
    "floor": {"to"},
}


class StatementLexer(Lexer):
    """The grammar's lexer. What it is given as text is a Reading."""

    # The parser generator hands over its own state to lexers that say this.
    __future_interface__ = 2

    def __init__(self, conf: LexerConf) -> None:
        literal = [t for t in conf.terminals if t.pattern is not None and t.pattern.type == "str"]
        self.keywords = {t.pattern.value.lower(): t.name for t in literal if t.pattern.value[0].isalpha()}
        self.operators = {t.pattern.value: t.name for t in literal if not t.pattern.value[0].isalpha()}

    def lex(self, lexer_state: LexerState, parser_state: Any) -> Iterator[LarkToken]:
        reading: Reading = lexer_state.text  # type: ignore[assignment]
        at = 0
        while at < len(reading.tokens):
            token, at = self._next(reading, at, parser_state)
            reading.current = token
            # The parser reduces rules while it looks at this token, so its end counts only afterwards.
            yield token  # type: ignore[misc]
            reading.previous_end = token.end_pos
        reading.current = None

    def _next(self, reading: Reading, at: int, parser_state: Any) -> tuple[Token, int]:
        """The terminal at raw token `at`, and where the next one begins."""
        tokens = reading.tokens
        kind, start, end, value = tokens[at]
        accepted = parser_state.parse_conf.states[parser_state.state_stack[-1]]
        if "CONDITION" in accepted and not _is_word(tokens, at, "returning"):
            stop = condition_end(tokens, at)
            assert reading.read_condition is not None
            condition = reading.read_condition(reading, at, stop)
            return Token("CONDITION", condition, start, tokens[stop - 1][2]), stop
        if kind == WORD:
            return self._word(reading, at, accepted, parser_state)
        if kind == OPERATOR:
            if value == "(":
                if "ROWS" in accepted and reading.literal_rows:
                    stop = rows_end(tokens, at)
                    return Token("ROWS", None, start, tokens[stop - 1][2]), stop
                if begins_query(tokens, at):
                    if "QUERY" in accepted:
                        return self._text("QUERY", reading, at, query_end(tokens, at))
                    if "SUBQUERY" in accepted and is_subquery(tokens, at):
                        return self._text("SUBQUERY", reading, at, behind(tokens, at))
            elif value in "[{" and "OPAQUE" in accepted:
                return self._text("OPAQUE", reading, at, behind(tokens, at))
            return Token(self.operators.get(value, "NO_OPERATOR"), value, start, end), at + 1
        return Token(_TERMINALS[kind], value, start, end, reading.lifted.get(at)), at + 1

    def _word(self, reading: Reading, at: int, accepted: Any, parser_state: Any) -> tuple[Token, int]:
        tokens = reading.tokens
        _, start, end, word = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if (
            "QUERY" in accepted
            and begins_query(tokens, at)
            and not (word == "values" and "VALUES" in accepted)
        ):
            return self._text("QUERY", reading, at, query_end(tokens, at))
        if "NOT_NULL" in accepted and word == "not" and _is_word(tokens, at + 1, "null"):
            return Token("NOT_NULL", None, start, tokens[at + 1][2]), at + 2
        if following is not None and "TYPED" in accepted:
            if word in _TYPED and (
                following[0] == STRING or (word == "interval" and following[0] == INTEGER)
            ):
                stop = _unit_end(tokens, at + 2) if word == "interval" else at + 2
                _keep_literals(reading, at, stop)
                text = str(following[3])
                typed = (word, text, reading.source(start, tokens[stop - 1][2]))
                return Token("TYPED", typed, start, tokens[stop - 1][2]), stop
            if following[3] in ("(", "[") and following[0] == OPERATOR:
                stop = closing(tokens, at + 1) + 1
                if word in _OPAQUE_CALLS or any(
                    _is_word(tokens, i, mark)
                    for mark in _OPAQUE_WITH.get(word, ())
                    for i in range(at + 2, stop)
                ):
                    return self._text("OPAQUE", reading, at, behind(tokens, at + 1))
        keyword = self.keywords.get(word)
        if word.startswith("current_") and following is not None and following[3] == "(":
            # With parentheses it is a function like any other.
            keyword = None
        if keyword is not None and keyword in accepted:
            wanted: set[object] | None = _ONLY_BEFORE.get(word)
            fits = (
                wanted is None
                or (following[3] if following and following[0] in (WORD, OPERATOR) else None) in wanted
            )
            if (fits or not shifts(parser_state, "NAME")) and shifts(parser_state, keyword):
                return Token(keyword, word, start, end), at + 1
        return Token("NAME", word, start, end), at + 1

    def _text(self, type: str, reading: Reading, at: int, stop: int) -> tuple[Token, int]:
        """Raw tokens `at` to `stop` as one terminal whose value is their text."""
        _keep_literals(reading, at, stop)
        start, end = reading.tokens[at][1], reading.tokens[stop - 1][2]
        return Token(type, reading.source(start, end), start, end), stop


def _keep_literals(reading: Reading, at: int, stop: int) -> None:
    """Raises NeedsText when raw tokens `at` to `stop`, which are kept as text, have lifted literals among
    them."""
    if reading.lifted and any(index in reading.lifted for index in range(at, stop)):
        raise NeedsText


def shifts(parser_state: Any, terminal: str) -> bool:
    """Whether the parser would take this terminal next, once it has reduced what it can. Its table alone
    promises too much: it knows what may follow a rule anywhere, not here."""
    states = parser_state.parse_conf.states
    stack = None
    while True:
        position = stack[-1] if stack else parser_state.state_stack[-1]
        if terminal not in states[position]:
            return False
        action, argument = states[position][terminal]
        if action is Shift:
            return True
        if stack is None:
            stack = list(parser_state.state_stack)
        if argument.expansion:
            del stack[-len(argument.expansion) :]
        stack.append(states[stack[-1]][argument.origin.name][1])


def _is_word(tokens: Any, at: int, word: str) -> bool:
    return at < len(tokens) and tokens[at][0] == WORD and tokens[at][3] == word


def _is_operator(token: RawToken, characters: str) -> bool:
    return token[0] == OPERATOR and token[3] in characters


def begins_query(tokens: Any, at: int) -> bool:
    """Whether a query begins here, perhaps behind parentheses."""
    while at < len(tokens) and _is_operator(tokens[at], "("):
        at += 1
    if at >= len(tokens) or tokens[at][0] != WORD or tokens[at][3] not in _QUERY_WORDS:
        return False
    # A column may be named `values`; a query of that name goes on with a parenthesis.
    return tokens[at][3] != "values" or (at + 1 < len(tokens) and _is_operator(tokens[at + 1], "("))


def is_subquery(tokens: Any, at: int) -> bool:
    """Whether the parenthesis at `at`, behind which a query begins, holds nothing but that query: `((SELECT
    1) + 2)` is an expression."""
    if not _is_operator(tokens[at + 1], "("):
        return True
    after = closing(tokens, at + 1) + 1
    return any(_is_word(tokens, after, word) for word in _QUERY_GOES_ON)


def closing(tokens: Any, at: int) -> int:
    """The token that closes the parenthesis or bracket at `at`; the last token if none does."""
    depth = 0
    for index in range(at, len(tokens)):
        if _is_operator(tokens[index], "([{"):
            depth += 1
        elif _is_operator(tokens[index], ")]}"):
            depth -= 1
            if depth == 0:
                return index
    return len(tokens) - 1


def behind(tokens: Any, at: int) -> int:
    """Behind what stands between the parenthesis or bracket at `at` and the one that closes it. Raises InvalidSyntax
    where none does: the text of it is kept as it is, and nothing else would look."""
    stop = closing(tokens, at) + 1
    opened = sum(_is_operator(tokens[index], "([{") for index in range(at, stop))
    closed = sum(_is_operator(tokens[index], ")]}") for index in range(at, stop))
    if opened != closed:
        raise InvalidSyntax("syntax error at end of input; expected )", position=tokens[-1][2])
    return stop


def _until(tokens: Any, at: int, ends: Any) -> int:
    """The first token from `at` that stands in no parenthesis and `ends` it."""
    depth = 0
    for index in range(at, len(tokens)):
        if _is_operator(tokens[index], "([{"):
            depth += 1
        elif _is_operator(tokens[index], ")]}"):
            depth -= 1
        elif depth == 0 and ends(index):
            return index
    return len(tokens)


def condition_end(tokens: Any, at: int) -> int:
    """Where the condition that begins at `at` ends: at RETURNING, or with the statement."""
    return _until(tokens, at, lambda index: _is_word(tokens, index, "returning"))


def query_end(tokens: Any, at: int) -> int:
    """Where the query that begins at `at` ends: in an INSERT at ON CONFLICT or RETURNING, else with the
    statement."""
    if not _is_word(tokens, 0, "insert"):
        return len(tokens)
    return _until(
        tokens,
        at,
        lambda index: (
            _is_word(tokens, index, "returning")
            or (_is_word(tokens, index, "on") and _is_word(tokens, index + 1, "conflict"))
        ),
    )


def rows_end(tokens: Any, at: int) -> int:
    """Where the rows of VALUES that begin at `at` end."""
    while True:
        at = closing(tokens, at) + 1
        if at >= len(tokens) or not _is_operator(tokens[at], ","):
            return at
        at += 1


def _unit_end(tokens: Any, at: int) -> int:
    """Behind the unit of INTERVAL '1' DAY [TO HOUR], if one is there."""
    if at < len(tokens) and tokens[at][0] == WORD and tokens[at][3] in _UNITS:
        at += 1
        if _is_word(tokens, at, "to") and at + 1 < len(tokens) and tokens[at + 1][3] in _UNITS:
            at += 2
    return at
