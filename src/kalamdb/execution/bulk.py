"""Many rows at once: Arrow tables and data frames, lists of dicts, and executemany."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.auth import Action
from kalamdb.errors import InvalidParameter, InvalidValue, UndefinedColumn
from kalamdb.execution import dml
from kalamdb.execution.defaults import default_expression, default_values
from kalamdb.execution.row_stream import RowStream
from kalamdb.execution.segment_load import (
    Progress,
    StreamedRows,
    TableRows,
    is_worth_a_segment,
    load,
    may_have_a_segment,
)
from kalamdb.result import Result
from kalamdb.sql.dml import Insert, ValuesRows
from kalamdb.sql.expressions import ColumnReference, FunctionCall, Literal, Parameter
from kalamdb.types import TypeName, arrow_type, cast_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.execution.context import Context
    from kalamdb.execution.sorted_runs import SortedRuns
    from kalamdb.schema import Column, TableSchema
    from kalamdb.sql.names import TableName


def insert_data(name: TableName, data: Any, context: Context, progress: Progress | None = None) -> Result:
    """Insert anything that speaks Arrow (`__arrow_c_stream__`, `__arrow_c_array__`), a RowStream, or a list of dicts,
    whole.

    Columns are matched by name; those that the data has not take their defaults. `progress`: told how many rows were
    written, and of how many.
    """
    schema = dml.writable_table(name, Action.INSERT, context)
    if isinstance(data, RowStream):
        return _insert_stream(schema, data, context, progress)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _insert_arrow(schema, _as_table(data), context, progress)
    if (
        isinstance(data, Sequence)
        and not isinstance(data, (str, bytes))
        and all(isinstance(r, Mapping) for r in data)
    ):
        result = _insert_dicts(schema, data, context)
        if progress is not None:
            progress(len(data), len(data))
        return result
    raise InvalidParameter(
        f"insert takes an Arrow table, a pandas or Polars data frame or a list of dicts, not {type(data).__name__}"
    )


def _as_table(data: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data).read_all()
    return pa.Table.from_batches([pa.record_batch(data)])


def _insert_dicts(schema: TableSchema, rows: Sequence[Mapping[str, Any]], context: Context) -> Result:
    """A key that a dict leaves out takes its column's default, also where other dicts have it."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = dml.target_columns(schema, names)
    given = [[row.get(name, dml.LEFT_OUT) for name in names] for row in rows]
    return dml.write(schema, dml.complete_rows(schema, columns, given, context), [], None, context)


def _insert_arrow(
    schema: TableSchema, table: pa.Table, context: Context, progress: Progress | None
) -> Result:
    _check_names(schema, table.column_names)
    if is_worth_a_segment(schema, table, context):
        _load(schema, table, context, progress)
    else:
        _write(schema, table, context)
        if progress is not None:
            progress(table.num_rows, table.num_rows)
    return Result.affected(table.num_rows, f"Inserted {table.num_rows} row(s)")


def _insert_stream(
    schema: TableSchema, stream: RowStream, context: Context, progress: Progress | None
) -> Result:
    _check_names(schema, stream.schema.names)
    if stream.runs is None:
        few = stream.few() if may_have_a_segment(schema, context) else stream.all()
        if few is not None:
            return _insert_arrow(schema, few, context, progress)
        stream.runs = _sorted(schema, stream, context)
    runs = stream.runs
    load(schema, StreamedRows(schema, runs, lambda some: _columns(schema, some, context)), context, progress)
    return Result.affected(runs.num_rows, f"Inserted {runs.num_rows} row(s)")


def _sorted(schema: TableSchema, stream: RowStream, context: Context) -> SortedRuns:
    """All rows of the stream in canonical types, each with a key."""
    import pyarrow as pa

    key = schema.columns[schema.position(schema.primary_key)]
    runs = stream.new_runs(context.services.engine.directory.hot, key.name)
    for batch in stream.batches():
        table = pa.Table.from_batches([batch])
        columns = {
            name: _cast(
                schema, name, table.column(name), schema.columns[schema.position(name)].type, runs.num_rows
            )
            for name in table.column_names
        }
        if key.name not in columns:
            columns[key.name] = (
                pa.nulls(len(batch), arrow_type(key.type))
                if key.default is None
                else _default_array(key, len(batch), context)
            )
        if columns[key.name].null_count:
            row = columns[key.name].is_null().index(True).as_py()
            missing = core.NullValueError("", runs.num_rows + row, schema.position(key.name))
            raise dml.value_error(missing, schema)
        runs.add(pa.table(columns))
    runs.end()
    return runs


def _check_names(schema: TableSchema, names: Sequence[str]) -> None:
    for name in names:
        if schema.column(name) is None:
            raise UndefinedColumn(f'column "{name}" of relation "{schema.qualified_name}" does not exist')
    if len(set(names)) != len(names):
        raise InvalidParameter(f"the data has two columns of one name: {', '.join(names)}")


def _columns(schema: TableSchema, table: pa.Table, context: Context, done: Collection[str] = ()) -> list[Any]:
    """The data as the table's columns, in their canonical types (as those that are `done` are already), with the
    defaults of those it has not."""
    import pyarrow as pa

    arrays = []
    for column in schema.columns:
        if column.name in done:
            array = table.column(column.name)
        elif column.name in table.column_names:
            array = _cast(schema, column.name, table.column(column.name), column.type)
        elif column.default is None:
            array = pa.nulls(table.num_rows, arrow_type(column.type))
        else:
            array = _default_array(column, table.num_rows, context)
        arrays.append(array)
    return arrays


