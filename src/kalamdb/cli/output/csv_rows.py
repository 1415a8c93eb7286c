"""CSV as RFC 4180 has it, with a header, lines that end in LF, NULL as nothing and the empty text as `""`.

So nothing is lost: `kalam import`, PostgreSQL and DuckDB read both back as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kalamdb.cli.output.cells import texts_of

_QUOTED = re.compile(r'[,"\r\n]|^\\\.$')
"""`\\.` alone on a line ends the data for PostgreSQL."""


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[tuple[Any, ...]]]) -> Iterator[str]:
    """The header and the rows, which come some at a time, in pieces of many lines."""
    yield ",".join(_cells(list(columns))) + "\n"
    for some in rows:
        parts = [_cells(texts_of(column)) for column in zip(*some)]
        yield "\n".join(map(",".join, zip(*parts))) + "\n"


def _cells(texts: Sequence[str | None]) -> list[str]:
    if not _QUOTED.search("".join(filter(None, texts))):
        # Of most columns nothing is to be quoted, and one look says so.
        return ["" if text is None else text or '""' for text in texts]
    return [
        ""
        if text is None
        else text
        if text and not _QUOTED.search(text)
        else '"' + text.replace('"', '""') + '"'
        for text in texts
    ]
