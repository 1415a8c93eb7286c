"""Expressions: values computed from literals, parameters, columns and functions. The rules of
expressions.lark.

A chain of operators is a tree that leans to the left and may be 1,000 nodes deep; `walk` and `to_sql`
therefore never recurse along it, and whoever else reads these trees must not either (`chain` helps).
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kalamdb.sql.rules import NeedsText, Rules, Token
from kalamdb.types import DataType, TypeName


@dataclass(frozen=True, slots=True)
class Literal:
    """NULL, TRUE, FALSE, 1, 1.5, 1e5, 'text', X'00ff' as None, bool, int, Decimal, float, str, bytes."""

    value: object
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Lifted:
    """A literal that was lifted out of the text: `literals[index]`."""

    index: int
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`?` or `$n`; `index` counts from 0."""

    index: int
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """column or table.column; `table` may be an alias or `excluded`."""

    name: str
    table: str | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """name(argument, …), name folded to lower case. Also CURRENT_TIMESTAMP and its like without parentheses.
    `sql` is given only where the arguments do not say all: `count(*)`."""

    name: str
    arguments: tuple[Expression, ...] = ()
    sql: str | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-`, `+` or `NOT` before its operand."""

    operator: str
    operand: Expression
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """left operator right: OR AND = <> < <= > >= || -> ->> + - * / % & | ^ (`!=` reads as `<>`)."""

    operator: str
    left: Expression
    right: Expression
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """operand IS [NOT] NULL"""

    operand: Expression
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsTruth:
    """operand IS [NOT] TRUE | FALSE | UNKNOWN (`truth` True, False, None)"""

    operand: Expression
    truth: bool | None
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsDistinct:
    """left IS [NOT] DISTINCT FROM right"""

    left: Expression
    right: Expression
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Between:
    """operand [NOT] BETWEEN low AND high"""

    operand: Expression
    low: Expression
    high: Expression
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class InList:
    """operand [NOT] IN (item, …)"""

    operand: Expression
    items: tuple[Expression, ...]
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Like:
    """operand [NOT] LIKE|ILIKE pattern [ESCAPE escape]"""

    operand: Expression
    pattern: Expression
    escape: Expression | None = None
    negated: bool = False
    case_insensitive: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """CASE [operand] WHEN … THEN … [ELSE otherwise] END; `branches` are pairs (when, then)."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Cast:
    """CAST(operand AS type) or operand::type"""

    operand: Expression
    type: DataType
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TypedLiteral:
    """INTERVAL '1 day', TIMESTAMP '2025-01-01', DATE …, TIME …: `type` in lower case, `text` between the
    quotes, `sql` the source text."""

    sql: str
    type: str = field(default="", compare=False)
    text: str = field(default="", compare=False)
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Opaque:
    """What only DataFusion reads (subqueries, EXISTS, EXTRACT, arrays): its source text, with parameters as
    $n."""

    sql: str
    position: int = field(default=0, compare=False)


Expression = (
    Literal
    | Lifted
    | Parameter
    | ColumnReference
    | FunctionCall
    | Unary
    | Binary
    | IsNull
    | IsTruth
    | IsDistinct
    | Between
    | InList
    | Like
    | Case
    | Cast
    | TypedLiteral
    | Opaque
)


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside this one, in the order of the text."""
    match node:
        case (
            Unary(operand=operand)
            | IsNull(operand=operand)
            | IsTruth(operand=operand)
            | Cast(operand=operand)
        ):
            return (operand,)
        case Binary(left=left, right=right) | IsDistinct(left=left, right=right):
            return (left, right)
        case FunctionCall(arguments=arguments):
            return arguments
        case Between(operand=operand, low=low, high=high):
            return (operand, low, high)
        case InList(operand=operand, items=items):
            return (operand, *items)
        case Like(operand=operand, pattern=pattern, escape=escape):
            return (operand, pattern) if escape is None else (operand, pattern, escape)
        case Case(operand=operand, branches=branches, otherwise=otherwise):
            inner: tuple[Expression, ...] = () if operand is None else (operand,)
            inner += tuple(part for branch in branches for part in branch)
            return inner if otherwise is None else (*inner, otherwise)
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """Every node, each before those inside it, in the order of the text. Uses no stack of Python's."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(children(node)))


def chain(expression: Binary) -> tuple[Expression, list[Binary]]:
    """A chain of operators that leans to the left: its first operand, and its Binary nodes from the
    innermost out. With it `a + b + c …` is evaluated in a loop: first, then each node's operator and right
    side."""
    nodes = []
    first: Expression = expression
    while isinstance(first, Binary):
        nodes.append(first)
        first = first.left
    nodes.reverse()
    return first, nodes


def to_sql(expression: Expression, literals: Sequence[object] = ()) -> str:
    """Prints it for DataFusion: operators in parentheses, strings quoted, parameters as $n, lifted literals
    in their places."""
    pieces: list[str] = []
    waiting: list[Expression | str] = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            pieces.append(node)
        else:
            waiting.extend(reversed(_printed(node, literals)))
    return "".join(pieces)


def _printed(node: Expression, literals: Sequence[object]) -> list[Expression | str]:
    """One node as text and the nodes inside it, in order."""
    match node:
        case Literal(value=value):
            return [literal_sql(value)]
        case Lifted(index=index):
            return [literal_sql(literals[index])]
        case Parameter(index=index):
            return [f"${index + 1}"]
        case ColumnReference(name=name, table=None):
            return [quoted(name)]
        case ColumnReference(name=name, table=str(table)):
            return [f"{quoted(table)}.{quoted(name)}"]
        case FunctionCall(name=name, arguments=arguments, sql=sql):
            return [sql] if sql is not None else [f"{_function_name(name)}(", *_joined(arguments), ")"]
        case Unary(operator="-", operand=Literal() | Lifted() as number) if _is_number(
            _value(number, literals)
        ):
            # Together: 9223372036854775808 alone is beyond BIGINT, and -9223372036854775808 is not.
            return [f"(-{literal_sql(_value(number, literals))})"]
        case Unary(operator=operator, operand=operand):
            return [f"({operator} ", operand, ")"]
        case Binary(operator=operator, left=left, right=right):
            return ["(", left, f" {operator} ", right, ")"]
        case IsNull(operand=operand, negated=negated):
            return ["(", operand, " IS NOT NULL)" if negated else " IS NULL)"]
        case IsTruth(operand=operand, truth=truth, negated=negated):
            word = {True: "TRUE", False: "FALSE", None: "UNKNOWN"}[truth]
            return ["(", operand, f" IS{_not(negated)} {word})"]
        case IsDistinct(left=left, right=right, negated=negated):
            return ["(", left, f" IS{_not(negated)} DISTINCT FROM ", right, ")"]
        case Between(operand=operand, low=low, high=high, negated=negated):
            return ["(", operand, f"{_not(negated)} BETWEEN ", low, " AND ", high, ")"]
        case InList(operand=operand, items=items, negated=negated):
            return ["(", operand, f"{_not(negated)} IN (", *_joined(items), "))"]
        case Like(operand=operand, pattern=pattern, escape=escape, negated=negated, case_insensitive=blind):
            tail: list[Expression | str] = [")"] if escape is None else [" ESCAPE ", escape, ")"]
            return ["(", operand, f"{_not(negated)} {'ILIKE' if blind else 'LIKE'} ", pattern, *tail]
        case Case(operand=operand, branches=branches, otherwise=otherwise):
            parts: list[Expression | str] = ["CASE"] if operand is None else ["CASE ", operand]
            for when, then in branches:
                parts += [" WHEN ", when, " THEN ", then]
            if otherwise is not None:
                parts += [" ELSE ", otherwise]
            return [*parts, " END"]
        case Cast(operand=operand, type=kind):
            return ["CAST(", operand, f" AS {_QUERY_TYPES.get(kind.name, kind)})"]
        case TypedLiteral(sql=sql) | Opaque(sql=sql):
            return [sql]
    raise AssertionError(node)


# What DataFusion calls the types that it does not know by our names.
_QUERY_TYPES = {TypeName.BYTES: "BYTEA", TypeName.UUID: "TEXT", TypeName.JSON: "TEXT"}


def _value(literal: Literal | Lifted, literals: Sequence[object]) -> object:
    return literal.value if isinstance(literal, Literal) else literals[literal.index]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool) and value >= 0


def _not(negated: bool) -> str:
    return " NOT" if negated else ""


def _joined(items: Sequence[Expression]) -> list[Expression | str]:
    parts: list[Expression | str] = []
    for item in items:
        parts += [", ", item] if parts else [item]
    return parts


def _function_name(name: str) -> str:
    # NOT before a parenthesis is read as the operator, also where ours read it as the name of a function.
    return name if name.isidentifier() and name.isascii() and name != "not" else quoted(name)


def quoted(name: str) -> str:
    """A name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal_sql(value: object) -> str:
    """A literal's value as SQL text. `value`: None, bool, int, float, Decimal, str or bytes."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                return f"CAST('{value}' AS DOUBLE)"
            text = repr(value)
            return text if "e" in text else text + "e0"
        case decimal.Decimal():
            text = format(value, "f")
            return text if "." in text else text + ".0"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bytes():
            return f"X'{value.hex()}'"
    raise AssertionError(value)


class ExpressionRules(Rules):
    """The rules of expressions.lark."""

    def either(self, left: Expression, right: Expression) -> Binary:
        return Binary("OR", left, right, left.position)

    def both(self, left: Expression, right: Expression) -> Binary:
        return Binary("AND", left, right, left.position)

    def inverse(self, operand: Expression) -> Unary:
        return Unary("NOT", operand, operand.position)

    def is_null(self, operand: Expression, negated: bool | None) -> IsNull:
        return IsNull(operand, bool(negated), operand.position)

    def is_truth(self, operand: Expression, negated: bool | None, truth: bool | None) -> IsTruth:
        return IsTruth(operand, truth, bool(negated), operand.position)

    def is_distinct(self, left: Expression, negated: bool | None, right: Expression) -> IsDistinct:
        return IsDistinct(left, right, bool(negated), left.position)

    def between(
        self, operand: Expression, negated: bool | None, low: Expression, high: Expression
    ) -> Between:
        return Between(operand, low, high, bool(negated), operand.position)

    def in_list(self, operand: Expression, negated: bool | None, items: tuple[Expression, ...]) -> InList:
        return InList(operand, items, bool(negated), operand.position)

    def in_query(self, operand: Expression, negated: bool | None, query: Token) -> Opaque:
        if any(isinstance(node, Lifted) for node in walk(operand)):
            raise NeedsText
        return Opaque(f"({to_sql(operand)}{_not(bool(negated))} IN {query.value})", operand.position)

    def like(
        self, operand: Expression, negated: bool | None, pattern: Expression, escape: Expression | None
    ) -> Like:
        return Like(operand, pattern, escape, bool(negated), False, operand.position)

    def ilike(
        self, operand: Expression, negated: bool | None, pattern: Expression, escape: Expression | None
    ) -> Like:
        return Like(operand, pattern, escape, bool(negated), True, operand.position)

    def binary(self, left: Expression, operator: str, right: Expression) -> Binary:
        return Binary(operator, left, right, left.position)

    def signed(self, operator: str, operand: Expression) -> Expression:
        if isinstance(operand, Literal) and _is_number(operand.value):
            number = operand.value
            return Literal(-number if operator == "-" else number, operand.position)  # type: ignore[operator]
        return Unary(operator, operand, operand.position)

    def cast_to(self, operand: Expression, type: DataType) -> Cast:
        return Cast(operand, type, operand.position)

    def opaque(self, text: Token) -> Opaque:
        return Opaque(text.value, text.start_pos)

    def typed(self, literal: Token) -> TypedLiteral | Cast:
        kind, text, sql = literal.value
        if kind in ("interval", "timestamp", "date", "time"):
            return TypedLiteral(sql, kind, text, literal.start_pos)
        from kalamdb.types import parse_type

        return Cast(Literal(text, literal.start_pos), parse_type(kind, ()), literal.start_pos)

    def literal(self, literal: Token) -> Literal | Lifted:
        if literal.lifted is not None:
            return Lifted(literal.lifted, literal.start_pos)
        return Literal(literal.value, literal.start_pos)

    def constant(self, word: Token) -> Literal:
        return Literal({"null": None, "true": True, "false": False}[word.value], word.start_pos)

    def parameter(self, parameter: Token) -> Parameter:
        return Parameter(parameter.value, parameter.start_pos)

    def column(self, first: Token, second: Token | None) -> ColumnReference:
        if second is None:
            return ColumnReference(first.value, None, first.start_pos)
        return ColumnReference(second.value, first.value, first.start_pos)

    def function(self, name: Token, arguments: tuple[Expression, ...] | None) -> FunctionCall:
        return FunctionCall(name.value, arguments or (), None, name.start_pos)

    def count_all(self, name: Token) -> FunctionCall:
        return FunctionCall(name.value, (), f"{_function_name(name.value)}(*)", name.start_pos)

    def keyword_call(self, word: Token) -> FunctionCall:
        return FunctionCall(word.value, (), None, word.start_pos)

    def case(self, operand: Expression | None, *rest: object) -> Case:
        *branches, otherwise = rest
        position = operand.position if operand else branches[0][0].position  # type: ignore[index]
        return Case(operand, tuple(branches), otherwise, position)  # type: ignore[arg-type]

    def branch(self, when: Expression, then: Expression) -> tuple[Expression, Expression]:
        return when, then

    def expressions(self, *items: Expression) -> tuple[Expression, ...]:
        return items

    def negated(self) -> bool:
        return True

    def truth(self, word: Token) -> bool | None:
        return {"true": True, "false": False, "unknown": None}[word.value]

    def comparator(self, operator: Token) -> str:
        return "<>" if operator.value == "!=" else str(operator.value)

    def document_operator(self, operator: Token) -> str:
        return str(operator.value)

    bit_or = bit_xor = bit_and = shift_operator = sum_operator = product_operator = document_operator

    def condition(self, expression: Expression) -> Expression:
        return expression
