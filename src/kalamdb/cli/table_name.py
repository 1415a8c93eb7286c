"""A table that an argument names, and what its columns are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kalamdb.cli.connection import Connection
from kalamdb.errors import InvalidName, UndefinedTable
from kalamdb.types import DataType, parse_type

_NAME = re.compile(r"(?:[A-Za-z]\w*\.)?[A-Za-z]\w*", re.ASCII)
_TYPE = re.compile(r"([A-Z ]+)(?:\(([\d, ]+)\))?")


def checked_table_name(name: str) -> str:
    """The name, which is safe to be put into a statement. Raises InvalidName."""
    if not _NAME.fullmatch(name):
        raise InvalidName(f"{name} is no name of a table; write table or namespace.table")
    return name


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column's type, whether it must have a value, and whether it is the key."""

    kind: DataType
    required: bool
    is_key: bool


def columns_of(connection: Connection, table: str) -> dict[str, TableColumn]:
    """The columns by name, in the table's order. Raises UndefinedTable."""
    namespace, _, name = checked_table_name(table).lower().rpartition(".")
    sql = (
        "SELECT column_name, data_type, nullable, primary_key FROM system.columns "
        f"WHERE namespace_id = '{namespace or connection.namespace}' AND table_name = '{name}' ORDER BY ordinal"
    )
    rows = connection.execute(sql)[-1].fetchall()
    if not rows:
        raise UndefinedTable(f'relation "{table}" does not exist, or has no columns that you may read')
    return {column: TableColumn(_type(text), not nullable, is_key) for column, text, nullable, is_key in rows}


def _type(text: str) -> DataType:
    found = _TYPE.fullmatch(text)
    assert found is not None
    arguments = () if found[2] is None else tuple(int(one) for one in found[2].split(","))
    return parse_type(found[1], arguments)
