"""ULID(): a new ULID per row, 26 characters of Crockford base 32, ordered by time."""

from __future__ import annotations

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import TEXT


def evaluate(context: FunctionContext, count: int) -> list[str]:
    """`count` results."""
    if count == 1:
        return [context.ids.ulid()]
    return context.ids.ulids(count)


FUNCTION = Function("ulid", (), TEXT, "volatile", evaluate)
