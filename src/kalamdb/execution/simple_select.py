"""Simple SELECTs without the query engine: planned once for each schema version, answered by the core; those without a
FROM by execution.constant_select.

The core answers only where it gives what the query engine would give: the same rows, names and types. Everything else,
and whatever is an error, is left to the query engine, so that there is one place that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore import select_plan as native
from kalamcore.select_plan import SelectPlan
from kalamcore.store import Store, Transaction
from kalamdb import interrupts
from kalamdb.auth import Action, Rights, Role, by_role_alone, may
from kalamdb.engine.core_errors import translated
from kalamdb.errors import Error, StatementTimeout
from kalamdb.execution import constant_select
from kalamdb.execution.transaction import snapshot_gone
from kalamdb.result import Result
from kalamdb.schema import TableKind, TableSchema
from kalamdb.sql.query import (
    AggregateItem,
    AllColumns,
    Column,
    ColumnItem,
    Combined,
    Comparison,
    ConstantSelect,
    InList,
    IsNull,
    Negated,
    Ordering,
    Predicate,
    Prefix,
    SimpleQuery,
    SimpleSelect,
)
from kalamdb.types import BIGINT, TEXT, DataType, TypeName

if TYPE_CHECKING:
    from kalamcore.store import Readable, View
    from kalamdb.catalog.catalog import Catalog
    from kalamdb.database import Database
    from kalamdb.session import Session

ARROW_ROWS = 4096
"""Results of more rows are kept as Arrow columns until somebody asks for tuples."""
PLANS_MAX = 4096

OTHER_NAMESPACES = frozenset({"system", "information_schema", "all_users"})
_TESTS = {
    "=": native.EQUAL, "<>": native.NOT_EQUAL, "<": native.LESS, "<=": native.LESS_EQUAL, ">": native.GREATER,
    ">=": native.GREATER_EQUAL,
}  # fmt: skip
_NEVER_COMPARED = frozenset({TypeName.DECIMAL})
# Their least and greatest are others in DataFusion (NaN), or of another type (text).
_NO_EXTREMES = frozenset({TypeName.FLOAT, TypeName.DOUBLE, TypeName.UUID, TypeName.JSON})


class NotNative(Exception):
    """The query engine has to answer."""


class Plan:
    """A simple SELECT for one catalog. `core` is None where the query engine has to answer."""

    __slots__ = (
        "catalog",
        "columns",
        "core",
        "everybody",
        "functions_version",
        "namespace",
        "roles",
        "schema",
        "store",
    )

    def __init__(self, catalog: Catalog, namespace: str, store: Store) -> None:
        self.catalog = catalog
        self.namespace = namespace
        self.store = store
        self.core: SelectPlan | None = None
        self.schema: TableSchema | None = None
        self.columns: tuple[str, ...] = ()
        self.everybody = False
        """It reads the rows of all users."""
        self.roles: tuple[Role, ...] = ()
        self.functions_version = -1
        """Of the registry; -1 where no function is called."""


def answer(
    session: Session,
    simple: SimpleQuery,
    parameters: Sequence[Any] | None,
    literals: Sequence[Any],
    started: int,
    reader: Readable | None = None,
    within_s: float = 0.0,
) -> Result | None:
    """The result, or None where the query engine has to answer. `started`: by perf_counter_ns. `reader`: the session's
    open transaction; None where it has none. `within_s`: None also where the answer would take longer, or have to wait
    for a storage or for the audit log; 0 for an answer that may take its time."""
    database = session._database
    engine = database.engine
    if reader is None:
        if session._transaction is not None:
            return session._answer_inside(simple, parameters, literals, started)
        reader = engine.store
    plan = database.select_plans.get((simple, session.namespace))
    if plan is None or plan.catalog is not database._catalog:
        if isinstance(simple, ConstantSelect):
            return constant_select.answer(session, simple, parameters, started)
        plan = _planned(database, simple, session.namespace)
    if plan.core is None:
        return None
    rights = session.rights
    if rights.role not in plan.roles and not allowed(plan, rights):
        return None
    if plan.functions_version >= 0 and plan.functions_version != database.functions.version:
        return None
    if plan.everybody:
        if within_s:
            return None
        assert plan.schema is not None
        session.note_reading(f"all_users.{plan.schema.qualified_name}")
    held: list[object] = []
    apart = False
    while True:
        try:
            if apart:
                return _counted(database, plan, reader)
            result: Result | None = plan.core.answer(
                reader, session.user, parameters, literals, started, within_s or session.statement_timeout_s
            )
            return result
        except core.ColdMissError as miss:
            if within_s:
                return None
            if plan.everybody:
                apart = True
                continue
            if not database.fits_in_cache(miss):
                return None
            try:
                held += engine.load_cold(miss)
            except core.WriteConflictError:
                return None  # the other way evaluates anew, on what is there now
        except core.WriteConflictError as conflict:
            if session._transaction is not None:
                raise snapshot_gone() from conflict
            # A compaction came between the snapshot and the look; a newer one finds what it shows.
        except (core.CoreError, TimeoutError) as error:
            if outdated(plan, database, error) or (within_s and isinstance(error, TimeoutError)):
                return None
            raise explained(session, error) from error


def _counted(database: Database, plan: Plan, reader: Readable) -> Result | None:
    """COUNT(*) of all users, partition by partition: not all manifests are in memory, and may not all fit there.

    Raises as the core.
    """
    assert plan.schema is not None
    view: View | Transaction
    if isinstance(reader, Store):
        view = reader.view()
    else:
        assert isinstance(reader, Transaction)
        view = reader
    rows, table_id = 0, plan.schema.table_id
    for partition in view.partitions(table_id):
        held: list[object] = []
        while True:
            try:
                rows += view.count(table_id, partition, view.snapshot)
                break
            except core.ColdMissError as miss:
                if not database.fits_in_cache(miss):
                    return None
                held += database.engine.load_cold(miss)
    return Result.from_rows(plan.columns, (BIGINT,), [(rows,)])


def outdated(plan: Plan, database: Database, error: Exception) -> bool:
    """Whether a table was changed while the plan was on its way, so that it met rows of a version it cannot read."""
    return isinstance(error, core.CorruptionError) and plan.catalog is not database._catalog


def lasting(session: Session, simple: SimpleQuery) -> Plan | None:
    """The plan that answered just now, if it stands until the catalog, the session's namespace or its role change."""
    plan = session._database.select_plans.get((simple, session.namespace))
    if plan is None or plan.core is None or plan.everybody or plan.functions_version >= 0:
        return None
    return plan


