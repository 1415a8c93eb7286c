"""Calls of our functions, written so that DataFusion can run them.

A call without arguments that means one value per statement becomes that value: NOW(), CURRENT_USER. Any other call of
the registry becomes a call of its hidden name (see functions.py). Names that begin as the hidden ones do are refused,
so that no statement can borrow another's context.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamcore.statements import INTEGER, PARAMETER, WORD
from kalamdb.errors import UndefinedFunction
from kalamdb.execution.query.bounds import ARRAYS, SERIES, check_array, check_series
from kalamdb.execution.query.functions import BOUNDED, HIDDEN, QueryFunctions, Running
from kalamdb.execution.query.tokens import Tokens, quoted_text
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    from kalamdb.functions.registry import Function

_PARAMETER_TYPES: tuple[tuple[Any, str], ...] = (
    (bool, "BOOLEAN"),
    (int, "BIGINT"),
    (float, "DOUBLE"),
    ((str, uuid.UUID, dict, list, tuple), "VARCHAR"),
    ((bytes, bytearray, memoryview), "BYTEA"),
)
_TODAY = frozenset({"current_date", "today"})


class Calls:
    """The pass over one statement's calls."""

    def __init__(
        self, tokens: Tokens, functions: QueryFunctions, running: Running, parameters: Sequence[object]
    ) -> None:
        self.tokens = tokens
        self.functions = functions
        self.running = running
        self.parameters = parameters
        self.named: dict[int, str] = {}
        """First token of each call of the registry and its name: what a column of it is called."""
        self.table_functions: set[str] = set()
        """Functions that stand in FROM: DataFusion asks for a table of that name first."""

    def rewrite(self) -> None:
        """Change the tokens. Raises UndefinedFunction, ResourcesExceeded, NotSupportedError, and what a function
        raises that is evaluated here."""
        tokens = self.tokens
        has_from = any(clause == "from" for clause in tokens.clause)
        for i in range(tokens.count):
            if tokens.kinds[i] == PARAMETER:
                self._parameter(i)
            if not tokens.is_name(i) or tokens.is_operator(i - 1, "."):
                continue
            name = str(tokens.values[i])
            if not tokens.is_operator(i + 1, "(") or tokens.match[i + 1] < 0:
                if tokens.kinds[i] == WORD:
                    self._keyword(i, name)
                continue
            if name.startswith(HIDDEN):
                raise UndefinedFunction(f"function {name} does not exist", position=tokens.starts[i])
            lower = name.lower()
            function = self.functions.registry.get(lower)
            if function is not None:
                self._call(i, function)
            elif lower in BOUNDED:
                self._bounded(i, lower)
            elif lower in SERIES:
                rows = self._stands_as_table(i)
                check_series(tokens, lower, i, self.parameters, elements=has_from and not rows)
                if rows:
                    self.table_functions.add(lower)
            elif lower in ARRAYS:
                check_array(tokens, lower, i, self.parameters)
            elif lower in _TODAY or lower == "current_time":
                self._keyword(i, lower)

    def beginning(self, name: str, first: int, last: int) -> str:
        """The beginning of a call of a variadic function with the key at these tokens, for the operators."""
        function = self.functions.registry.get(name)
        if function is None:
            raise UndefinedFunction(f"function {name} does not exist")
        return self._hidden(function, self._key(first, last))

    def _parameter(self, i: int) -> None:
        """Name the type of a parameter where nothing beside it does: alone in a select list, at ||, summed up."""
        tokens = self.tokens
        index = tokens.values[i]
        if not isinstance(index, int) or index >= len(self.parameters):
            return
        alone = tokens.clause[i] == "select" and (
            tokens.is_word(i - 1, "select", "distinct", "all") or tokens.is_operator(i - 1, ",")
        )
        joined = tokens.is_operator(i - 1, "||") or tokens.is_operator(i + 1, "||")
        summed = tokens.is_operator(i - 1, "(") and tokens.is_word(i - 2, "sum", "avg", "min", "max")
        if not (alone or joined or summed):
            return
        value = self.parameters[index]
        for kinds, sql in _PARAMETER_TYPES:
            if isinstance(value, kinds):
                tokens.texts[i] = f"CAST({tokens.texts[i]} AS {sql})"
                return

    def _keyword(self, i: int, name: str) -> None:
        tokens = self.tokens
        if tokens.is_operator(i + 1, ".") or tokens.is_word(i - 1, "as"):
            return
        called = tokens.is_operator(i + 1, "(")
        function = self.functions.registry.get(name)
        if function is not None and function.keyword_call:
            tokens.texts[i] = self._constant(function)
            self.named[i] = function.name
        elif (name in _TODAY and (called or name != "today")) or name == "current_time":
            now = self.running.context.now
            tokens.texts[i] = (
                f"CAST('{now:%H:%M:%S.%f}' AS TIME)"
                if name == "current_time"
                else f"CAST('{now:%Y-%m-%d}' AS DATE)"
            )
            self.named[i] = name
            if called and tokens.match[i + 1] == i + 2:
                tokens.clear(i + 1, i + 2)

    def _call(self, i: int, function: Function) -> None:
        tokens = self.tokens
        arguments = tokens.arguments(i + 1)
        if not function.takes(len(arguments)):
            raise UndefinedFunction(
                f"function {function.name} is called as {function.signature}, and {len(arguments)} "
                f"argument{' was' if len(arguments) == 1 else 's were'} given",
                position=tokens.starts[i],
            )
        self.named[i] = function.name
        if not arguments and function.volatility != "volatile":
            tokens.texts[i] = self._constant(function)
            tokens.clear(i + 1, i + 2)
            return
        keys = "".join(self._key(*argument) for argument in arguments[len(function.arguments) :])
        beginning = self._hidden(function, keys)
        tokens.texts[i] = ""
        tokens.texts[i + 1] = beginning if arguments else beginning.removesuffix(", ")

    def _hidden(self, function: Function, keys: str) -> str:
        name = self.functions.offer(function, keys)
        row = "random(), " if function.volatility == "volatile" else ""
        return f"{name}({row}{self.running.number}, "

    def _key(self, first: int, last: int) -> str:
        tokens = self.tokens
        if last - first == 1 and tokens.kinds[first] == PARAMETER:
            index = tokens.values[first]
            given = (
                self.parameters[index] if isinstance(index, int) and index < len(self.parameters) else None
            )
            return "i" if isinstance(given, int) and not isinstance(given, bool) else "t"
        number = tokens.kinds[last - 1] == INTEGER and (last - first == 1 or tokens.is_operator(first, "-"))
        return "i" if number and last - first <= 2 else "t"

    def _bounded(self, i: int, name: str) -> None:
        tokens = self.tokens
        star = tokens.is_operator(i - 1, "*") and (
            tokens.is_operator(i - 2, ",", ".") or tokens.is_word(i - 2, "select", "distinct", "all")
        )
        if star:  # SELECT * REPLACE (…)
            return
        tokens.texts[i] = HIDDEN + name
        if name in ("lpad", "rpad") and len(tokens.arguments(i + 1)) == 2:
            tokens.before[tokens.match[i + 1]] += ", ' '"

    def _stands_as_table(self, i: int) -> bool:
        tokens = self.tokens
        if tokens.clause[i] != "from":
            return False
        return tokens.is_word(i - 1, "from", "join", "lateral") or tokens.is_operator(i - 1, ",")

    def _constant(self, function: Function) -> str:
        return literal(function.evaluate(self.running.context, 1)[0], function.result)


def literal(value: Any, of: DataType) -> str:
    """A value of our types as an expression of DataFusion's."""
    name = of.name
    if name in (TypeName.TEXT, TypeName.JSON, TypeName.UUID):
        return "CAST(NULL AS VARCHAR)" if value is None else quoted_text(str(value))
    if name is TypeName.TIMESTAMP:
        shown = "NULL" if value is None else f"'{_utc(value).isoformat()}'"
        return f"arrow_cast({shown}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    if name is TypeName.BYTES:
        return "CAST(NULL AS BYTEA)" if value is None else f"X'{bytes(value).hex()}'"
    sql = f"DECIMAL({of.precision},{of.scale})" if name is TypeName.DECIMAL else name.name
    if value is None:
        return f"CAST(NULL AS {sql})"
    if isinstance(value, datetime.date | datetime.time):
        return f"CAST('{value.isoformat()}' AS {sql})"
    return f"CAST('{format(value, 'f') if isinstance(value, decimal.Decimal) else value}' AS {sql})"


def _utc(value: datetime.datetime) -> datetime.datetime:
    return value.astimezone(datetime.UTC)
