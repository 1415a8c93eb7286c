"""What a live query means by one catalog: its table, its columns, and the predicate with its values."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kalamcore.changes import LivePlan
from kalamcore.errors import ValueMismatchError
from kalamcore.select_plan import SelectPlan
from kalamdb.auth import Action, authorize, may_see, undefined_table
from kalamdb.engine.tables import SYSTEM_COLUMNS
from kalamdb.errors import InvalidParameter, UndefinedColumn, UnsupportedLiveQuery
from kalamdb.execution.simple_select import OTHER_NAMESPACES, Names, NotNative, predicate_of
from kalamdb.execution.visible_views import is_visible_view
from kalamdb.live.judged import JudgedPlan, check_predicate
from kalamdb.schema import TableKind, TableSchema
from kalamdb.sql.query import AllColumns, Column, ColumnItem, Combined, Negated
from kalamdb.types import BIGINT, BOOLEAN, TIMESTAMP, DataType

if TYPE_CHECKING:
    from kalamdb.auth import Rights
    from kalamdb.catalog.catalog import Catalog
    from kalamdb.engine import Engine, TableRows
    from kalamdb.execution.context import Context
    from kalamdb.sql.live_query import LiveQueryText
    from kalamdb.sql.query import Predicate

SEQUENCE = "_seq"
ContextOf = Callable[[Sequence[Any], Sequence[Any]], "Context"]
"""Of parameters and literals: what evaluating an expression needs, as things are at the call."""
_SYSTEM_TYPES = {"_seq": BIGINT, "_updated": TIMESTAMP, "_deleted": BOOLEAN}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Plan:
    """`columns`, `types`: of its rows, `_seq` among them. `sequence_at`: which of them that is. `key_at`: which of them
    is the table's key, None where it was not asked for."""

    catalog: Catalog
    schema: TableSchema
    partition: bytes
    columns: tuple[str, ...]
    types: tuple[DataType, ...]
    sequence_at: int
    key_at: int | None
    core: LivePlan | JudgedPlan

    @property
    def native(self) -> bool:
        """Whether the core judges its rows, so that telling a change of a few takes microseconds."""
        return isinstance(self.core, LivePlan)


