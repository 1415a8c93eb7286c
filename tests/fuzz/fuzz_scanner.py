"""Any text to the scanner: it is read or refused with a reason, and what it says of the text is so."""

from __future__ import annotations

import itertools
import re

from kalamcore import statements
from kalamcore.errors import InvalidTextError, LimitExceededError
from tests.fuzz.mutation import SQL_WORDS

NAME = "scanner"
WORDS = SQL_WORDS
LIMITS = {
    "text_bytes_max": 20_000,
    "insert_bytes_max": 40_000,
    "depth_max": 20,
    "terms_max": 50,
    "union_arms_max": 5,
}

QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")


def run(data: bytes) -> None:
    """The first byte chooses how bytes that are no text are read."""
    text = data[1:].decode(errors="replace" if data[:1] < b"\x80" else "surrogateescape")
    try:
        for start, end in statements.split(text, statements_max=100):
            assert 0 <= start < end <= len(text)
            scanned(text[start:end])
    except (InvalidTextError, LimitExceededError) as error:
        assert 0 <= error.position <= len(text)
        assert str(error)
    except UnicodeEncodeError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
    try:
        scanned(text)
    except (InvalidTextError, LimitExceededError) as error:
        assert 0 <= error.position <= len(text)
    except UnicodeEncodeError:
        pass


def scanned(text: str) -> None:
    """Scans one statement, and holds what it answers against the text."""
    scan = statements.scan(text, **LIMITS)
    tokens = scan.tokens
    assert all(0 <= start < end <= len(text) for _, start, end, _ in tokens)
    assert all(one[2] <= next_one[1] for one, next_one in itertools.pairwise(tokens)), "tokens overlap"
    parameters = [value for kind, _, _, value in tokens if kind == statements.PARAMETER]
    assert scan.parameters == (1 + max(parameters) if parameters else 0)  # type: ignore[operator, arg-type]
    # What stays in quotes may hold the marks themselves.
    marks = QUOTED.sub("", scan.shape)
    assert len(scan.literals) == marks.count("\x01"), "as many literals as places for them"
    if (rows := scan.rows) is not None:
        assert marks.count("\x02") == 1
        assert len({len(row) for row in rows}) <= 1 or rows
    again = statements.scan(f"/* blank */ {text}\n", text_bytes_max=30_000, insert_bytes_max=50_000)
    assert (again.shape, again.words, again.kind) == (scan.shape, scan.words, scan.kind)
    assert [token[3] for token in again.tokens] == [token[3] for token in tokens] or "nan" in repr(tokens)
