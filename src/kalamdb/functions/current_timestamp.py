"""CURRENT_TIMESTAMP, with or without parentheses: the instant of the statement, as NOW()."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import TIMESTAMP

if TYPE_CHECKING:
    import datetime


def evaluate(context: FunctionContext, count: int) -> list[datetime.datetime]:
    """`count` results."""
    return [context.now] * count


FUNCTION = Function("current_timestamp", (), TIMESTAMP, "stable", evaluate, keyword_call=True)
