"""json_get_str(document, key, …), the operator ->>: a string as it is, any other value as JSON text, null as
NULL.
"""

from __future__ import annotations

from typing import Any

from kalamdb.functions.json_path import per_value, write
from kalamdb.functions.registry import Function
from kalamdb.types import JSON, TEXT


def as_text(value: Any) -> str | None:
    """One value found."""
    if value is None or isinstance(value, str):
        return value
    return write(value)


FUNCTION = Function("json_get_str", (JSON,), TEXT, "immutable", per_value(as_text), variadic=True)
