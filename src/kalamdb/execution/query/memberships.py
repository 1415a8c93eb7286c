"""`x IN (…)`, written in other words where DataFusion would answer it wrongly.

It merges two lists for one `x` as if all their items were literals, so every other item is compared by itself:
`x IN (y, 1)` is `(x IN (1) OR x = (y))`. And it takes NULL for FALSE where the answer of a subquery is one condition
among others, which matters where FALSE and NULL come to different ends: below NOT, or in a comparison. There it
becomes EXISTS of an equal row, or else NULL where x or any row is NULL.

Done on tokens before anything else is, for a copy of a token is rewritten as the token is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kalamcore.statements import OPERATOR, QUOTED, WORD
from kalamdb.errors import NotSupportedError, StatementTooLarge
from kalamdb.execution.query.tokens import Token, Tokens, TokenWriter

TOKENS_MAX = 200_000
"""Of a query in which subqueries of NOT IN, one in the other, were written three times each."""

COMPARED_MAX = 100
"""Items of a list that are compared by themselves. DataFusion plans a longer chain of OR for seconds, and minutes; a
longer list stays as it is, and may meet another one for the same x."""

BEFORE_OPERAND = (
    "and", "or", "not", "when", "then", "else", "case", "where", "on", "having", "select", "distinct", "all",
    "qualify", "by",
)  # fmt: skip
_WEAKER = ("like", "ilike", "similar", "between", "from", "regexp", "rlike")
_CONDITIONS = ("where", "on", "having", "qualify")
_ANSWERED, _ANSWER = " answered", " answer"
"""Names that no query has."""


@dataclass(frozen=True, slots=True)
class _Membership:
    """`x [NOT] IN (…)` by its tokens: where x begins, IN, and the brackets; whether it is NOT IN."""

    begin: int
    word: int
    opening: int
    closing: int
    negated: bool

    @property
    def end(self) -> int:
        """The last token of x."""
        return self.word - 1 - self.negated


def with_sound_memberships(
    tokens: Tokens, sql: str, is_volatile: Callable[[str], bool]
) -> tuple[Tokens, int]:
    """The same query, and how many subqueries were written otherwise. `is_volatile`: whether a function of this name
    answers anew at each call, so that it cannot be called twice for one.

    Raises StatementTooLarge beyond TOKENS_MAX, NotSupportedError for NOT IN with a subquery that names columns of the
    query around it.
    """
    subqueries = 0
    while True:
        # What is inside of one that is written anew is written anew before, or as often as it was copied, after.
        written: list[tuple[_Membership, list[Token]]] = []
        begin = tokens.count
        for at in range(tokens.count - 1, 0, -1):
            found = _read(tokens, at) if tokens.is_word(at, "in") else None
            if found is None or found.closing >= begin or _calls_volatile(tokens, found, is_volatile):
                continue
            if tokens.is_word(found.opening + 1, "select", "with", "values"):
                matters, negated = _null_matters(tokens, found)
                if negated:
                    _check_alone(tokens, found)
                if not matters:
                    continue
                written.append((found, _of_subquery(tokens, found)))
                subqueries += 1
            else:
                items = tokens.arguments(found.opening)
                compared = [item for item in items if not _is_literal(tokens, *item)]
                if not 0 < len(compared) <= COMPARED_MAX:
                    continue
                literals = [item for item in items if _is_literal(tokens, *item)]
                written.append((found, _of_list(tokens, found, literals, compared)))
            begin = found.begin
        if not written:
            return tokens, subqueries
        position = tokens.starts[written[-1][0].word]
        tokens = tokens.replaced([(one.begin, one.closing, text) for one, text in reversed(written)]).read(
            sql
        )
        if tokens.count > TOKENS_MAX:
            raise StatementTooLarge(
                f"the query comes to more than {TOKENS_MAX:,} tokens where IN is written out; name its lists and "
                "subqueries in a WITH, or write NOT EXISTS for NOT IN",
                position=position,
            )


def _read(tokens: Tokens, word: int) -> _Membership | None:
    """None where it is no IN of ours, or x cannot be told for sure."""
    if not tokens.is_operator(word + 1, "(") or tokens.match[word + 1] < 0:
        return None
    negated = tokens.is_word(word - 1, "not")
    begin = _begin_of_operand(tokens, word - 1 - negated)
    if begin is None or tokens.is_word(tokens.opener[word] - 1, "position"):
        return None
    found = _Membership(begin, word, word + 1, tokens.match[word + 1], negated)
    is_row = tokens.match[begin] == found.end and len(tokens.arguments(begin)) != 1
    is_empty = found.closing == found.opening + 1
    return None if is_row or is_empty else found


def _begin_of_operand(tokens: Tokens, last: int) -> int | None:
    """The first token of the operand that ends at `last`."""
    i, cases = last, 0
    while i >= 0 and tokens.opener[i] == tokens.opener[last] and not tokens.is_operator(i, ",", "=>"):
        if 0 <= tokens.match[i] < i:
            i = tokens.match[i] - 1
            continue
        if tokens.is_word(i, "end") and not tokens.is_operator(i - 1, "."):
            cases += 1
        elif cases:
            cases -= tokens.is_word(i, "case")
        elif tokens.is_word(i, *_WEAKER):
            return None
        elif tokens.is_word(i, *BEFORE_OPERAND) and not tokens.is_word(i + 1, "in"):
            if tokens.is_word(i - 1, "is") or (tokens.is_word(i, "and") and ends_between(tokens, i)):
                return None
            break
        i -= 1
    return i + 1 if i < last else None


def ends_between(tokens: Tokens, i: int) -> bool:
    """Whether the AND at `i` is that of a BETWEEN."""
    before = i - 1
    while before >= 0 and tokens.opener[before] == tokens.opener[i]:
        if tokens.is_word(before, "between"):
            return True
        if tokens.is_word(before, "and", "or", "where", "on", "having", "when", "select"):
            return False
        before -= 1
    return False


def _calls_volatile(tokens: Tokens, found: _Membership, is_volatile: Callable[[str], bool]) -> bool:
    return any(
        tokens.is_name(i) and tokens.is_operator(i + 1, "(") and is_volatile(str(tokens.values[i]))
        for i in range(found.begin, found.end)
    )


def _is_literal(tokens: Tokens, first: int, last: int) -> bool:
    """Whether the tokens from `first` to before `last` are one literal, parameters among them."""
    if tokens.is_operator(first, "-", "+"):
        first += 1
    if tokens.is_word(first, "date", "time", "timestamp") and first + 1 < last:
        first += 1
    if last != first + 1 or tokens.kinds[first] in (OPERATOR, QUOTED):
        return False
    return tokens.kinds[first] != WORD or tokens.is_word(first, "null", "true", "false")


def _null_matters(tokens: Tokens, found: _Membership) -> tuple[bool, bool]:
    """Whether it makes a difference that a subquery's answer is NULL and not FALSE, and DataFusion does not see it; and
    whether it would make any if DataFusion did not.

    It makes none where WHERE is fed with it through AND and OR alone. Of NOT IN, alone or joined by AND, DataFusion
    makes a join that knows NULL.
    """
    first, last, negated, any_or = found.begin, found.closing, found.negated, False
    while True:
        while tokens.is_word(first - 1, "not"):
            first, negated = first - 1, not negated
        opening = tokens.opener[first]
        before, after = tokens.is_word(first - 1, "and", "or"), tokens.is_word(last + 1, "and", "or")
        begins = before or first - 1 == opening or tokens.is_word(first - 1, *_CONDITIONS)
        ends = after or last + 1 in (tokens.count, tokens.match[opening] if opening >= 0 else -1)
        if not begins or not (ends or tokens.clause[last + 1] != tokens.clause[last]):
            # Part of another expression: a comparison, CASE, IS NULL; or of no condition at all.
            matters = tokens.clause[first] in (*_CONDITIONS, "")
            return matters, matters
        if _in_case(tokens, first) or (before and ends_between(tokens, first - 1)):
            return True, True
        words = _connectives(tokens, first)
        any_or = any_or or "or" in words
        if tokens.clause[first] in _CONDITIONS:
            return negated and any_or, negated
        if opening < 0 or tokens.clause[first] != "":
            return False, False
        if not (
            opening == 0
            or tokens.is_operator(opening - 1, "(")
            or tokens.is_word(opening - 1, "and", "or", "not", *_CONDITIONS)
        ):
            return True, True
        if words and tokens.is_word(opening - 1, "not"):
            return True, True
        first, last = opening, tokens.match[opening]


def _check_alone(tokens: Tokens, found: _Membership) -> None:
    """Raises NotSupportedError where the subquery names a column by a table that it does not read: DataFusion's join
    takes a NULL of any row of it for one of the rows that belong to x."""
    inside = range(found.opening + 1, found.closing)
    read = {tokens.values[i] for i in inside if tokens.is_name(i) and tokens.clause[i] in ("from", "with")}
    for i in inside:
        qualifies = (
            tokens.is_name(i) and tokens.is_operator(i + 1, ".") and not tokens.is_operator(i - 1, ".")
        )
        if qualifies and tokens.clause[i] != "from" and tokens.values[i] not in read:
            raise NotSupportedError(
                "NOT IN with a subquery that names columns of the query around it is not supported; use NOT EXISTS",
                position=tokens.starts[i],
            )


def _in_case(tokens: Tokens, i: int) -> bool:
    """Whether a CASE of the same level is open before token `i`."""
    cases, at = 0, i - 1
    while at >= 0 and tokens.opener[at] == tokens.opener[i]:
        if 0 <= tokens.match[at] < at:
            at = tokens.match[at]
        elif tokens.is_word(at, "end"):
            cases += 1
        elif tokens.is_word(at, "case"):
            cases -= 1
            if cases < 0:
                return True
        at -= 1
    return False


def _connectives(tokens: Tokens, i: int) -> set[str]:
    """Which of AND and OR stand at the level and in the clause of token `i`."""
    found = set()
    for step in (-1, 1):
        at = i
        while 0 <= at < tokens.count and tokens.opener[at] == tokens.opener[i]:
            if tokens.clause[at] != tokens.clause[i]:
                break
            if tokens.is_word(at, "and", "or"):
                found.add(str(tokens.values[at]))
            partner = tokens.match[at]
            at = (partner if partner >= 0 and (partner - at) * step > 0 else at) + step
    return found


def _of_list(
    tokens: Tokens, found: _Membership, literals: list[tuple[int, int]], compared: list[tuple[int, int]]
) -> list[Token]:
    writer = TokenWriter(tokens, found.word)
    writer.words("( not (" if found.negated else "(")
    if literals:
        writer.copy(found.begin, found.end).words("in (")
        for number, (first, last) in enumerate(literals):
            if number:
                writer.words(",")
            writer.written += [tokens.token(i) for i in range(first, last)]
        writer.words(")")
    for number, (first, last) in enumerate(compared):
        if number or literals:
            writer.words("or")
        writer.copy(found.begin, found.end).words("=").copy(first, last - 1)
    return writer.words(") )" if found.negated else ")").written


def _of_subquery(tokens: Tokens, found: _Membership) -> list[Token]:
    def subject(writer: TokenWriter) -> TokenWriter:
        return writer.copy(found.begin, found.end)

    def rows(writer: TokenWriter) -> TokenWriter:
        return writer.copy(found.opening + 1, found.closing - 1)

    def row(writer: TokenWriter) -> TokenWriter:
        """exists ( select true from (…) as a ( b ) where b"""
        rows(writer.words("exists ( select true from")).words("as").name(_ANSWERED).words("(").name(_ANSWER)
        return writer.words(") where").name(_ANSWER)

    writer = TokenWriter(tokens, found.word).words("( not (" if found.negated else "(")
    subject(row(writer).words("=")).words(") or ( cast ( null as boolean ) and ( (")
    # One row is enough to tell, and a join with one row is none that is refused for its size.
    rows(subject(writer).words("is null and exists ( select true from")).words("as").name(_ANSWERED)
    writer.words("limit 1 ) ) or")
    row(writer).words("is null limit 1 ) ) ) )")
    return writer.words(")").written if found.negated else writer.written
