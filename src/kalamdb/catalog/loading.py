"""Reading the catalog back from the rows of the reserved tables, when a database is opened."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kalamdb.catalog.catalog import DEFAULT_NAMESPACE, Catalog, Namespace, View
from kalamdb.catalog.definition import decode_definition
from kalamdb.catalog.reserved import (
    DROPPED_TABLES_ID,
    FIRST_TABLE_ID,
    NAMESPACES_ID,
    STORAGES_ID,
    TABLES_ID,
    VIEWS_ID,
)
from kalamdb.catalog.storage_definition import decode_storage
from kalamdb.errors import Corruption
from kalamdb.storage.definition import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kalamdb.schema import TableSchema


def load_catalog(rows_by_reserved_table: Mapping[int, Iterable[tuple[Any, ...]]]) -> Catalog:
    """The catalog that rows of the reserved tables mean; a table without rows may be left out.

    Rows are in any order, with values in the order of the table's columns. Raises Corruption, UnknownFormat.
    """
    empty = Catalog.empty()
    namespaces = {
        name: Namespace(name, MappingProxyType(json.loads(options)), _aware(created_at))
        for name, options, created_at in rows_by_reserved_table.get(NAMESPACES_ID, ())
    }
    history = _histories(rows_by_reserved_table.get(TABLES_ID, ()))
    newest = [versions[-1] for versions in history.values()]
    views = {
        (namespace, name): View(namespace, name, sql, _aware(created_at), resolve_in)
        for _, namespace, name, sql, created_at, resolve_in in rows_by_reserved_table.get(VIEWS_ID, ())
    }
    storages = {
        storage_id: decode_storage(storage_id, definition)
        for storage_id, definition in rows_by_reserved_table.get(STORAGES_ID, ())
    }
    used = [row[0] for row in rows_by_reserved_table.get(DROPPED_TABLES_ID, ())]
    return replace(
        empty,
        namespaces=MappingProxyType({**empty.namespaces, **namespaces}),
        tables=MappingProxyType({(schema.namespace, schema.name): schema for schema in newest}),
        views=MappingProxyType(views),
        history=MappingProxyType(history),
        next_table_id=max([FIRST_TABLE_ID - 1, *history, *used]) + 1,
        implicit_default=DEFAULT_NAMESPACE not in namespaces,
        storages=MappingProxyType({**empty.storages, **storages}),
        implicit_local=LOCAL not in storages,
    )


def _histories(rows: Iterable[tuple[Any, ...]]) -> dict[int, tuple[TableSchema, ...]]:
    found: defaultdict[int, list[TableSchema]] = defaultdict(list)
    for key, table_id, version, definition in rows:
        schema = decode_definition(definition)
        if (schema.table_id, schema.version) != (table_id, version):
            raise Corruption(f"catalog row {key} holds the definition of {schema.table_id}.{schema.version}")
        found[table_id].append(schema)
    return {
        table_id: tuple(sorted(versions, key=lambda schema: schema.version))
        for table_id, versions in sorted(found.items())
    }


def _aware(at: datetime.datetime) -> datetime.datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC)
