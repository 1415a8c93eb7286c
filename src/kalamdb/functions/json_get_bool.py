"""json_get_bool(document, key, …): true or false; NULL for anything else."""

from __future__ import annotations

from typing import Any

from kalamdb.functions.json_path import per_value
from kalamdb.functions.registry import Function
from kalamdb.types import BOOLEAN, JSON


def as_boolean(value: Any) -> bool | None:
    """One value found."""
    return value if isinstance(value, bool) else None


FUNCTION = Function("json_get_bool", (JSON,), BOOLEAN, "immutable", per_value(as_boolean), variadic=True)
