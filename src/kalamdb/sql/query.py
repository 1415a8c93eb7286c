"""Queries: text that DataFusion reads, EXPLAIN of it, and simple SELECTs as trees. The statements of query.lark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class Query:
    """SELECT, WITH, VALUES or a query in parentheses, as text with its parameters as $n."""

    sql: str


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN [ANALYZE] query"""

    analyze: bool
    statement: Query


class Value(NamedTuple):
    """A value in a simple SELECT, as kalamcore.select_plan takes it: where it comes from, its index there (or the value
    itself), and whether a minus stands before it."""

    source: int
    value: object
    negative: bool


class Column(NamedTuple):
    """A column's name, and what was written before its point."""

    qualifier: str | None
    name: str


@dataclass(frozen=True, slots=True)
class AllColumns:
    """*"""


@dataclass(frozen=True, slots=True)
class ColumnItem:
    """column [AS alias]"""

    column: Column
    alias: str | None


@dataclass(frozen=True, slots=True)
class AggregateItem:
    """COUNT(*) (no column), COUNT(column), MIN(column) or MAX(column), and what the column of the result is called.
    `written`: its name is its text."""

    function: str
    column: Column | None
    name: str
    written: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """column = <> < <= > >= value"""

    column: Column
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class InList:
    """column IN (value, …)"""

    column: Column
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """column LIKE value, where the value is a text with one % at its end."""

    column: Column
    value: Value


@dataclass(frozen=True, slots=True)
class IsNull:
    """column IS [NOT] NULL"""

    column: Column
    negated: bool


@dataclass(frozen=True, slots=True)
class Negated:
    """NOT predicate"""

    part: Predicate


@dataclass(frozen=True, slots=True)
class Combined:
    """predicates joined by `word`: "and" or "or"."""

    word: str
    parts: tuple[Predicate, ...]


Predicate = Comparison | InList | Prefix | IsNull | Negated | Combined


@dataclass(frozen=True, slots=True)
class Ordering:
    """ORDER BY a column, or the place of one in the select list (from 1)."""

    by: Column | int
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True, eq=False)
class SimpleSelect:
    """A SELECT that the core may answer by itself. One object a shape, so it is compared by identity.

    `everybody`: all_users stands before the names. `parameters`: how many it takes. `literals`: whether it needs those
    of the text. `head`: how a text must begin, in lower case, for this to be its tree; None: any text of the shape.
    """

    namespace: str | None
    table: str
    everybody: bool
    alias: str | None
    items: tuple[AllColumns | ColumnItem | AggregateItem, ...]
    where: Predicate | None
    ordering: Ordering | None
    limit: Value | None
    offset: Value | None
    parameters: int
    literals: bool
    head: str | None

    def stands_for(self, sql: str) -> bool:
        """Whether it is the tree of this text, whose shape it has."""
        return self.head is None or sql[: len(self.head)].lower() == self.head


class Call(NamedTuple):
    """A function of no arguments, whose result is one value."""

    function: str


class Minus(NamedTuple):
    """- operand"""

    operand: ConstantExpression


class Operation(NamedTuple):
    """left operator right, the operator being one of + - * / % ||."""

    operator: str
    left: ConstantExpression
    right: ConstantExpression


ConstantExpression = Value | Call | Minus | Operation


@dataclass(frozen=True, slots=True)
class ConstantItem:
    """expression [AS name], and what the column of the result is called."""

    expression: ConstantExpression
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ConstantSelect:
    """A SELECT of values without FROM, which may be answered without the query engine.

    Its columns may be called by the text of literals, so it is the tree of `text` alone. `parameters`: how many it
    takes. `literals`: whether the text has some, and so is likely to come with others next time.
    """

    items: tuple[ConstantItem, ...]
    parameters: int
    literals: bool
    text: str

    def stands_for(self, sql: str) -> bool:
        """Whether it is the tree of this text."""
        return self.text == sql


SimpleQuery = SimpleSelect | ConstantSelect
"""What is answered without the query engine, where that gives the same."""


class QueryRules(Rules):
    """The rules of query.lark."""

    def query(self, text: Token) -> Query:
        return Query(text.value)

    def analyze(self) -> bool:
        return True

    def explain(self, analyze: bool | None, text: Token) -> Explain:
        return Explain(bool(analyze), Query(text.value))
