"""The reserved table that tells which partitions have something cold, and where.

Apart from kalamdb.engine.cold, which a database imports when there is something cold. The core looks into it by key: a
partition without a row has nothing cold, and no storage is asked.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import BIGINT, TEXT, TIMESTAMP, DataType

if TYPE_CHECKING:
    from kalamdb.engine.engine import Engine

COLD_PARTITIONS_ID = 7

_AT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
_COLUMNS: tuple[tuple[str, DataType], ...] = (
    ("key", TEXT),
    ("storage_id", TEXT),
    ("folder", TEXT),
    ("generation", BIGINT),
    ("watermark", BIGINT),
    ("segments", BIGINT),
    ("rows", BIGINT),
    ("bytes", BIGINT),
    ("updated_at", TIMESTAMP),
)

COLD_PARTITIONS = TableSchema(
    table_id=COLD_PARTITIONS_ID,
    namespace="_kalam",
    name="cold_partitions",
    kind=TableKind.SHARED,
    columns=tuple(
        Column(id=number, name=name, type=type_, nullable=False)
        for number, (name, type_) in enumerate(_COLUMNS, 1)
    ),
    primary_key="key",
    options=TableOptions(),
    version=1,
    created_at=_AT,
    updated_at=_AT,
    next_column_id=len(_COLUMNS) + 1,
)
"""One row a partition; `key` is `table_id.partition`. Generation 0: a flush was about to begin, and has not ended."""


def cold_partition_key(table_id: int, partition: bytes) -> bytes:
    """The encoded key of a partition's row."""
    return f"{table_id}.".encode() + partition


def key_range(table_id: int) -> tuple[bytes, bytes]:
    """Below and above the encoded keys of a table's partitions."""
    return f"{table_id}.".encode(), f"{table_id}/".encode()


def has_cold_places(engine: Engine, table_id: int) -> bool:
    """Whether anything of the table is cold, or about to be."""
    low, high = key_range(table_id)
    reader = engine.rows(COLD_PARTITIONS, [COLD_PARTITIONS]).reader
    view = engine.view()
    return bool(view.scan(COLD_PARTITIONS_ID, b"", view.snapshot, reader, [0], low=low, high=high, limit=1))