class Plans:
    """Plans of SHARED tables, which all who listen by the same text have together: so that a change is looked at once
    for all of them. Safe for threads."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[tuple[str, str], Plan] = weakref.WeakValueDictionary()

    def plan(
        self,
        query: LiveQueryText,
        parameters: Sequence[Any],
        *,
        user: str,
        rights: Rights,
        namespace: str,
        catalog: Catalog,
        engine: Engine,
        context_of: ContextOf,
    ) -> Plan:
        """As plan_live_query, and raises as that."""
        key = query.sql, namespace
        known = None if parameters else self._known.get(key)
        if known is not None and known.catalog is catalog:
            authorize(rights, Action.SELECT, known.schema, _shown(query))
            return known
        made = plan_live_query(
            query,
            parameters,
            user=user,
            rights=rights,
            namespace=namespace,
            catalog=catalog,
            engine=engine,
            context_of=context_of,
        )
        # What is judged here may ask who listens.
        if not parameters and made.schema.kind is TableKind.SHARED and made.native:
            self._known[key] = made
        return made


def plan_live_query(
    query: LiveQueryText,
    parameters: Sequence[Any],
    *,
    user: str,
    rights: Rights,
    namespace: str,
    catalog: Catalog,
    engine: Engine,
    context_of: ContextOf,
) -> Plan:
    """Resolve the names, and ask whether the user may read the table.

    Raises UndefinedTable, UndefinedColumn, AccessDenied, UnsupportedLiveQuery, InvalidParameter, and what planning a
    predicate does that is no simple one.
    """
    select = query.select
    if len(parameters) != query.parameters:
        raise InvalidParameter(
            f"the live query takes {query.parameters} parameter(s), {len(parameters)} were given"
        )
    schema = _table(query, rights, namespace, catalog)
    names = Names(schema, select)
    if select.where is not None:
        for column in _columns_of(select.where):
            _position(column, names, schema)
    columns, positions = _columns(query, names, schema)
    if SEQUENCE not in columns:
        columns.append(SEQUENCE)
        positions.append(SYSTEM_COLUMNS[SEQUENCE])
    table = engine.rows(schema, catalog.history[schema.table_id])
    native = _native(query, parameters, names, table, positions) if query.simple else None
    core = native or _judged(query, parameters, table, positions, context_of)
    types = tuple(
        _SYSTEM_TYPES[_system_name(position)] if position < 0 else schema.columns[position].type
        for position in positions
    )
    partition = table.partition(user)
    key = next(at for at, column in enumerate(schema.columns) if column.name == schema.primary_key)
    key_at = positions.index(key) if key in positions else None
    return Plan(catalog, schema, partition, tuple(columns), types, columns.index(SEQUENCE), key_at, core)


def _native(
    query: LiveQueryText, parameters: Sequence[Any], names: Names, table: TableRows, positions: Sequence[int]
) -> LivePlan | None:
    """What the core judges by itself; None where it does not compare so."""
    select = query.select
    try:
        native = SelectPlan(
            table.reader,
            table.schema.table_id,
            shared=table.schema.kind is TableKind.SHARED,
            columns=positions,
            predicate=None if select.where is None else predicate_of(select.where, names),
            parameters=select.parameters,
        )
        return LivePlan(native, tuple(parameters), query.literals)
    except (NotNative, ValueMismatchError):
        return None


def _judged(
    query: LiveQueryText,
    parameters: Sequence[Any],
    table: TableRows,
    positions: Sequence[int],
    context_of: ContextOf,
) -> JudgedPlan:
    schema, alias = table.schema, query.select.alias
    predicate, literals = query.predicate()
    check_predicate(predicate, schema, alias, context_of(parameters, literals))
    every = [*range(len(schema.columns)), *SYSTEM_COLUMNS.values()]
    native = SelectPlan(
        table.reader,
        schema.table_id,
        shared=schema.kind is TableKind.SHARED,
        columns=every,
        predicate=None,
        parameters=0,
    )
    return JudgedPlan(
        LivePlan(native, (), ()),
        every,
        positions,
        predicate,
        schema,
        alias,
        lambda: context_of(parameters, literals),
    )


def _table(query: LiveQueryText, rights: Rights, namespace: str, catalog: Catalog) -> TableSchema:
    select = query.select
    name, resolved = select.table, select.namespace or namespace
    shown = _shown(query)
    if resolved in OTHER_NAMESPACES:
        raise UnsupportedLiveQuery(f"{shown} is a table of the system, which changes nobody is told of")
    schema = catalog.table(resolved, name)
    if schema is None:
        if is_visible_view(catalog, resolved, name, partial(may_see, rights)):
            raise UnsupportedLiveQuery(f'"{shown}" is a view; subscribe to the table that it reads')
        raise undefined_table(shown)
    authorize(rights, Action.SELECT, schema, shown)
    return schema


def _shown(query: LiveQueryText) -> str:
    select = query.select
    return select.table if select.namespace is None else f"{select.namespace}.{select.table}"


def _columns(query: LiveQueryText, names: Names, schema: TableSchema) -> tuple[list[str], list[int]]:
    columns: list[str] = []
    positions: list[int] = []
    for item in query.select.items:
        match item:
            case AllColumns():
                columns += [column.name for column in schema.columns]
                positions += range(len(schema.columns))
            case ColumnItem():
                columns.append(item.alias or item.column.name)
                positions.append(_position(item.column, names, schema))
    if len(set(columns)) != len(columns):
        raise UnsupportedLiveQuery("two columns of the live query have one name; give one an alias with AS")
    return columns, positions


def _columns_of(part: Predicate) -> Iterator[Column]:
    match part:
        case Combined():
            for one in part.parts:
                yield from _columns_of(one)
        case Negated():
            yield from _columns_of(part.part)
        case _:
            yield part.column


def _position(column: Column, names: Names, schema: TableSchema) -> int:
    if column.name in SYSTEM_COLUMNS and column.qualifier in (None, names.table):
        return SYSTEM_COLUMNS[column.name]
    try:
        return names.position(column)
    except NotNative:
        shown = column.name if column.qualifier is None else f"{column.qualifier}.{column.name}"
        raise UndefinedColumn(f'column "{shown}" does not exist in {schema.qualified_name}') from None


def _system_name(position: int) -> str:
    return next(name for name, at in SYSTEM_COLUMNS.items() if at == position)
