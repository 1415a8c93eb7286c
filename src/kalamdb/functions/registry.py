"""The registry of SQL functions: one for DEFAULT, SELECT, WHERE, SET, VALUES and RETURNING.

A function works on columns: it gets as many values of each argument as there are rows, and answers with as
many results. What it may know of the session stands in FunctionContext and nowhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kalamdb.errors import DuplicateObject, InvalidDefinition
from kalamdb.types import BIGINT, TEXT, TIMESTAMP, DataType, TypeName

if TYPE_CHECKING:
    import datetime

Volatility = Literal["immutable", "stable", "volatile"]
VOLATILITIES: tuple[Volatility, ...] = ("immutable", "stable", "volatile")


class IdSource(Protocol):
    """Where identifiers come from: a database's own generators. Safe for threads."""

    def snowflake_id(self) -> int:
        """One id, larger than every one before."""

    def snowflake_ids(self, count: int) -> bytes | bytearray | memoryview:
        """`count` ids as native int64, one after the other."""

    def uuid_v7(self) -> str:
        """36 characters."""

    def uuid_v7s(self, count: int) -> list[str]:
        """`count` of them, increasing."""

    def uuid_v7_text(self, count: int) -> bytearray:
        """The same, end to end."""

    def ulid(self) -> str:
        """26 characters."""

    def ulids(self, count: int) -> list[str]:
        """`count` of them, increasing."""

    def ulid_text(self, count: int) -> bytearray:
        """The same, end to end."""


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """What of a session and its statement a function may need. `now`: aware, UTC, microseconds."""

    now: datetime.datetime
    user: str
    role: str
    ids: IdSource


Evaluate = Callable[..., list[Any]]
"""`evaluate(context, count, *columns)`: a list of `count` results, from lists of `count` arguments each."""


@dataclass(frozen=True, slots=True)
class Function:
    """One SQL function.

    `name`: lower case. `volatility`: `immutable` (arguments alone decide), `stable` (one result a statement),
    `volatile` (a new result per row). `keyword_call`: may be written without parentheses. `variadic`: after
    `arguments` any number of keys may follow, each TEXT or BIGINT.
    """

    name: str
    arguments: tuple[DataType, ...]
    result: DataType
    volatility: Volatility
    evaluate: Evaluate
    keyword_call: bool = False
    variadic: bool = False

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` arguments."""
        return count == len(self.arguments) or (self.variadic and count > len(self.arguments))

    @property
    def signature(self) -> str:
        """As messages show it: `json_length(JSON, …)`."""
        shown = [str(argument) for argument in self.arguments] + (["…"] if self.variadic else [])
        return f"{self.name}({', '.join(shown)})"


class FunctionRegistry:
    """Functions by name. Safe for threads; readers take no lock."""

    def __init__(self, functions: Sequence[Function] = ()) -> None:
        self._functions = {function.name: function for function in functions}
        self._built_in = frozenset(self._functions)
        self._writing = threading.Lock()
        self.version = 0
        """Rises with every registration, so that whoever prepared something from the registry can tell."""

    def get(self, name: str) -> Function | None:
        """The function of this name, in any letter case, or None."""
        return self._functions.get(name) or self._functions.get(name.lower())

    def register(self, function: Function) -> None:
        """Adds a function, or replaces one that was registered before. Raises DuplicateObject for a
        built-in's name.
        """
        if function.name in self._built_in:
            raise DuplicateObject(
                f'function "{function.name}" is built in; register yours under another name'
            )
        with self._writing:
            # A new dict, so that a reader on another thread never sees one that changes.
            self._functions = {**self._functions, function.name: function}
            self.version += 1

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(sorted(self._functions))


_ONLY_ON: dict[str, DataType] = {
    "now": TIMESTAMP,
    "current_timestamp": TIMESTAMP,
    "snowflake_id": BIGINT,
    "uuid_v7": TEXT,
    "ulid": TEXT,
    "current_user": TEXT,
    "current_role": TEXT,
}
_CHARACTERS = {"uuid_v7": 36, "ulid": 26}
_WIDENS: dict[TypeName, tuple[TypeName, ...]] = {
    TypeName.SMALLINT: (TypeName.INT, TypeName.BIGINT, TypeName.FLOAT, TypeName.DOUBLE, TypeName.DECIMAL),
    TypeName.INT: (TypeName.BIGINT, TypeName.FLOAT, TypeName.DOUBLE, TypeName.DECIMAL),
    TypeName.BIGINT: (TypeName.FLOAT, TypeName.DOUBLE, TypeName.DECIMAL),
    TypeName.FLOAT: (TypeName.DOUBLE,),
    TypeName.DATE: (TypeName.TIMESTAMP,),
}


def check_default(name: str, column_type: DataType, functions: FunctionRegistry | None = None) -> None:
    """Refuses a DEFAULT that calls a function on a column of a type it is not for.

    NOW() and CURRENT_TIMESTAMP go on TIMESTAMP, SNOWFLAKE_ID() on BIGINT, UUID_V7(), ULID(), CURRENT_USER()
    and CURRENT_ROLE() on STRING; other functions of the registry where their result fits. A name that the
    registry does not know is not judged. Raises InvalidDefinition.
    """
    name = name.lower()
    written = f"{name.upper()}()"
    needed = _ONLY_ON.get(name)
    if needed is not None:
        if column_type.name is not needed.name:
            wanted = "STRING (TEXT)" if needed is TEXT else str(needed)
            raise InvalidDefinition(f"DEFAULT {written} needs a column of type {wanted}, not {column_type}")
        characters = _CHARACTERS.get(name, 0)
        if column_type.length is not None and column_type.length < characters:
            raise InvalidDefinition(
                f"DEFAULT {written} gives {characters} characters, more than {column_type} holds; use TEXT"
            )
        return
    function = functions.get(name) if functions is not None else None
    if function is None:
        return
    result = function.result.name
    if column_type.name is not result and column_type.name not in _WIDENS.get(result, ()):
        raise InvalidDefinition(
            f"DEFAULT {written} gives {function.result}, which does not fit {column_type}"
        )
