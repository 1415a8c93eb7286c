"""Storages: the statements of storage.lark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kalamdb.errors import InvalidSyntax
from kalamdb.sql.names import check_storage_name
from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class StorageParts:
    """What a statement says of a storage; None where it says nothing, "" where it takes something away."""

    type: str | None = None
    uri: str | None = None
    name: str | None = None
    description: str | None = None
    credentials: str | None = field(default=None, repr=False)
    shared_tables_template: str | None = None
    user_tables_template: str | None = None


@dataclass(frozen=True, slots=True)
class CreateStorage:
    """CREATE STORAGE [IF NOT EXISTS] storage TYPE type URI 'uri' …"""

    storage: str
    parts: StorageParts
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class AlterStorage:
    """ALTER STORAGE storage SET …"""

    storage: str
    parts: StorageParts


@dataclass(frozen=True, slots=True)
class DropStorage:
    """DROP STORAGE [IF EXISTS] storage"""

    storage: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ShowStorages:
    """SHOW STORAGES"""


@dataclass(frozen=True, slots=True)
class CheckStorage:
    """STORAGE CHECK storage"""

    storage: str


_Part = tuple[str, Any, Token]


class StorageRules(Rules):
    """The rules of storage.lark."""

    def create_storage(self, if_not_exists: bool | None, name: Token, *parts: _Part) -> CreateStorage:
        check_storage_name(name.value, name.start_pos)
        given = _parts(parts)
        for label, value in (("TYPE", given.type), ("URI", given.uri)):
            if value is None:
                example = "TYPE s3 URI 's3://bucket/prefix'" if given.type != "filesystem" else "URI '/path'"
                raise InvalidSyntax(
                    f"CREATE STORAGE lacks {label}; for instance: CREATE STORAGE {name.value} … {example}",
                    position=name.start_pos,
                )
        return CreateStorage(name.value, given, bool(if_not_exists))

    def alter_storage(self, name: Token, *parts: _Part | None) -> AlterStorage:
        given = [part for part in parts if part is not None]
        for label, _, token in given:
            if label == "type":
                raise InvalidSyntax(
                    "the TYPE of a storage cannot be changed; create another storage",
                    position=token.start_pos,
                )
        return AlterStorage(name.value, _parts(given))

    def drop_storage(self, if_exists: bool | None, name: Token) -> DropStorage:
        return DropStorage(name.value, bool(if_exists))

    def show_storages(self) -> ShowStorages:
        return ShowStorages()

    def check_storage(self, name: Token) -> CheckStorage:
        return CheckStorage(name.value)

    def storage_type(self, word: Token) -> _Part:
        return "type", word.value.lower(), word

    def storage_uri(self, text: Token) -> _Part:
        return "uri", text.value, text

    def storage_name(self, text: Token) -> _Part:
        return "name", text.value, text

    def storage_description(self, text: Token) -> _Part:
        return "description", text.value, text

    def storage_credentials(self, text: Token) -> _Part:
        return "credentials", text.value, text

    def shared_tables_template(self, text: Token) -> _Part:
        return "shared_tables_template", text.value, text

    def user_tables_template(self, text: Token) -> _Part:
        return "user_tables_template", text.value, text


def _parts(parts: Any) -> StorageParts:
    given: dict[str, Any] = {}
    for label, value, token in parts:
        if label in given:
            raise InvalidSyntax(f"{label.upper()} is said twice; say it once", position=token.start_pos)
        given[label] = value
    return StorageParts(**given)
