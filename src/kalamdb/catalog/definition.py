"""A table's definition as JSON text, as the catalog stores it.

The text carries a format number. A version of kalamdb reads every format up to its own, and refuses newer
ones instead of guessing.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import uuid
from typing import Any

from kalamdb.errors import Corruption, UnknownFormat
from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import DataType, TypeName

DEFINITION_FORMAT = 1

_AS_THEY_ARE = frozenset(
    {TypeName.BOOLEAN, TypeName.SMALLINT, TypeName.INT, TypeName.BIGINT, TypeName.TEXT, TypeName.JSON}
)
_OPTIONS = tuple(field.name for field in dataclasses.fields(TableOptions))


def encode_definition(schema: TableSchema) -> str:
    """The JSON text of one schema version."""
    import orjson

    return orjson.dumps(
        {
            "format": DEFINITION_FORMAT,
            "table_id": schema.table_id,
            "namespace": schema.namespace,
            "name": schema.name,
            "kind": schema.kind.value,
            "version": schema.version,
            "primary_key": schema.primary_key,
            "columns": [_encode_column(column) for column in schema.columns],
            "next_column_id": schema.next_column_id,
            "options": {
                name: value for name in _OPTIONS if (value := getattr(schema.options, name)) is not None
            },
            "created_at": schema.created_at.isoformat(),
            "updated_at": schema.updated_at.isoformat(),
        }
    ).decode()


def decode_definition(text: str) -> TableSchema:
    """The schema that `encode_definition` wrote. Raises UnknownFormat for a newer format, Corruption for what
    is none.
    """
    import orjson

    try:
        found = orjson.loads(text)
        written = found["format"]
        if written > DEFINITION_FORMAT:
            raise UnknownFormat(
                f"a table definition has format {written}, and this version of kalamdb reads up to "
                f"{DEFINITION_FORMAT}; open the database with a newer kalamdb"
            )
        return TableSchema(
            table_id=found["table_id"],
            namespace=found["namespace"],
            name=found["name"],
            kind=TableKind(found["kind"]),
            columns=tuple(_decode_column(column) for column in found["columns"]),
            primary_key=found["primary_key"],
            options=TableOptions(**{name: found["options"].get(name) for name in _OPTIONS}),
            version=found["version"],
            created_at=datetime.datetime.fromisoformat(found["created_at"]),
            updated_at=datetime.datetime.fromisoformat(found["updated_at"]),
            next_column_id=found["next_column_id"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Corruption(f"a table definition in the catalog cannot be read: {error!r}") from error


def _encode_column(column: Column) -> dict[str, object]:
    return {
        "id": column.id,
        "name": column.name,
        "type": encode_type(column.type),
        "nullable": column.nullable,
        "default": column.default,
        "missing": encode_value(column.missing, column.type),
        "comment": column.comment,
        "added_in": column.added_in,
    }


def _decode_column(found: dict[str, Any]) -> Column:
    type_ = decode_type(found["type"])
    return Column(
        id=found["id"],
        name=found["name"],
        type=type_,
        nullable=found["nullable"],
        default=found["default"],
        missing=decode_value(found["missing"], type_),
        comment=found["comment"],
        added_in=found["added_in"],
    )


def encode_type(type_: DataType) -> dict[str, object]:
    """`{"name": "DECIMAL", "precision": 10, "scale": 2}`; what is not given is left out."""
    parts: dict[str, object] = {"name": type_.name.name}
    for part in ("length", "precision", "scale"):
        if (value := getattr(type_, part)) is not None:
            parts[part] = value
    if type_.declared_int:
        parts["declared_int"] = True
    return parts


def decode_type(found: dict[str, Any]) -> DataType:
    """The type that `encode_type` wrote."""
    return DataType(
        TypeName[found["name"]],
        found.get("length"),
        found.get("precision"),
        found.get("scale"),
        declared_int=found.get("declared_int", False),
    )


def encode_value(value: Any, type_: DataType) -> object:
    """A value of `type_` as JSON: booleans and integers as such, others as text that reads back exactly."""
    if value is None or type_.name in _AS_THEY_ARE:
        return value
    match type_.name:
        case TypeName.FLOAT | TypeName.DOUBLE:
            return repr(float(value))
        case TypeName.BYTES:
            return value.hex()
        case TypeName.TIMESTAMP | TypeName.DATE | TypeName.TIME:
            return value.isoformat()
        case _:
            return str(value)


def decode_value(found: Any, type_: DataType) -> object:
    """The value that `encode_value` wrote."""
    if found is None or type_.name in _AS_THEY_ARE:
        return found
    match type_.name:
        case TypeName.FLOAT | TypeName.DOUBLE:
            return float(found)
        case TypeName.DECIMAL:
            return decimal.Decimal(found)
        case TypeName.BYTES:
            return bytes.fromhex(found)
        case TypeName.TIMESTAMP:
            return datetime.datetime.fromisoformat(found)
        case TypeName.DATE:
            return datetime.date.fromisoformat(found)
        case TypeName.TIME:
            return datetime.time.fromisoformat(found)
        case _:
            return uuid.UUID(found)
