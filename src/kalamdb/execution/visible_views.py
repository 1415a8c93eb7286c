"""Which views exist for a user: those that read nothing which the user may not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kalamdb.sql.parser import scan_statement

if TYPE_CHECKING:
    from kalamdb.catalog.catalog import Catalog, View
    from kalamdb.schema import TableSchema

_WORD, _QUOTED = 1, 2
Key = tuple[str, str]
"""Namespace and name."""


def visible_views(catalog: Catalog, may_see: Callable[[TableSchema], bool]) -> Mapping[Key, View]:
    """The views whose texts name no table that is hidden from the user, and no view that does.

    Told by the words of the text, without planning it, which would read rows: a view in which a hidden table's name
    stands for something else counts as one that reads it. That hides it from listings, and from nothing else.
    """
    hidden = {key for key, table in catalog.tables.items() if not may_see(table)}
    if not hidden:
        return catalog.views
    shown = dict(catalog.views)
    while True:
        gone = [key for key, view in shown.items() if _names_any(view, hidden)]
        if not gone:
            return shown
        for key in gone:
            hidden.add(key)
            del shown[key]


def is_visible_view(
    catalog: Catalog, namespace: str, name: str, may_see: Callable[[TableSchema], bool]
) -> bool:
    """Whether there is such a view for the user."""
    return catalog.view(namespace, name) is not None and (namespace, name) in visible_views(catalog, may_see)


def _names_any(view: View, hidden: set[Key]) -> bool:
    words = _words(view.sql)
    return any(
        name in words and (namespace in words or namespace == view.resolve_in) for namespace, name in hidden
    )


@functools.lru_cache(maxsize=1024)
def _words(sql: str) -> frozenset[str]:
    return frozenset(str(token[3]) for token in scan_statement(sql).tokens if token[0] in (_WORD, _QUOTED))
