"""SQL text to statements: the grammar's chapters, one module each, and the parser that joins them."""

from kalamdb.sql.parser import ParsedStatement, StatementCache, parse

__all__ = ["ParsedStatement", "StatementCache", "parse"]
