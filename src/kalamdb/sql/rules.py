"""How a chapter's class answers the grammar: one method per rule, called with what the rule matched."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kalamdb.errors import UndefinedTable
from kalamdb.sql.names import CATALOGS, TableName
from kalamdb.types import DataType

RawToken = tuple[int, int, int, Any]
"""A token of the scanner: kind, start, end (in characters), value."""

PARAMETER_KIND = 7


class NeedsText(Exception):
    """The tree depends on the value of a lifted literal: it must be built, and kept, for this very text."""


class Token:
    """A terminal of the grammar: its value, and where it stands in the text. `lifted` is the index of a
    literal that was lifted out, or None."""

    __slots__ = ("end_pos", "lifted", "start_pos", "type", "value")

    # The parser generator asks its tokens for these; we count lines only when an error must be told.
    line = column = end_line = end_column = None

    def __init__(self, type: str, value: Any, start: int, end: int, lifted: int | None = None) -> None:
        self.type = type
        self.value = value
        self.start_pos = start
        self.end_pos = end
        self.lifted = lifted

    @property
    def fixed(self) -> Any:
        """The value, for a place where it shapes the tree. Raises NeedsText when it was lifted out."""
        if self.lifted is not None:
            raise NeedsText
        return self.value

    def __repr__(self) -> str:
        return f"{self.type}({self.value!r})"


class Quote(NamedTuple):
    """An expression, its source text, and where that begins."""

    expression: Any
    sql: str
    position: int


class Reading:
    """What the text is, and how far the parser has come in it. One object per parse.

    `lifted` maps the index of a token to that of its lifted literal; it is empty where literals stay in the
    tree. `literal_rows` tells that the rows of an INSERT were read by the scanner.
    """

    __slots__ = (
        "_question_marks",
        "current",
        "lifted",
        "literal_rows",
        "previous_end",
        "read_condition",
        "sql",
        "tokens",
    )

    def __init__(
        self,
        sql: str,
        tokens: Sequence[RawToken],
        lifted: Mapping[int, int] | None = None,
        literal_rows: bool = False,
        read_condition: Callable[[Reading, int, int], object] | None = None,
    ) -> None:
        self.sql = sql
        self.tokens = tokens
        self.lifted = lifted or {}
        self.literal_rows = literal_rows
        self.read_condition = read_condition
        self.current: Token | None = None
        """The token that the parser looks at, not yet part of any rule."""
        self.previous_end = 0
        """Where the last token that became part of a rule ended."""
        self._question_marks = [t for t in tokens if t[0] == PARAMETER_KIND and sql[t[1]] == "?"]

    def source(self, start: int, end: int) -> str:
        """That part of the text, each `?` as `$n`: cut out of its statement it would be counted anew."""
        pieces = []
        for token in self._question_marks[bisect_left(self._question_marks, start, key=_start) :]:
            if token[1] >= end:
                break
            pieces += [self.sql[start : token[1]], f"${token[3] + 1}"]
            start = token[2]
        pieces.append(self.sql[start:end])
        return "".join(pieces)


def _start(token: RawToken) -> int:
    return token[1]


def spread(method: Callable[..., Any], name: str, children: Sequence[Any], meta: object) -> Any:
    """Calls a rule's method with the rule's parts as arguments."""
    return method(*children)


class Rules:
    """Base of the chapters' classes: each public method is named for a rule and receives its parts as
    arguments.

    The parser looks for `visit_wrapper` on a method to learn how to call it. Setting it here, rather than
    with the parser generator's own decorator, keeps that library out of `import kalamdb`.
    """

    reading: Reading

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, method in vars(cls).items():
            if not name.startswith("_") and callable(method):
                method.visit_wrapper = spread


class CommonRules(Rules):
    """Names and values: the rules of common.lark."""

    def table_name(self, *parts: Token) -> TableName:
        *_, catalog, namespace, name = [None, None, *(part.value for part in parts)]
        if catalog not in CATALOGS:
            # Or what is written for another database would be done to this one's table of the same name.
            raise UndefinedTable(
                f'relation "{catalog}.{namespace}.{name}" does not exist; of other catalogs there is all_users alone',
                position=parts[0].start_pos,
            )
        return TableName(name, namespace, CATALOGS[catalog], parts[0].start_pos)

    def type(
        self, name: Token, precision: str | None, arguments: tuple[int, ...] | None, time_zone: str | None
    ) -> DataType:
        from kalamdb.types import parse_type

        return parse_type(f"{name.value}{precision or ''}{time_zone or ''}", arguments or ())

    def precision(self) -> str:
        return " precision"

    def with_time_zone(self) -> str:
        return " with time zone"

    def without_time_zone(self) -> str:
        return " without time zone"

    def type_arguments(self, *numbers: Token) -> tuple[int, ...]:
        return tuple(number.fixed for number in numbers)

    def mark(self) -> int:
        return self.reading.current.start_pos if self.reading.current else self.reading.previous_end

    def quote(self, start: int, expression: object) -> Quote:
        return Quote(expression, self.reading.source(start, self.reading.previous_end), start)

    def if_exists(self) -> bool:
        return True

    def if_not_exists(self) -> bool:
        return True
