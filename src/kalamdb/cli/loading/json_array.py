"""The values of a JSON array, one by one: of its text memory holds as much as a value needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TextIO

from kalamdb.errors import InvalidValue

CHARACTERS_AT_ONCE = 1 << 20
VALUE_CHARACTERS_MAX = 64 << 20
_BLANKS = re.compile(r"[ \t\r\n]*")


def array_values(stream: TextIO, name: str) -> Iterator[str]:
    """The text of each value. Raises InvalidValue where it is no array, and behind the values before what is wrong."""
    text = _Text(stream)
    if text.next() != "[":
        raise InvalidValue(f"{name} is no array of objects; a file with an object a line is called .ndjson")
    text.at += 1
    number = 0
    sign = text.next()
    if sign == "]":
        text.at += 1
    while sign != "]":
        number += 1
        text.next()
        try:
            yield text.value()
        except ValueError as error:
            raise InvalidValue(f"{name} is no JSON: object {number}: {error}") from None
        sign = text.next()
        if sign not in ("]", ","):
            raise InvalidValue(f"{name} is no JSON: behind object {number} there is neither , nor ]")
        text.at += 1
    if text.next():
        raise InvalidValue(f"{name} is no JSON: something stands behind its array")


class _Text:
    """What was read, and from where on it is not used yet."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._decoder = json.JSONDecoder()
        self.at = 0

    def next(self) -> str:
        """The next character that is no blank; the empty text at the end."""
        while True:
            found = _BLANKS.match(self._text, self.at)
            assert found is not None
            self.at = found.end()
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._more():
                return ""

    def value(self) -> str:
        """The text of the value that begins here. Raises ValueError."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self.at)
            except ValueError as error:
                # It is wrong, or not read to its end.
                if len(self._text) - self.at > VALUE_CHARACTERS_MAX or not self._more():
                    raise ValueError(getattr(error, "msg", str(error))) from None
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            found = self._text[self.at : end]
            self.at = end
            return found

    def _more(self) -> bool:
        rest = self._text[self.at :]
        read = self._stream.read(max(CHARACTERS_AT_ONCE, len(rest)))
        self._text, self.at = rest + read, 0
        return bool(read)
