"""SNOWFLAKE_ID(): a new 64-bit id per row, ordered by time, larger than every one before."""

from __future__ import annotations

from kalamdb.functions.registry import Function, FunctionContext
from kalamdb.types import BIGINT


def evaluate(context: FunctionContext, count: int) -> list[int]:
    """`count` results."""
    if count == 1:
        return [context.ids.snowflake_id()]
    return memoryview(context.ids.snowflake_ids(count)).cast("B").cast("q").tolist()


FUNCTION = Function("snowflake_id", (), BIGINT, "volatile", evaluate)
