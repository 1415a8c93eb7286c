"""Rows whose key another row has: one before them in the file, or one of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalamdb.cli.connection import Connection
from kalamdb.cli.loading.read_rows import ReadRows
from kalamdb.types import DataType, cast_arrow

if TYPE_CHECKING:
    import pyarrow as pa

KEYS_AT_ONCE = 50_000


def keys_in_the_way(
    connection: Connection, table: str, key: str, kind: DataType, rows: ReadRows
) -> dict[int, str]:
    """Of each such row why, by its number. The keys of the file, and no more of it, are in memory for it.

    Raises kalamdb.Error.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = list(rows.column(key))
    if not parts:
        return {}
    keys = pa.chunked_array([chunk for part, _ in parts for chunk in cast_arrow(part, kind).chunks])
    numbers = pa.chunked_array([chunk for _, part in parts for chunk in part.chunks])
    if keys.null_count:
        # That is for the insert to say.
        numbers, keys = numbers.filter(keys.is_valid()), keys.drop_null()
    if not len(keys):
        return {}
    order = pc.sort_indices(keys)
    keys, numbers = keys.take(order).combine_chunks(), numbers.take(order).combine_chunks()
    wrong: dict[int, str] = {}
    if len(keys) > 1:
        again = pc.equal(keys.slice(1), keys.slice(0, len(keys) - 1))
        for number, value in _pairs(numbers.slice(1).filter(again), keys.slice(1).filter(again)):
            wrong[number] = f'column "{key}": {value!r} stands in the file before'
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys.slice(start, KEYS_AT_ONCE)
        there = _there(connection, table, key, some)
        if len(there):
            found = pc.is_in(some, there)
            for number, value in _pairs(numbers.slice(start, KEYS_AT_ONCE).filter(found), some.filter(found)):
                wrong[number] = f'column "{key}": {value!r} is in the table already'
    return wrong


def _pairs(numbers: pa.Array, values: pa.Array) -> Any:
    return zip(numbers.to_pylist(), values.to_pylist())


def _there(connection: Connection, table: str, key: str, keys: pa.Array) -> pa.Array:
    """The keys of the table between the least and the greatest of these, which are sorted."""
    import pyarrow as pa

    least, greatest = (_literal(keys[place].as_py()) for place in (0, -1))
    name = '"' + key.replace('"', '""') + '"'
    answer = connection.execute(
        f"SELECT {name} FROM {table} WHERE {name} >= {least} AND {name} <= {greatest}"
    )[-1]
    return pa.array([row[0] for row in answer.fetchall()], keys.type)


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
