"""Tables and views in memory, with users who read them: a database as far as the query engine sees it."""

import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from kalamdb.errors import UndefinedTable
from kalamdb.functions import FunctionContext

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=datetime.UTC)
SYSTEM = ("_seq", "_updated", "_deleted")


class Ids:
    """Ids that count, safe for threads as far as the tests need."""

    def __init__(self) -> None:
        self.last = 0

    def snowflake_id(self) -> int:
        self.last += 1
        return self.last

    def snowflake_ids(self, count: int) -> bytes:
        first = self.last + 1
        self.last += count
        return pa.array(range(first, first + count), pa.int64()).buffers()[1].to_pybytes()

    def uuid_v7(self) -> str:
        return f"{self.snowflake_id():036d}"

    def uuid_v7s(self, count: int) -> list[str]:
        return [self.uuid_v7() for _ in range(count)]

    def ulid(self) -> str:
        return f"{self.snowflake_id():026d}"

    def ulids(self, count: int) -> list[str]:
        return [self.ulid() for _ in range(count)]


def table(rows: int = 3, owner: str = "alice") -> pa.RecordBatch:
    """notes: id, owner, body (JSON), created_at, and the system columns."""
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("owner", pa.utf8()),
            pa.field("body", pa.utf8(), metadata={b"kalam.type": b"json"}),
            pa.field("created_at", pa.timestamp("us", "UTC")),
            pa.field("_seq", pa.int64()),
            pa.field("_updated", pa.timestamp("us", "UTC")),
            pa.field("_deleted", pa.bool_()),
        ]
    )
    numbers = list(range(rows))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(numbers, pa.int64()),
            pa.array([owner] * rows),
            pa.array([f'{{"k": {n}, "t": {{"u": "v{n}"}}, "l": [10, 20]}}' for n in numbers]),
            pa.array([NOW - datetime.timedelta(days=n) for n in numbers], pa.timestamp("us", "UTC")),
            pa.array([n + 100 for n in numbers], pa.int64()),
            pa.array([NOW] * rows, pa.timestamp("us", "UTC")),
            pa.array([False] * rows),
        ],
        schema=schema,
    )


def relation_of(**given: Any) -> Any:
    """As execution.scan.Relation."""
    return SimpleNamespace(
        **{"schema": None, "batches": None, "view_sql": None, "view_namespace": None} | given
    )


class World:
    """Tables and views by (namespace, name), and what was asked for."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], Callable[[Any], pa.RecordBatch]] = {
            ("app", "notes"): lambda context: table(owner=context.user),
            ("app", "others"): lambda context: table(5, owner=context.user),
            ("app", "big"): lambda context: table(10_000, owner=context.user),
            ("ops", "notes"): lambda context: table(1, owner="ops"),
        }
        self.views: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, str, str, frozenset[str]]] = []

    def relation(self, context: Any, catalog: str, namespace: str, name: str, words: frozenset[str]) -> Any:
        self.asked.append((catalog, namespace, name, words))
        if (namespace, name) in self.views:
            return relation_of(view_sql=self.views[namespace, name], view_namespace=namespace)
        if (namespace, name) not in self.tables or catalog not in ("kalam", "all_users"):
            raise UndefinedTable(f'relation "{name}" does not exist')
        batch = self.tables[namespace, name](context)
        shown = [n for n in batch.schema.names if n in words or ("*" in words and n not in SYSTEM)] or ["id"]
        batch = batch.select(shown)
        return relation_of(schema=batch.schema, batches=[batch])


ids = Ids()


def context_of(user: str = "alice", namespace: str = "app") -> Any:
    return SimpleNamespace(
        namespace=namespace,
        user=user,
        role="user",
        now=NOW,
        timeout_s=30.0,
        function_context=FunctionContext(NOW, user, "user", ids),
    )
