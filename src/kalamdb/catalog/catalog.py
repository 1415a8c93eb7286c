"""The catalog: which namespaces, tables, views and storages exist, as one immutable value.

A change makes a new catalog and tells which rows of the reserved tables it means (CatalogChange); whoever
makes it writes those rows in one commit, and then lets the new catalog take the old one's place. Readers keep
the one they have.
"""

from __future__ import annotations

import datetime
import decimal
import json
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from kalamdb.catalog.definition import encode_definition
from kalamdb.catalog.reserved import (
    DROPPED_TABLES_ID,
    FIRST_TABLE_ID,
    NAMESPACES_ID,
    STORAGES_ID,
    TABLES_ID,
    VIEWS_ID,
)
from kalamdb.catalog.storage_definition import encode_storage
from kalamdb.errors import (
    DependentObjects,
    DuplicateObject,
    InvalidDefinition,
    UndefinedNamespace,
    UndefinedObject,
    UndefinedTable,
)
from kalamdb.schema import TableKind
from kalamdb.storage.definition import LOCAL, Storage, check_storage, local_storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalamdb.schema import TableSchema

DEFAULT_NAMESPACE = "default"
Key = TypeVar("Key")
Value = TypeVar("Value")

_DAWN = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
_NAMED_MAX = 20
_LOCAL_ALONE: Mapping[str, Storage] = MappingProxyType({LOCAL: local_storage(_DAWN)})


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named group of tables. `options`: what ALTER NAMESPACE … SET OPTIONS and CREATE NAMESPACE said."""

    name: str
    options: Mapping[str, Any]
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class View:
    """A stored SELECT. `sql`: its text as written; its unqualified names are looked up in the namespace `resolve_in`,
    which was its creator's."""

    namespace: str
    name: str
    sql: str
    created_at: datetime.datetime
    resolve_in: str = DEFAULT_NAMESPACE

    @property
    def qualified_name(self) -> str:
        """`namespace.name`, as messages show it."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One row of a reserved table that a change writes.

    `values` in the order of the table's columns: the new row, for a delete the row that goes.
    """

    table_id: int
    action: Literal["insert", "replace", "delete"]
    values: tuple[object, ...]


Changed = tuple["Catalog", list[CatalogChange]]


