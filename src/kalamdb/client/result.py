"""The answer of a server to a statement, with the members of an embedded result."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kalamdb.client.json_text import loads
from kalamdb.errors import ConnectionLost, InterfaceError, InvalidValue
from kalamdb.protocol import cell_decoder, decode_data_type
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

Row = tuple[Any, ...]
Description = list[tuple[str, str, None, int | None, int | None, int | None, None]]


class Result:
    """Rows and what is known about them.

    Iterates as tuples. `rowcount`: rows returned or changed. `columns`: their names. `took_ms`: how long the server
    took, in milliseconds. `message`: what a statement without rows did. `user`: as whom it ran.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        types: Sequence[DataType],
        rows: list[Row],
        *,
        rowcount: int,
        message: str | None = None,
        user: str | None = None,
        took_ms: float = 0.0,
    ) -> None:
        self.columns = columns
        self.message = message
        self.user = user
        self.took_ms = took_ms
        self._types = types
        self._rowcount = rowcount
        self._found: list[Row] | None = rows
        self._cursor = 0

    @property
    def rowcount(self) -> int:
        """Rows returned, or changed."""
        return self._rowcount

    @property
    def description(self) -> Description | None:
        """PEP 249: one (name, type_code, display_size, internal_size, precision, scale, null_ok) a column; None for a
        statement without rows. type_code is the SQL type as text; precision and scale are of DECIMAL, and the others
        are None."""
        if not self.columns:
            return None
        return [
            (name, str(kind), None, None, kind.precision, kind.scale, None)
            for name, kind in zip(self.columns, self.column_types())
        ]

    def column_types(self) -> Sequence[DataType]:
        """The SQL type of each column."""
        return self._types

    def _rows(self) -> list[Row]:
        assert self._found is not None
        return self._found

    def __iter__(self) -> Iterator[Row]:
        """The rows that were not fetched yet."""
        while (row := self.fetchone()) is not None:
            yield row

    def __len__(self) -> int:
        return len(self._rows())

    def fetchone(self) -> Row | None:
        """The next row, or None after the last."""
        some = self.fetchmany(1)
        return some[0] if some else None

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to `size` rows more."""
        some = self._rows()[self._cursor : self._cursor + size]
        self._cursor += len(some)
        return some

    def fetchall(self) -> list[Row]:
        """All rows that were not fetched yet."""
        rest = self._rows()[self._cursor :]
        self._cursor += len(rest)
        return rest

    def arrow(self) -> pa.Table:
        """Every row as an Arrow table, whatever was fetched; needs pyarrow. UUID and JSON are text."""
        import pyarrow as pa

        from kalamdb.types import query_field

        self._require_rows()
        schema = pa.schema([query_field(name, kind) for name, kind in zip(self.columns, self._types)])
        columns = zip(*self._rows()) if self._rows() else [()] * len(self.columns)
        arrays = [
            pa.array([_arrow_value(value, kind) for value in column], field.type)
            for column, kind, field in zip(columns, self._types, schema)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _require_rows(self) -> None:
        if not self.columns:
            raise InterfaceError("the statement returned no rows, so there is no Arrow table of them")

    def arrow_reader(self) -> pa.RecordBatchReader:
        """The same, batch by batch."""
        return self.arrow().to_reader()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: pyarrow, pandas, Polars and DuckDB read a result as it is."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def df(self) -> pandas.DataFrame:
        """A pandas data frame; needs pyarrow and pandas."""
        return self.arrow().to_pandas()

    def pl(self) -> polars.DataFrame:
        """A Polars data frame; needs pyarrow and Polars."""
        import polars

        frame = polars.from_arrow(self.arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def __repr__(self) -> str:
        """The first and last rows, whatever was fetched, as a table of text."""
        if not self.columns:
            return f"<Result: {self.message}>"
        from kalamdb.preview import Preview, text_table

        return text_table(Preview.of(self.columns, self._types, self._rows(), self.took_ms))

    def _repr_html_(self) -> str:
        """The same as HTML, which notebooks show."""
        from kalamdb.preview import Preview, html_message, html_table

        if not self.columns:
            return html_message(self.message or "")
        return html_table(Preview.of(self.columns, self._types, self._rows(), self.took_ms))


class ArrowResult(Result):
    """Rows that come as an Arrow stream, read when they are asked for, NaN and infinities as they are.

    Until then `rowcount` is not known and `took_ms` is 0. `arrow_reader` reads them batch by batch, once; everything
    else reads all of them.
    """

    def __init__(self, source: Any, close: Callable[[], object]) -> None:
        """`source`: a file, or bytes. `close`: called once all of it is read, or nobody wants it any more. Raises
        ConnectionLost."""
        import pyarrow as pa

        from kalamdb.types import type_of_arrow

        self._close = close
        try:
            self._reader: pa.RecordBatchReader | None = pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError) as error:
            close()
            raise _broken_off() from error
        self._schema = self._reader.schema
        super().__init__(
            tuple(self._schema.names), [type_of_arrow(one) for one in self._schema], [], rowcount=-1
        )
        self._found = None
        self._table: pa.Table | None = None

    @property
    def rowcount(self) -> int:
        """Rows returned; reads all of them."""
        return self.arrow().num_rows  # type: ignore[no-any-return]

    def arrow(self) -> pa.Table:
        """Every row as an Arrow table, whatever was fetched. UUID and JSON are text. Raises ConnectionLost, and
        InterfaceError where arrow_reader has the rows."""
        import pyarrow as pa

        if self._table is None:
            batches = list(self._batches())
            self._table = pa.Table.from_batches(batches, schema=self._schema)
        return self._table

    def arrow_reader(self) -> pa.RecordBatchReader:
        """The rows batch by batch, as they come. Raises InterfaceError the second time."""
        import pyarrow as pa

        if self._table is not None:
            return self._table.to_reader()
        return pa.RecordBatchReader.from_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        reader, self._reader = self._reader, None
        if reader is None:
            raise InterfaceError("the rows of this result went to arrow_reader(); run the statement again")
        return _closing(reader, self._close, (pa.ArrowInvalid, OSError, EOFError))

    def _rows(self) -> list[Row]:
        if self._found is None:
            table = self.arrow()
            columns = [
                _python_column(column.to_pylist(), field.metadata or {})
                for column, field in zip(table.columns, self._schema)
            ]
            self._found = list(zip(*columns)) if columns else []
        return self._found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def __del__(self) -> None:
        if getattr(self, "_reader", None) is not None:
            self._close()

    def __repr__(self) -> str:
        """Says what it is; nothing is read."""
        return f"<Result: rows of {', '.join(self.columns)}, in Arrow>"

    def _repr_html_(self) -> str:
        """The same as HTML."""
        from kalamdb.preview import html_message

        return html_message(repr(self))


def result_of(told: Mapping[str, Any], took_ms: float) -> Result:
    """The result of a statement from its JSON. Raises InvalidValue."""
    schema = told.get("schema")
    message, user, rowcount = told.get("message"), told.get("as_user"), told["row_count"]
    if schema is None:
        return Result((), (), [], rowcount=rowcount, message=message, user=user, took_ms=took_ms)
    types = [decode_data_type(column["data_type"]) for column in schema]
    rows = rows_of(told["rows"], types)
    columns = tuple(column["name"] for column in schema)
    return Result(columns, types, rows, rowcount=rowcount, message=message, user=user, took_ms=took_ms)


def rows_of(cells: Sequence[Sequence[Any]], types: Sequence[DataType]) -> list[Row]:
    """Rows of cells as tuples of values. Raises InvalidValue."""
    decoders = [(place, decoder) for place, kind in enumerate(types) if (decoder := decoder_of(kind))]
    if not decoders:
        return list(map(tuple, cells))
    rows = []
    try:
        for row in cells:
            values = list(row)
            for place, decode in decoders:
                if values[place] is not None:
                    values[place] = decode(values[place])
            rows.append(tuple(values))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValue(f"the server sent a cell that is none: {error}") from error
    return rows


def decoder_of(kind: DataType) -> Callable[[Any], Any] | None:
    """What makes a value of a cell that is not null; None where the cell is the value."""
    return loads if kind.name is TypeName.JSON else cell_decoder(kind)


def _arrow_value(value: Any, kind: DataType) -> Any:
    if value is None:
        return None
    if kind.name is TypeName.JSON:
        from kalamdb.client.json_text import dumps

        return dumps(value).decode()
    return str(value) if kind.name is TypeName.UUID else value


def _python_column(values: list[Any], metadata: Mapping[bytes, bytes]) -> list[Any]:
    kind = metadata.get(b"kalam.type")
    convert = uuid.UUID if kind == b"uuid" else loads if kind == b"json" else None
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


def _closing(
    reader: Any, close: Callable[[], object], broken: tuple[type[BaseException], ...]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except broken as error:
        raise _broken_off() from error
    finally:
        close()


def _broken_off() -> ConnectionLost:
    return ConnectionLost("the rows broke off on their way from the server; run the statement again")
