"""What a client must know of a statement's text without a parser: whether it may be sent twice."""

from __future__ import annotations

import re

from kalamdb.errors import InvalidParameter

_SPACE_AND_COMMENTS = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)*"
_READING = re.compile(
    rf"{_SPACE_AND_COMMENTS}(?:(?:SELECT|WITH|VALUES|SHOW|DESCRIBE|DESC|EXPLAIN)\b|\()", re.IGNORECASE
)
_PLAIN_INSERT = re.compile(
    r'\s*(INSERT\s+INTO\s+[\w."]+\s*(?:\(\s*[\w"]+(?:\s*,\s*[\w"]+)*\s*\))?\s*VALUES)\s*'
    r"\(\s*\?(?:\s*,\s*\?)*\s*\)\s*;?\s*",
    re.IGNORECASE,
)


def only_reads(sql: str) -> bool:
    """Whether it is for certain that the text is one statement, and that it changes nothing."""
    return _READING.match(sql) is not None and ";" not in sql.rstrip().removesuffix(";")


def plain_insert(sql: str) -> str | None:
    """`INSERT INTO t (a, b) VALUES` of an INSERT of one row of nothing but `?`, which may have more rows behind it."""
    found = _PLAIN_INSERT.fullmatch(sql)
    return None if found is None else found[1]


def quoted_table(table: str) -> str:
    """`name` or `namespace.name` as SQL. Raises InvalidParameter."""
    parts = table.split(".")
    if len(parts) > 2 or not all(parts):
        raise InvalidParameter(f"{table!r} is no table; give its name, or namespace.name")
    return ".".join(map(quoted, parts))


def quoted(name: str) -> str:
    """A name as SQL, as it is written."""
    return '"' + name.replace('"', '""') + '"'
