"""Statements that are not offered. Told before the grammar would call them a syntax error."""

from __future__ import annotations

from collections.abc import Sequence

from kalamdb.errors import NotSupportedError
from kalamdb.sql.rules import RawToken

# First and, where it decides, second word.
_NEVER = {
    ("copy", None): "insert rows with INSERT, or an Arrow table with Session.insert",
    ("load", None): "insert rows with INSERT, or an Arrow table with Session.insert",
    ("create", "external"): "files are not tables; insert their rows",
    ("create", "schema"): "write CREATE NAMESPACE",
    ("create", "database"): "write CREATE NAMESPACE",
    ("create", "index"): "the primary key is the index",
    ("create", "unique"): "the primary key is the index",
    ("create", "function"): "register functions with Database.register_function",
    ("create", "temporary"): "create a STREAM table, or drop the table when done",
    ("create", "temp"): "create a STREAM table, or drop the table when done",
    ("create", "materialized"): "write CREATE VIEW",
    ("create", "trigger"): "subscribe to the table with Session.subscribe",
    ("create", "sequence"): "write DEFAULT SNOWFLAKE_ID()",
    ("truncate", None): "write DELETE FROM table",
    ("replace", None): "write INSERT … ON CONFLICT (key) DO UPDATE SET …",
    ("upsert", None): "write INSERT … ON CONFLICT (key) DO UPDATE SET …",
    ("merge", None): "write INSERT … ON CONFLICT (key) DO UPDATE SET …",
    ("set", None): "settings are given when the database is opened",
    ("reset", None): "settings are given when the database is opened",
    ("pragma", None): "settings are given when the database is opened",
    ("prepare", None): "statements with parameters are prepared by themselves",
    ("deallocate", None): "statements with parameters are prepared by themselves",
    ("execute", None): "statements with parameters are prepared by themselves",
    ("savepoint", None): "a transaction is committed or rolled back as a whole",
    ("release", None): "a transaction is committed or rolled back as a whole",
    ("attach", None): "open the other database beside this one",
    ("vacuum", None): "space is reclaimed in the background",
    ("analyze", None): "write EXPLAIN ANALYZE SELECT …",
}


def check_available(tokens: Sequence[RawToken]) -> None:
    """Raises NotSupportedError for a statement that kalamdb does not have."""
    words: list[str | None] = [token[3] if token[0] == 1 else None for token in tokens[:3]]
    first, second, third = (*words, None, None, None)[:3]
    # CREATE USER TABLE is about a table.
    if (first in ("create", "drop") and second == "user" and third == "table") or first is None:
        return
    if first == "subscribe":
        raise NotSupportedError(
            "SUBSCRIBE has no result to wait for; open it with Session.subscribe, or over a WebSocket",
            position=tokens[0][1],
        )
    for words_known, remedy in (
        (key, _NEVER[key]) for key in ((first, second), (first, None)) if key in _NEVER
    ):
        name = " ".join(word for word in words_known if word).upper()
        raise NotSupportedError(f"{name} is not offered; {remedy}", position=tokens[0][1])
