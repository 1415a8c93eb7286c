"""Any text to the grammar: a tree or an error of kalamdb, and trees that print to what parses to them again."""

from __future__ import annotations

import kalamdb
from kalamdb.errors import StatementTooLarge
from kalamdb.sql.expressions import Cast, FunctionCall, Opaque, TypedLiteral, to_sql, walk
from kalamdb.sql.parser import StatementCache, parse, parse_expression, scan_statement
from tests.fuzz.mutation import SQL_WORDS

NAME = "grammar"
WORDS = SQL_WORDS
_cache = StatementCache(size=64)


def run(data: bytes) -> None:
    """The text as a statement, and as an expression."""
    text = data.decode(errors="replace")
    try:
        alone = parse(scan_statement(text), text, StatementCache())
    except kalamdb.Error as error:
        assert error.position is None or 0 <= error.position <= len(text)
        refused: str | None = error.code
    else:
        refused = None
    # A cache that holds other statements must not change what this one is.
    try:
        beside = parse(scan_statement(text), text, _cache)
    except kalamdb.Error as error:
        assert error.code == refused, (error.code, refused)
    else:
        assert refused is None
        assert repr(beside.literals) == repr(alone.literals)
        assert type(beside.statement) is type(alone.statement)
        assert beside.statement == alone.statement or "nan" in repr(alone)
    try:
        expression = parse_expression(text)
    except kalamdb.Error:
        return
    printed = to_sql(expression)
    try:
        again = parse_expression(printed)
    except StatementTooLarge:
        return  # its parentheses count as depth; `+ + + + 1` has none
    assert to_sql(again) == printed, (printed, to_sql(again))
    # What is printed for DataFusion names some types as it does, and keeps pieces of the text as they were.
    if not any(isinstance(node, Cast | Opaque | TypedLiteral | FunctionCall) for node in walk(expression)):
        assert again == expression, (expression, again)