def explained(session: Session, error: Exception) -> Error:
    """What the caller of a statement gets for an error of the core."""
    if isinstance(error, core.CoreError):
        return translated(error)
    return StatementTimeout(
        f"the statement took longer than statement_timeout_s ({session.statement_timeout_s:g} s) and was stopped"
    )


def allowed(plan: Plan, rights: Rights) -> bool:
    """Whether they may read the plan's table. Asked once a role and plan where the role decides: a catalog that changed
    a table's ACCESS has plans of its own. A grant is looked up each time."""
    assert plan.schema is not None
    if plan.everybody:
        # Nothing is kept of it: each reading across users has its row in the audit log.
        return may(rights, Action.READ_ALL_USERS)
    if by_role_alone(rights.role, Action.SELECT, plan.schema):
        plan.roles = (*plan.roles, rights.role)
        return True
    return may(rights, Action.SELECT, plan.schema)


def plan_of(
    database: Database, catalog: Catalog, simple: SimpleSelect, namespace: str, bytes_max: int
) -> Plan:
    """A plan that nobody keeps. `bytes_max`: an answer of more is None."""
    plan = Plan(catalog, namespace, database.engine.store)
    try:
        _fill(plan, database, simple, namespace, bytes_max)
    except (NotNative, core.ValueMismatchError):
        plan.core = None
    return plan


def _planned(database: Database, simple: SimpleSelect, namespace: str) -> Plan:
    catalog = database.catalog
    plan = plan_of(database, catalog, simple, namespace, database.settings.memory_limit_bytes)
    plans = database.select_plans
    if len(plans) >= PLANS_MAX or any(one.catalog is not catalog for one in _some(plans)):
        # Plans of a catalog that is gone would keep it in memory.
        plans.clear()
    plans[simple, namespace] = plan
    return plan


def _some(plans: dict[tuple[SimpleQuery, str], Plan]) -> list[Plan]:
    """The oldest of the plans; none where another thread changes them right now."""
    try:
        return [next(iter(plans.values()))]
    except (RuntimeError, StopIteration):
        return []


