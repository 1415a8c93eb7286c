"""json_get_json(document, key, …), the operator ->: the value there as JSON text, as json_get."""

from __future__ import annotations

from kalamdb.functions.json_path import per_value, write
from kalamdb.functions.registry import Function
from kalamdb.types import JSON

FUNCTION = Function("json_get_json", (JSON,), JSON, "immutable", per_value(write), variadic=True)
