"""A table's rows: written, made durable, read at a snapshot."""

from kalamdb.engine.engine import Engine
from kalamdb.engine.tables import TableRows

__all__ = ["Engine", "TableRows"]
