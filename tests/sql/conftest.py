"""What the tests of the dialect share: reading one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from kalamdb.sql.parser import ParsedStatement, StatementCache, parse, scan_statement

if TYPE_CHECKING:
    from kalamdb.sql.parser import Statement


@pytest.fixture
def read() -> Callable[[str], Statement]:
    """Parses a text, whatever was parsed before."""

    def statement(sql: str) -> Statement:
        return parse(scan_statement(sql), sql, StatementCache()).statement

    return statement


@pytest.fixture
def read_all() -> Callable[[str], ParsedStatement]:
    """Parses a text and keeps its literals and rows."""

    def statement(sql: str) -> ParsedStatement:
        return parse(scan_statement(sql), sql, StatementCache())

    return statement
