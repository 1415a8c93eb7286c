"""Texts to values of a table's types, a column at a time; of each text that is none, why."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from kalamdb.cli.loading.file_rows import Piece
from kalamdb.cli.table_name import TableColumn
from kalamdb.errors import Error, InvalidValue
from kalamdb.types import DataType, TypeName, arrow_type, coerce

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGERS = frozenset({TypeName.SMALLINT, TypeName.INT, TypeName.BIGINT})
_KEPT_AS_TEXT = frozenset({TypeName.UUID, TypeName.JSON})
"""Arrow tables have them as the text that they are."""
_TRUTH = {
    "true": True,
    "t": True,
    "1": True,
    "yes": True,
    "false": False,
    "f": False,
    "0": False,
    "no": False,
}


def typed_rows(
    piece: Piece, columns: Mapping[str, TableColumn], threads: Executor
) -> tuple[pa.Table, dict[int, str]]:
    """Rows of texts in types that an insert takes; and of each that does not fit why, by its number. `threads` share
    the columns: Arrow lets go of the interpreter."""
    import pyarrow as pa

    arrays: list[Any] = []
    wrong: dict[int, str] = {}
    names = piece.table.column_names
    made = threads.map(typed, piece.table.columns, [columns[name].kind for name in names])
    for name, texts, (array, unfit) in zip(names, piece.table.columns, made):
        column = columns[name]
        if column.required and texts.null_count:
            places = (place for place, text in enumerate(texts.to_pylist()) if text is None)
            unfit |= dict.fromkeys(places, "it is NOT NULL, and there is no value")
        for place, why in unfit.items():
            wrong.setdefault(piece.numbers[place].as_py(), f'column "{name}": {why}')
        arrays.append(array)
    return pa.table(arrays, names=names), wrong


def typed(texts: pa.ChunkedArray, kind: DataType) -> tuple[pa.ChunkedArray, dict[int, str]]:
    """The column in a type that an insert takes, NULL where a text does not fit; and why, by its place."""
    import pyarrow as pa

    wrong: dict[int, str] = {}
    chunks = []
    begins = 0
    for chunk in texts.chunks:
        array = _all_at_once(chunk, kind)
        if array is None:
            array = _one_by_one(chunk, kind, begins, wrong)
        chunks.append(array)
        begins += len(chunk)
    return pa.chunked_array(chunks, chunks[0].type if chunks else arrow_type(kind)), wrong


def _all_at_once(chunk: pa.Array, kind: DataType) -> pa.Array | None:
    """By Arrow, where it reads these texts as we do and all of them fit."""
    import pyarrow as pa

    try:
        if kind.name is TypeName.TEXT and kind.length is None:
            return chunk
        if kind.name in _INTEGERS or kind.name in (TypeName.DOUBLE, TypeName.FLOAT, TypeName.DATE):
            return chunk.cast(arrow_type(kind))
        if kind.name is TypeName.TIMESTAMP:
            return _times(chunk)
    except pa.ArrowInvalid:
        pass
    return None


def _times(chunk: pa.Array) -> pa.Array:
    import pyarrow as pa

    try:
        return chunk.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        # Without an offset they are UTC.
        return chunk.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


def _one_by_one(chunk: pa.Array, kind: DataType, begins: int, wrong: dict[int, str]) -> pa.Array:
    import pyarrow as pa

    values: list[Any] = []
    for place, text in enumerate(chunk.to_pylist(), begins):
        value = None
        if text is not None:
            try:
                value = value_of(text, kind)
                if kind.name in _KEPT_AS_TEXT:
                    value = text
            except Error as error:
                wrong[place] = error.message
        values.append(value)
    if kind.name in _KEPT_AS_TEXT:
        return pa.array(values, pa.string())
    return pa.array(values, arrow_type(kind))


def value_of(text: str, kind: DataType) -> Any:
    """What a text means as a value of a type. Raises kalamdb.Error."""
    name = kind.name
    if name in _INTEGERS:
        return coerce(_number(int, text, kind), kind)
    if name in (TypeName.FLOAT, TypeName.DOUBLE):
        return coerce(_number(float, text, kind), kind)
    if name is TypeName.BOOLEAN:
        try:
            return _TRUTH[text.strip().lower()]
        except KeyError:
            raise InvalidValue(f"{text[:40]!r} is no BOOLEAN; write true or false") from None
    if name is TypeName.BYTES:
        try:
            return bytes.fromhex(text.removeprefix("\\x"))
        except ValueError:
            raise InvalidValue(f"{text[:40]!r} is no BYTES; write hex digits, as \\x00ff") from None
    if name is TypeName.DECIMAL:
        from decimal import Decimal

        return coerce(_number(Decimal, text, kind), kind)
    return coerce(text, kind)


def _number(read: Any, text: str, kind: DataType) -> Any:
    try:
        return read(text.strip())
    except (ValueError, ArithmeticError):
        raise InvalidValue(f"{text[:40]!r} is no {kind}") from None