def _fill(plan: Plan, database: Database, simple: SimpleSelect, namespace: str, bytes_max: int) -> None:
    namespace = simple.namespace or namespace
    if namespace in OTHER_NAMESPACES or plan.catalog.view(namespace, simple.table) is not None:
        raise NotNative
    schema = plan.catalog.table(namespace, simple.table)
    if schema is None or (simple.everybody and schema.kind is not TableKind.USER):
        raise NotNative
    plan.schema, plan.everybody = schema, simple.everybody
    names = Names(schema, simple)
    aggregates: list[tuple[int, int]] = []
    positions: list[int] = []
    columns: list[str] = []
    types: list[DataType] = []
    aliases: list[str | None] = []
    for item in simple.items:
        match item:
            case AllColumns():
                positions += range(len(schema.columns))
                columns += [column.name for column in schema.columns]
                types += [column.type for column in schema.columns]
                aliases += [None] * len(schema.columns)
            case ColumnItem():
                position = names.position(item.column)
                positions.append(position)
                columns.append(item.alias or item.column.name)
                types.append(schema.columns[position].type)
                aliases.append(item.alias)
            case AggregateItem():
                if database.functions.get(item.function) is not None:
                    raise NotNative
                plan.functions_version = database.functions.version
                aggregates.append(_aggregate(item, names, schema, types))
                columns.append(item.name)
    plan.columns = tuple(columns)
    plan.core = SelectPlan(
        database.engine.rows(schema, plan.catalog.history[schema.table_id]).reader,
        schema.table_id,
        shared=schema.kind is TableKind.SHARED,
        columns=positions,
        predicate=None if simple.where is None else predicate_of(simple.where, names),
        order=None if simple.ordering is None else _order(simple.ordering, names, positions, aliases),
        aggregates=aggregates,
        limit=simple.limit,
        offset=simple.offset,
        arrow_rows=ARROW_ROWS,
        bytes_max=bytes_max,
        result=Result,
        names=plan.columns,
        types=tuple(types),
        codes=bytes([kind.code for kind in types]),
        parameters=simple.parameters,
        everybody=simple.everybody,
        check=interrupts.check,
        stored=any(kind.name is TypeName.JSON for kind in types),
    )


class Names:
    """What names mean in one statement."""

    def __init__(self, schema: TableSchema, simple: SimpleSelect) -> None:
        self.schema = schema
        self.table = simple.alias or simple.table

    def position(self, column: Column) -> int:
        if column.qualifier not in (None, self.table):
            raise NotNative
        try:
            return self.schema.position(column.name)
        except KeyError:
            raise NotNative from None

    def compared(self, column: Column) -> int:
        """The position of a column that is compared with values."""
        position = self.position(column)
        if self.schema.columns[position].type.name in _NEVER_COMPARED:
            raise NotNative
        return position


def _aggregate(
    item: AggregateItem, names: Names, schema: TableSchema, types: list[DataType]
) -> tuple[int, int]:
    if item.column is None:
        types.append(BIGINT)
        return native.ROWS, -1
    position = names.position(item.column)
    kind = schema.columns[position].type
    if item.function == "count":
        types.append(BIGINT)
        return native.VALUES, position
    if kind.name in _NO_EXTREMES:
        raise NotNative
    types.append(TEXT if kind.name is TypeName.TEXT else kind)
    return (native.LEAST if item.function == "min" else native.GREATEST), position


def _order(
    ordering: Ordering, names: Names, positions: Sequence[int], aliases: Sequence[str | None]
) -> tuple[int, bool, bool]:
    by = ordering.by
    if isinstance(by, int):
        if not 1 <= by <= len(positions):
            raise NotNative
        position = positions[by - 1]
    elif by.name in aliases:
        # The name of a result's column goes before the table's; where it could be either, DataFusion decides.
        meant = {at for at, alias in zip(positions, aliases, strict=True) if alias == by.name}
        own = names.schema.column(by.name)
        if (
            by.qualifier is not None
            or len(meant) != 1
            or (own is not None and names.schema.position(by.name) not in meant)
        ):
            raise NotNative
        (position,) = meant
    else:
        position = names.position(by)
    return position, ordering.descending, ordering.nulls_first


def predicate_of(part: Predicate, names: Names) -> tuple[Any, ...]:
    """The predicate as kalamcore.select_plan takes it. Raises NotNative."""
    match part:
        case Combined():
            test = native.AND if part.word == "and" else native.OR
            return test, tuple(predicate_of(one, names) for one in part.parts)
        case Negated():
            return native.NOT, (predicate_of(part.part, names),)
        case IsNull():
            return (native.IS_NOT_NULL if part.negated else native.IS_NULL), names.position(part.column), ()
        case Comparison():
            return _TESTS[part.operator], names.compared(part.column), (part.value,)
        case InList():
            return native.IN, names.compared(part.column), part.values
        case Prefix():
            position = names.compared(part.column)
            if names.schema.columns[position].type.name is not TypeName.TEXT:
                raise NotNative
            return native.PREFIX, position, (part.value,)
