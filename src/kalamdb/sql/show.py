"""Looking at what exists: the statements of show.lark."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.sql.names import TableName
from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class ShowNamespaces:
    """SHOW NAMESPACES"""


@dataclass(frozen=True, slots=True)
class ShowTables:
    """SHOW TABLES [IN namespace]"""

    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class DescribeTable:
    """DESCRIBE [TABLE] table [HISTORY]"""

    table: TableName
    history: bool = False


@dataclass(frozen=True, slots=True)
class ShowStats:
    """SHOW STATS FOR TABLE table"""

    table: TableName


class ShowRules(Rules):
    """The rules of show.lark."""

    def show_namespaces(self) -> ShowNamespaces:
        return ShowNamespaces()

    def show_tables(self, namespace: Token | None) -> ShowTables:
        return ShowTables(namespace.value if namespace else None)

    def show_stats(self, table: TableName) -> ShowStats:
        return ShowStats(table)

    def describe_table(self, table: TableName, history: bool | None) -> DescribeTable:
        return DescribeTable(table, bool(history))

    def history(self) -> bool:
        return True
