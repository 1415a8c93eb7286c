"""SELECT and EXPLAIN, as far as they are not DataFusion's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.result import Result
from kalamdb.sql.query import Explain, Query
from kalamdb.types import DataType, TypeName

if TYPE_CHECKING:
    from kalamdb.execution.context import Context

TEXT = DataType(TypeName.TEXT)


def select(statement: Query, context: Context) -> Result:
    """Rows of any query."""
    answer = context.services.queries.select(context, statement.sql, context.parameters)
    return Result.from_arrow(answer.schema, answer.batches)


def explain(statement: Explain, context: Context) -> Result:
    """The plan of a query, as text rows."""
    rows = context.services.queries.explain(
        context, statement.statement.sql, context.parameters, statement.analyze
    )
    return Result.from_rows(("plan_type", "plan"), (TEXT, TEXT), rows)
