"""Tables for documents, as GitHub's Markdown has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kalamdb.cli.output.cells import is_number, texts_of
from kalamdb.cli.output.width import width


def markdown_lines(
    columns: Sequence[str], types: Sequence[str], rows: Sequence[tuple[Any, ...]], null: str
) -> Iterator[str]:
    """The whole table."""
    names = [_escaped(name) for name in columns]
    cells = [[_escaped(null if text is None else text) for text in texts_of(column)] for column in zip(*rows)]
    cells = cells or [[] for _ in names]
    widths = [max(3, width(name), *map(width, column)) for name, column in zip(names, cells)]
    right = [is_number(kind) for kind in types]
    yield _line([_padded(name, size, side) for name, size, side in zip(names, widths, right)])
    yield _line(["-" * (size - 1) + (":" if side else "-") for size, side in zip(widths, right)])
    for row in zip(*cells):
        yield _line([_padded(cell, size, side) for cell, size, side in zip(row, widths, right)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _padded(text: str, size: int, to_right: bool) -> str:
    blanks = " " * (size - width(text))
    return blanks + text if to_right else text + blanks


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return text.replace("\r\n", "<br>").replace("\n", "<br>").replace("\r", "<br>")
