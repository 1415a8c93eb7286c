"""Many rows over HTTP: INSERTs of as many rows as a request has room for, one after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kalamdb.client.calls import Calls, encoded
from kalamdb.client.json_text import dumps
from kalamdb.client.result import Result
from kalamdb.client.statement_text import plain_insert, quoted, quoted_table
from kalamdb.client.steps import Steps
from kalamdb.errors import Error, InvalidParameter

REQUEST_BYTES = 512 * 1024
"""Half of what a server takes if nothing else is set (`request_bytes_max`)."""
PARAMETERS_MAX = 32_000
ROWS_AT_ONCE = 16_384
"""Rows of Arrow that are Python values at a time."""
Progress = Callable[[int, int], object]
Group = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Names of columns, and rows of them."""


def insert(calls: Calls, table: str, data: Any, progress: Progress | None) -> Steps[Result]:
    """Insert what Session.insert takes. Raises as that, with `rows_inserted`."""
    target = quoted_table(table)
    started = time.perf_counter()
    done = 0
    total, groups = _groups(data)
    for names, rows in groups:
        columns = ", ".join(map(quoted, names))
        yield from _insert(
            calls,
            f"INSERT INTO {target} ({columns}) VALUES",
            rows,
            done,
            None if progress is None else lambda count: progress(count, total),
        )
        done += len(rows)
    took_ms = (time.perf_counter() - started) * 1e3
    return Result((), (), [], rowcount=done, message=f"Inserted {done} row(s)", took_ms=took_ms)


def executemany(calls: Calls, sql: str, rows: Iterable[Sequence[Any]]) -> Steps[Result]:
    """Run a statement for every row of parameters: an INSERT of one row of `?` many rows at a time, any other a
    request a row. Raises as execute, with `rows_inserted` of an INSERT."""
    some = rows if isinstance(rows, (list, tuple)) else list(rows)
    started = time.perf_counter()
    count = 0
    result = Result((), (), [], rowcount=0, message="No rows")
    head = plain_insert(sql)
    width = len(some[0]) if some else 0
    if head is not None and sql.count("?") == width and all(len(row) == width for row in some):
        yield from _insert(calls, head, some, 0, None)
        count, message = len(some), f"Inserted {len(some)} row(s)"
        result = Result((), (), [], rowcount=count, message=message)
    else:
        for row in some:
            result = yield from calls.execute(sql, row)
            count += result.rowcount
    result._rowcount = count
    result.took_ms = (time.perf_counter() - started) * 1e3
    return result


def _insert(
    calls: Calls,
    head: str,
    rows: Sequence[Sequence[Any]],
    before: int,
    progress: Callable[[int], object] | None,
) -> Steps[None]:
    done = before
    try:
        for batch in _batches(rows):
            one = "(" + ", ".join("?" * len(batch[0])) + ")"
            sql = f"{head} {', '.join([one] * len(batch))}"
            yield from calls.execute(sql, [value for row in batch for value in row])
            done += len(batch)
            if progress is not None:
                progress(done)
    except Error as error:
        error.rows_inserted = done  # type: ignore[attr-defined]
        if done:
            error.message = f"{error.message} ({done} row(s) before it were inserted and stay)"
            error.args = (error.message,)
        raise


def _batches(rows: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    batch: list[Sequence[Any]] = []
    size = parameters = 0
    for row in rows:
        # Each value has its `?` too, and what stands around it.
        row_bytes = len(dumps(encoded(row))) + 4 * len(row) + 4
        parameters += len(row)
        if batch and (size + row_bytes > REQUEST_BYTES or parameters > PARAMETERS_MAX):
            yield batch
            batch, size, parameters = [], 0, len(row)
        batch.append(row)
        size += row_bytes
    if batch:
        yield batch


def _groups(data: Any) -> tuple[int, Iterable[Group]]:
    """How many rows, 0 where that is not known yet, and rows by the columns that they have: what a dict leaves out
    takes its default."""
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _of_arrow(data)
    if (
        isinstance(data, Sequence)
        and not isinstance(data, (str, bytes))
        and all(isinstance(row, Mapping) for row in data)
    ):
        groups: dict[tuple[str, ...], list[Sequence[Any]]] = {}
        for row in data:
            groups.setdefault(tuple(row), []).append(tuple(row.values()))
        return len(data), groups.items()
    raise InvalidParameter(
        f"insert takes an Arrow table, a pandas or Polars data frame or a list of dicts, not {type(data).__name__}"
    )


def _of_arrow(data: Any) -> tuple[int, Iterator[Group]]:
    import pyarrow as pa

    total = 0
    if isinstance(data, pa.Table):
        reader, total = data.to_reader(), data.num_rows
    elif hasattr(data, "__arrow_c_stream__"):
        # Of a reader of ours what it raises comes as it was raised, not as the text of it.
        reader = data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
        with contextlib.suppress(TypeError):
            total = len(data)
    else:
        batch = pa.record_batch(data)
        reader, total = pa.RecordBatchReader.from_batches(batch.schema, [batch]), batch.num_rows
    names = reader.schema.names
    if len(set(names)) != len(names):
        raise InvalidParameter(f"the data has two columns of one name: {', '.join(names)}")
    return total, _rows_of(reader)


def _rows_of(reader: Any) -> Iterator[Group]:
    """Some rows at a time, whatever its batches are."""
    import pyarrow as pa

    for batch in reader:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            columns = []
            for column in batch.slice(start, ROWS_AT_ONCE).columns:
                if pa.types.is_timestamp(column.type):
                    # Those without a zone are UTC here, and Python has no nanoseconds.
                    column = column.cast(pa.timestamp("us", column.type.tz or "UTC"), safe=False)
                columns.append(column.to_pylist())
            if columns:
                yield reader.schema.names, list(zip(*columns))
