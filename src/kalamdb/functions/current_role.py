"""CURRENT_ROLE(): the role of the session's user."""

from __future__ import annotations

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import TEXT


def evaluate(context: FunctionContext, count: int) -> list[str]:
    """`count` results."""
    # A plain text: the role of a session is an enumeration's, which is shown otherwise.
    return [str(context.role)] * count


FUNCTION = Function("current_role", (), TEXT, "stable", evaluate)
