"""Many rows over HTTP: INSERTs of as many rows as a request has room for, one after the other."""

from __future__ import annotations

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
Progress = Callable[[int, int], object]


def insert(calls: Calls, table: str, data: Any, progress: Progress | None) -> Steps[Result]:
    """Insert what Session.insert takes. Raises as that, with `rows_inserted`."""
    target = quoted_table(table)
    started = time.perf_counter()
    done, total = 0, 0
    groups = list(_groups(data))
    total = sum(len(rows) for _, rows in groups)
    for names, rows in groups:
        columns = ", ".join(map(quoted, names))
        before = done
        yield from _insert(
            calls,
            f"INSERT INTO {target} ({columns}) VALUES",
            rows,
            before,
            None if progress is None else lambda count: progress(count, total),
        )
        done += len(rows)
    took_ms = (time.perf_counter() - started) * 1e3
    return Result((), (), [], rowcount=total, message=f"Inserted {total} row(s)", took_ms=took_ms)


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


def _groups(data: Any) -> Iterator[tuple[Sequence[str], Sequence[Sequence[Any]]]]:
    """Rows by the columns that they have: what a dict leaves out takes its default."""
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        yield from _of_arrow(data)
    elif (
        isinstance(data, Sequence)
        and not isinstance(data, (str, bytes))
        and all(isinstance(row, Mapping) for row in data)
    ):
        groups: dict[tuple[str, ...], list[Sequence[Any]]] = {}
        for row in data:
            groups.setdefault(tuple(row), []).append(tuple(row.values()))
        yield from groups.items()
    else:
        raise InvalidParameter(
            "insert takes an Arrow table, a pandas or Polars data frame or a list of dicts, "
            f"not {type(data).__name__}"
        )


def _of_arrow(data: Any) -> Iterator[tuple[Sequence[str], Sequence[Sequence[Any]]]]:
    import pyarrow as pa

    if hasattr(data, "__arrow_c_stream__"):
        table = pa.RecordBatchReader.from_stream(data).read_all()
    else:
        table = pa.Table.from_batches([pa.record_batch(data)])
    if len(set(table.column_names)) != len(table.column_names):
        raise InvalidParameter(f"the data has two columns of one name: {', '.join(table.column_names)}")
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            # Those without a zone are UTC here, and Python has no nanoseconds.
            column = column.cast(pa.timestamp("us", column.type.tz or "UTC"), safe=False)
        columns.append(column.to_pylist())
    if columns and table.num_rows:
        yield table.column_names, list(zip(*columns))
