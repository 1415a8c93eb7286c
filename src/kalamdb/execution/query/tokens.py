"""A query as tokens that can be changed, and printed again for DataFusion.

It is printed from what our scanner understood, never copied: comments are gone, every string and quoted name is
quoted anew, so that nothing can be read by DataFusion otherwise than by us. Where each token stood is remembered, so
that an error in the printed text can be shown in the original.
"""

from __future__ import annotations

from collections.abc import Iterable

from kalamcore.statements import BYTES, OPERATOR, PARAMETER, QUOTED, STRING, WORD, Scan

Token = tuple[int, int, int, object]
"""Kind, first and one past the last character, value: as the scanner tells."""

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())

_CLAUSES = {
    "select": "select", "from": "from", "where": "where", "group": "group", "having": "having", "order": "order",
    "limit": "limit", "offset": "limit", "fetch": "limit", "qualify": "qualify", "window": "window", "on": "on",
    "using": "using", "union": "set", "intersect": "set", "except": "set", "values": "values", "with": "with",
    "join": "from", "into": "into",
}  # fmt: skip


class Tokens:
    """The tokens of one statement, `first` to the end.

    `texts[i]` is what is printed for token i, between `before[i]` and `after[i]`; passes change these. `match[i]` is
    the partner of a bracket, -1 for other tokens. `opener[i]` is the innermost bracket that token i stands in, -1 at
    the top. `clause[i]` is the clause, at the same depth, that the token stands in or begins.
    """

    __slots__ = (
        "_written", "after", "before", "clause", "count", "kinds", "match", "opener", "starts", "stops", "texts",
        "values",
    )  # fmt: skip

    def __init__(self, scan: Scan, first: int = 0) -> None:
        self._begin(scan.tokens[first:])

    def _begin(self, tokens: list[Token]) -> None:
        while tokens and tokens[-1][0] == OPERATOR and tokens[-1][3] == ";":
            tokens.pop()
        self.count = len(tokens)
        self.kinds = [token[0] for token in tokens]
        self.starts = [token[1] for token in tokens]
        self.stops = [token[2] for token in tokens]
        self.values = [token[3] for token in tokens]
        self.texts: list[str] = []
        self._written: list[str] = []
        self.before = [""] * self.count
        self.after = [""] * self.count
        self.match = [-1] * self.count
        self.opener = [-1] * self.count
        self.clause = [""] * self.count

    def read(self, sql: str) -> Tokens:
        """Fill in texts, brackets and clauses."""
        texts, kinds, values = self.texts, self.kinds, self.values
        openers: list[int] = []
        clauses: list[str] = [""]
        for i in range(self.count):
            kind, value = kinds[i], values[i]
            self.opener[i] = openers[-1] if openers else -1
            if kind == WORD:
                texts.append(str(value))
                clause = _CLAUSES.get(str(value))
                if clause is not None and self._begins_clause(i):
                    clauses[-1] = clause
            elif kind == OPERATOR:
                texts.append(str(value))
                if value in _OPENING:
                    openers.append(i)
                    self.clause[i] = clauses[-1]
                    clauses.append("")
                    continue
                if value in _CLOSING and openers:
                    opening = openers.pop()
                    clauses.pop()
                    self.match[opening], self.match[i] = i, opening
                    self.opener[i] = self.opener[opening]
            elif kind == QUOTED:
                texts.append(quoted_name(str(value)))
            elif kind == STRING:
                texts.append(quoted_text(str(value)))
            elif kind == BYTES:
                texts.append(f"X'{bytes(value).hex()}'")  # type: ignore[call-overload]
            elif kind == PARAMETER:
                texts.append(f"${int(value) + 1}")  # type: ignore[call-overload]
            else:
                texts.append(sql[self.starts[i] : self.stops[i]])
            self.clause[i] = clauses[-1]
        self._written = list(texts)
        for i, kind in enumerate(kinds):
            if kind == PARAMETER:
                self._written[i] = sql[self.starts[i] : self.stops[i]]
        return self

    def _begins_clause(self, i: int) -> bool:
        """Whether the clause's word is not part of something else: IS DISTINCT FROM, WITHIN GROUP, t.limit, AS x."""
        if i == 0:
            return True
        word, previous = self.values[i], self.values[i - 1]
        if self.kinds[i - 1] == OPERATOR and previous == ".":
            return False
        if word == "from" and previous == "distinct":
            return not (i > 1 and self.values[i - 2] in ("is", "not"))
        if word == "group":
            return previous != "within"
        if word == "except":
            return not (self.kinds[i - 1] == OPERATOR and previous == "*")
        return not (self.kinds[i - 1] == WORD and previous == "as")

    def token(self, i: int) -> Token:
        """Token i as the scanner told it."""
        return self.kinds[i], self.starts[i], self.stops[i], self.values[i]

    def replaced(self, spans: Iterable[tuple[int, int, list[Token]]]) -> Tokens:
        """Others in the place of the tokens `first` to `last`, both included, of each span in order; to be read."""
        tokens: list[Token] = []
        at = 0
        for first, last, others in spans:
            tokens += [self.token(i) for i in range(at, first)]
            tokens += others
            at = last + 1
        tokens += [self.token(i) for i in range(at, self.count)]
        changed = Tokens.__new__(Tokens)
        changed._begin(tokens)
        return changed

    def is_word(self, i: int, *words: str) -> bool:
        """Whether token i is one of these unquoted words."""
        return 0 <= i < self.count and self.kinds[i] == WORD and self.values[i] in words

    def is_operator(self, i: int, *operators: str) -> bool:
        """Whether token i is one of these operators or punctuation marks."""
        return 0 <= i < self.count and self.kinds[i] == OPERATOR and self.values[i] in operators

    def is_name(self, i: int) -> bool:
        """Whether token i is a word or a quoted name."""
        return 0 <= i < self.count and self.kinds[i] in (WORD, QUOTED)

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """First and one past the last token of each argument between the bracket at `opening` and its partner."""
        closing = self.match[opening]
        if closing == opening + 1:
            return []
        parts, start = [], opening + 1
        for i in range(opening + 1, closing):
            if self.opener[i] == opening and self.is_operator(i, ","):
                parts.append((start, i))
                start = i + 1
        parts.append((start, closing))
        return parts

    def clear(self, first: int, last: int) -> None:
        """Print nothing for the tokens `first` to `last`, both included."""
        for i in range(first, last + 1):
            self.texts[i] = self.before[i] = self.after[i] = ""

    def source(self, first: int, last: int) -> str:
        """The tokens `first` to `last` as they were written, comments left out and words folded."""
        parts = []
        for i in range(first, last + 1):
            if i > first and self.starts[i] != self.stops[i - 1]:
                parts.append(" ")
            parts.append(self._written[i])
        return "".join(parts)

    def print(self) -> str:
        """The text for DataFusion."""
        parts: list[str] = []
        end = -1
        for i in range(self.count):
            if i and self._is_apart(i, end):
                parts.append(" ")
            parts.append(self.before[i])
            parts.append(self.texts[i])
            parts.append(self.after[i])
            end = self.stops[i]
        return "".join(parts)

    def _is_apart(self, i: int, end: int) -> bool:
        """Whether a space stands before token i. Tokens that were put in another's place all begin where that did."""
        return (
            self.starts[i] != end
            or self.kinds[i] == STRING
            or (self.kinds[i] != OPERATOR and self.kinds[i - 1] != OPERATOR)
        )

    def at(self, offset: int) -> int:
        """The original position, in characters, of a place in the printed text."""
        printed, end = 0, -1
        for i in range(self.count):
            if i and self._is_apart(i, end):
                printed += 1
            printed += len(self.before[i]) + len(self.texts[i]) + len(self.after[i])
            if offset < printed:
                return self.starts[i]
            end = self.stops[i]
        return self.stops[-1] if self.count else 0

    def position_of(self, name: str) -> int | None:
        """Where a name first stands in the original text, or None."""
        for i in range(self.count):
            if self.kinds[i] in (WORD, QUOTED) and self.values[i] == name:
                return self.starts[i]
        return None


class TokenWriter:
    """Tokens to stand where others stood. In an error they have the place of token `at`."""

    def __init__(self, tokens: Tokens, at: int) -> None:
        self.tokens = tokens
        self.place = tokens.starts[at], tokens.stops[at]
        self.written: list[Token] = []

    def words(self, text: str) -> TokenWriter:
        """Words, operators and brackets, with a space between any two."""
        for one in text.split(" "):
            self.written.append((WORD if one.isalpha() else OPERATOR, *self.place, one))
        return self

    def name(self, name: str) -> TokenWriter:
        """A quoted name."""
        self.written.append((QUOTED, *self.place, name))
        return self

    def copy(self, first: int, last: int) -> TokenWriter:
        """The tokens `first` to `last`, both included, in brackets."""
        self.words("(")
        self.written += [self.tokens.token(i) for i in range(first, last + 1)]
        return self.words(")")


def quoted_name(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """The text as a string literal."""
    return "'" + text.replace("'", "''") + "'"
