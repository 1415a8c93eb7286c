"""How a result looks where a person sees it: as text at a prompt, as a table in a notebook.

It shows the first and the last rows of a long result, and NULL so that it is no text. What rows hold is never taken as
markup or as an order to a terminal.
"""

from __future__ import annotations

import datetime
import html
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kalamdb.types import DataType, TypeName

FIRST_ROWS = 10
LAST_ROWS = 10
"""Of a result with more rows than both together."""
COLUMNS_MAX = 30
"""Of a wider result the first and the last half as many are shown."""
CELL_CHARACTERS_MAX = 60
HTML_CELL_CHARACTERS_MAX = 300
GAP = "…"

_NUMBERS = {
    TypeName.SMALLINT,
    TypeName.INT,
    TypeName.BIGINT,
    TypeName.FLOAT,
    TypeName.DOUBLE,
    TypeName.DECIMAL,
}
_QUIET = "color:#888;font-weight:normal"


@dataclass(frozen=True)
class Preview:
    """What is shown. `first` and `last`: rows as tuples; all of them are in `first` where `last` is empty."""

    columns: Sequence[str]
    types: Sequence[DataType]
    first: Sequence[Sequence[Any]]
    last: Sequence[Sequence[Any]]
    rowcount: int
    took_ms: float

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        types: Sequence[DataType],
        rows: Sequence[Sequence[Any]],
        took_ms: float,
    ) -> Preview:
        """Of rows that are all there."""
        count = len(rows)
        if count <= FIRST_ROWS + LAST_ROWS:
            return cls(columns, types, rows, [], count, took_ms)
        return cls(columns, types, rows[:FIRST_ROWS], rows[count - LAST_ROWS :], count, took_ms)


def text_table(preview: Preview) -> str:
    """Lines as psql has them: columns of their width, numbers to the right, and how many rows there are."""
    places = _places(len(preview.columns))
    head = [GAP if place is None else _cut(_visible(preview.columns[place])) for place in places]
    lines = [_texts(row, places) for row in preview.first]
    if preview.last:
        lines.append([GAP] * len(places))
        lines += [_texts(row, places) for row in preview.last]
    widths = [max(map(_width, column)) for column in zip(head, *lines)]
    right = [place is not None and _is_number(preview.types[place]) for place in places]
    drawn = [" | ".join(_padded(*cell) for cell in zip(line, widths, right)).rstrip() for line in lines]
    title = " | ".join(_padded(name, width, False) for name, width in zip(head, widths)).rstrip()
    rule = "-+-".join("-" * width for width in widths)
    return "\n".join([title, rule, *drawn, f"({_summary(preview)})"])


def html_table(preview: Preview) -> str:
    """One element for a notebook; nothing in it is loaded from anywhere or run."""
    places = _places(len(preview.columns))
    head = "".join(_head_cell(preview, place) for place in places)
    rows = [_html_row(row, places, preview.types) for row in preview.first]
    if preview.last:
        rows.append("<tr>" + f'<td style="text-align:center;{_QUIET}">{GAP}</td>' * len(places) + "</tr>")
        rows += [_html_row(row, places, preview.types) for row in preview.last]
    return (
        '<div class="kalamdb-result"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f'<p style="{_QUIET}">{_summary(preview)}</p></div>'
    )


def html_message(message: str) -> str:
    """What a statement without rows did."""
    return f'<div class="kalamdb-result"><p>{html.escape(message)}</p></div>'


def _places(count: int) -> list[int | None]:
    """Which columns are shown; None stands for those that are not."""
    if count <= COLUMNS_MAX:
        return list(range(count))
    half = COLUMNS_MAX // 2
    return [*range(half), None, *range(count - half, count)]


def _summary(preview: Preview) -> str:
    count = f"{preview.rowcount:,} row" + ("" if preview.rowcount == 1 else "s")
    columns = len(preview.columns)
    if columns > COLUMNS_MAX:
        count += f" of {columns} columns"
    return f"{count}, {preview.took_ms:.3f} ms"


def _texts(row: Sequence[Any], places: list[int | None]) -> list[str]:
    return [GAP if place is None else _cell(row[place]) for place in places]


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    # The text 'NULL' is told from none at all.
    return "'NULL'" if value == "NULL" else _cut(_visible(_plain(value)))


def _html_row(row: Sequence[Any], places: list[int | None], types: Sequence[DataType]) -> str:
    cells = []
    for place in places:
        if place is None:
            cells.append(f'<td style="{_QUIET}">{GAP}</td>')
        elif row[place] is None:
            cells.append(f'<td style="{_side(types[place])}"><em style="{_QUIET}">NULL</em></td>')
        else:
            text = html.escape(_cut(_plain(row[place]), HTML_CELL_CHARACTERS_MAX))
            cells.append(f'<td style="{_side(types[place])};white-space:pre-wrap">{text}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _head_cell(preview: Preview, place: int | None) -> str:
    if place is None:
        return f"<th>{GAP}</th>"
    name, kind = html.escape(preview.columns[place]), preview.types[place]
    return f'<th style="{_side(kind)}">{name}<br><small style="{_QUIET}">{kind}</small></th>'


def _side(kind: DataType) -> str:
    return "text-align:right" if _is_number(kind) else "text-align:left"


def _is_number(kind: DataType) -> bool:
    return kind.name in _NUMBERS


def _plain(value: Any) -> str:
    """A value as text, as SQL reads it or nearly so."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        # No more of it is made than can be shown.
        shown = value[:HTML_CELL_CHARACTERS_MAX].hex()
        return f"X'{shown}" + ("'" if len(value) <= HTML_CELL_CHARACTERS_MAX else GAP)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _visible(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[: 4 * CELL_CHARACTERS_MAX]
    )


def _cut(text: str, characters_max: int = CELL_CHARACTERS_MAX) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + GAP


def _width(text: str) -> int:
    """In places of a terminal: letters of East Asia take two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
