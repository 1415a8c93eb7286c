"""When two answers are the same: values by what they say, rows in order or counted."""

from __future__ import annotations

import decimal
import math
from collections import Counter
from collections.abc import Sequence


def same_rows(one: Sequence[Sequence[object]], other: Sequence[Sequence[object]], ordered: bool) -> bool:
    """Whether both have the same rows."""
    left, right = ([tuple(map(normal, row)) for row in rows] for rows in (one, other))
    return left == right if ordered else Counter(left) == Counter(right)


def normal(value: object) -> object:
    """Numbers by their value, fractions to nine digits: 1, 1.0 and TRUE are one. No number is a text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float | decimal.Decimal):
        number = float(value)
        if not math.isfinite(number):
            return str(number)
        return int(number) if number.is_integer() and abs(number) < 2**53 else float(f"{number:.9g}")
    return value
