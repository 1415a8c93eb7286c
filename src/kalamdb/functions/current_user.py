"""CURRENT_USER, with or without parentheses: the name of the session's user; under EXECUTE AS USER the
subject.
"""

from __future__ import annotations

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import TEXT


def evaluate(context: FunctionContext, count: int) -> list[str]:
    """`count` results."""
    return [context.user] * count


FUNCTION = Function("current_user", (), TEXT, "stable", evaluate, keyword_call=True)
