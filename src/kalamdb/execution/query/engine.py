"""The query engine: SELECT from text to Arrow.

One DataFusion session serves all statements, for a new one would begin without its caches. A statement is scanned and
rewritten, planned on a thread with a deep stack (its tables resolve to what this statement's user may see, in this
statement's snapshot), its plan is looked at, and it is run batch by batch under a deadline.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
from datafusion import (
    DataFrame,
    ExecutionPlan,
    RuntimeEnvBuilder,
    SessionConfig,
    SessionContext,
    SQLOptions,
    col,
    lit,
)

from kalamcore import statements
from kalamdb.auth import hidden_table
from kalamdb.errors import (
    DuplicateObject,
    InvalidSyntax,
    NotSupportedError,
    ResourcesExceeded,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from kalamdb.execution.query.bounds import ARRAYS, SERIES
from kalamdb.execution.query.errors import plain, translate
from kalamdb.execution.query.functions import BOUNDED, HIDDEN, QueryFunctions, Running
from kalamdb.execution.query.guard import (
    check_forms,
    check_joins,
    check_nesting,
    check_pushed_false,
    check_query,
    check_tokens,
    has_unbounded_join,
    may_have_pushed_false,
    references,
)
from kalamdb.execution.query.hollow_conditions import check_hollow_conditions, may_have_hollow_conditions
from kalamdb.execution.query.memberships import with_sound_memberships
from kalamdb.execution.query.normalize import normal_array, normal_batch, normal_schema, normal_type
from kalamdb.execution.query.null_tests import with_null_tests_said
from kalamdb.execution.query.optional_constants import check_optional_constants, may_have_optional_constants
from kalamdb.execution.query.outer_joins import with_sound_outer_joins
from kalamdb.execution.query.parameters import bind
from kalamdb.execution.query.provider import (
    ALL_USERS,
    DEFAULT_CATALOG,
    SESSION_SCHEMA,
    NamesProvider,
    Reading,
    RelationSource,
    ViewWanted,
    reading,
)
from kalamdb.execution.query.rewrite import Query, rewrite, words_of
from kalamdb.execution.query.row_comparisons import with_rows_compared_by_column
from kalamdb.execution.query.threads import Deadline, DeepThreads
from kalamdb.execution.query.tokens import Tokens

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.functions.registry import FunctionRegistry
    from kalamdb.settings import Settings

VIEW_DEPTH_MAX = 16
_EXPLAINED = ("plan_type", "plan")
_QUERY_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
_identifier = re.compile(r"[a-z][a-z0-9_]*\Z")
_statistics = re.compile(r", statistics=\[.*\](?=$|\n)", re.MULTILINE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of a query in the types of our SQL; the schema stands also where there are none."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]


class QueryEngine:
    """Runs queries. Thread safety: all methods may be called from any thread at once.

    `relation(context, catalog, namespace, name, words)` answers what a name stands for; it runs on the query's thread
    with the caller's context variables, and what it raises reaches the caller unchanged.
    """

    def __init__(self, functions: FunctionRegistry, relation: RelationSource, settings: Settings) -> None:
        self._relation = relation
        self._settings = settings
        self._threads = DeepThreads()
        self._session = _new_session(settings.query_memory_bytes)
        self._functions = QueryFunctions(self._session, functions)

    def select(self, context: Context, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
        """Run one SELECT, WITH or VALUES.

        Raises errors of kalamdb alone: InvalidSyntax, UndefinedTable, UndefinedColumn, UndefinedFunction,
        InvalidParameter, StatementTooLarge, StatementTimeout, ResourcesExceeded, NotSupportedError, DataError and
        below, InternalError; and what `relation` raises.
        """
        return self._run(context, sql, parameters, self._collect)

    def explain(
        self, context: Context, sql: str, parameters: Sequence[object] = (), analyze: bool = False
    ) -> list[tuple[str, str]]:
        """The plan of a query as rows (plan_type, plan); `analyze` runs it. Raises as `select` does."""
        prefix = "EXPLAIN ANALYZE " if analyze else "EXPLAIN "

        def explained(statement: _Statement, deadline: Deadline) -> list[tuple[str, str]]:
            if analyze:
                # Looked at before it runs, as any other query.
                statement.check_plan(statement.plan(statement.query.text))
            plan = statement.plan(prefix + statement.query.text)
            rows = self._collect_frame(plan, statement, deadline)
            return [
                (row["plan_type"], plain(_statistics.sub("", row["plan"])))
                for batch in rows.batches
                for row in batch.to_pylist()
            ]

        return self._run(context, sql, parameters, explained)

    def view_columns(self, context: Context, sql: str) -> pa.Schema:
        """The columns a query would give; it is planned and not run. Raises DuplicateObject for two of one name."""

        def planned(statement: _Statement, deadline: Deadline) -> pa.Schema:
            frame = statement.plan(statement.query.text)
            schema = normal_schema(
                _with_types(frame.schema(), _coerced_schema(self._session, frame)), statement.query.names
            )
            for name in schema.names:
                if schema.names.count(name) > 1:
                    raise DuplicateObject(
                        f'column "{name}" is specified more than once; give one another name with AS'
                    )
            return schema

        return self._run(context, sql, (), planned)

    def call(self, name: str, arguments: Sequence[pa.Array | pa.Scalar], count: int = 1) -> pa.Array:
        """One of DataFusion's own functions over columns of one length; a Scalar is the same for all rows.

        `count`: how many rows where no column says it. Raises UndefinedFunction and errors of its arguments.
        """
        if not _identifier.match(name) or name in SERIES or name in ARRAYS:
            raise UndefinedFunction(f"function {name} does not exist")
        columns = {f"c{i}": a for i, a in enumerate(arguments) if isinstance(a, pa.Array | pa.ChunkedArray)}
        batch = _one_batch(pa.table(columns or {"_": pa.nulls(count, pa.int8())}))
        given = list(arguments)
        if name in ("lpad", "rpad") and len(given) == 2:
            given.append(pa.scalar(" "))
        parts = [col(f"c{i}") if f"c{i}" in columns else lit(a) for i, a in enumerate(given)]
        try:
            function = self._session.udf(HIDDEN + name if name in BOUNDED else name)
            answer = self._session.read_batches([batch]).select(function(*parts).alias("_")).collect()
        except KeyError:
            raise UndefinedFunction(f"function {name} does not exist") from None
        except BaseException as error:
            raise translate(error) from None
        chunks = [part.column(0) for part in answer]
        if not chunks:
            return pa.nulls(0)  # of no rows the type is not known
        whole = pa.chunked_array(chunks).combine_chunks() if len(chunks) > 1 else chunks[0]
        return (
            normal_array(whole, normal_type(whole.type)) if whole.type != normal_type(whole.type) else whole
        )

    def close(self) -> None:
        """End the threads; statements that still run end by themselves."""
        self._threads.close()

    def _run(
        self,
        context: Context,
        sql: str,
        parameters: Sequence[object],
        work: Callable[[_Statement, Deadline], T],
    ) -> T:
        deadline = Deadline(context.timeout_s, time.monotonic())

        def run() -> T:
            running = self._functions.begin(context.function_context)
            statement = _Statement(self._session, self._functions, running, context, self._relation)
            token = reading.set(statement.reading)
            try:
                statement.read(sql, parameters)
                return work(statement, deadline)
            except BaseException as error:
                raise statement.explained(error) from None
            finally:
                reading.reset(token)
                self._functions.end(running)

        return self._threads.call(run, deadline)

    def _collect(self, statement: _Statement, deadline: Deadline) -> QueryResult:
        return self._collect_frame(statement.plan(statement.query.text), statement, deadline, rows=True)

    def _collect_frame(
        self, frame: DataFrame, statement: _Statement, deadline: Deadline, *, rows: bool = False
    ) -> QueryResult:
        plan = statement.check_plan(frame)
        declared, names = frame.schema(), statement.query.names if rows else None
        schema: pa.Schema | None = None
        batches, size, limit = [], 0, self._settings.memory_limit_bytes
        for partition in range(plan.partition_count):
            parts = self._session.execute(plan, partition)
            while (part := deadline.stoppable(lambda parts=parts: next(parts, None))) is not None:  # type: ignore[misc]
                deadline.check(time.monotonic())
                batch = part.to_pyarrow()
                if schema is None:
                    schema = normal_schema(_with_types(declared, batch.schema), names)
                batch = normal_batch(batch, schema)
                size += batch.nbytes
                if size > limit:
                    raise ResourcesExceeded(
                        f"the result is larger than memory_limit_bytes ({limit}); narrow it, or raise the setting"
                    )
                batches.append(batch)
        if schema is None:
            schema = normal_schema(_with_types(declared, _coerced_schema(self._session, frame)), names)
        return QueryResult(schema, batches)


class _Statement:
    """One statement on its way: what it reads, and the query it became."""

    query: Query

    def __init__(
        self,
        session: SessionContext,
        functions: QueryFunctions,
        running: Running,
        context: Context,
        relation: RelationSource,
    ) -> None:
        self.session = session
        self.functions = functions
        self.running = running
        self.reading = Reading(session, context, relation)
        self.tokens: Tokens | None = None
        self.parameters: Sequence[object] = ()
        self.values: dict[str, pa.Scalar] = {}
        self.weights: dict[str, int] = {}
        self.subqueries_copied = 0

    def read(self, sql: str, parameters: Sequence[object]) -> None:
        """Scan and rewrite the text."""
        scan = statements.scan(sql)
        self.values = bind(parameters, scan.parameters)
        self.parameters = parameters
        self.query = self._rewritten(sql, scan)

    def plan(self, text: str) -> DataFrame:
        """Plan a text whose tables were found, and the views among them, one after the other."""
        return self._plan(text, self.query, self.values, 0)

    def check_plan(self, frame: DataFrame) -> ExecutionPlan:
        """The physical plan, after a look at its joins. Raises ResourcesExceeded, NotSupportedError."""
        plan = frame.execution_plan()
        shown = plan.display_indent()
        if may_have_hollow_conditions(shown):
            check_hollow_conditions(frame.logical_plan().display_indent())
        if may_have_optional_constants(shown) or may_have_pushed_false(shown):
            logical = frame.optimized_logical_plan().display_indent()
            check_pushed_false(logical)
            check_optional_constants(logical, shown)
        if has_unbounded_join(shown):
            explained = self.plan("EXPLAIN " + self.query.text).collect()
            for batch in explained:
                for row in batch.to_pylist():
                    if row["plan_type"] == "physical_plan":
                        check_joins(row["plan"])
        return plan

    def explained(self, error: BaseException) -> BaseException:
        """The error the caller gets: the first one that was ours, wherever DataFusion has packed it."""
        for failure in (self.running.failure, self.reading.failure):
            if failure is not None and not isinstance(failure, ViewWanted):
                if (
                    isinstance(failure, UndefinedTable)
                    and failure.position is None
                    and self.tokens is not None
                ):
                    failure.position = self.tokens.position_of(self.reading.failed_name or "")
                return translate(failure, self.tokens)
        told = translate(error, self.tokens)
        if self.subqueries_copied and isinstance(told, UndefinedColumn):
            told = UndefinedColumn(
                f"{told.message}, or it is of the query around a subquery of NOT IN that stands beside OR: there use "
                "NOT EXISTS",
                position=told.position,
            )
        return told

    def _rewritten(self, sql: str, scan: statements.Scan) -> Query:
        check_query(scan)
        tokens = Tokens(scan).read(sql)
        self.tokens = tokens
        check_tokens(tokens)
        check_forms(tokens)
        check_nesting(tokens)
        tokens = with_null_tests_said(tokens, sql)
        tokens = with_rows_compared_by_column(tokens, sql, self.functions.is_volatile)
        tokens, copied = with_sound_memberships(tokens, sql, self.functions.is_volatile)
        self.subqueries_copied += copied
        tokens = with_sound_outer_joins(tokens, sql, self.parameters)
        self.tokens = tokens
        words = words_of(scan, tokens)
        self.reading.words = words
        return rewrite(sql, tokens, words, self.functions, self.running, self.parameters, self._columns_of)

    def _columns_of(self, catalog: str | None, namespace: str | None, name: str) -> pa.Schema | None:
        """The columns of a table, None for a view; what cannot be read is told when it is planned."""
        try:
            found = self.reading.relation(catalog or DEFAULT_CATALOG, namespace, name)
        except Exception:
            return None
        return None if found.view_sql is not None else found.schema

    def _plan(self, text: str, query: Query, values: dict[str, pa.Scalar], depth: int) -> DataFrame:
        namespace = self.reading.namespace
        while True:
            references(query.tokens, self.weights)
            self.reading.words = query.words
            self.reading.table_functions = query.table_functions
            self.reading.namespace = namespace
            # A position in a view's text would mean nothing to who reads the view.
            self.tokens = query.tokens if depth == 0 else None
            try:
                return self.session.sql(text, options=_QUERY_ONLY, param_values=values)
            except BaseException:
                wanted = self.reading.failure
                if not isinstance(wanted, ViewWanted):
                    raise
            self.reading.failure = None
            if depth >= VIEW_DEPTH_MAX:
                raise InvalidSyntax(
                    f'view "{wanted.key[2]}" cannot be read: views stand on views more than {VIEW_DEPTH_MAX} deep, '
                    "or on themselves"
                )
            self.reading.namespace = wanted.namespace
            try:
                inner = self._view_query(wanted)
                self.tokens = None
                self.reading.views[wanted.key] = self._plan(inner.text, inner, {}, depth + 1)
            except BaseException:
                if depth == 0:
                    self._hide(wanted, namespace)
                    self.tokens = query.tokens
                raise
            self.weights[wanted.key[2]] = references(inner.tokens, self.weights)

    def _hide(self, wanted: ViewWanted, namespace: str) -> None:
        """Where a view reads what is hidden from who asks, it is the view that does not exist: what it reads is not
        told, nor that it is there."""
        failure = self.reading.failure
        if isinstance(failure, UndefinedTable) and failure.hides:
            _, of, name = wanted.key
            self.reading.failure = hidden_table(name if of == namespace else f"{of}.{name}")
            self.reading.failed_name = name

    def _view_query(self, wanted: ViewWanted) -> Query:
        scan = statements.scan(wanted.sql)
        if scan.parameters:
            raise NotSupportedError(f'view "{wanted.key[2]}" takes parameters, which a view cannot')
        return self._rewritten(wanted.sql, scan)


def _coerced_schema(session: SessionContext, frame: DataFrame) -> pa.Schema:
    """The columns that the query will answer. The frame's own schema is of the text as it was read: of CASE and UNION
    it has the types of the first branch, before all branches were brought to one."""
    return session.create_dataframe_from_logical_plan(frame.optimized_logical_plan()).schema()


def _with_types(declared: pa.Schema, answered: pa.Schema) -> pa.Schema:
    """The columns as they are called, in the types that they come in."""
    return pa.schema(
        [
            field if field.type == found.type else field.with_type(found.type)
            for field, found in zip(declared, answered, strict=True)
        ]
    )


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _new_session(memory_bytes: int) -> SessionContext:
    """The one session: nothing in it but our catalogs."""
    config = (
        SessionConfig()
        .with_create_default_catalog_and_schema(False)
        .with_default_catalog_and_schema(DEFAULT_CATALOG, SESSION_SCHEMA)
        .with_information_schema(False)
        .with_target_partitions(1)
        .set("datafusion.execution.time_zone", "UTC")
        .set("datafusion.explain.show_statistics", "true")
        .set("datafusion.sql_parser.map_string_types_to_utf8view", "false")
        .set("datafusion.sql_parser.recursion_limit", "1000")
        # What it complains of is whether a column can be NULL, and its own optimizer that thought of it.
        .set("datafusion.execution.skip_physical_aggregate_schema_check", "true")
        # Pushed down by the names of columns, such a filter loses rows where a join has two columns of one name.
        .set("datafusion.optimizer.enable_dynamic_filter_pushdown", "false")
    )
    runtime = RuntimeEnvBuilder().with_fair_spill_pool(memory_bytes).with_disk_manager_os()
    session = SessionContext(config, runtime)
    # What it makes of a FULL JOIN has the same fault where a filter stands above it (see outer_joins).
    session.remove_optimizer_rule("eliminate_outer_join")
    # It drops from ORDER BY what an earlier key determines, and takes keys for unique that a join has repeated.
    session.remove_optimizer_rule("eliminate_duplicated_expr")
    # With the cache on, files that appear later are never seen.
    session.sql("SET datafusion.runtime.list_files_cache_limit = '0K'").collect()
    session.register_catalog_provider(DEFAULT_CATALOG, NamesProvider(DEFAULT_CATALOG))
    session.register_catalog_provider(ALL_USERS, NamesProvider(ALL_USERS))
    return session
