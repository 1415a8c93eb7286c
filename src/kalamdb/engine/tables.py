"""How one table's rows are encoded and read: the schema as the core knows it."""

from __future__ import annotations

from collections.abc import Sequence

from kalamcore.rows import Layout, Reader, encode_key
from kalamdb.schema import TableKind, TableSchema

SYSTEM_COLUMNS = {"_seq": -1, "_updated": -2, "_deleted": -3}
"""Positions by which the core gives the system columns."""


def layout_of(schema: TableSchema) -> Layout:
    """The row layout of one schema version."""
    columns = [(c.id, c.type.code, *c.type.parameters, c.nullable) for c in schema.columns]
    return Layout(schema.version, columns, schema.position(schema.primary_key))


class TableRows:
    """One table at one schema version, ready to encode and to read."""

    __slots__ = ("column_names", "key_position", "key_type", "layout", "reader", "schema", "table_id")

    def __init__(self, schema: TableSchema, history: Sequence[TableSchema]) -> None:
        """`history`: every version of the table, the oldest first, `schema` the last."""
        self.schema = schema
        self.table_id = schema.table_id
        self.layout = layout_of(schema)
        older = [layout_of(version) for version in history if version.version < schema.version]
        self.reader = Reader([*older, self.layout], [column.missing for column in schema.columns])
        self.key_position = schema.position(schema.primary_key)
        self.key_type = schema.columns[self.key_position].type.code
        self.column_names = tuple(column.name for column in schema.columns)

    def encode_key(self, value: object) -> bytes:
        """The encoded primary key."""
        return encode_key(self.key_type, value)

    def partition(self, user: str) -> bytes:
        """Whose rows these are: the user's, or everybody's in a SHARED table.

        A user's name is never empty, so no user's partition is that of a SHARED table.
        """
        if self.schema.kind is TableKind.SHARED:
            return b""
        return user.encode()
