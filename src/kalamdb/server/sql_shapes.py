"""What statements are answered, as JSON has it: the core writes it in pieces, and these say which members there are."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kalamdb.server.sql_request import SqlRequest

__all__ = ["ErrorAnswerShape", "HealthAnswer", "SqlAnswerShape", "SqlQuery", "SqlRequest"]


class SqlQuery(msgspec.Struct, forbid_unknown_fields=True):
    """One SELECT, SHOW or DESCRIBE, and the namespace that unqualified names mean."""

    sql: str
    namespace_id: str | None = None


class DecimalPrecision(msgspec.Struct):
    """Digits in all, and behind the point."""

    precision: int
    scale: int


class DecimalType(msgspec.Struct):
    """`{"Decimal": {"precision": 10, "scale": 2}}`."""

    Decimal: DecimalPrecision


TypeName = Literal[
    "Boolean",
    "SmallInt",
    "Int",
    "BigInt",
    "Float",
    "Double",
    "Text",
    "Timestamp",
    "Date",
    "Time",
    "Json",
    "Bytes",
    "Uuid",
]
Cell = bool | int | float | str | list[Any] | None


class ColumnShape(msgspec.Struct):
    """A column of a result."""

    name: str
    data_type: TypeName | DecimalType
    index: int


class ResultShape(msgspec.Struct, omit_defaults=True):
    """What one statement answered. `schema` and `rows` are there together, or not at all."""

    row_count: int
    as_user: str
    schema: list[ColumnShape] | msgspec.UnsetType = msgspec.UNSET
    rows: list[list[Cell]] | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class SqlAnswerShape(msgspec.Struct):
    """Every statement succeeded."""

    status: Literal["success"]
    results: list[ResultShape]
    took_ms: float
    took: float


class ErrorDetails(msgspec.Struct):
    """`error`: the class; `position`: in characters of the statement, from 0."""

    error: str
    sqlstate: str
    position: int | None


class ErrorShape(msgspec.Struct):
    """What went wrong. `code` is for programs, `message` for people."""

    code: str
    message: str
    details: ErrorDetails


class ErrorAnswerShape(msgspec.Struct):
    """Something went wrong. `results`: of the statements that succeeded before it."""

    status: Literal["error"]
    results: list[ResultShape]
    error: ErrorShape
    took_ms: float
    took: float


class HealthAnswer(msgspec.Struct):
    """Whether statements are served."""

    status: Literal["healthy", "closing"]
    version: str
    api_version: str
