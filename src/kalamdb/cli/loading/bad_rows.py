"""What cannot go in: how much of it, and of the first why."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import click

from kalamdb.cli.loading.file_rows import FileRows

SHOWN_MAX = 20


class BadRows:
    """Counts all of it, and keeps the first, by the numbers of a file's rows."""

    def __init__(self) -> None:
        self._count = 0
        self._first: dict[int, str] = {}

    def add(self, bad: Mapping[int, str]) -> None:
        """Some more of it."""
        self._count += len(bad)
        for number in heapq.nsmallest(SHOWN_MAX, bad):
            self._first.setdefault(number, bad[number])
        if len(self._first) > 2 * SHOWN_MAX:
            self._first = {number: self._first[number] for number in heapq.nsmallest(SHOWN_MAX, self._first)}

    def count(self, rows: FileRows) -> int:
        """How much, what was no row included."""
        return self._count + rows.malformed_count

    def tell(self, file: str, rows: FileRows) -> None:
        """Say it, by line."""
        from kalamdb.cli.output.width import shown

        told = rows.told(self._first, SHOWN_MAX)
        for line in sorted(told):
            click.echo(f"{file}: {rows.unit} {line}: {shown(told[line])}", err=True)
        if (more := self.count(rows) - len(told)) > 0:
            click.echo(f"{file}: and {more:,} more", err=True)
