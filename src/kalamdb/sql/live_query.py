"""The text of a live query to what it asks for.

A live query is `SELECT columns FROM table [WHERE predicate]`, or
`SUBSCRIBE TO table [WHERE predicate] [OPTIONS (last_rows = n)]`, which is the same with all columns. It has one table,
so that a change of a row is told from that row alone. A predicate that is no simple one is read as that of a DELETE is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamcore.statements import INTEGER, OPERATOR, WORD
from kalamdb.errors import InvalidParameter, InvalidSyntax, ProgrammingError, UnsupportedLiveQuery
from kalamdb.sql.dml import Delete
from kalamdb.sql.expressions import Parameter, walk
from kalamdb.sql.parser import parse, scan_statement, simple_select, split_statements
from kalamdb.sql.query import AggregateItem, SimpleSelect

if TYPE_CHECKING:
    from kalamcore.statements import Scan
    from kalamdb.sql.expressions import Expression
    from kalamdb.sql.rules import RawToken

_SHAPE = "a live query is SELECT columns FROM one table [WHERE predicate]"
_DELETE = "DELETE FROM t WHERE "


@dataclass(frozen=True, slots=True)
class LiveQueryText:
    """What a live query asks for.

    `sql`: as a SELECT. `simple`: whether `select` is all of it; else it is what stands before WHERE. `parameters`: how
    many it takes. `where_at`: where in `sql` its predicate begins, None where it has none. `last_rows`: what its
    OPTIONS say.
    """

    sql: str
    select: SimpleSelect
    literals: Sequence[object]
    simple: bool
    parameters: int
    where_at: int | None
    last_rows: int | None = None

    def predicate(self) -> tuple[Expression, Sequence[object]]:
        """What stands behind WHERE, as an expression and the literals that fill its Lifted nodes. Raises
        UnsupportedLiveQuery."""
        assert self.where_at is not None
        return _predicate(self.sql, self.where_at)


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
    where = next((token for token in scan.tokens if token[0] == WORD and token[3] == "where"), None)
    where_at = None if where is None else where[2]
    select = _of_a_table(scan, text)
    if select is not None:
        _check(select)
        literals = scan.literals if select.literals else ()
        return LiveQueryText(text, select, literals, True, select.parameters, where_at, last_rows)
    head = None if where is None else text[: where[1]]
    select = None if head is None else _of_a_table(scan_statement(head), head)
    if select is None or where_at is None:
        raise UnsupportedLiveQuery(f"this SELECT cannot be listened to; {_SHAPE}")
    _check(select)
    if select.literals or select.parameters:
        raise UnsupportedLiveQuery(f"this SELECT cannot be listened to; {_SHAPE}")
    predicate, _ = _predicate(text, where_at)
    parameters = [node.index for node in walk(predicate) if isinstance(node, Parameter)]
    return LiveQueryText(text, select, (), False, max(parameters, default=-1) + 1, where_at, last_rows)


def _of_a_table(scan: Scan, text: str) -> SimpleSelect | None:
    found = simple_select(scan, text)
    return found if isinstance(found, SimpleSelect) else None


def _predicate(text: str, where_at: int) -> tuple[Expression, Sequence[object]]:
    # A DELETE has what a live query may have behind WHERE, and nothing behind that.
    sql = _DELETE + text[where_at:]
    try:
        parsed = parse(scan_statement(sql), sql)
    except ProgrammingError as error:
        raise UnsupportedLiveQuery(f"this WHERE cannot be listened to: {error.message}; {_SHAPE}") from None
    statement = parsed.statement
    assert isinstance(statement, Delete)
    if statement.where is None or statement.where.expression is None or statement.returning is not None:
        raise UnsupportedLiveQuery(
            f"this WHERE cannot be listened to, as it is more than an expression; {_SHAPE}"
        )
    return statement.where.expression, parsed.literals


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
