"""Syntax errors in words: what stands where, what was expected, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kalamdb.errors import InvalidSyntax, ProgrammingError
from kalamdb.sql.rules import RawToken

_SHOWN_CHARACTERS_MAX = 40
_EXPECTED_MAX = 3

_STRING = 3
_SECRETS = frozenset({"password", "credentials"})
"""Words that a secret stands behind."""

_TERMINALS = {
    "NAME": "a name",
    "STRING": "a string",
    "INTEGER": "a whole number",
    "QUERY": "SELECT",
    "ROWS": "",
    "CONDITION": "a condition",
    "NOT_NULL": "NOT NULL",
    "$END": "the end",
}

_HINTS = {
    "unique": "UNIQUE is not offered; only the PRIMARY KEY is unique",
    "check": "CHECK is not offered; check values before they are written",
    "references": "foreign keys are not offered; leave REFERENCES out",
    "foreign": "foreign keys are not offered; leave FOREIGN KEY out",
    "constraint": "constraints have no names here; leave CONSTRAINT and its name out",
    "autoincrement": "write AUTO_INCREMENT",
    "identity": "write AUTO_INCREMENT",
    "generated": "write AUTO_INCREMENT or DEFAULT expression",
    "limit": "UPDATE and DELETE have no LIMIT; choose the rows with WHERE key IN (SELECT …)",
    "partition": "a USER table is partitioned by its user; leave PARTITION out",
    "location": "the place of a table is a storage; write STORAGE name",
    "table_type": "TABLE_TYPE is not an option; write CREATE USER, SHARED or STREAM TABLE",
    "owner_id": "OWNER_ID is not an option; the owner of a row in a USER table is the session's user",
}


_STORAGE_WORDS = dict.fromkeys(
    (
        "base_directory",
        "base_dir",
        "basedirectory",
        "bucket",
        "container",
        "directory",
        "endpoint",
        "location",
        "path",
        "root",
        "url",
    ),
    "the place of a storage is its URI; write URI 'path' or URI 's3://bucket/prefix'",
)
"""What other systems, and older versions, call it."""


def may_hold_secret(tokens: Sequence[RawToken]) -> bool:
    """Whether a string of it may be one that is neither shown nor kept: in CREATE and ALTER of STORAGE and USER."""
    words = [token[3] for token in tokens[:3] if token[0] == 1]
    return words[:1] in (["create"], ["alter"]) and (
        words[1:2] == ["storage"] or (words[1:2] == ["user"] and words[2:3] != ["table"])
    )


def syntax_error(error: Any, sql: str, tokens: Sequence[RawToken]) -> InvalidSyntax:
    """What the parser generator could not read, as ours."""
    token = getattr(error, "token", None)
    expected = _expected(error)
    if token is None or token.type == "$END":
        position = tokens[-1][2] if tokens else len(sql)
        return InvalidSyntax(f"syntax error at end of input{_with(expected)}", position=position)
    position = token.start_pos
    raw = next((raw for raw in tokens if raw[1] == position), None)
    text = sql[raw[1] : raw[2]] if raw else sql[position : token.end_pos]
    hints = _STORAGE_WORDS if _is_about_storage(tokens) else _HINTS
    hint = hints.get(str(raw[3]), "") if raw and raw[0] in (1, 2) else ""
    if raw and may_hold_secret(tokens) and _may_be_secret(tokens, raw):
        text = "'***'" if raw[0] == _STRING else "***"
    if len(text) > _SHOWN_CHARACTERS_MAX:
        text = text[:_SHOWN_CHARACTERS_MAX] + "…"
    message = (
        f'syntax error at or near "{text}" ({place(sql, position)}){f"; {hint}" if hint else _with(expected)}'
    )
    return InvalidSyntax(message, position=position)


def _may_be_secret(tokens: Sequence[RawToken], raw: RawToken) -> bool:
    """Any string; and what somebody wrote for one, who left the quotes out or has one within."""
    at = tokens.index(raw)
    before = tokens[at - 1] if at else None
    return raw[0] == _STRING or (
        before is not None
        and ((before[0] == 1 and before[3] in _SECRETS) or (before[0] == _STRING and before[2] == raw[1]))
    )


def _is_about_storage(tokens: Sequence[RawToken]) -> bool:
    """CREATE STORAGE, ALTER STORAGE: not the STORAGE of a table."""
    return len(tokens) > 1 and tokens[0][3] in ("create", "alter") and tokens[1][3] == "storage"


def located(error: ProgrammingError, sql: str) -> ProgrammingError:
    """The same error, telling line and column where it is about the syntax."""
    if type(error) is InvalidSyntax and error.position is not None and "(line " not in error.message:
        return InvalidSyntax(f"{error.message} ({place(sql, error.position)})", position=error.position)
    return error


def place(sql: str, position: int) -> str:
    """`line 1, column 8` of a position in characters; both count from 1."""
    line_start = sql.rfind("\n", 0, position) + 1
    return f"line {sql.count(chr(10), 0, position) + 1}, column {position - line_start + 1}"


def _with(expected: str) -> str:
    return f"; expected {expected}" if expected else ""


def _expected(error: Any) -> str:
    """What could have stood there, if that is little enough to say."""
    from kalamdb.sql.lexer import shifts

    state = getattr(error, "state", None)
    names = sorted(
        name for name in getattr(error, "expected", None) or () if state is None or shifts(state, name)
    )
    if "OR" in names:
        # Behind an operand; of all that could go on, only the missing parenthesis is worth telling.
        names = ["RPAR"] if "RPAR" in names else []
    words = [_TERMINALS.get(name, name if name.replace("_", "").isalpha() else "") for name in names]
    words = [_PUNCTUATION.get(word, word) for word in words]
    if not words or len(words) > _EXPECTED_MAX or not all(words):
        return ""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


_PUNCTUATION = {"LPAR": "(", "RPAR": ")", "COMMA": ",", "EQUAL": "=", "DOT": "."}
