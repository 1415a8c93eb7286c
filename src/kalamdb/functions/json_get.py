"""json_get(document, key, …): the value there as JSON text; JSON null stays `null`, no value is NULL."""

from __future__ import annotations

from kalamdb.functions.json_path import per_value, write
from kalamdb.functions.registry import Function
from kalamdb.types import JSON

FUNCTION = Function("json_get", (JSON,), JSON, "immutable", per_value(write), variadic=True)
