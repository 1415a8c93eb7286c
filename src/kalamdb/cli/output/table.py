"""Tables as people read them: columns of one width, numbers to the right, NULL told from the text `NULL`.

Everything is done by columns, since most columns have texts of ASCII alone, for which Python's own methods do in one
call what else would be a call a cell. Where a terminal is too narrow, long columns are cut; where that is not enough,
rows are written one below the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kalamdb.cli.output.cells import is_number, texts_of
from kalamdb.cli.output.look import Look
from kalamdb.cli.output.width import all_shown, cut, shown, width

NARROWEST = 12
"""A column is not cut to less."""
ROWS_AT_ONCE = 4096
DIM, BOLD, PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"

Rows = Sequence[tuple[Any, ...]]


def table_lines(columns: Sequence[str], types: Sequence[str], rows: Rows, look: Look) -> Iterator[str]:
    """The rows as lines, in pieces of many lines that each end with a line's end."""
    names = [shown(name) for name in columns]
    cells = [all_shown(texts_of(column)) for column in zip(*rows)] or [[] for _ in columns]
    widths = _widths(names, cells, look)
    if look.expanded == "on" or (look.expanded == "auto" and _too_wide(names, widths, look)):
        yield from _expanded(names, cells, len(rows), look)
        return
    if look.width is not None and look.expanded == "auto":
        widths = _fitted(widths, look.width)
    bar, line, cross = ("│", "─", "┼") if look.boxes else ("|", "-", "+")
    join = f" {bar} "
    last = len(names) - 1
    head = join.join(
        _styled(_padded(cut(name, size, _mark(look)), size, last=number == last), BOLD, look)
        for number, (name, size) in enumerate(zip(names, widths))
    )
    yield f" {head}\n" + f"{line}{cross}{line}".join(line * size for size in widths).join((line, line)) + "\n"
    right = [is_number(kind) for kind in types]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        parts = [
            _column(column[start : start + ROWS_AT_ONCE], size, to_right, look, last=number == last)
            for number, (column, size, to_right) in enumerate(zip(cells, widths, right))
        ]
        yield " " + "\n ".join(map(join.join, zip(*parts))) + "\n"


def _mark(look: Look) -> str:
    return "…" if look.boxes else "~"


def _column(texts: list[str | None], size: int, to_right: bool, look: Look, *, last: bool) -> list[str]:
    """Cells of one column, each of its width. What would be blanks at the end of a line is left out."""
    has_null = None in texts
    plain: list[str] = [look.null if text is None else text for text in texts] if has_null else list(texts)  # type: ignore[arg-type]
    joined = "".join(plain)
    if joined.isascii():
        if max(map(len, plain), default=0) > size:
            mark = _mark(look)
            plain = [text if len(text) <= size else text[: size - 1] + mark for text in plain]
        if to_right:
            done = [text.rjust(size) for text in plain]
        else:
            done = plain if last else [text.ljust(size) for text in plain]
    else:
        plain = [cut(text, size, _mark(look)) for text in plain]
        done = [_padded(text, size, to_right, last=last) for text in plain]
    if has_null and look.colour:
        done = [_styled(cell, DIM, look) if text is None else cell for cell, text in zip(done, texts)]
    return done


def _padded(text: str, size: int, to_right: bool = False, *, last: bool = False) -> str:
    if last and not to_right:
        return text
    blanks = " " * (size - width(text))
    return blanks + text if to_right else text + blanks


def _styled(text: str, style: str, look: Look) -> str:
    return f"{style}{text}{PLAIN}" if look.colour else text


def _widths(names: Sequence[str], cells: Sequence[list[str | None]], look: Look) -> list[int]:
    found = []
    for name, column in zip(names, cells):
        present: list[str] = list(filter(None, column))
        measure = len if "".join(present).isascii() else width
        widest = max(map(measure, present), default=0)
        if None in column:
            widest = max(widest, width(look.null))
        found.append(max(widest, width(name), 1))
    return found


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * (len(widths) - 1) + 2


def _too_wide(names: Sequence[str], widths: Sequence[int], look: Look) -> bool:
    """Whether the columns do not fit, each cut as far as it may be."""
    return look.width is not None and _taken([min(size, NARROWEST) for size in widths]) > look.width


def _fitted(widths: list[int], room: int) -> list[int]:
    """The widest columns narrower, so that all of them fit."""
    widths = list(widths)
    too_much = _taken(widths) - room
    while too_much > 0:
        widest = max(widths)
        if widest <= NARROWEST:
            break
        second = max((size for size in widths if size < widest), default=NARROWEST)
        which = [place for place, size in enumerate(widths) if size == widest]
        step = min(widest - max(second, NARROWEST), -(-too_much // len(which)))
        for place in which:
            less = min(step, too_much)
            widths[place] -= less
            too_much -= less
    return widths


def _expanded(
    names: Sequence[str], cells: Sequence[list[str | None]], count: int, look: Look
) -> Iterator[str]:
    """A line a cell, rows one below the other."""
    size = max(map(width, names), default=0)
    heads = [_styled(_padded(name, size), BOLD, look) for name in names]
    bar, line = ("│", "─") if look.boxes else ("|", "-")
    for number in range(count):
        title = f"{line * 2} row {number + 1} "
        lines = [title + line * max(0, size + 12 - len(title))]
        for head, column in zip(heads, cells):
            text = column[number]
            lines.append(f"{head} {bar} " + (_styled(look.null, DIM, look) if text is None else text))
        yield "\n".join(lines) + "\n"
