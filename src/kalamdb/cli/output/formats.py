"""The formats, by name: who writes an answer in it, and which names of files mean it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kalamdb.cli.output.csv_rows import csv_lines
from kalamdb.cli.output.json_rows import json_array, json_lines
from kalamdb.cli.output.look import Look
from kalamdb.cli.output.markdown import markdown_lines
from kalamdb.cli.output.table import table_lines

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamdb.cli.connection import Answer

ROWS_AT_ONCE = 4096
Rows = Iterable[Sequence[tuple[Any, ...]]]
"""Some rows at a time."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One format. `table`: text of a whole answer, which may stand behind other text. `lines`: the same of columns and
    rows that come some at a time. `file`: bytes that are a file of their own, of one answer. Each has one of them."""

    name: str
    endings: tuple[str, ...]
    what: str
    table: Callable[[Answer, Look], Iterator[str]] | None = None
    lines: Callable[[Sequence[str], Rows], Iterator[str]] | None = None
    file: Callable[[pa.RecordBatchReader, BinaryIO], None] | None = None

    def pieces(self, answer: Answer, look: Look) -> Iterator[str]:
        """An answer as text. REQUIRES: it is no `file`."""
        if self.lines is not None:
            rows = answer.fetchall()
            starts = range(0, len(rows), ROWS_AT_ONCE)
            return self.lines(answer.columns, (rows[start : start + ROWS_AT_ONCE] for start in starts))
        assert self.table is not None
        return self.table(answer, look)


def _types(answer: Answer) -> list[str]:
    return [str(column[1]) for column in answer.description or ()]


def _table(answer: Answer, look: Look) -> Iterator[str]:
    return table_lines(answer.columns, _types(answer), answer.fetchall(), look)


def _markdown(answer: Answer, look: Look) -> Iterator[str]:
    return markdown_lines(answer.columns, _types(answer), answer.fetchall(), look.null)


def _arrow(rows: pa.RecordBatchReader, sink: BinaryIO) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, rows.schema) as stream:
        for batch in rows:
            stream.write_batch(batch)


def _parquet(rows: pa.RecordBatchReader, sink: BinaryIO) -> None:
    from kalamdb.engine.segments.plain_file import write_parquet

    write_parquet(rows, sink)


_WRITERS = (
    Writer("table", (".txt",), "for people: columns of one width", table=_table),
    Writer(
        "csv", (".csv",), 'RFC 4180 with a header; NULL is nothing, the empty text is ""', lines=csv_lines
    ),
    Writer("json", (".json",), "one array of objects an answer", lines=json_array),
    Writer("ndjson", (".ndjson", ".jsonl"), "an object a line", lines=json_lines),
    Writer("markdown", (".md",), "a table for documents", table=_markdown),
    Writer("arrow", (".arrow", ".arrows"), "an Arrow IPC stream, of one answer", file=_arrow),
    Writer("parquet", (".parquet",), "a Parquet file, of one answer", file=_parquet),
)
FORMATS = {writer.name: writer for writer in _WRITERS}


def format_of_file(path: str) -> Writer | None:
    """The format that a file's name means, if it means one."""
    ending = Path(path).suffix.lower()
    return next((one for one in _WRITERS if ending in one.endings), None)
