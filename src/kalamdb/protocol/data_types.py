"""SQL types as JSON names them: `"BigInt"`, `{"Decimal": {"precision": 10, "scale": 2}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kalamdb.errors import InvalidValue
from kalamdb.types import DataType, TypeName

DataTypeShape = str | dict[str, Any]

_NAMES = {
    TypeName.BOOLEAN: "Boolean",
    TypeName.SMALLINT: "SmallInt",
    TypeName.INT: "Int",
    TypeName.BIGINT: "BigInt",
    TypeName.FLOAT: "Float",
    TypeName.DOUBLE: "Double",
    TypeName.TEXT: "Text",
    TypeName.BYTES: "Bytes",
    TypeName.TIMESTAMP: "Timestamp",
    TypeName.DATE: "Date",
    TypeName.TIME: "Time",
    TypeName.UUID: "Uuid",
    TypeName.JSON: "Json",
}
_TYPES = {shape: DataType(name) for name, shape in _NAMES.items()}


def encode_data_type(of: DataType) -> DataTypeShape:
    """The type's name; of a DECIMAL an object. The length of a VARCHAR is not told; a BIGINT that was declared as
    INT is told as that."""
    if of.name is TypeName.DECIMAL:
        return {"Decimal": {"precision": of.precision, "scale": of.scale}}
    return "Int" if of.declared_int else _NAMES[of.name]


def decode_data_type(shape: object) -> DataType:
    """The type that `encode_data_type` wrote. Raises InvalidValue."""
    if isinstance(shape, str) and shape in _TYPES:
        return _TYPES[shape]
    match shape:
        case {"Decimal": {"precision": int(precision), "scale": int(scale)}}:
            return DataType(TypeName.DECIMAL, precision=precision, scale=scale)
    raise InvalidValue(f"{shape!r} is no type that this version of kalamdb knows")


def encode_schema(columns: Sequence[str], types: Sequence[DataType]) -> list[Mapping[str, Any]]:
    """What tells a reader of rows their columns: `{"name", "data_type", "index"}` each, in order."""
    return [
        {"name": name, "data_type": encode_data_type(of), "index": index}
        for index, (name, of) in enumerate(zip(columns, types, strict=True))
    ]
