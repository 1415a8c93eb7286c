"""json_length(document, key, …): elements of an array or members of an object; NULL for anything else."""

from __future__ import annotations

from typing import Any

from kalamdb.functions.json_path import per_value
from kalamdb.functions.registry import Function
from kalamdb.types import BIGINT, JSON


def length(value: Any) -> int | None:
    """One value found."""
    return len(value) if isinstance(value, (list, dict)) else None


FUNCTION = Function("json_length", (JSON,), BIGINT, "immutable", per_value(length), variadic=True)
