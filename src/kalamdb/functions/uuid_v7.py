"""UUID_V7(): a new UUID of version 7 (RFC 9562) per row, as 36 characters, ordered by time."""

from __future__ import annotations

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import TEXT


def evaluate(context: FunctionContext, count: int) -> list[str]:
    """`count` results."""
    if count == 1:
        return [context.ids.uuid_v7()]
    return context.ids.uuid_v7s(count)


FUNCTION = Function("uuid_v7", (), TEXT, "volatile", evaluate)
