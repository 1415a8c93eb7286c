"""SELECT: planned and run by DataFusion, within walls of ours."""

from kalamdb.execution.query.engine import QueryEngine, QueryResult

__all__ = ["QueryEngine", "QueryResult"]
