"""Live queries, shown as they go on: rows first, then each change with its kind and time, until Ctrl-C."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kalamdb.cli.output.cells import text_of
from kalamdb.cli.output.json_rows import json_text
from kalamdb.cli.output.width import cut, shown
from kalamdb.errors import InvalidParameter

if TYPE_CHECKING:
    from kalamdb.cli.connection import Event
    from kalamdb.cli.sql.shell import Shell

_COLOURS = {"insert": "\x1b[32m", "update": "\x1b[33m", "delete": "\x1b[31m", "snapshot": "\x1b[2m"}


def show_events(shell: Shell, sql: str) -> None:
    """Show what a live query tells: lines for people, or an object of JSON a row. Raises kalamdb.Error."""
    as_json = shell.format.name in ("json", "ndjson")
    if not as_json and shell.format.name != "table":
        raise InvalidParameter(
            f"what a live query tells has no end, and cannot be written as {shell.format.name}; "
            "choose --format ndjson, or table"
        )
    with suppress(KeyboardInterrupt), shell.connection.subscribe(sql) as events:
        shell.tell("live; Ctrl-C ends it")
        for event in events:
            at = datetime.datetime.now().astimezone()
            for line in _json_lines(event, at) if as_json else _lines(shell, event, at):
                shell.sink.write(line + "\n")
            # A program that reads along waits for each of them.
            shell.sink.flush()
    shell.tell("")


def _lines(shell: Shell, event: Event, at: datetime.datetime) -> Iterator[str]:
    look = shell.sink.look("off", shell.null)
    begin, end = (_COLOURS[event.kind], "\x1b[0m") if look.colour else ("", "")
    if event.kind == "snapshot" and not event.rows:
        yield f"{at:%H:%M:%S.%f}"[:12] + f"  {begin}snapshot{end}  no rows"
    for old, row in _rows(event):
        pairs = row if row is not None else old
        assert pairs is not None
        text = "  ".join(
            f"{shown(name)}={_cell(shell, value)}" for name, value in pairs.items() if name != "_seq"
        )
        if old is not None and row is not None:
            changed = [
                f"{shown(name)}={_cell(shell, value)}"
                for name, value in old.items()
                if name != "_seq" and row.get(name) != value
            ]
            text += f"  (was {'  '.join(changed)})" if changed else ""
        if look.width is not None:
            text = cut(text, max(20, look.width - 24))
        yield f"{at:%H:%M:%S.%f}"[:12] + f"  {begin}{event.kind:<8}{end}  {text}"


def _cell(shell: Shell, value: Any) -> str:
    return shell.null if value is None else shown(text_of(value))


def _rows(event: Event) -> Iterator[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]:
    """Each row as it was and as it is."""
    if event.kind == "delete":
        yield from ((old, None) for old in event.old_rows)
    elif event.kind == "update":
        yield from zip(event.old_rows, event.rows)
    else:
        yield from ((None, row) for row in event.rows)


def _json_lines(event: Event, at: datetime.datetime) -> Iterator[str]:
    from kalamdb.cli.output.cells import plain_json

    for old, row in _rows(event):
        told = {"kind": event.kind, "at": at.isoformat(), "row": row, "old_row": old}
        yield json_text(
            {
                name: {key: plain_json(cell) for key, cell in value.items()}
                if isinstance(value, Mapping)
                else value
                for name, value in told.items()
                if value is not None
            }
        )
