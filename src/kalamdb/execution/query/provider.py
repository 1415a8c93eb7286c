"""Where the names of a query lead: catalogs of ours, which ask for each table and know the statement that asks.

DataFusion resolves every table name of a text here, on the thread that plans it, wherever the name stands: joins,
subqueries and CTEs alike. The statement is found through a context variable, so that one long-lived session serves
all users at once and none sees another's tables.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datafusion import DataFrame, SessionContext
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kalamdb.errors import InternalError

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.execution.scan import Relation

DEFAULT_CATALOG = "kalam"
ALL_USERS = "all_users"
SESSION_SCHEMA = "_session"
"""What a name without a namespace is resolved in: the session's namespace, or that of the view being planned."""

RelationSource = Callable[["Context", str, str, str, frozenset[str]], "Relation"]
Key = tuple[str, str, str]
"""Catalog, namespace, name."""


class ViewWanted(Exception):
    """A name turned out to be a view. No planning is possible where that is found, so the planner starts again."""

    def __init__(self, key: Key, sql: str, namespace: str) -> None:
        super().__init__(key)
        self.key = key
        self.sql = sql
        self.namespace = namespace


class Reading:
    """What one statement has resolved so far: each name once, so that it is one snapshot wherever it stands."""

    __slots__ = (
        "_relations", "_source", "context", "failed_name", "failure", "namespace", "session", "table_functions",
        "views", "words",
    )  # fmt: skip

    def __init__(self, session: SessionContext, context: Context, source: RelationSource) -> None:
        self.session = session
        self.context = context
        self.namespace = context.namespace
        self.words: frozenset[str] = frozenset()
        self.views: dict[Key, DataFrame] = {}
        self.table_functions: frozenset[str] = frozenset()
        self.failure: BaseException | None = None
        self.failed_name: str | None = None
        self._source = source
        self._relations: dict[tuple[Key, frozenset[str]], Relation] = {}

    def relation(self, catalog: str, namespace: str | None, name: str) -> Relation:
        """The relation behind a name, as the source gives it. Raises whatever the source raises."""
        namespace = namespace or self.namespace
        key = ((catalog, namespace, name), self.words)
        found = self._relations.get(key)
        if found is None:
            found = self._source(self.context, catalog, namespace, name, self.words)
            self._relations[key] = found
        return found

    def table(self, catalog: str, namespace: str | None, name: str) -> Table | None:
        """What DataFusion gets for a name; None where a function of that name is meant.

        Raises ViewWanted, and whatever the source raises.
        """
        if namespace is None and name in self.table_functions:
            return None
        try:
            key = (catalog, namespace or self.namespace, name)
            planned = self.views.get(key)
            if planned is not None:
                return Table(planned)
            found = self.relation(*key)
            if found.view_sql is not None:
                raise ViewWanted(key, found.view_sql, found.view_namespace or key[1])
            batches = found.batches or [_empty(found.schema)]
            return Table(self.session.read_batches(batches))
        except BaseException as failure:
            # Kept aside: what the caller gets must be this very exception, whatever becomes of it on its way.
            self.failure, self.failed_name = failure, name
            raise


reading: ContextVar[Reading | None] = ContextVar("kalamdb_reading", default=None)


class NamespaceProvider(SchemaProvider):
    """One namespace; it answers for every name and lists none."""

    def __init__(self, catalog: str, namespace: str | None) -> None:
        self._catalog = catalog
        self._namespace = namespace

    def table_names(self) -> set[str]:
        return set()

    def table_exist(self, name: str) -> bool:
        return True

    def table(self, name: str) -> Table | None:
        statement = reading.get()
        if statement is None:
            raise InternalError(f'relation "{name}" was asked for outside of a statement')
        return statement.table(self._catalog, self._namespace, name)


class NamesProvider(CatalogProvider):
    """A catalog with a namespace for every name."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog

    def schema_names(self) -> set[str]:
        return set()

    def schema(self, name: str) -> Any:
        return NamespaceProvider(self._catalog, None if name == SESSION_SCHEMA else name)


def _empty(schema: pa.Schema | None) -> pa.RecordBatch:
    assert schema is not None
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
