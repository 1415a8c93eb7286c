"""json_get_int(document, key, …): a whole number that fits BIGINT; NULL for anything else."""

from __future__ import annotations

from typing import Any

from kalamdb.functions.json_path import per_value
from kalamdb.functions.registry import Function
from kalamdb.types import BIGINT, JSON


def as_integer(value: Any) -> int | None:
    """One value found."""
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63:
        return value
    return None


FUNCTION = Function("json_get_int", (JSON,), BIGINT, "immutable", per_value(as_integer), variadic=True)
