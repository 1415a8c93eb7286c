"""Storages: made, changed, dropped, listed, and asked whether they answer.

Nothing here but STORAGE CHECK speaks to a storage: one that cannot be reached can be defined, changed and dropped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kalamdb.auth import Action, authorize
from kalamdb.auth.account import shown_user
from kalamdb.catalog.catalog import Catalog, CatalogChange
from kalamdb.errors import DependentObjects, DuplicateObject, InvalidDefinition
from kalamdb.result import Result
from kalamdb.sql.names import check_storage_name
from kalamdb.storage.credentials import MASK, parse_credentials
from kalamdb.storage.definition import Storage, check_storage
from kalamdb.storage.uri import TYPES, parse_uri
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.sql.storage import (
        AlterStorage,
        CheckStorage,
        CreateStorage,
        DropStorage,
        ShowStorages,
        StorageParts,
    )

TEXT = DataType(TypeName.TEXT)
NAME_LENGTH_MAX = 200
DESCRIPTION_LENGTH_MAX = 2000

Changed = tuple[Catalog, list[CatalogChange]]


def create_storage(statement: CreateStorage, context: Context) -> Result:
    """Make a storage."""
    authorize(context.rights, Action.CHANGE_STORAGE)
    check_storage_name(statement.storage)
    name, parts = statement.storage, statement.parts
    assert parts.type is not None
    assert parts.uri is not None
    if parts.type not in TYPES:
        raise InvalidDefinition(f"the type of a storage is {', '.join(TYPES[:-1])} or {TYPES[-1]}")
    if statement.if_not_exists and name in context.catalog.storages:
        return Result.affected(0, f"Storage {name} already exists")
    if name in context.catalog.storages:
        raise DuplicateObject(f'storage "{name}" already exists')
    blank = Storage(name, parts.type, parse_uri(parts.type, parts.uri).text, context.now, context.now)
    made = _changed(blank, parts, context)

    def change(catalog: Catalog) -> Changed:
        if statement.if_not_exists and name in catalog.storages:
            return catalog, []
        return catalog.add_storage(made)

    context.change_catalog(statement, change)
    return Result.affected(0, f"Created storage {name}")


def alter_storage(statement: AlterStorage, context: Context) -> Result:
    """Change a storage; where its files lie, only while no table refers to it."""
    authorize(context.rights, Action.CHANGE_STORAGE)

    def change(catalog: Catalog) -> Changed:
        old = catalog.require_storage(statement.storage)
        if any(value is not None for value in _where_files_lie(statement.parts)):
            _require_unused_by_users(statement.storage, "change", catalog, context)
        return catalog.replace_storage(
            replace(_changed(old, statement.parts, context), updated_at=context.now)
        )

    context.change_catalog(statement, change)
    return Result.affected(0, f"Altered storage {statement.storage}")


def drop_storage(statement: DropStorage, context: Context) -> Result:
    """Forget a storage that no table refers to. What lies in it stays there."""
    authorize(context.rights, Action.CHANGE_STORAGE)

    def change(catalog: Catalog) -> Changed:
        if statement.if_exists and statement.storage not in catalog.storages:
            return catalog, []
        catalog.require_storage(statement.storage)
        _require_unused_by_users(statement.storage, "drop", catalog, context)
        return catalog.drop_storage(statement.storage)

    context.change_catalog(statement, change)
    context.services.storages.forget(statement.storage)
    return Result.affected(0, f"Dropped storage {statement.storage}")


def _where_files_lie(parts: StorageParts) -> tuple[str | None, ...]:
    return parts.uri, parts.shared_tables_template, parts.user_tables_template


def _require_unused_by_users(storage_id: str, action: str, catalog: Catalog, context: Context) -> None:
    """Besides the tables that name it: users whose cold rows go there, and rows that went there for the sake of one.
    Raises DependentObjects."""
    services = context.services
    users = [one.user_id for one in services.accounts.all() if one.storage_id == storage_id]
    if users:
        raise DependentObjects(
            f'cannot {action} storage "{storage_id}": it is the storage of {len(users)} user(s), '
            f"{shown_user(users[0])} among them; ALTER USER … SET STORAGE first"
        )
    held = [
        table.qualified_name
        for table_id in sorted(services.cold.places.tables_in(storage_id))
        if (table := catalog.table_by_id(table_id)) is not None
    ]
    if held:
        raise DependentObjects(
            f'cannot {action} storage "{storage_id}": cold rows of {len(held)} table(s) lie in it, '
            f"{held[0]} among them"
        )


def show_storages(statement: ShowStorages, context: Context) -> Result:
    """One row a storage: storage_id, storage_type, name, uri, credentials (masked)."""
    authorize(context.rights, Action.READ_ADMINISTRATION)
    return Result.from_rows(
        ("storage_id", "storage_type", "name", "uri", "credentials"),
        (TEXT,) * 5,
        [
            (storage.storage_id, storage.type, storage.name, storage.uri, MASK if storage.secret else None)
            for _, storage in sorted(context.catalog.storages.items())
        ],
    )


def check_storage_answers(statement: CheckStorage, context: Context) -> Result:
    """Write, read, replace and remove a file in the storage; one row, where it did all of it."""
    authorize(context.rights, Action.CHANGE_STORAGE)
    storage = context.catalog.require_storage(statement.storage)
    context.services.storages.backend(storage).probe()
    return Result.from_rows(
        ("storage_id", "storage_type", "status"), (TEXT,) * 3, [(storage.storage_id, storage.type, "ok")]
    )


def _changed(old: Storage, parts: StorageParts, context: Context) -> Storage:
    """The storage with what the statement says; "" takes a text away. Raises InvalidDefinition, and what encrypting
    raises."""
    given: dict[str, str | None] = {}
    if parts.uri is not None:
        # Of `local` only the URI that it has is taken, by check_storage.
        given["uri"] = parts.uri if old.is_local else parse_uri(old.type, parts.uri).text
    for column, length in (("name", NAME_LENGTH_MAX), ("description", DESCRIPTION_LENGTH_MAX)):
        text = getattr(parts, column)
        if text is not None:
            if len(text) > length or not text.isprintable():
                raise InvalidDefinition(
                    f"the {column.upper()} of a storage has up to {length} characters, and no control characters"
                )
            given[column] = text or None
    for column in ("shared_tables_template", "user_tables_template"):
        if getattr(parts, column) is not None:
            given[column] = getattr(parts, column)
    new = replace(old, **given)  # type: ignore[arg-type]
    check_storage(new)
    context.services.storages.check_place(new.place)
    if parts.credentials is None:
        return new
    if parts.credentials == "":
        return replace(new, secret=None)
    credentials = parse_credentials(parts.credentials, new.type)
    return replace(new, secret=context.services.storages.seal(credentials, new.storage_id))
