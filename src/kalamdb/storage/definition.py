"""A storage as the catalog knows it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from kalamdb.errors import InvalidDefinition
from kalamdb.storage.templates import (
    SHARED_DEFAULT,
    USER_DEFAULT,
    PathTemplate,
    check_apart,
    parse_template,
)
from kalamdb.storage.uri import FILESYSTEM, TYPES, StorageUri, parse_uri

LOCAL = "local"
LOCAL_FOLDER = "cold"
"""Where the storage `local` is, in the database directory."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A named place for cold segments. `secret`: its credentials, encrypted, or None."""

    storage_id: str
    type: str
    uri: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    name: str | None = None
    description: str | None = None
    secret: str | None = field(default=None, repr=False)
    shared_tables_template: str = SHARED_DEFAULT
    user_tables_template: str = USER_DEFAULT

    @property
    def is_local(self) -> bool:
        """Whether it is the storage that every database has."""
        return self.storage_id == LOCAL

    @property
    def place(self) -> StorageUri:
        """The URI, read."""
        if self.is_local:
            return StorageUri(FILESYSTEM, LOCAL_FOLDER, path=LOCAL_FOLDER)
        return parse_uri(self.type, self.uri)

    @property
    def shared_tables(self) -> PathTemplate:
        """Where a SHARED table's files lie."""
        return parse_template(self.shared_tables_template, of_users=False)

    @property
    def user_tables(self) -> PathTemplate:
        """Where the files of a user's partition of a USER table lie."""
        return parse_template(self.user_tables_template, of_users=True)


def local_storage(created_at: datetime.datetime) -> Storage:
    """What `local` is until somebody changes it."""
    return Storage(
        LOCAL,
        FILESYSTEM,
        LOCAL_FOLDER,
        created_at,
        created_at,
        name=LOCAL,
        description="Cold segments beside the database's own files",
    )


def check_storage(storage: Storage) -> None:
    """Raises InvalidDefinition unless type, URI and templates are what they can be, and fit each other."""
    if storage.type not in TYPES:
        raise InvalidDefinition(f"the type of a storage is {', '.join(TYPES[:-1])} or {TYPES[-1]}")
    if storage.is_local and storage.uri != LOCAL_FOLDER:
        raise InvalidDefinition(
            'the storage "local" is in the database directory, and its URI cannot be changed; create another storage'
        )
    _ = storage.place
    check_apart(storage.shared_tables, storage.user_tables)
