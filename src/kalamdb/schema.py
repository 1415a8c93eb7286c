"""One table's columns, key, kind and options: what every layer means by a table."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass

from kalamdb.types import DataType


class TableKind(enum.Enum):
    """Whose rows they are, and for how long: a field, not a class tree."""

    USER = "user"
    SHARED = "shared"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `id` never changes and is never reused in its table, so that a name that is dropped and added again
    does not resurrect old values."""

    id: int
    name: str
    type: DataType
    nullable: bool = True
    default: str | None = None
    """The DEFAULT expression as written, or None."""
    missing: object = None
    """What rows written before the column was added read (a Python value of the type)."""
    comment: str | None = None
    added_in: int = 1
    """The schema version that brought it."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What stands after the columns, parsed. None where not given."""

    storage_id: str | None = None
    use_user_storage: bool | None = None
    flush_rows: int | None = None
    flush_interval_s: int | None = None
    deleted_retention_h: int | None = None
    ttl_s: int | None = None
    max_rows: int | None = None
    access: str | None = None
    compression: str | None = None


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table at one schema version."""

    table_id: int
    namespace: str
    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    primary_key: str
    options: TableOptions
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    next_column_id: int

    @property
    def qualified_name(self) -> str:
        """`namespace.name`, as messages show it."""
        return f"{self.namespace}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of this name, or None."""
        for column in self.columns:
            if column.name == name:
                return column
        return None

    def position(self, name: str) -> int:
        """Where the column stands, from 0. Raises KeyError."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        raise KeyError(name)
