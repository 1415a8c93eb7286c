"""Tables and rows for the tests of segments."""

from __future__ import annotations

import datetime
import decimal
import itertools
import random
import uuid
from collections.abc import Sequence

import pyarrow as pa

from kalamdb.engine.segments import Owner, SegmentWriter, row_schema
from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    JSON,
    SMALLINT,
    TEXT,
    TIME,
    TIMESTAMP,
    UUID,
    DataType,
    TypeName,
)

AT = datetime.datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=datetime.UTC)
OWNER = Owner("0b5b3b6e-6b0c-4f3c-9e3e-0d7f6d1c2a10", 100)
FOLDER = "app/notes/alice"

EVERY_TYPE = (
    BOOLEAN, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DataType(TypeName.DECIMAL, precision=10, scale=2),
    DataType(TypeName.DECIMAL, precision=38, scale=10), TEXT, DataType(TypeName.TEXT, length=8), BYTES, TIMESTAMP,
    DATE, TIME, UUID, JSON,
)  # fmt: skip


def table(
    columns: Sequence[tuple[str, DataType]] = (("body", TEXT),),
    key: DataType = BIGINT,
    compression: str | None = None,
) -> TableSchema:
    """A USER table with a key `id` of this type, then these columns."""
    made = [Column(1, "id", key, nullable=False)]
    made += [Column(number, name, type_) for number, (name, type_) in enumerate(columns, 2)]
    options = TableOptions(compression=compression)
    return TableSchema(
        OWNER.table_id, "app", "notes", TableKind.USER, tuple(made), "id", options, 1, AT, AT, len(made) + 1
    )


def wide_table(key: DataType = BIGINT) -> TableSchema:
    """A table with a column of every type, some of which have names that are hard on readers."""
    names = itertools.chain(["a.b", "a", "list", "Ä 'x'"], (f"c{number}" for number in itertools.count()))
    return table(tuple(zip(names, EVERY_TYPE)), key)


def value(type_: DataType, dice: random.Random) -> object:
    """A value as Arrow takes it; often an extreme one."""
    integer = {TypeName.SMALLINT: 15, TypeName.INT: 31, TypeName.BIGINT: 63}
    match type_.name:
        case TypeName.BOOLEAN:
            return dice.random() < 0.5
        case TypeName.SMALLINT | TypeName.INT | TypeName.BIGINT:
            limit = 1 << integer[type_.name]
            return dice.choice([-limit, limit - 1, 0, dice.randrange(-limit, limit)])
        case TypeName.FLOAT:
            return dice.choice([0.0, -0.0, 1.5, float("inf"), -float("inf"), float(dice.randrange(1 << 20))])
        case TypeName.DOUBLE:
            return dice.choice([0.0, -0.0, 5e-324, 1.7e308, float("inf"), dice.gauss(0, 1e6)])
        case TypeName.DECIMAL:
            number = dice.randrange(-(10**type_.precision) + 1, 10**type_.precision)
            return decimal.Decimal(number).scaleb(-type_.scale, decimal.Context(prec=40))
        case TypeName.TEXT | TypeName.JSON:
            letters = "aé\u4e2d\U0001f600\u0000\U0010ffff z"
            text = "".join(dice.choices(letters, k=dice.randrange(type_.length or 90)))
            return text if type_.name is TypeName.TEXT else f'{{"a": {dice.randrange(100)}}}'
        case TypeName.BYTES:
            return dice.randbytes(dice.choice([0, 1, 16, 90]))
        case TypeName.TIMESTAMP:
            return datetime.datetime(dice.choice([1, 1969, 2026, 9999]), 1, 1, tzinfo=datetime.UTC) + (
                datetime.timedelta(microseconds=dice.randrange(10**12))
            )
        case TypeName.DATE:
            return datetime.date.fromordinal(dice.choice([1, 3_652_059, dice.randrange(1, 3_652_059)]))
        case TypeName.TIME:
            return datetime.time(dice.randrange(24), 59, 59, dice.choice([0, 999_999]))
        case _:
            return dice.choice([bytes(16), b"\xff" * 16, uuid.UUID(int=dice.getrandbits(128)).bytes])


def keys(type_: DataType, count: int, dice: random.Random) -> list[object]:
    """Different keys in their order."""
    found: set[object] = set()
    while len(found) < count:
        if type_.name is TypeName.TEXT:
            found.add(f"k-{dice.randrange(count * 100):09}" + "é" * dice.choice([0, 0, 0, 40]))
        else:
            found.add(dice.randrange(-(count * 50), count * 50))
    return sorted(found, key=lambda key: key.encode() if isinstance(key, str) else key)


def rows(schema: TableSchema, count: int, seed: int = 1, nulls: float = 0.2) -> pa.RecordBatch:
    """Rows as a writer takes them."""
    dice = random.Random(seed)
    columns = [pa.array(keys(schema.columns[0].type, count, dice))]
    for field, column in zip(row_schema(schema), schema.columns):
        if column.id != 1:
            values = [None if dice.random() < nulls else value(column.type, dice) for _ in range(count)]
            columns.append(pa.array(values, field.type))
    columns += [
        pa.array(dice.sample(range(1 << 40, (1 << 40) + 10 * count), count), pa.int64()),
        pa.array([dice.random() < 0.1 for _ in range(count)]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=row_schema(schema))


def written(storage, schema, batches, folder=FOLDER, first=1, **limits):
    """`batches` as segments with consecutive numbers."""
    writer = SegmentWriter(schema, OWNER.database_id, **limits)
    return writer.write(storage, folder, batches, itertools.count(first))
