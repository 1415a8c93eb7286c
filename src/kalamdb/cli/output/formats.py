"""The formats, by name: who writes an answer in it, and which names of files mean it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kalamdb.cli.output.csv_rows import csv_lines
from kalamdb.cli.output.json_rows import json_array, json_lines
from kalamdb.cli.output.look import Look
from kalamdb.cli.output.markdown import markdown_lines
from kalamdb.cli.output.table import table_lines

if TYPE_CHECKING:
    from kalamdb.cli.connection import Answer

Pieces = Callable[["Answer", Look], Iterator[str]]
Whole = Callable[["Answer", BinaryIO], None]


@dataclass(frozen=True, slots=True)
class Writer:
    """One format. Either `pieces`, text that may stand behind other text, or `whole`: bytes that are a file of their
    own, of one answer."""

    name: str
    endings: tuple[str, ...]
    what: str
    pieces: Pieces | None = None
    whole: Whole | None = None


def _types(answer: Answer) -> list[str]:
    return [str(column[1]) for column in answer.description or ()]


def _table(answer: Answer, look: Look) -> Iterator[str]:
    return table_lines(answer.columns, _types(answer), answer.fetchall(), look)


def _csv(answer: Answer, look: Look) -> Iterator[str]:
    return csv_lines(answer.columns, answer.fetchall())


def _json(answer: Answer, look: Look) -> Iterator[str]:
    return json_array(answer.columns, answer.fetchall())


def _ndjson(answer: Answer, look: Look) -> Iterator[str]:
    return json_lines(answer.columns, answer.fetchall())


def _markdown(answer: Answer, look: Look) -> Iterator[str]:
    return markdown_lines(answer.columns, _types(answer), answer.fetchall(), look.null)


def _arrow(answer: Answer, sink: BinaryIO) -> None:
    import pyarrow as pa

    table = answer.arrow()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def _parquet(answer: Answer, sink: BinaryIO) -> None:
    from kalamdb.engine.segments.plain_file import write_parquet

    write_parquet(answer.arrow(), sink)


_WRITERS = (
    Writer("table", (".txt",), "for people: columns of one width", _table),
    Writer("csv", (".csv",), 'RFC 4180 with a header; NULL is nothing, the empty text is ""', _csv),
    Writer("json", (".json",), "one array of objects an answer", _json),
    Writer("ndjson", (".ndjson", ".jsonl"), "an object a line", _ndjson),
    Writer("markdown", (".md",), "a table for documents", _markdown),
    Writer("arrow", (".arrow", ".arrows"), "an Arrow IPC stream, of one answer", whole=_arrow),
    Writer("parquet", (".parquet",), "a Parquet file, of one answer", whole=_parquet),
)
FORMATS = {writer.name: writer for writer in _WRITERS}


def format_of_file(path: str) -> Writer | None:
    """The format that a file's name means, if it means one."""
    ending = Path(path).suffix.lower()
    return next((one for one in _WRITERS if ending in one.endings), None)
