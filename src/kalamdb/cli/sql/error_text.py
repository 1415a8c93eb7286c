"""An error as a person reads it: what is wrong, and the line of SQL with a caret under the place."""

from __future__ import annotations

import re

from kalamdb.cli.output.width import shown, width
from kalamdb.cli.sql.statement import Statement
from kalamdb.errors import Error

_PLACE = re.compile(r" \(line \d+, column \d+\)")
ROOM = 100
"""Characters of a line that are shown around the place."""


def error_text(error: Error, statement: Statement, *, colour: bool = False) -> str:
    """One line, and two more where the error has a position."""
    position = error.position
    message = shown(error.message)
    line = statement.line
    column = None
    if position is not None and 0 <= position <= len(statement.text):
        message = _PLACE.sub("", message)
        line += statement.text.count("\n", 0, position)
        column = position - (statement.text.rfind("\n", 0, position) + 1) + 1
    where = "kalam"
    if statement.source is not None:
        where = f"{statement.source}:{line}" + ("" if column is None else f":{column}")
    head = f"{where}: {error.code}: {message}"
    if colour:
        head = f"{where}: \x1b[31m{error.code}\x1b[0m: {message}"
    if column is None or position is None:
        return head
    return head + "\n" + "\n".join(_caret(statement.text, position, line if "\n" in statement.text else None))


def _caret(text: str, position: int, number: int | None) -> tuple[str, str]:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end].rstrip("\r")
    at = position - start
    left = max(0, at - ROOM // 2)
    cut = line[left : left + ROOM]
    before = ("…" if left else "") + shown(cut[: at - left].replace("\t", " "))
    behind = shown(cut[at - left :].replace("\t", " ")) + ("…" if left + ROOM < len(line) else "")
    margin = "  " if number is None else f"  {number}: "
    return margin + before + behind, " " * (len(margin) + width(before)) + "^"
