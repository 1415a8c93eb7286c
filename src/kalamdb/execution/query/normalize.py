"""What a query gives back, in the types our SQL knows.

DataFusion answers with unsigned counts, string views and nanoseconds; a reader gets BIGINT, TEXT and microseconds in
UTC. Values that do not fit are errors, never wrapped; finer than a microsecond is truncated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from kalamdb.errors import NumericOutOfRange

DUPLICATE_MARK = "\x1f"
"""Stands between a column's name and a number where two columns of one name had to be told apart inside DataFusion."""

TIMESTAMP = pa.timestamp("us", tz="UTC")
TIME = pa.time64("us")

_marked = re.compile(DUPLICATE_MARK + r"\d+$")
_plain = {
    pa.int64(), pa.int32(), pa.int16(), pa.utf8(), pa.bool_(), pa.float64(), pa.float32(), pa.binary(), pa.date32(),
    TIMESTAMP, TIME, pa.null(),
}  # fmt: skip


def normal_type(data_type: pa.DataType) -> pa.DataType:
    """The type a reader gets for a column of this one."""
    if data_type in _plain:
        return data_type
    if kinds.is_dictionary(data_type):
        return normal_type(data_type.value_type)
    if kinds.is_integer(data_type):
        return pa.int16() if data_type == pa.int8() else pa.int64()
    if kinds.is_float16(data_type):
        return pa.float32()
    if kinds.is_string_view(data_type) or kinds.is_large_string(data_type):
        return pa.utf8()
    if kinds.is_binary_view(data_type) or kinds.is_large_binary(data_type):
        return pa.binary()
    if kinds.is_timestamp(data_type) or data_type == pa.date64():
        return TIMESTAMP
    if kinds.is_time(data_type):
        return TIME
    if kinds.is_list(data_type) or kinds.is_large_list(data_type):
        return pa.list_(normal_type(data_type.value_type))
    if kinds.is_struct(data_type):
        return pa.struct([pa.field(field.name, normal_type(field.type)) for field in data_type])
    return data_type


def normal_schema(schema: pa.Schema, names: Sequence[str] | None = None) -> pa.Schema:
    """The schema a reader gets, its columns renamed if there are as many names; of metadata ours is kept."""
    fields = [_normal_field(field) for field in schema]
    if names is not None and len(names) == len(fields):
        fields = [field.with_name(name) for field, name in zip(fields, names, strict=True)]
    return pa.schema(fields)


def normal_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the types of `schema`, which is normal_schema of its own.

    Raises NumericOutOfRange for an unsigned number beyond BIGINT.
    """
    if not len(schema):
        return batch
    columns: Sequence[pa.Array] = [
        column if column.type == field.type else normal_array(column, field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def normal_array(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The column in `target`, which is normal_type of its own. Raises NumericOutOfRange."""
    if kinds.is_dictionary(array.type):
        array = array.dictionary_decode()
        if array.type == target:
            return array
    if target == TIMESTAMP and kinds.is_timestamp(array.type):
        # Down to a multiple of the unit first: a cast truncates towards zero, which before 1970 is upwards.
        if array.type.unit == "ns":
            whole = pc.floor_temporal(array.cast(pa.timestamp("ns")), unit="microsecond")
            return whole.cast(pa.timestamp("us")).cast(TIMESTAMP)
        return array.cast(pa.timestamp("us", tz=array.type.tz)).cast(TIMESTAMP)
    try:
        return array.cast(target, safe=not kinds.is_time(array.type))
    except pa.ArrowInvalid as error:
        if kinds.is_integer(array.type):
            raise NumericOutOfRange("an unsigned number of the result is out of range for BIGINT") from error
        raise


def _normal_field(field: pa.Field) -> pa.Field:
    metadata = field.metadata
    ours = {b"kalam.type": metadata[b"kalam.type"]} if metadata and b"kalam.type" in metadata else None
    name = _marked.sub("", field.name) if DUPLICATE_MARK in field.name else field.name
    return pa.field(name, normal_type(field.type), nullable=True, metadata=ours)