def _load(schema: TableSchema, table: pa.Table, context: Context, progress: Progress | None) -> None:
    """Write the rows to a segment of their own, cast some at a time."""
    import pyarrow as pa

    # At once, as the rows are put in its order; and JSON, whose errors count the rows as they were given.
    done = set()
    for column in schema.columns:
        if column.name in table.column_names:
            if column.name != schema.primary_key and column.type.name is not TypeName.JSON:
                continue
            at = table.column_names.index(column.name)
            array = _cast(schema, column.name, table.column(at), column.type)
            table = table.set_column(at, column.name, array)
            done.add(column.name)
        elif column.name == schema.primary_key and column.default is not None:
            table = table.append_column(column.name, _default_array(column, table.num_rows, context))
            done.add(column.name)
    if schema.primary_key in table.column_names:
        keys = table.column(schema.primary_key)
    else:
        of = schema.columns[schema.position(schema.primary_key)].type
        keys = pa.chunked_array([pa.nulls(table.num_rows, arrow_type(of))])
    rows = TableRows(schema, table, keys, lambda some: _columns(schema, some, context, done))
    load(schema, rows, context, progress)


def _write(schema: TableSchema, table: pa.Table, context: Context) -> None:
    """Write the rows through the log, or to the open transaction."""
    import pyarrow as pa

    names = [column.name for column in schema.columns]
    canonical = pa.table(_columns(schema, table, context), names=names)
    batch = WriteBatch(context.snapshot)
    rows, partition = context.rows_of(schema), context.partition(schema)
    try:
        for part in canonical.to_batches():
            batch.insert_arrow(schema.table_id, partition, rows.layout, part)
        if len(batch):
            context.write(batch)
    except core.DuplicateKeyError as error:
        key = canonical.column(schema.primary_key)[error.operation].as_py()
        raise dml.duplicate_key_of(schema, key) from error
    except (core.WriteConflictError, core.ColdMissError):
        raise
    except core.CoreError as error:
        raise dml.value_error(error, schema) from error


_ONE_A_STATEMENT = frozenset({"now", "current_timestamp", "current_user", "current_role"})


def _default_array(column: Column, count: int, context: Context) -> Any:
    """`count` values of the column's DEFAULT, without a Python object for each where that is possible."""
    import pyarrow as pa

    assert column.default is not None
    expression = default_expression(column.default)
    ids = context.function_context.ids
    name = expression.name if isinstance(expression, (FunctionCall, ColumnReference)) else None
    if name == "snowflake_id":
        return pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(ids.snowflake_ids(count))])
    if name in ("uuid_v7", "ulid"):
        width, text = (36, ids.uuid_v7_text(count)) if name == "uuid_v7" else (26, ids.ulid_text(count))
        fixed = pa.Array.from_buffers(pa.binary(width), count, [None, pa.py_buffer(text)])
        return fixed.cast(pa.binary()).cast(pa.string())
    if count and (isinstance(expression, Literal) or name in _ONE_A_STATEMENT):
        one = cast_arrow(pa.array(default_values(column, 1, context)), column.type)
        return pa.repeat(one[0], count)
    return cast_arrow(pa.array(default_values(column, count, context)), column.type)


def _cast(schema: TableSchema, name: str, column: Any, kind: Any, before: int = 0) -> Any:
    """`before`: rows of the data before these."""
    try:
        array = cast_arrow(column, kind)
    except Exception as error:
        dml.name_the_place(error, schema, name)
        raise
    if kind.name is TypeName.JSON:
        _check_json(schema, name, array, before)
    return array


def _check_json(schema: TableSchema, name: str, column: Any, before: int) -> None:
    import orjson

    for number, value in enumerate(column.to_pylist(), before + 1):
        if value is not None:
            try:
                orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise InvalidValue(
                    f'column "{name}" of {schema.qualified_name}, row {number}: invalid JSON: {error}'
                ) from error


def insert_many(statement: Insert, parameter_rows: Sequence[Sequence[Any]], context: Context) -> Result:
    """An INSERT … VALUES once for every row of parameters, as one commit: all of them or none."""
    schema = dml.writable_table(statement.table, Action.INSERT, context)
    columns = dml.target_columns(schema, statement.columns)
    places = _plain_parameters(statement)
    if places is not None:
        given: list[Any] = (
            list(parameter_rows)
            if places == list(range(len(places)))
            else [[row[place] for place in places] for row in parameter_rows]
        )
        if len(places) != len(columns):
            # Said in the words of a single INSERT.
            context.parameters = parameter_rows[0]
            dml.source_rows(statement, schema, columns, context)
    else:
        given = []
        for row in parameter_rows:
            context.parameters = row
            given.extend(dml.source_rows(statement, schema, columns, context))
    rows = dml.complete_rows(schema, columns, given, context)
    return dml.write(schema, rows, [], None, context)


def _plain_parameters(statement: Insert) -> list[int] | None:
    """The parameters of a single VALUES row that is nothing but parameters."""
    source = statement.source
    if not isinstance(source, ValuesRows) or len(source.rows) != 1:
        return None
    if not all(isinstance(cell, Parameter) for cell in source.rows[0]):
        return None
    return [cell.index for cell in source.rows[0] if isinstance(cell, Parameter)]
