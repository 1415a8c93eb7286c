"""json_get_float(document, key, …): a number; NULL for anything else."""

from __future__ import annotations

from typing import Any

from kalamdb.functions.json_path import per_value
from kalamdb.functions.registry import Function
from kalamdb.types import DOUBLE, JSON


def as_float(value: Any) -> float | None:
    """One value found."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


FUNCTION = Function("json_get_float", (JSON,), DOUBLE, "immutable", per_value(as_float), variadic=True)
