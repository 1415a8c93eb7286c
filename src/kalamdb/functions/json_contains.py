"""json_contains(document, key, …): whether the keys lead to a value, be it null; NULL for a NULL document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.functions.json_path import NOTHING, found
from kalamdb.functions.registry import Function
from kalamdb.types import BOOLEAN, JSON

if TYPE_CHECKING:
    from collections.abc import Sequence


def evaluate(
    context: object, count: int, documents: Sequence[str | None], *keys: Sequence[object]
) -> list[bool | None]:
    """`count` results."""
    values = found(documents, keys)
    return [
        None if document is None else value is not NOTHING
        for document, value in zip(documents, values, strict=True)
    ]


FUNCTION = Function("json_contains", (JSON,), BOOLEAN, "immutable", evaluate, variadic=True)
