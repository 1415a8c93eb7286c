"""The answer of a statement: rows as tuples, as Arrow, as data frames; or a count and a message."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from kalamcore import errors as core
from kalamcore.cursor import Cursor
from kalamcore.json_rows import JsonRows
from kalamdb.engine.core_errors import translated
from kalamdb.errors import Error, InterfaceError
from kalamdb.json_cells import cells_of_batches, cells_of_rows, json_text
from kalamdb.types import JSON, TypeName, type_of_arrow

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

    from kalamcore.rows import Batch
    from kalamdb.preview import Preview
    from kalamdb.types import DataType

Row = tuple[Any, ...]
Description = list[tuple[str, str, None, int | None, int | None, int | None, None]]


class Result(Cursor):
    """Rows and what is known about them.

    Iterates as tuples. `rowcount`: rows returned or changed. `columns`: their names. `took_ms`: how long the statement
    took, in milliseconds. `message`: what a statement without rows did. `user`: as whom it ran, where that was by
    EXECUTE AS USER; else None.
    """

    __slots__ = ()

    def __init__(
        self,
        columns: tuple[str, ...],
        *,
        rowcount: int,
        message: str | None = None,
        rows: list[Row] | None = None,
        types: Sequence[DataType | None] | None = None,
        batches: list[pa.RecordBatch] | None = None,
        schema: pa.Schema | None = None,
    ) -> None:
        self.columns = columns
        self.rowcount = rowcount
        self.message = message
        self.user = None
        self.took_ms = 0.0
        self._rows = rows
        self._types = types
        self._batches = batches
        self._schema = schema

    @classmethod
    def affected(cls, count: int, message: str) -> Result:
        """The answer of a statement that changed `count` rows and returns none."""
        return cls((), rowcount=count, message=message)

    @classmethod
    def from_rows(cls, columns: Sequence[str], types: Sequence[DataType | None], rows: list[Row]) -> Result:
        """Rows of Python values; a type of None is found from the values when Arrow is asked for."""
        return cls(tuple(columns), rowcount=len(rows), rows=rows, types=types)

    @classmethod
    def from_arrow(cls, schema: pa.Schema, batches: list[pa.RecordBatch]) -> Result:
        """Rows as Arrow, turned into Python values only when asked for."""
        count = sum(batch.num_rows for batch in batches)
        return cls(tuple(schema.names), rowcount=count, batches=batches, schema=schema)

    @property
    def description(self) -> Description | None:
        """PEP 249: one (name, type_code, display_size, internal_size, precision, scale, null_ok) a column; None for a
        statement without rows. type_code is the SQL type as text; precision and scale are of DECIMAL, internal_size,
        in characters, is of VARCHAR(n), and the others are None."""
        if not self.columns:
            return None
        kinds = zip(self.columns, self.column_types())
        return [
            (name, str(kind), None, kind.length, kind.precision, kind.scale, None) for name, kind in kinds
        ]

    @property
    def is_arrow(self) -> bool:
        """Whether the rows are kept as Arrow, so that they can be had piece by piece."""
        return self._stored is None and (self._parts is not None or self._batches is not None)

    def column_types(self) -> Sequence[DataType]:
        """The SQL type of each column; where the statement names none that of its first value, and of NULL alone TEXT.

        Lists, structs and maps are JSON, intervals TEXT."""
        if self._codes is not None:
            # The same object each time that a plan answers: what is made of it may be kept.
            return cast("Sequence[DataType]", self._types)
        if self._types is None:
            return [type_of_arrow(field) for field in self._schema or ()]
        if None not in self._types:
            return cast("Sequence[DataType]", self._types)
        return [kind or self._type_of_values(place) for place, kind in enumerate(self._types)]

    def _type_of_values(self, place: int) -> DataType:
        import pyarrow as pa

        value = next((row[place] for row in self._tuples() if row[place] is not None), None)
        return type_of_arrow(pa.field("value", pa.array([_plain(value)]).type))

    def _tuples(self) -> list[Row]:
        if self._rows is None:
            if self._parts is not None:
                self._rows = _part_tuples(self._parts, self._types or ())
            elif self._encoded is not None:
                try:
                    rows = self._encoded.tuples()
                except core.CoreError as error:
                    raise translated(error) from error
                # Asked of the codes, which is quicker than of the types.
                has_json = JSON.code in (self._codes or b"")
                self._rows = _decoded(rows, self._types or (), TypeName.JSON) if has_json else rows
            elif self._stored is not None:
                self._rows = _decoded(self._stored, self._types or (), TypeName.JSON)
            else:
                self._rows = [] if self._batches is None else tuples(self._batches, self._schema)
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        """The rows that were not fetched yet."""
        rows = self._tuples()
        while self._cursor < len(rows):
            self._cursor += 1
            yield rows[self._cursor - 1]

    def __len__(self) -> int:
        return len(self._tuples())

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to `size` rows more."""
        rows = self._tuples()[self._cursor : self._cursor + size]
        self._cursor += len(rows)
        return rows

    def fetchall(self) -> list[Row]:
        """All rows that were not fetched yet."""
        rows = self._tuples()
        rest = rows[self._cursor :] if self._cursor else list(rows)
        self._cursor = len(rows)
        return rest

    def arrow(self) -> pa.Table:
        """Every row as an Arrow table, whatever was fetched. UUID and JSON are text."""
        import pyarrow as pa

        if self._batches is None:
            self._batches, self._schema = self._to_arrow()
        return pa.Table.from_batches(self._batches, schema=self._schema)

    def arrow_reader(self) -> pa.RecordBatchReader:
        """The same, batch by batch."""
        return self.arrow().to_reader()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: pyarrow, pandas, Polars and DuckDB read a result as it is."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def json_rows(self, *, objects: bool = False, piece_bytes: int = 65_536) -> Iterator[bytes]:
        """Every row, whatever was fetched, as the text of one JSON array, UTF-8, in pieces.

        A row is an array of cells; with `objects`, an object of them by the columns' names. A piece ends with the row
        that takes it to `piece_bytes`. Cells: BIGINT and DECIMAL as strings, TIMESTAMP and TIME as microseconds, DATE
        as days, BYTES as an array of numbers, UUID and JSON as text; NaN and the infinities as null. Raises
        InterfaceError for a statement without rows; a piece may raise Corruption.
        """
        return _translated(self._json(objects, piece_bytes))

    def json_text(self) -> bytes:
        """The pieces of json_rows as one. Raises InterfaceError, Corruption."""
        try:
            return b"".join(self._json(False, 65_536))
        except core.CoreError as error:
            raise translated(error) from error

    def _json(self, objects: bool, piece_bytes: int) -> JsonRows:
        if not self.columns:
            raise InterfaceError("the statement returned no rows, so there is no JSON of them")
        codes = b""
        parts: Iterable[Any]
        if self._encoded is not None:
            parts = (self._encoded,)
        elif self._parts is not None:
            parts = self._parts
        elif self._types is None:
            assert self._batches is not None
            parts = cells_of_batches(self._batches, self._schema)
        else:
            codes = self._codes or bytes([0 if kind is None else kind.code for kind in self._types])
            parts = (cells_of_rows(self._tuples(), codes) if self._stored is None else self._stored,)
        names = self.columns if objects else None
        return JsonRows(parts, names=names, codes=codes, piece_bytes=piece_bytes)

    def _to_arrow(self) -> tuple[list[pa.RecordBatch], pa.Schema]:
        import pyarrow as pa

        from kalamdb.types import query_field

        if not self.columns:
            raise InterfaceError("the statement returned no rows, so there is no Arrow table of them")
        parts = self._parts
        if self._encoded is not None:
            try:
                parts = self._encoded.batches()
            except core.CoreError as error:
                raise translated(error) from error
        if parts is not None:
            assert self._types is not None
            given = zip(self.columns, self._types, strict=True)
            schema = pa.schema([query_field(name, kind) for name, kind in given if kind is not None])
            columns = [pa.record_batch(part).columns for part in parts]
            return [pa.RecordBatch.from_arrays(arrays, schema=schema) for arrays in columns], schema
        rows = self._stored or self._rows or []
        types = self._types or [None] * len(self.columns)
        fields, arrays = [], []
        for position, (name, kind) in enumerate(zip(self.columns, types)):
            values: list[Any] = [row[position] for row in rows]
            if kind is None:
                array = pa.array([_plain(value) for value in values])
                if pa.types.is_null(array.type):
                    array = array.cast(pa.string())
                fields.append(pa.field(name, array.type))
            else:
                field = query_field(name, kind, True)
                if kind.name is TypeName.JSON and self._stored is None:
                    values = [None if value is None else json_text(value) for value in values]
                elif kind.name is TypeName.UUID:
                    values = [_plain(value) for value in values]
                array = pa.array(values, field.type)
                fields.append(field)
            arrays.append(array)
        schema = pa.schema(fields)
        return [pa.RecordBatch.from_arrays(arrays, schema=schema)], schema

    def df(self) -> pandas.DataFrame:
        """A pandas data frame; needs pandas."""
        return self.arrow().to_pandas()

    def pl(self) -> polars.DataFrame:
        """A Polars data frame; needs Polars."""
        import polars

        frame = polars.from_arrow(self.arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def __repr__(self) -> str:
        """The first and last rows, whatever was fetched, as a table of text; fetches nothing."""
        from kalamdb.preview import text_table

        if not self.columns:
            return f"<Result: {self.message}>"
        try:
            return text_table(self._preview())
        except Error:
            # What cannot be read is told to who reads it; a debugger that shows this object goes on.
            return f"<Result: {self.rowcount} row(s) of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        """The same as HTML, which notebooks show."""
        from kalamdb.preview import html_message, html_table

        return html_table(self._preview()) if self.columns else html_message(self.message or "")

    def _preview(self) -> Preview:
        from kalamdb.preview import FIRST_ROWS, LAST_ROWS, Preview

        count, types = self.rowcount, self.column_types()
        if self.is_arrow and self._rows is None and count > FIRST_ROWS + LAST_ROWS:
            # Only the rows that are shown become Python values.
            table = self.arrow()
            first, last = (
                tuples(piece.to_batches(), piece.schema)
                for piece in (table.slice(0, FIRST_ROWS), table.slice(count - LAST_ROWS))
            )
            return Preview(self.columns, types, first, last, count, self.took_ms)
        return Preview.of(self.columns, types, self._tuples(), self.took_ms)


def _translated(pieces: JsonRows) -> Iterator[bytes]:
    try:
        yield from pieces
    except core.CoreError as error:
        raise translated(error) from error


def _plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (dict, list)):
        return _json_text(value)
    return value


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tuples(batches: list[pa.RecordBatch], schema: pa.Schema | None) -> list[Row]:
    """Record batches as tuples of Python values: UUID columns as UUID, JSON columns as what the JSON says."""
    import pyarrow as pa

    rows: list[Row] = []
    for batch in batches:
        rows.extend(text_tuples(batch))
    assert schema is None or isinstance(schema, pa.Schema)
    converters = _converters(schema)
    if converters:
        rows = [_converted(row, converters) for row in rows]
    return rows


def text_tuples(batch: pa.RecordBatch) -> list[Row]:
    """A record batch as tuples of Python values, UUID and JSON as the text that they are."""
    from kalamcore.errors import ValueMismatchError
    from kalamcore.rows import tuples_from_arrow

    try:
        return tuples_from_arrow(batch)
    except ValueMismatchError:
        return list(zip(*(column.to_pylist() for column in batch.columns)))


def _part_tuples(parts: list[Batch], types: Sequence[DataType | None]) -> list[Row]:
    from kalamcore.rows import tuples_from_arrow

    rows: list[Row] = []
    for part in parts:
        rows.extend(tuples_from_arrow(part))
    return _decoded(rows, types, TypeName.JSON, TypeName.UUID)


def _decoded(rows: list[Row], types: Sequence[DataType | None], *texts: TypeName) -> list[Row]:
    """The rows with the columns of these types, which are text, as what the text says."""
    converters: dict[int, Callable[[str], Any]] = {}
    for position, kind in enumerate(types):
        if kind is None or kind.name not in texts:
            continue
        if kind.name is TypeName.UUID:
            converters[position] = uuid.UUID
        else:
            import orjson

            converters[position] = orjson.loads
    return [_converted(row, converters) for row in rows] if converters else rows


def _converters(schema: pa.Schema | None) -> dict[int, Callable[[str], Any]]:
    converters: dict[int, Callable[[str], Any]] = {}
    for position, field in enumerate(schema or ()):
        kind = (field.metadata or {}).get(b"kalam.type")
        if kind == b"uuid":
            converters[position] = uuid.UUID
        elif kind == b"json":
            import orjson

            converters[position] = orjson.loads
    return converters


def _converted(row: Row, converters: dict[int, Callable[[str], Any]]) -> Row:
    values = list(row)
    for position, convert in converters.items():
        if values[position] is not None:
            values[position] = convert(values[position])
    return tuple(values)
