"""Which statements only read: what GET, and answers that are rows alone, are for."""

from __future__ import annotations

from kalamdb.errors import Error
from kalamdb.server.refusals import InvalidRequest
from kalamdb.sql.parser import scan_statement, split_statements

_READING = frozenset({"SELECT", "WITH", "VALUES", "(", "SHOW", "DESCRIBE", "DESC"})


def only_reads(sql: str) -> bool:
    """Whether every statement of the text changes nothing; False where that cannot be told."""
    try:
        statements = split_statements(sql) if ";" in sql else [sql]
        return all(scan_statement(statement).kind in _READING for statement in statements)
    except Error:
        return False


def require_reading(sql: str, what: str) -> None:
    """Have one statement that changes nothing, or none. `what`: for whom.

    Raises InvalidRequest, InvalidSyntax, StatementTooLarge.
    """
    statements = split_statements(sql) if ";" in sql else [sql]
    if len(statements) > 1:
        raise InvalidRequest(f"{what} is for one statement; send the others by POST, for JSON")
    for statement in statements:
        kind = scan_statement(statement).kind
        if kind and kind not in _READING:
            raise InvalidRequest(f"{what} is for SELECT, SHOW and DESCRIBE; send a {kind} by POST, for JSON")
