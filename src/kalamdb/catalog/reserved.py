"""The reserved tables: where the catalog itself is stored, as rows of the engine like any other.

They have ids below FIRST_TABLE_ID, one partition (b""), and are never visible to SQL under these names; the
system tables show what they hold. Every schema version of a table is a row, so that old rows can always be
read.
"""

from __future__ import annotations

import datetime

from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import BIGINT, JSON, TEXT, TIMESTAMP, DataType

NAMESPACES_ID = 1
TABLES_ID = 2
VIEWS_ID = 3
DROPPED_TABLES_ID = 4
STORAGES_ID = 5
# No part of the catalog's value: 6, the jobs (kalamdb.engine.jobs_schema), 7, the places of cold rows
# (kalamdb.engine.cold_schema), and 8 to 11, users, grants, the audit log and refresh tokens (kalamdb.auth.reserved).
FIRST_TABLE_ID = 100
"""The id of the first table that a user creates; the ids below are for reserved tables, now and later."""

RESERVED_PARTITION = b""
RESERVED_NAMESPACE = "_kalam"

_AT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def reserved_table(table_id: int, name: str, columns: tuple[tuple[str, DataType], ...]) -> TableSchema:
    """A table whose first column is the key. A column whose name ends in `?` may be NULL."""
    return TableSchema(
        table_id=table_id,
        namespace=RESERVED_NAMESPACE,
        name=name,
        kind=TableKind.SHARED,
        columns=tuple(
            Column(id=number, name=column.rstrip("?"), type=type_, nullable=column.endswith("?"))
            for number, (column, type_) in enumerate(columns, 1)
        ),
        primary_key=columns[0][0],
        options=TableOptions(),
        version=1,
        created_at=_AT,
        updated_at=_AT,
        next_column_id=len(columns) + 1,
    )


NAMESPACES = reserved_table(
    NAMESPACES_ID, "namespaces", (("name", TEXT), ("options", JSON), ("created_at", TIMESTAMP))
)
TABLES = reserved_table(
    TABLES_ID,
    "tables",
    (("key", TEXT), ("table_id", BIGINT), ("version", BIGINT), ("definition", JSON)),
)
"""One row per schema version; `key` is `table_id.version`."""
VIEWS = reserved_table(
    VIEWS_ID,
    "views",
    (
        ("key", TEXT),
        ("namespace", TEXT),
        ("name", TEXT),
        ("sql", TEXT),
        ("created_at", TIMESTAMP),
        ("resolve_in", TEXT),
    ),
)
"""`key` is `namespace.name`; neither part can hold a dot."""
DROPPED_TABLES = reserved_table(
    DROPPED_TABLES_ID,
    "dropped_tables",
    (("table_id", BIGINT), ("namespace", TEXT), ("name", TEXT), ("dropped_at", TIMESTAMP)),
)
"""Ids that must not be used again: the log and other files may still hold their rows."""

STORAGES = reserved_table(STORAGES_ID, "storages", (("storage_id", TEXT), ("definition", JSON)))
"""`local` has no row until something of it is changed."""

RESERVED: tuple[TableSchema, ...] = (NAMESPACES, TABLES, VIEWS, DROPPED_TABLES, STORAGES)
