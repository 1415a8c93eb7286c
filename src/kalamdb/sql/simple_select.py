"""Which SELECTs are simple: one table, plain columns or COUNT, MIN and MAX, comparisons with values, ORDER BY one
column, LIMIT and OFFSET; or values without a FROM.

Those are what can be answered without the query engine. They are read here token by token, without the grammar and its
library, so that a first query waits for neither. Whatever is not recognised for certain is not simple and goes to the
query engine, which says what is wrong with it if anything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kalamcore.select_plan import GIVEN, LITERAL
from kalamcore.select_plan import PARAMETER as FROM_PARAMETER
from kalamcore.statements import BYTES, INTEGER, NUMBER, OPERATOR, PARAMETER, QUOTED, STRING, WORD
from kalamdb.sql.query import (
    AggregateItem,
    AllColumns,
    Call,
    Column,
    ColumnItem,
    Combined,
    Comparison,
    ConstantExpression,
    ConstantItem,
    ConstantSelect,
    InList,
    IsNull,
    Minus,
    Negated,
    Operation,
    Ordering,
    Predicate,
    Prefix,
    SimpleQuery,
    SimpleSelect,
    Value,
)

if TYPE_CHECKING:
    from kalamcore.statements import Scan
    from kalamdb.sql.rules import RawToken

TOKENS_MAX = 4000
CONSTANT_TOKENS_MAX = 100
"""Of a SELECT without FROM, whose expressions are as deep as they are long."""
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LITERALS = frozenset({STRING, BYTES, INTEGER, NUMBER})
_AGGREGATES = frozenset({"count", "min", "max"})
_CALLED = frozenset({
    "now", "current_timestamp", "current_user", "current_role", "snowflake_id", "uuid_v7", "ulid", "current_date",
    "current_time", "today",
})  # fmt: skip
_WITHOUT_BRACKETS = frozenset({"current_timestamp", "current_user", "current_date", "current_time"})
# Words that mean something where a name may stand, for DataFusion's parser or for ours. A column of such a name is read
# where it is quoted.
_NO_NAMES = frozenset({
    "all", "analyze", "and", "anti", "any", "array", "array_agg", "as", "asc", "asof", "at", "authorization",
    "between", "binary", "both", "by", "case", "cast", "ceil", "ceiling", "check", "cluster", "collate",
    "column", "connect", "constraint", "convert", "create", "cross", "current", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user",
    "date", "datetime", "deferrable", "delete", "desc", "describe", "distinct", "distribute", "div", "drop",
    "else", "emit", "end", "escape", "except", "exclude", "exists", "explain", "extract", "false", "fetch",
    "filter", "final", "first", "floor", "for", "force", "foreign", "format", "freeze", "from", "full", "glob",
    "global", "grant", "group", "grouping", "having", "if", "ignore", "ilike", "in", "initially", "inner",
    "insert", "intersect", "interval", "into", "is", "isnull", "join", "lambda", "last", "lateral", "leading",
    "left", "like", "limit", "listagg", "localtime", "localtimestamp", "lock", "map", "match", "match_against",
    "match_conditions", "match_recognize", "measures", "minus", "mod", "natural", "next", "not", "notnull",
    "null", "nulls", "of", "offset", "on", "only", "open", "operator", "or", "order", "outer", "output", "over",
    "overlaps", "overlay", "parsewith", "partition", "pivot", "placing", "position", "prewhere", "primary",
    "prior", "procedure", "qualify", "references", "regexp", "rename", "replace", "respect", "return",
    "returning", "right", "rlike", "row", "rows", "sample", "select", "semi", "session_user", "set", "settings",
    "similar", "some", "sort", "start", "struct", "substr", "substring", "symmetric", "system", "system_user",
    "table", "tables", "tablesample", "then", "time", "timestamp", "timestamptz", "to", "top", "trailing",
    "trim", "trine", "true", "truncate", "try_cast", "try_convert", "union", "unique", "unknown", "unnest",
    "unpivot", "update", "use", "user", "using", "values", "verbose", "view", "when", "where", "window", "with",
    "within", "without", "xor",
})  # fmt: skip
# Of those, what people call columns: where a column may stand, and nothing else, it is one for both parsers.
_COLUMN_NAMES = frozenset({
    "at", "binary", "check", "column", "current", "date", "datetime", "filter", "final", "first", "format",
    "global", "last", "lock", "map", "match", "next", "open", "operator", "output", "partition", "position",
    "primary", "prior", "procedure", "replace", "return", "row", "rows", "sample", "set", "settings", "start",
    "system", "table", "tables", "time", "timestamp", "unique", "update", "user", "window",
})  # fmt: skip


class _NotSimple(Exception):
    pass


def recognise(scan: Scan, sql: str) -> SimpleQuery | None:
    """The statement, if it is a simple SELECT. Values of a SimpleSelect tell where the literals and parameters are to
    be found, so it holds for every statement of the same shape (and, where it has a `head`, of the same beginning)."""
    if scan.kind != "SELECT":
        return None
    tokens = scan.tokens
    if len(tokens) > TOKENS_MAX:
        return None
    if "from" not in scan.words:
        if len(tokens) > CONSTANT_TOKENS_MAX:
            return None
        try:
            return _Reader(sql, tokens, {}).constants(scan.parameters)
        except _NotSimple:
            return None
    lifted = _lifted(scan.shape, sql, tokens)
    if lifted is None or len(lifted) != len(scan.literals):
        return None
    try:
        return _Reader(sql, tokens, lifted).select(scan.parameters)
    except _NotSimple:
        return None


def _lifted(shape: str, sql: str, tokens: Sequence[RawToken]) -> dict[int, int] | None:
    """Which token is which lifted literal."""
    lifted: dict[int, int] = {}
    at = 0
    for index, (kind, start, end, _) in enumerate(tokens):
        while shape.startswith(" ", at):
            at += 1
        if shape.startswith("\x02", at):
            return None
        if shape.startswith("\x01", at):
            if kind not in _LITERALS:
                return None
            lifted[index] = len(lifted)
            at += 2
        else:
            at += 1 if kind == PARAMETER and sql[start] == "?" else end - start
    return lifted if at == len(shape) else None


class _Reader:
    """The tokens, and how far they are read."""

    def __init__(self, sql: str, tokens: Sequence[RawToken], lifted: dict[int, int]) -> None:
        self.sql = sql
        self.tokens = tokens
        self.lifted = lifted
        self.at = 0
        self.parameters: set[int] = set()

    def select(self, parameters: int) -> SimpleSelect:
        self.words("select")
        items = [self.item()]
        while self.operator(","):
            items.append(self.item())
        aggregates = sum(isinstance(item, AggregateItem) for item in items)
        if aggregates not in (0, len(items)):
            raise _NotSimple
        head = None
        if any(isinstance(item, AggregateItem) and item.written for item in items):
            # What such a column is called is written in the text; its shape has lost the blanks of it.
            head = self.sql[: self.tokens[self.at - 1][2]].lower()
        self.words("from")
        namespace, table = None, self.name()
        if self.operator("."):
            namespace, table = table, self.name()
        everybody = namespace == "all_users" and self.operator(".")
        if everybody:
            namespace, table = table, self.name()
        alias = None
        if self.word("as") or self.is_name():
            alias = self.name()
        where = None
        if self.word("where"):
            where = self.disjunction()
        ordering = None
        if self.word("order"):
            self.words("by")
            ordering = self.ordering()
            if aggregates:
                raise _NotSimple
        limit = offset = None
        for _ in range(2):
            if limit is None and self.word("limit"):
                limit = self.count()
            elif offset is None and self.word("offset"):
                offset = self.count()
        if self.at != len(self.tokens) or self.parameters != set(range(parameters)):
            raise _NotSimple
        return SimpleSelect(
            namespace,
            table,
            everybody,
            alias,
            tuple(items),
            where,
            ordering,
            limit,
            offset,
            parameters,
            bool(self.lifted),
            head,
        )

    def constants(self, parameters: int) -> ConstantSelect:
        self.words("select")
        items = [self.constant_item()]
        while self.operator(","):
            items.append(self.constant_item())
        if self.at != len(self.tokens) or self.parameters != set(range(parameters)):
            raise _NotSimple
        literals = any(kind in _LITERALS for kind, *_ in self.tokens)
        return ConstantSelect(tuple(items), parameters, literals, self.sql)

    # Tokens

    def source(self, first: int, last: int) -> str:
        """The tokens `first` to `last` as they were written, comments left out and words folded: what the query engine
        calls a column that has no other name."""
        parts: list[str] = []
        for index in range(first, last + 1):
            kind, start, end, value = self.tokens[index]
            if index > first and start > self.tokens[index - 1][2]:
                parts.append(" ")
            if kind == STRING:
                parts.append("'" + str(value).replace("'", "''") + "'")
            elif kind == BYTES:
                parts.append(f"X'{bytes(value).hex()}'")
            elif kind == PARAMETER:
                parts.append(f"${int(value) + 1}")
            elif kind in (WORD, OPERATOR):
                parts.append(str(value))
            else:
                parts.append(self.sql[start:end])
        # Arrow's names are C strings when they cross to Python.
        return "".join(parts).replace("\0", "")

    def peek(self, ahead: int = 0) -> RawToken:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else (0, 0, 0, None)

    def word(self, word: str) -> bool:
        kind, _, _, value = self.peek()
        if kind == WORD and value == word:
            self.at += 1
            return True
        return False

    def words(self, *words: str) -> None:
        for word in words:
            if not self.word(word):
                raise _NotSimple

    def operator(self, operator: str) -> bool:
        kind, _, _, value = self.peek()
        if kind == OPERATOR and value == operator:
            self.at += 1
            return True
        return False

    def operators(self, operator: str) -> None:
        if not self.operator(operator):
            raise _NotSimple

    def is_name(self) -> bool:
        kind, _, _, value = self.peek()
        return kind == QUOTED or (kind == WORD and value not in _NO_NAMES)

    def is_column(self) -> bool:
        return self.is_name() or (self.peek()[0] == WORD and self.peek()[3] in _COLUMN_NAMES)

    def name(self) -> str:
        if not self.is_name():
            raise _NotSimple
        return self.taken()

    def taken(self) -> str:
        self.at += 1
        return str(self.tokens[self.at - 1][3])

    # Parts

    def item(self) -> AllColumns | ColumnItem | AggregateItem:
        if self.operator("*"):
            return AllColumns()
        kind, _start, _, value = self.peek()
        if (
            kind == WORD
            and value in _AGGREGATES
            and self.peek(1)[:1] == (OPERATOR,)
            and self.peek(1)[3] == "("
        ):
            return self.aggregate(str(value), self.at)
        column = self.column()
        return ColumnItem(column, self.alias())

    def aggregate(self, function: str, first: int) -> AggregateItem:
        self.at += 2
        column = None
        if function != "count" or not self.operator("*"):
            if self.peek()[0] != WORD:
                raise _NotSimple
            column = self.column()
            if self.tokens[self.at - 1][0] != WORD:
                raise _NotSimple
        self.operators(")")
        last = self.at - 1
        alias = self.alias()
        if alias is not None:
            return AggregateItem(function, column, alias, False)
        return AggregateItem(function, column, self.source(first, last), True)

    def alias(self) -> str | None:
        return self.name() if self.word("as") else None

    def column(self) -> Column:
        if not self.is_column():
            raise _NotSimple
        qualified = self.is_name()
        name = self.taken()
        if qualified and self.operator("."):
            if not self.is_column():
                raise _NotSimple
            return Column(name, self.taken())
        if self.peek()[:1] == (OPERATOR,) and self.peek()[3] in ("(", "[", "::"):
            raise _NotSimple
        return Column(None, name)

    def ordering(self) -> Ordering:
        kind, _, _, value = self.peek()
        by: Column | int
        if kind == INTEGER and self.at not in self.lifted and isinstance(value, int):
            self.at += 1
            by = value
        else:
            by = self.column()
        descending = self.word("desc")
        if not descending:
            self.word("asc")
        nulls_first = descending
        if self.word("nulls"):
            nulls_first = self.word("first")
            if not nulls_first:
                self.words("last")
        return Ordering(by, descending, nulls_first)

    def count(self) -> Value:
        kind = self.peek()[0]
        if kind not in (INTEGER, PARAMETER):
            raise _NotSimple
        return self.value()

    def value(self) -> Value:
        """A literal, NULL, TRUE, FALSE or a parameter."""
        kind, _, _, value = self.peek()
        negative = False
        if kind == OPERATOR and value == "-":
            self.at += 1
            negative = True
            kind, _, _, value = self.peek()
            if kind not in (INTEGER, NUMBER):
                raise _NotSimple
        index = self.at
        self.at += 1
        if kind in _LITERALS:
            # A second literal behind it would be a text that goes on, or a mistake.
            if self.peek()[0] in _LITERALS:
                raise _NotSimple
            if index in self.lifted:
                return Value(LITERAL, self.lifted[index], negative)
            return Value(GIVEN, value, negative)
        if kind == PARAMETER:
            if not isinstance(value, int) or value < 0:
                raise _NotSimple
            self.parameters.add(value)
            return Value(FROM_PARAMETER, value, False)
        if kind == WORD and value in ("null", "true", "false"):
            return Value(GIVEN, {"null": None, "true": True, "false": False}[str(value)], False)
        raise _NotSimple

    # What stands without FROM

    def constant_item(self) -> ConstantItem:
        first = self.at
        expression = self.constant_expression()
        last = self.at - 1
        alias = self.alias()
        if alias is not None:
            return ConstantItem(expression, alias)
        if isinstance(expression, Call) and self.tokens[first][0] == WORD:
            return ConstantItem(expression, expression.function)
        return ConstantItem(expression, self.source(first, last))

    def constant_expression(self) -> ConstantExpression:
        left = self.constant_operand()
        if self.operator("||"):
            # Only among each other: beside arithmetic the rank of || is another's to tell.
            left = Operation("||", left, self.constant_operand())
            while self.operator("||"):
                left = Operation("||", left, self.constant_operand())
            return left
        left = self.constant_product(left)
        while (operator := self.one_of("+", "-")) is not None:
            left = Operation(operator, left, self.constant_product(self.constant_operand()))
        return left

    def constant_product(self, left: ConstantExpression) -> ConstantExpression:
        while (operator := self.one_of("*", "/", "%")) is not None:
            left = Operation(operator, left, self.constant_operand())
        return left

    def constant_operand(self) -> ConstantExpression:
        if self.operator("-"):
            return Minus(self.constant_operand())
        if self.operator("("):
            inner = self.constant_expression()
            self.operators(")")
            return inner
        kind, _, _, value = self.peek()
        if kind == WORD and value not in ("true", "false"):
            function = str(value)
            self.at += 1
            if self.operator("("):
                self.operators(")")
                if function in _CALLED:
                    return Call(function)
            elif function in _WITHOUT_BRACKETS:
                return Call(function)
            raise _NotSimple
        found = self.value()
        return found._replace(value=float(str(found.value))) if kind == NUMBER else found

    def one_of(self, *operators: str) -> str | None:
        return next((operator for operator in operators if self.operator(operator)), None)

    def disjunction(self) -> Predicate:
        parts = [self.conjunction()]
        while self.word("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Combined("or", tuple(parts))

    def conjunction(self) -> Predicate:
        parts = [self.negation()]
        while self.word("and"):
            parts.append(self.negation())
        if len(parts) == 1:
            return parts[0]
        # Parts of parts that are AND stand beside them, so that a plan sees all that must hold of the key.
        flat: list[Predicate] = []
        for part in parts:
            flat.extend(part.parts if isinstance(part, Combined) and part.word == "and" else (part,))
        return Combined("and", tuple(flat))

    def negation(self) -> Predicate:
        if self.word("not"):
            return Negated(self.negation())
        if self.operator("("):
            inner = self.disjunction()
            self.operators(")")
            return inner
        return self.comparison()

    def comparison(self) -> Predicate:
        if not self.is_column():
            value = self.value()
            operator = self.comparator()
            return Comparison(self.column(), _FLIPPED[operator], value)
        column = self.column()
        if self.word("is"):
            negated = self.word("not")
            self.words("null")
            return IsNull(column, negated)
        negated = self.word("not")
        part: Predicate
        if self.word("in"):
            self.operators("(")
            values = [self.value()]
            while self.operator(","):
                values.append(self.value())
            self.operators(")")
            part = InList(column, tuple(values))
        elif self.word("between"):
            low = self.value()
            self.words("and")
            part = Combined("and", (Comparison(column, ">=", low), Comparison(column, "<=", self.value())))
        elif self.word("like"):
            if self.peek()[0] not in (STRING, PARAMETER):
                raise _NotSimple
            part = Prefix(column, self.value())
            if self.peek()[:1] == (WORD,) and self.peek()[3] == "escape":
                raise _NotSimple
        elif negated:
            raise _NotSimple
        else:
            operator = self.comparator()
            part = Comparison(column, operator, self.value())
        return Negated(part) if negated else part

    def comparator(self) -> str:
        kind, _, _, value = self.peek()
        self.at += 1
        if kind == OPERATOR and value == "!=":
            return "<>"
        if kind == OPERATOR and value in _FLIPPED:
            return str(value)
        raise _NotSimple
