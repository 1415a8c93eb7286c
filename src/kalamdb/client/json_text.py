"""JSON by orjson where that is installed, else by the standard library."""

from __future__ import annotations

import datetime
import decimal
import importlib
import uuid
from collections.abc import Mapping
from typing import Any

from kalamdb.errors import InvalidParameter

orjson: Any
try:
    orjson = importlib.import_module("orjson")
except ImportError:
    orjson = None

_INTEGER_MAX = (1 << 63) - 1


def loads(text: bytes | str) -> Any:
    """What a JSON text says. Raises ValueError."""
    if orjson is not None:
        return orjson.loads(text)
    import json

    return json.loads(text)


def dumps(value: object) -> bytes:
    """A value as JSON. Raises InvalidParameter for what has no form in it."""
    try:
        if orjson is not None:
            return bytes(orjson.dumps(value))
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidParameter(f"this cannot be sent to a server: {error}") from error


def parameter(value: Any) -> Any:
    """A parameter in the form that a server reads by the type of its place. Raises InvalidParameter."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if kind is int:
        return value if -_INTEGER_MAX <= value <= _INTEGER_MAX else str(value)
    if kind is float:
        # JSON has no NaN and no infinities; a place that takes a FLOAT or DOUBLE reads them as text.
        return value if value - value == 0.0 else repr(value)
    if isinstance(value, (Mapping, list, tuple)):
        return dict(value) if isinstance(value, Mapping) else list(value)
    return _of_other(value)


def _of_other(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return list(bytes(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return parameter(value.item())  # a scalar of NumPy
    if isinstance(value, (str, int, float)):
        return value
    raise InvalidParameter(
        f"a parameter is None, bool, int, float, Decimal, str, bytes, datetime, date, time, UUID, dict or list, "
        f"not {type(value).__name__}"
    )
