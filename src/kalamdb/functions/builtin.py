"""The functions that every database has from the start."""

from __future__ import annotations

from kalamdb.functions import (
    current_role,
    current_timestamp,
    current_user,
    json_contains,
    json_get,
    json_get_bool,
    json_get_float,
    json_get_int,
    json_get_json,
    json_get_str,
    json_length,
    now,
    snowflake_id,
    ulid,
    uuid_v7,
)
from kalamdb.functions.registry import FunctionRegistry

_MODULES = (
    now,
    current_timestamp,
    current_user,
    current_role,
    snowflake_id,
    uuid_v7,
    ulid,
    json_get,
    json_get_str,
    json_get_int,
    json_get_float,
    json_get_bool,
    json_get_json,
    json_contains,
    json_length,
)


def builtin_functions() -> FunctionRegistry:
    """A new registry that holds them."""
    return FunctionRegistry([module.FUNCTION for module in _MODULES])
