"""Statements out of lines, as lines come: complete at their `;`, or at the end of the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STATEMENTS_MAX = 1 << 30
"""A file may have more of them than a batch, since they are run one by one."""
_BLANKS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, or one command that begins with a backslash. `line`: of its source, from 1; `source`: a file's
    name, None where nobody would ask."""

    text: str
    line: int = 1
    source: str | None = None

    @property
    def is_command(self) -> bool:
        """Whether it is for the shell itself."""
        return self.text.startswith("\\")


class StatementReader:
    """Takes lines, gives the statements that they complete. What strings, names and comments are the core says."""

    def __init__(self, source: str | None = None) -> None:
        self._source = source
        self._text = ""
        self._line = 1
        self._incomplete_up_to = 0

    @property
    def pending(self) -> bool:
        """Whether a statement has begun and not ended."""
        return bool(_BLANKS.sub("", self._text, count=1).strip())

    def feed(self, line: str) -> list[Statement]:
        """A further line, its end included."""
        if not self._text.strip() and line.lstrip().startswith("\\"):
            command = Statement(line.strip(), self._line + self._text.count("\n"), self._source)
            self._forget(self._text + line)
            return [command]
        self._text += line
        # A long literal may have a `;` in each of its lines: not every one of them is worth another look at all of it.
        if ";" not in line or len(self._text) - self._incomplete_up_to < self._incomplete_up_to // 8:
            return []
        found, end = self._complete(self._text)
        self._incomplete_up_to = len(self._text) - end
        self._forget(self._text[:end])
        return found

    def end(self) -> list[Statement]:
        """What is left, whether its `;` is there or not."""
        from kalamcore.errors import InvalidTextError
        from kalamcore.statements import split

        text = self._text
        try:
            places = split(text, statements_max=STATEMENTS_MAX)
        except (InvalidTextError, UnicodeEncodeError):
            # The last one is for the database to say what is wrong with it.
            places = self._up_to_the_open_one(text)
            end = text.index(";", places[-1][1]) + 1 if places else 0
            places.append((end + _beginning(text[end:]), len(text.rstrip())))
        found = [self._statement(text, start, stop) for start, stop in places]
        self._forget(text)
        return found

    def _statement(self, text: str, start: int, stop: int) -> Statement:
        return Statement(text[start:stop], self._line + text.count("\n", 0, start), self._source)

    def _complete(self, text: str) -> tuple[list[Statement], int]:
        """The statements that have their `;`, and where what is behind them begins."""
        from kalamcore.errors import InvalidTextError
        from kalamcore.statements import split

        try:
            places = split(text, statements_max=STATEMENTS_MAX)
        except (InvalidTextError, UnicodeEncodeError):
            places = self._up_to_the_open_one(text)
        found = []
        end = 0
        for start, stop in places:
            behind = stop + _beginning(text[stop : stop + 65536])
            if not text.startswith(";", behind):
                break
            found.append(self._statement(text, start, stop))
            end = behind + 1
        else:
            rest = text[end:]
            if not rest.strip(" \t\r\n;"):
                end = len(text)
        return found, end

    def _up_to_the_open_one(self, text: str) -> list[tuple[int, int]]:
        """The statements before the last, which has no end yet: a `;` at a time, as long as they can be told."""
        from kalamcore.errors import InvalidTextError
        from kalamcore.statements import split

        for match in reversed(list(re.finditer(";", text))[-64:]):
            try:
                return split(text[: match.end()], statements_max=STATEMENTS_MAX)
            except (InvalidTextError, UnicodeEncodeError):
                continue
        return []

    def _forget(self, text: str) -> None:
        self._line += text.count("\n")
        self._text = self._text[len(text) :]


def statements(lines: Iterable[str], source: str | None = None) -> Iterator[Statement]:
    """The statements of a text, each as soon as it is complete."""
    reader = StatementReader(source)
    for line in lines:
        yield from reader.feed(line)
    yield from reader.end()


def _beginning(text: str) -> int:
    """Behind blanks and comments."""
    found = _BLANKS.match(text)
    return found.end() if found else 0
