"""The grammar: its chapters joined in the order of their names, and the classes that answer its rules.

Imported only when a statement is really parsed, because it brings the parser generator with it.
"""

from __future__ import annotations

import functools
from importlib.resources import files

import lark

from kalamdb.sql.backup import BackupRules
from kalamdb.sql.ddl import DdlRules
from kalamdb.sql.dml import DmlRules
from kalamdb.sql.expressions import ExpressionRules
from kalamdb.sql.jobs import JobRules
from kalamdb.sql.lexer import StatementLexer
from kalamdb.sql.live import LiveRules
from kalamdb.sql.query import QueryRules
from kalamdb.sql.rules import CommonRules
from kalamdb.sql.show import ShowRules
from kalamdb.sql.storage import StorageRules
from kalamdb.sql.transaction import TransactionRules
from kalamdb.sql.users import UserRules


class StatementRules(
    CommonRules,
    ExpressionRules,
    QueryRules,
    BackupRules,
    JobRules,
    LiveRules,
    DdlRules,
    DmlRules,
    ShowRules,
    StorageRules,
    TransactionRules,
    UserRules,
):
    """Every chapter's rules."""


def grammar_text() -> str:
    """All chapters as one text."""
    chapters = (files("kalamdb") / "grammar").iterdir()
    named = sorted((c for c in chapters if c.name.endswith(".lark")), key=lambda chapter: chapter.name)
    return "\n".join(chapter.read_text(encoding="utf-8") for chapter in named)


class Grammar:
    """The parser and the rules that it calls while it reads. One statement at a time."""

    def __init__(self) -> None:
        self.rules = StatementRules()
        self.parser = lark.Lark(
            grammar_text(),
            parser="lalr",
            lexer=StatementLexer,
            start=["statement", "condition"],
            transformer=self.rules,
        )


@functools.cache
def grammar() -> Grammar:
    """The one grammar of the process."""
    return Grammar()