@dataclass(frozen=True, slots=True)
class Catalog:
    """What exists at one moment. Immutable; every method that changes something returns a new one.

    `history`: every schema version of each existing table by its id, oldest first.
    """

    namespaces: Mapping[str, Namespace]
    tables: Mapping[tuple[str, str], TableSchema]
    views: Mapping[tuple[str, str], View]
    history: Mapping[int, tuple[TableSchema, ...]]
    next_table_id: int = FIRST_TABLE_ID
    implicit_default: bool = field(default=True, compare=False)
    """Whether the namespace `default` has no row of its own yet; it exists all the same."""
    storages: Mapping[str, Storage] = field(default_factory=lambda: _LOCAL_ALONE)
    """By id; `local` is always among them."""
    implicit_local: bool = field(default=True, compare=False)
    """Whether the storage `local` has no row of its own yet."""

    @staticmethod
    def empty() -> Catalog:
        """What a new database has: the namespace `default`."""
        first = Namespace(DEFAULT_NAMESPACE, MappingProxyType({}), _DAWN)
        nothing: Mapping[Any, Any] = MappingProxyType({})
        return Catalog(MappingProxyType({DEFAULT_NAMESPACE: first}), nothing, nothing, nothing)

    # Looking up

    def table(self, namespace: str, name: str) -> TableSchema | None:
        """The newest schema of a table, or None."""
        return self.tables.get((namespace, name))

    def view(self, namespace: str, name: str) -> View | None:
        """The view, or None."""
        return self.views.get((namespace, name))

    def table_by_id(self, table_id: int) -> TableSchema | None:
        """The newest schema of the table of this id, or None."""
        versions = self.history.get(table_id)
        return versions[-1] if versions else None

    def tables_in(self, namespace: str) -> list[TableSchema]:
        """A namespace's tables, by name."""
        return [schema for (of, _), schema in sorted(self.tables.items()) if of == namespace]

    def views_in(self, namespace: str) -> list[View]:
        """A namespace's views, by name."""
        return [view for (of, _), view in sorted(self.views.items()) if of == namespace]

    def require_namespace(self, name: str) -> Namespace:
        """The namespace. Raises UndefinedNamespace."""
        found = self.namespaces.get(name)
        if found is None:
            raise UndefinedNamespace(
                f'namespace "{name}" does not exist; create it first with CREATE NAMESPACE {name}'
            )
        return found

    def require_storage(self, storage_id: str) -> Storage:
        """The storage. Raises UndefinedObject."""
        found = self.storages.get(storage_id)
        if found is None:
            raise UndefinedObject(
                f'storage "{storage_id}" does not exist; create it first with CREATE STORAGE, or leave STORAGE out for '
                f'"{LOCAL}"'
            )
        return found

    def tables_of_storage(self, storage_id: str) -> list[TableSchema]:
        """The tables whose cold segments go there, by name."""
        return [
            schema
            for _, schema in sorted(self.tables.items())
            if schema.kind is not TableKind.STREAM and (schema.options.storage_id or LOCAL) == storage_id
        ]

    # Namespaces

    def add_namespace(self, name: str, options: Mapping[str, Any], created_at: datetime.datetime) -> Changed:
        """Raises DuplicateObject."""
        if name in self.namespaces:
            raise DuplicateObject(f'namespace "{name}" already exists')
        added = Namespace(name, _plain_json(options), created_at)
        catalog = replace(self, namespaces=_with(self.namespaces, {name: added}))
        return catalog, [CatalogChange(NAMESPACES_ID, "insert", _namespace_row(added))]

    def set_namespace_options(self, name: str, options: Mapping[str, Any]) -> Changed:
        """Options that are given replace those of the same name; None takes one away. Raises
        UndefinedNamespace.
        """
        old = self.require_namespace(name)
        merged = {key: value for key, value in {**old.options, **options}.items() if value is not None}
        new = replace(old, options=_plain_json(merged))
        unwritten = name == DEFAULT_NAMESPACE and self.implicit_default
        catalog = replace(
            self,
            namespaces=_with(self.namespaces, {name: new}),
            implicit_default=self.implicit_default and not unwritten,
        )
        change = CatalogChange(NAMESPACES_ID, "insert" if unwritten else "replace", _namespace_row(new))
        return catalog, [change]

    def drop_namespace(self, name: str, dropped_at: datetime.datetime, *, cascade: bool = False) -> Changed:
        """With `cascade` also its tables and views.

        Raises UndefinedNamespace, DependentObjects, and InvalidDefinition for `default`.
        """
        namespace = self.require_namespace(name)
        if name == DEFAULT_NAMESPACE:
            raise InvalidDefinition('namespace "default" always exists and cannot be dropped')
        tables, views = self.tables_in(name), self.views_in(name)
        if (tables or views) and not cascade:
            count = len(tables) + len(views)
            raise DependentObjects(
                f'namespace "{name}" is not empty: {count} table(s) or view(s) stand in it, '
                f"{(tables or views)[0].qualified_name} among them; "
                f"drop them first, or use DROP NAMESPACE {name} CASCADE"
            )
        catalog: Catalog = self
        changes: list[CatalogChange] = []
        for view in views:
            catalog, more = catalog.drop_view(name, view.name)
            changes += more
        for table in tables:
            catalog, more = catalog.drop_table(name, table.name, dropped_at)
            changes += more
        changes.append(CatalogChange(NAMESPACES_ID, "delete", _namespace_row(namespace)))
        return replace(catalog, namespaces=_without(catalog.namespaces, name)), changes

    # Tables

    def add_table(self, schema: TableSchema) -> Changed:
        """A new table, whose `table_id` must be `next_table_id`.

        Raises UndefinedNamespace, UndefinedObject for its storage, DuplicateObject.
        """
        self._require_free(schema.namespace, schema.name)
        if schema.options.storage_id is not None:
            self.require_storage(schema.options.storage_id)
        if schema.table_id != self.next_table_id:
            raise ValueError(f"table id {schema.table_id} is not the next, {self.next_table_id}")
        catalog = replace(
            self,
            tables=_with(self.tables, {(schema.namespace, schema.name): schema}),
            history=_with(self.history, {schema.table_id: (schema,)}),
            next_table_id=schema.table_id + 1,
        )
        return catalog, [CatalogChange(TABLES_ID, "insert", _table_row(schema))]

    def replace_table(self, schema: TableSchema) -> Changed:
        """A new schema version of a table that keeps its id and name; every older version is kept.

        Raises UndefinedTable.
        """
        name = (schema.namespace, schema.name)
        old = self._require_table(*name)
        if schema.table_id != old.table_id or schema.version != old.version + 1:
            raise ValueError(
                f"{schema.qualified_name}: id {schema.table_id} version {schema.version} does not follow "
                f"id {old.table_id} version {old.version}"
            )
        if schema.next_column_id < old.next_column_id:
            raise ValueError(f"{schema.qualified_name}: a column id would be used again")
        catalog = replace(
            self,
            tables=_with(self.tables, {name: schema}),
            history=_with(self.history, {schema.table_id: (*self.history[schema.table_id], schema)}),
        )
        return catalog, [CatalogChange(TABLES_ID, "insert", _table_row(schema))]

    def drop_table(self, namespace: str, name: str, dropped_at: datetime.datetime) -> Changed:
        """Its id is never used again. Raises UndefinedTable."""
        schema = self._require_table(namespace, name)
        changes = [
            CatalogChange(TABLES_ID, "delete", _table_row(version))
            for version in self.history[schema.table_id]
        ]
        changes.append(
            CatalogChange(DROPPED_TABLES_ID, "insert", (schema.table_id, namespace, name, dropped_at))
        )
        catalog = replace(
            self,
            tables=_without(self.tables, (namespace, name)),
            history=_without(self.history, schema.table_id),
        )
        return catalog, changes

    # Views

    def add_view(self, view: View, *, replacing: bool = False) -> Changed:
        """With `replacing` a view of the same name gives way; a table never does.

        Raises UndefinedNamespace, DuplicateObject.
        """
        key = (view.namespace, view.name)
        existing = self.views.get(key)
        if not (existing is not None and replacing):
            self._require_free(*key)
        action: Literal["insert", "replace"] = "insert" if existing is None else "replace"
        catalog = replace(self, views=_with(self.views, {key: view}))
        return catalog, [CatalogChange(VIEWS_ID, action, _view_row(view))]

    def drop_view(self, namespace: str, name: str) -> Changed:
        """Raises UndefinedTable."""
        view = self.view(namespace, name)
        if view is None:
            raise UndefinedTable(f'view "{namespace}.{name}" does not exist')
        catalog = replace(self, views=_without(self.views, (namespace, name)))
        return catalog, [CatalogChange(VIEWS_ID, "delete", _view_row(view))]

    # Storages

    def add_storage(self, storage: Storage) -> Changed:
        """Raises DuplicateObject, and InvalidDefinition where it cannot be as it is."""
        if storage.storage_id in self.storages:
            raise DuplicateObject(f'storage "{storage.storage_id}" already exists')
        self._check_storage(storage)
        catalog = replace(self, storages=_with(self.storages, {storage.storage_id: storage}))
        return catalog, [CatalogChange(STORAGES_ID, "insert", _storage_row(storage))]

    def replace_storage(self, storage: Storage) -> Changed:
        """A changed storage. Where its files lie can be changed only while no table refers to it.

        Raises UndefinedObject, InvalidDefinition, DependentObjects.
        """
        old = self.require_storage(storage.storage_id)
        self._check_storage(storage)
        for option, column in (
            ("URI", "uri"),
            ("SHARED_TABLES_TEMPLATE", "shared_tables_template"),
            ("USER_TABLES_TEMPLATE", "user_tables_template"),
        ):
            if getattr(old, column) != getattr(storage, column):
                self._require_unused(storage.storage_id, f"change the {option} of")
        unwritten = old.is_local and self.implicit_local
        catalog = replace(
            self,
            storages=_with(self.storages, {storage.storage_id: storage}),
            implicit_local=self.implicit_local and not unwritten,
        )
        return catalog, [
            CatalogChange(STORAGES_ID, "insert" if unwritten else "replace", _storage_row(storage))
        ]

    def drop_storage(self, storage_id: str) -> Changed:
        """Raises UndefinedObject, DependentObjects, and InvalidDefinition for `local`."""
        storage = self.require_storage(storage_id)
        if storage.is_local:
            raise InvalidDefinition(f'storage "{LOCAL}" always exists and cannot be dropped')
        self._require_unused(storage_id, "drop")
        catalog = replace(self, storages=_without(self.storages, storage_id))
        return catalog, [CatalogChange(STORAGES_ID, "delete", _storage_row(storage))]

    def _check_storage(self, storage: Storage) -> None:
        """Also beside the others: in one place, different templates could give two tables one folder."""
        check_storage(storage)
        for other in self.storages.values():
            if other.storage_id == storage.storage_id or not storage.place.overlaps(other.place):
                continue
            if storage.place == other.place and (
                storage.shared_tables_template,
                storage.user_tables_template,
            ) == (
                other.shared_tables_template,
                other.user_tables_template,
            ):
                continue
            raise InvalidDefinition(
                f'the URI of storage "{storage.storage_id}" lies in that of storage "{other.storage_id}" or around it, '
                "so that their files could meet; choose another URI, or the same URI and templates"
            )

    def _require_unused(self, storage_id: str, action: str) -> None:
        tables = self.tables_of_storage(storage_id)
        if not tables:
            return
        names = [table.qualified_name for table in tables[:_NAMED_MAX]]
        if len(tables) > _NAMED_MAX:
            names.append(f"and {len(tables) - _NAMED_MAX} more")
        refer = "1 table refers" if len(tables) == 1 else f"{len(tables)} tables refer"
        raise DependentObjects(f'cannot {action} storage "{storage_id}": {refer} to it ({", ".join(names)})')

    def _require_table(self, namespace: str, name: str) -> TableSchema:
        schema = self.table(namespace, name)
        if schema is None:
            raise UndefinedTable(f'relation "{namespace}.{name}" does not exist')
        return schema

    def _require_free(self, namespace: str, name: str) -> None:
        self.require_namespace(namespace)
        if (namespace, name) in self.tables or (namespace, name) in self.views:
            raise DuplicateObject(f'relation "{namespace}.{name}" already exists')


def _plain_json(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """As they will be read back: a Decimal, say, becomes a float."""
    return MappingProxyType(json.loads(json.dumps(dict(options), default=_json_default)))


def _json_default(value: object) -> object:
    return float(value) if isinstance(value, decimal.Decimal) else str(value)


def _with(mapping: Mapping[Key, Value], more: dict[Key, Value]) -> Mapping[Key, Value]:
    return MappingProxyType({**mapping, **more})


def _without(mapping: Mapping[Key, Value], key: Key) -> Mapping[Key, Value]:
    return MappingProxyType({k: v for k, v in mapping.items() if k != key})


def _namespace_row(namespace: Namespace) -> tuple[object, ...]:
    return namespace.name, json.dumps(dict(namespace.options)), namespace.created_at


def _table_row(schema: TableSchema) -> tuple[object, ...]:
    key = f"{schema.table_id}.{schema.version}"
    return key, schema.table_id, schema.version, encode_definition(schema)


def _view_row(view: View) -> tuple[object, ...]:
    return view.qualified_name, view.namespace, view.name, view.sql, view.created_at, view.resolve_in


def _storage_row(storage: Storage) -> tuple[object, ...]:
    return storage.storage_id, encode_storage(storage)
