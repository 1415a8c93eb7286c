"""How the JSON functions find a value: a document and the keys that lead into it.

A TEXT key names a member of an object, a BIGINT key an element of an array, counted from 0, or from the end
when negative. A key that leads nowhere, or is NULL, leads to nothing, which the functions answer with NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import kalamdb.types as types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class _Nothing:
    __slots__ = ()


NOTHING: Final = _Nothing()
"""Where no value is; None is JSON's own null."""


def found(documents: Sequence[str | None], keys: Sequence[Sequence[object]]) -> Iterator[Any]:
    """What each document's keys lead to, or NOTHING. Raises InvalidValue for text that is no JSON."""
    if not keys:
        return map(read, documents)
    return (_follow(read(document), path) for document, *path in zip(documents, *keys, strict=True))


def read(document: str | None) -> Any:
    """A document's value, or NOTHING for NULL. Raises InvalidValue."""
    import orjson

    if document is None:
        return NOTHING
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        # The same words as for a value that is written to a JSON column.
        types.coerce(document, types.JSON)
        raise


def write(value: Any) -> str:
    """A value as JSON text."""
    import orjson

    return orjson.dumps(value).decode()


def _follow(value: Any, path: Sequence[object]) -> Any:
    for key in path:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return NOTHING
            value = value[key]
        elif isinstance(key, int) and not isinstance(key, bool):
            if not isinstance(value, list) or not -len(value) <= key < len(value):
                return NOTHING
            value = value[key]
        else:
            return NOTHING
    return value


def per_value(convert: Callable[[Any], Any]) -> Callable[..., list[Any]]:
    """An `evaluate` that gives each value found to `convert`, and NULL where there is none."""

    def evaluate(
        context: object, count: int, documents: Sequence[str | None], *keys: Sequence[object]
    ) -> list[Any]:
        return [None if value is NOTHING else convert(value) for value in found(documents, keys)]

    return evaluate
