"""The text of a live query to what it asks for.

A live query is `SELECT columns FROM table [WHERE predicate]`, or
`SUBSCRIBE TO table [WHERE predicate] [OPTIONS (last_rows = n)]`, which is the same with all columns. It has one table,
so that a change of a row is told from that row alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamcore.statements import INTEGER, OPERATOR, WORD
from kalamdb.errors import InvalidParameter, InvalidSyntax, UnsupportedLiveQuery
from kalamdb.sql.parser import parse, scan_statement, simple_select, split_statements
from kalamdb.sql.query import AggregateItem

if TYPE_CHECKING:
    from kalamdb.sql.query import SimpleSelect
    from kalamdb.sql.rules import RawToken

_SHAPE = "a live query is SELECT columns FROM one table [WHERE comparisons of columns with values]"


@dataclass(frozen=True, slots=True)
class LiveQueryText:
    """What a live query asks for. `sql`: as a SELECT. `last_rows`: what its OPTIONS say."""

    sql: str
    select: SimpleSelect
    literals: Sequence[object]
    last_rows: int | None = None


def read_live_query(sql: str) -> LiveQueryText:
    """Read the text of a live query.

    Raises InvalidSyntax for what is no statement, UnsupportedLiveQuery for a SELECT that is more than a live query can
    be, EmptyStatement, StatementTooLarge.
    """
    statements = split_statements(sql) if ";" in sql else [sql]
    if len(statements) > 1:
        raise InvalidParameter("subscribe takes one statement; subscribe to each by itself")
    text = statements[0] if statements else ""
    scan = scan_statement(text)
    last_rows = None
    if scan.kind == "SUBSCRIBE":
        text, last_rows = _as_select(text, scan.tokens)
        scan = scan_statement(text)
    if scan.kind != "SELECT":
        parse(scan, text)
        raise UnsupportedLiveQuery(f"{scan.kind} is nothing to listen to; {_SHAPE}")
    select = simple_select(scan, text)
    if select is None:
        raise UnsupportedLiveQuery(f"this SELECT cannot be listened to; {_SHAPE}")
    _check(select)
    return LiveQueryText(text, select, scan.literals if select.literals else (), last_rows)


def _check(select: SimpleSelect) -> None:
    for found, what in (
        (any(isinstance(item, AggregateItem) for item in select.items), "an aggregate"),
        (select.ordering is not None, "ORDER BY"),
        (select.limit is not None, "LIMIT"),
        (select.offset is not None, "OFFSET"),
        (select.everybody, "all_users"),
    ):
        if found:
            raise UnsupportedLiveQuery(f"{what} cannot be part of a live query; {_SHAPE}")


def _as_select(text: str, tokens: Sequence[RawToken]) -> tuple[str, int | None]:
    """The SELECT that a SUBSCRIBE TO stands for, and its last_rows."""
    if len(tokens) < 3 or tokens[1][3] != "to":
        raise InvalidSyntax(
            "SUBSCRIBE is written SUBSCRIBE TO table [WHERE predicate] [OPTIONS (last_rows = n)]",
            position=tokens[min(1, len(tokens) - 1)][1],
        )
    begin, end, last_rows = tokens[2][1], tokens[-1][2], None
    for at, (kind, start, _, value) in enumerate(tokens):
        if kind == WORD and value == "options" and tokens[at + 1 : at + 2] and tokens[at + 1][3] == "(":
            end, last_rows = start, _last_rows(tokens[at:])
            break
    return f"SELECT * FROM {text[begin:end].rstrip()}", last_rows


def _last_rows(tokens: Sequence[RawToken]) -> int:
    """The number in OPTIONS (last_rows = n)."""
    wanted = (
        (WORD, "options"),
        (OPERATOR, "("),
        (WORD, "last_rows"),
        (OPERATOR, "="),
        (INTEGER, None),
        (OPERATOR, ")"),
    )
    if len(tokens) != len(wanted) or any(
        token[0] != kind or value not in (None, token[3]) for token, (kind, value) in zip(tokens, wanted)
    ):
        raise InvalidSyntax(
            "the OPTIONS of a live query are written OPTIONS (last_rows = n)", position=tokens[0][1]
        )
    return int(tokens[4][3])
