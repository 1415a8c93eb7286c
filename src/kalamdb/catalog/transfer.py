"""What exists, as plain JSON that leaves the database in a backup, and as a change of a catalog when it comes back.

The JSON is drawn in docs/formats.md, "A backup". Secrets of storages stay encrypted under the master key, which never
leaves.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kalamdb.catalog.catalog import (
    DEFAULT_NAMESPACE,
    Catalog,
    CatalogChange,
    Namespace,
    View,
)
from kalamdb.catalog.definition import decode_definition, encode_definition
from kalamdb.catalog.reserved import DROPPED_TABLES_ID, TABLES_ID, VIEWS_ID
from kalamdb.catalog.storage_definition import decode_storage, encode_storage
from kalamdb.errors import Corruption, DuplicateObject, UndefinedNamespace
from kalamdb.storage.definition import LOCAL, Storage

if TYPE_CHECKING:
    from kalamdb.schema import TableSchema

Changed = tuple[Catalog, list[CatalogChange]]


@dataclass(frozen=True, slots=True)
class Description:
    """What a backup holds of a catalog. `histories`: of each table every version, the oldest first."""

    namespaces: tuple[Namespace, ...]
    histories: tuple[tuple[TableSchema, ...], ...]
    views: tuple[View, ...]
    storages: tuple[Storage, ...]


def describe(catalog: Catalog, namespace: str | None) -> dict[str, Any]:
    """What exists in a namespace, or in all of them (None), as plain JSON. Raises UndefinedNamespace."""
    if namespace is not None:
        catalog.require_namespace(namespace)
    names = sorted(catalog.namespaces) if namespace is None else [namespace]
    tables = [schema for name in names for schema in catalog.tables_in(name)]
    views = [view for name in names for view in catalog.views_in(name)]
    used = {schema.options.storage_id or LOCAL for schema in tables}
    return {
        "namespaces": [
            [one.name, dict(one.options), one.created_at.isoformat()]
            for one in (catalog.namespaces[name] for name in names)
        ],
        "tables": [
            [encode_definition(version) for version in catalog.history[schema.table_id]] for schema in tables
        ],
        "views": [
            [view.namespace, view.name, view.sql, view.created_at.isoformat(), view.resolve_in]
            for view in views
        ],
        "storages": [
            [storage_id, encode_storage(storage)]
            for storage_id, storage in sorted(catalog.storages.items())
            if storage_id != LOCAL and (namespace is None or storage_id in used)
        ],
    }


def read_description(found: Mapping[str, Any], namespace: str | None) -> Description:
    """What `describe` wrote, or of it what is in one namespace. Raises Corruption, UnknownFormat,
    UndefinedNamespace."""
    try:
        made = Description(
            tuple(
                Namespace(name, MappingProxyType(dict(options)), _at(created_at))
                for name, options, created_at in found["namespaces"]
            ),
            tuple(tuple(map(decode_definition, versions)) for versions in found["tables"]),
            tuple(
                View(of, name, sql, _at(created_at), resolve_in)
                for of, name, sql, created_at, resolve_in in found["views"]
            ),
            tuple(decode_storage(storage_id, text) for storage_id, text in found["storages"]),
        )
        if not all(made.histories):
            raise ValueError("a table has no version")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Corruption(
            f"what the backup says of tables cannot be read: {error!r}; restore from another backup"
        ) from error
    if namespace is None:
        return made
    if all(one.name != namespace for one in made.namespaces):
        raise UndefinedNamespace(
            f'the backup has no namespace "{namespace}"; it has {", ".join(one.name for one in made.namespaces)}'
        )
    histories = tuple(one for one in made.histories if one[-1].namespace == namespace)
    used = {one[-1].options.storage_id for one in histories}
    return Description(
        tuple(one for one in made.namespaces if one.name == namespace),
        histories,
        tuple(view for view in made.views if view.namespace == namespace),
        tuple(storage for storage in made.storages if storage.storage_id in used),
    )


def require_absent(catalog: Catalog, description: Description) -> None:
    """Raises DuplicateObject where anything of it exists. `default` always does, so of it what stands in it counts, and
    a storage of the same name is used as it is."""
    for one in description.namespaces:
        if one.name != DEFAULT_NAMESPACE and one.name in catalog.namespaces:
            raise DuplicateObject(
                f'namespace "{one.name}" already exists; nothing is overwritten: drop it, or restore into another '
                "database"
            )
    names = [(versions[-1].namespace, versions[-1].name) for versions in description.histories]
    names += [(view.namespace, view.name) for view in description.views]
    for namespace, name in names:
        if (namespace, name) in catalog.tables or (namespace, name) in catalog.views:
            raise DuplicateObject(
                f'relation "{namespace}.{name}" already exists; nothing is overwritten: drop it, or restore into '
                "another database"
            )


def prepare(
    catalog: Catalog,
    description: Description,
    at: datetime.datetime,
    usable: Callable[[Storage], Storage],
) -> tuple[Catalog, list[CatalogChange], list[tuple[TableSchema, ...]], list[str]]:
    """Give the tables ids of their own, which count as those of dropped tables for now, and make the storages that are
    missing. The tables with these ids, and the names of the storages. `usable`: a storage as it can be used here."""
    require_absent(catalog, description)
    changes: list[CatalogChange] = []
    made: list[str] = []
    for storage in description.storages:
        if storage.storage_id not in catalog.storages:
            catalog, more = catalog.add_storage(usable(storage))
            changes += more
            made.append(storage.storage_id)
    histories = []
    next_id = catalog.next_table_id
    for versions in description.histories:
        histories.append(tuple(replace(version, table_id=next_id) for version in versions))
        newest = versions[-1]
        changes.append(
            CatalogChange(DROPPED_TABLES_ID, "insert", (next_id, newest.namespace, newest.name, at))
        )
        next_id += 1
    return replace(catalog, next_table_id=next_id), changes, histories, made


def complete(
    catalog: Catalog,
    description: Description,
    histories: Sequence[tuple[TableSchema, ...]],
    at: datetime.datetime,
) -> Changed:
    """Let what was prepared (at the instant `at`) exist. Raises DuplicateObject where somebody made it meanwhile."""
    require_absent(catalog, description)
    changes: list[CatalogChange] = []
    for namespace in description.namespaces:
        if namespace.name not in catalog.namespaces:
            catalog, more = catalog.add_namespace(namespace.name, namespace.options, namespace.created_at)
            changes += more
        elif namespace.options:
            catalog, more = catalog.set_namespace_options(namespace.name, namespace.options)
            changes += more
    tables = {(versions[-1].namespace, versions[-1].name): versions[-1] for versions in histories}
    for versions in histories:
        newest = versions[-1]
        row = (newest.table_id, newest.namespace, newest.name, at)
        changes.append(CatalogChange(DROPPED_TABLES_ID, "delete", row))
        for version in versions:
            key = f"{version.table_id}.{version.version}"
            values = (key, version.table_id, version.version, encode_definition(version))
            changes.append(CatalogChange(TABLES_ID, "insert", values))
    views = {(view.namespace, view.name): view for view in description.views}
    changes += [
        CatalogChange(
            VIEWS_ID,
            "insert",
            (view.qualified_name, view.namespace, view.name, view.sql, view.created_at, view.resolve_in),
        )
        for view in description.views
    ]
    return (
        replace(
            catalog,
            tables=MappingProxyType({**catalog.tables, **tables}),
            history=MappingProxyType(
                {**catalog.history, **{versions[-1].table_id: versions for versions in histories}}
            ),
            views=MappingProxyType({**catalog.views, **views}),
        ),
        changes,
    )


def _at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
