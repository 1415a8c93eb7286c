"""A query engine over tables in memory, without the rest of the database."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from kalamdb.execution.query import QueryEngine
from kalamdb.functions import builtin_functions
from tests.execution.query.world import World, context_of


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def functions() -> Any:
    return builtin_functions()


@pytest.fixture
def settings() -> Any:
    return SimpleNamespace(memory_limit_bytes=256 * 1024 * 1024, query_memory_bytes=64 * 1024 * 1024)


@pytest.fixture
def engine(world: World, functions: Any, settings: Any) -> Iterator[QueryEngine]:
    made = QueryEngine(functions, world.relation, settings)
    yield made
    made.close()


@pytest.fixture
def context() -> Any:
    return context_of()


@pytest.fixture
def new_context() -> Any:
    return context_of


@pytest.fixture
def rows(engine: QueryEngine, context: Any) -> Any:
    """Rows of a query as tuples."""

    def run(sql: str, *parameters: object) -> list[tuple[object, ...]]:
        answer = engine.select(context, sql, parameters)
        whole = pa.Table.from_batches(answer.batches, schema=answer.schema)
        return (
            list(zip(*(column.to_pylist() for column in whole.columns), strict=True))
            if whole.num_columns
            else []
        )

    return run


@pytest.fixture
def names(engine: QueryEngine, context: Any) -> Any:
    """Column names of a query."""
    return lambda sql: engine.select(context, sql).schema.names
