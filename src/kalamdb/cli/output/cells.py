"""Values as text, a column at a time: what a person reads, and what a program reads."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

INTEGER_MAX = 1 << 53
"""Integers beyond it are rounded by readers of JSON that keep numbers as doubles, jq and JavaScript among them."""

_BY_STR = frozenset({int, float, Decimal, UUID, datetime.datetime, datetime.date, datetime.time})
"""Types whose `str` is what `text_of` makes of them."""
NUMBERS = frozenset({"SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"})


def is_number(type_name: str) -> bool:
    """Whether an SQL type, as `DECIMAL(9,2)`, has numbers."""
    return type_name.partition("(")[0] in NUMBERS


def text_of(value: Any) -> str:
    """A value that is not NULL as SQL and CSV readers understand it."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    if isinstance(value, (dict, list)):
        return json_of(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    return str(value)


def texts_of(values: Sequence[Any]) -> list[str | None]:
    """The values of one column, most of which are of one type, as texts; None of NULL."""
    kinds = set(map(type, values))
    has_null = type(None) in kinds
    kinds.discard(type(None))
    if kinds <= {str}:
        return list(values)
    if kinds <= _BY_STR:
        if has_null:
            return [None if value is None else str(value) for value in values]
        return list(map(str, values))
    return [None if value is None else value if type(value) is str else text_of(value) for value in values]


def json_of(value: Any) -> str:
    """A JSON value, JSON text as compact as it can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of)


def plain_json(value: Any) -> Any:
    """A cell as JSON can have it without losing anything: numbers where every reader keeps them whole, else text."""
    if value is None or value is True or value is False or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -INTEGER_MAX <= value <= INTEGER_MAX else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return value
    return text_of(value)
