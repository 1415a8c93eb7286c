"""How much a query may ask for: rows of generate_series, elements of array_repeat.

DataFusion's memory pool does not bound what a function makes, so the arguments that say how much must be readable
before it runs: whole numbers, parameters, and for series of instants literals of time.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from kalamcore.statements import INTEGER, PARAMETER, STRING
from kalamdb.errors import NotSupportedError, ResourcesExceeded
from kalamdb.execution.query.tokens import Tokens

SERIES_ROWS_MAX = 1_000_000
ARRAY_ELEMENTS_MAX = 10_000

SERIES = frozenset({"generate_series", "range"})
ARRAYS = {"array_repeat": 1, "list_repeat": 1, "array_resize": 1, "list_resize": 1}
"""Functions that make arrays, with the argument that says how long."""

_UNIT_SECONDS = {
    "microsecond": 1e-6, "millisecond": 1e-3, "second": 1.0, "sec": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0,
    "day": 86400.0, "week": 604800.0, "month": 2_419_200.0, "mon": 2_419_200.0, "year": 31_536_000.0,
}  # fmt: skip
_interval_part = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([a-z]+?)s?(?:\s+|$)")


def check_series(tokens: Tokens, name: str, i: int, parameters: Sequence[object], *, elements: bool) -> None:
    """A call of generate_series or range at token i. `elements`: it makes an array per row, not rows.

    Raises ResourcesExceeded beyond the limit, NotSupportedError for arguments that cannot be read beforehand.
    """
    arguments = [_value(tokens, first, last, parameters) for first, last in tokens.arguments(i + 1)]
    most = ARRAY_ELEMENTS_MAX if elements else SERIES_ROWS_MAX
    if any(argument is None for argument in arguments):
        raise NotSupportedError(
            f"{name}() takes literals and parameters only, so that its size is known before it runs "
            f"(at most {most} rows)",
            position=tokens.starts[i],
        )
    if not elements:
        # A function in FROM takes literals alone, so that a parameter, a whole number by now, is written as one.
        for first, last in tokens.arguments(i + 1):
            for at in range(first, last):
                given = tokens.values[at] if tokens.kinds[at] == PARAMETER else None
                if isinstance(given, int) and isinstance(parameters[given], int):
                    tokens.texts[at] = f"({int(parameters[given])})"  # type: ignore[call-overload]
    numbers = [float(argument) for argument in arguments if argument is not None]
    if len(numbers) == 1:
        numbers.insert(0, 0.0)
    if len(numbers) < 2:
        return
    step = abs(numbers[2]) if len(numbers) > 2 else 1.0
    rows = abs(numbers[1] - numbers[0]) / step + (name == "generate_series") if step else 0.0
    if rows > most:
        raise ResourcesExceeded(
            f"{name}() makes up to {most} {'elements for each row' if elements else 'rows'}, "
            f"and {int(rows)} were asked for",
            position=tokens.starts[i],
        )


def check_array(tokens: Tokens, name: str, i: int, parameters: Sequence[object]) -> None:
    """A call of a function of ARRAYS at token i. Raises ResourcesExceeded, NotSupportedError."""
    arguments = tokens.arguments(i + 1)
    if len(arguments) <= ARRAYS[name]:
        return
    for inner in range(i + 1, tokens.match[i + 1]):
        if tokens.is_name(inner) and tokens.values[inner] in ARRAYS and tokens.is_operator(inner + 1, "("):
            raise NotSupportedError(
                f"{name}() of {tokens.values[inner]}() is not supported", position=tokens.starts[i]
            )
    length = _value(tokens, *arguments[ARRAYS[name]], parameters)
    if length is None:
        raise NotSupportedError(
            f"{name}() takes its length as a literal or a parameter only (at most {ARRAY_ELEMENTS_MAX})",
            position=tokens.starts[i],
        )
    if length > ARRAY_ELEMENTS_MAX:
        raise ResourcesExceeded(
            f"{name}() makes up to {ARRAY_ELEMENTS_MAX} elements, and {int(length)} were asked for",
            position=tokens.starts[i],
        )


def _value(tokens: Tokens, first: int, last: int, parameters: Sequence[object]) -> float | None:
    """What an argument says, instants and intervals in seconds; None if it is no literal. NULL is 0."""
    sign = 1
    if tokens.is_operator(first, "-", "+") and last - first == 2:
        sign = -1 if tokens.values[first] == "-" else 1
        first += 1
    if last - first == 1:
        value = tokens.values[first]
        if tokens.kinds[first] == INTEGER and isinstance(value, int):
            return float(sign * value)
        if tokens.kinds[first] == PARAMETER and isinstance(value, int) and value < len(parameters):
            given = parameters[value]
            if isinstance(given, int):
                return float(sign * given)
            return _instant(given.isoformat()) if isinstance(given, datetime.date) else None
        return 0.0 if tokens.is_word(first, "null") else None
    if tokens.kinds[last - 1] == STRING and last - first == 2 and tokens.is_word(first, "date", "timestamp"):
        return _instant(str(tokens.values[last - 1]))
    if tokens.kinds[first] == STRING and last - first == 3 and tokens.is_operator(first + 1, "::"):
        if tokens.is_word(last - 1, "date", "timestamp", "timestamptz"):
            return _instant(str(tokens.values[first]))
        return _seconds(str(tokens.values[first])) if tokens.is_word(last - 1, "interval") else None
    if tokens.is_word(first, "interval") and tokens.kinds[first + 1] == STRING:
        unit = f" {tokens.values[last - 1]}" if last - first == 3 else ""
        return _seconds(f"{tokens.values[first + 1]}{unit}")
    return None


def _instant(text: str) -> float | None:
    try:
        read = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=datetime.UTC)).timestamp()


def _seconds(text: str) -> float | None:
    text = text.strip().lower()
    parts = list(_interval_part.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    if any(part[2] not in _UNIT_SECONDS for part in parts):
        return None
    return sum(float(part[1]) * _UNIT_SECONDS[part[2]] for part in parts)
