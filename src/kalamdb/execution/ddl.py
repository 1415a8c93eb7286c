"""Namespaces, tables and views: a change of the catalog is one commit, and a refused one changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalamdb.auth import Action, authorize, hidden_table, may, undefined_table
from kalamdb.auth.permissions import Reach, reach_of
from kalamdb.catalog.catalog import Catalog, CatalogChange, View
from kalamdb.engine.tables import TableRows
from kalamdb.errors import (
    AccessDenied,
    DependentObjects,
    DuplicateObject,
    Error,
    InvalidDefinition,
    NotNullViolation,
    UndefinedColumn,
    UndefinedTable,
)
from kalamdb.execution.defaults import checked_default, default_expression, is_generated
from kalamdb.execution.scan import SYSTEM_NAMESPACES
from kalamdb.result import Result
from kalamdb.schema import Column, TableKind, TableSchema
from kalamdb.sql.ddl import (
    AddColumn,
    AlterNamespace,
    AlterTable,
    ColumnDefinition,
    CreateNamespace,
    CreateTable,
    CreateView,
    DropColumn,
    DropDefault,
    DropNamespace,
    DropNotNull,
    DropTable,
    DropView,
    RenameColumn,
    SetAccess,
    SetDefault,
    SetFlushPolicy,
    SetNotNull,
    SetType,
)
from kalamdb.sql.names import TableName, check_column_name, check_namespace_name, check_table_name
from kalamdb.types import DataType, TypeName, is_wider

if TYPE_CHECKING:
    from kalamcore.store import WriteBatch
    from kalamdb.execution.context import Context

COLUMNS_MAX = 1000
COMPAT_0_4 = "kalamdb-0.4"
AUTO_INCREMENT = {
    ("snowflake", TypeName.BIGINT): "SNOWFLAKE_ID()",
    ("", TypeName.BIGINT): "SNOWFLAKE_ID()",
    ("uuid", TypeName.TEXT): "UUID_V7()",
    ("", TypeName.TEXT): "UUID_V7()",
}


# Namespaces


def create_namespace(statement: CreateNamespace, context: Context) -> Result:
    """Make a namespace."""
    authorize(context.rights, Action.CHANGE_NAMESPACE)
    check_namespace_name(statement.name)

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        if statement.name in catalog.namespaces:
            if statement.if_not_exists:
                return catalog, []
            raise DuplicateObject(f'namespace "{statement.name}" already exists')
        return catalog.add_namespace(statement.name, statement.options, context.now)

    context.change_catalog(statement, change)
    return Result.affected(0, f"Created namespace {statement.name}")


def drop_namespace(statement: DropNamespace, context: Context) -> Result:
    """Remove a namespace; CASCADE removes what is in it too."""
    authorize(context.rights, Action.CHANGE_NAMESPACE)
    name = statement.name
    dropped: list[TableSchema] = []

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        if name in SYSTEM_NAMESPACES:
            raise InvalidDefinition(f'namespace "{name}" always exists and cannot be dropped')
        if statement.if_exists and name not in catalog.namespaces:
            return catalog, []
        dropped[:] = catalog.tables_in(name)
        for schema in dropped if statement.cascade else ():
            _check_nobody_listens(schema, context)
        return catalog.drop_namespace(name, context.now, cascade=statement.cascade)

    def definitions(batch: WriteBatch, catalog: Catalog) -> None:
        for table in dropped:
            batch.drop_table(table.table_id)

    context.change_catalog(statement, change, definitions)
    context.services.clean(dropped, context.user)
    return Result.affected(0, f"Dropped namespace {name}")


def alter_namespace(statement: AlterNamespace, context: Context) -> Result:
    """Set options of a namespace."""
    authorize(context.rights, Action.CHANGE_NAMESPACE)

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        return catalog.set_namespace_options(statement.name, statement.options)

    context.change_catalog(statement, change)
    return Result.affected(0, f"Altered namespace {statement.name}")


# Tables


def create_table(statement: CreateTable, context: Context) -> Result:
    """Make a table."""
    authorize(context.rights, Action.CREATE_TABLE)
    name, namespace = statement.table, _namespace_for_new(statement.table, context)
    check_table_name(name.name, name.position)
    message = f"Created table {namespace}.{name.name}"
    if statement.if_not_exists and context.catalog.table(namespace, name.name) is not None:
        return Result.affected(0, f"Table {namespace}.{name.name} already exists")
    key = _primary_key(statement)
    columns = tuple(
        _column(number, _compatible(definition, key, context), definition.name == key, context)
        for number, definition in enumerate(statement.columns, 1)
    )
    _check_columns(statement, columns, key, context)
    made: list[TableSchema] = []

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        catalog.require_namespace(namespace)
        if catalog.table(namespace, name.name) is not None or catalog.view(namespace, name.name) is not None:
            if statement.if_not_exists and catalog.table(namespace, name.name) is not None:
                return catalog, []
            raise DuplicateObject(f'relation "{namespace}.{name.name}" already exists')
        schema = TableSchema(
            table_id=catalog.next_table_id,
            namespace=namespace,
            name=name.name,
            kind=statement.kind,
            columns=columns,
            primary_key=key,
            options=statement.options,
            version=1,
            created_at=context.now,
            updated_at=context.now,
            next_column_id=len(columns) + 1,
        )
        made[:] = [schema]
        return catalog.add_table(schema)

    def definitions(batch: WriteBatch, catalog: Catalog) -> None:
        for schema in made:
            batch.define_table(
                schema.table_id,
                schema.version,
                **context.services.engine.core_definition(schema, catalog.history[schema.table_id]),
            )

    context.change_catalog(statement, change, definitions)
    return Result.affected(0, message)


def _namespace_for_new(name: TableName, context: Context) -> str:
    _require_own(name)
    namespace = name.namespace or context.namespace
    if namespace in SYSTEM_NAMESPACES:
        raise InvalidDefinition(f'namespace "{namespace}" is kept by the database; choose another')
    context.catalog.require_namespace(namespace)
    return namespace


def _require_own(name: TableName) -> None:
    if name.catalog is not None:
        raise InvalidDefinition(f"{name.catalog} is the read-only catalog of every user's rows; leave it out")


def _primary_key(statement: CreateTable) -> str:
    key = statement.primary_key
    if key is None:
        raise InvalidDefinition(
            f'table "{statement.table.name}" needs a PRIMARY KEY of BIGINT or STRING; '
            "for instance: id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()"
        )
    return key


def _compatible(definition: ColumnDefinition, key: str, context: Context) -> ColumnDefinition:
    """The profile kalamdb-0.4 takes INT keys, as BIGINT that is told as INT."""
    if (
        context.services.settings.compat == COMPAT_0_4
        and definition.name == key
        and definition.type.name is TypeName.INT
    ):
        return replace(definition, type=DataType(TypeName.BIGINT, declared_int=True))
    return definition


def _column(number: int, definition: ColumnDefinition, is_key: bool, context: Context) -> Column:
    check_column_name(definition.name, definition.position)
    default, default_sql = definition.default, definition.default_sql
    if definition.auto_increment is not None:
        if default is not None:
            raise InvalidDefinition(
                f'column "{definition.name}" has AUTO_INCREMENT and a DEFAULT; keep one of them'
            )
        default_sql = AUTO_INCREMENT.get((definition.auto_increment, definition.type.name))
        if default_sql is None:
            raise InvalidDefinition(
                f'AUTO_INCREMENT {definition.auto_increment.upper()} does not fit column "{definition.name}" of type '
                f"{definition.type}; SNOWFLAKE makes BIGINT, UUID makes STRING"
            )
        default = default_expression(default_sql)
    if is_key and definition.nullable is True:
        raise InvalidDefinition(f'column "{definition.name}" is the PRIMARY KEY and cannot be NULL')
    nullable = definition.nullable is not False and not is_key
    if default is not None:
        value = checked_default(definition.name, definition.type, default, context)
        if value is None and not nullable:
            raise InvalidDefinition(f'column "{definition.name}" is NOT NULL, so its DEFAULT cannot be NULL')
    return Column(number, definition.name, definition.type, nullable, default_sql, None, definition.comment)


def _check_columns(statement: CreateTable, columns: tuple[Column, ...], key: str, context: Context) -> None:
    if len(columns) > COLUMNS_MAX:
        raise InvalidDefinition(f"a table has at most {COLUMNS_MAX} columns; this one has {len(columns)}")
    column = next(column for column in columns if column.name == key)
    if column.type.name not in (TypeName.BIGINT, TypeName.TEXT):
        raise InvalidDefinition(
            f'PRIMARY KEY "{key}" has type {column.type}; a key is BIGINT or STRING (TEXT, VARCHAR)'
        )
    if statement.options.storage_id is not None:
        context.catalog.require_storage(statement.options.storage_id)
    if statement.kind is TableKind.STREAM:
        default = None if column.default is None else default_expression(column.default)
        if not is_generated(default, context) and context.services.settings.compat != COMPAT_0_4:
            raise InvalidDefinition(
                f'the PRIMARY KEY "{key}" of a STREAM table must be automatic: '
                "DEFAULT SNOWFLAKE_ID(), UUID_V7() or ULID(), or AUTO_INCREMENT"
            )
        if statement.options.ttl_s is None:
            raise InvalidDefinition("a STREAM table needs a TTL in seconds; for instance: … ) TTL 60")


def drop_table(statement: DropTable, context: Context) -> Result:
    """Remove a table with its rows."""
    authorize(context.rights, Action.DROP_TABLE)
    _require_own(statement.table)
    namespace = statement.table.namespace or context.namespace
    dropped: list[TableSchema] = []

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        schema = catalog.table(namespace, statement.table.name)
        if schema is None:
            if catalog.view(namespace, statement.table.name) is not None:
                raise InvalidDefinition(f'"{statement.table}" is a view; use DROP VIEW')
            if statement.if_exists:
                return catalog, []
            raise undefined_table(str(statement.table))
        if statement.kind is not None and statement.kind is not schema.kind:
            raise InvalidDefinition(
                f"{schema.qualified_name} is a {schema.kind.name} table; use DROP {schema.kind.name} TABLE"
            )
        _check_nobody_listens(schema, context)
        dropped[:] = [schema]
        return catalog.drop_table(namespace, schema.name, context.now)

    def definitions(batch: WriteBatch, catalog: Catalog) -> None:
        for schema in dropped:
            batch.drop_table(schema.table_id)

    context.change_catalog(statement, change, definitions)
    context.services.clean(dropped, context.user)
    return Result.affected(0, f"Dropped table {namespace}.{statement.table.name}")


def _check_nobody_listens(schema: TableSchema, context: Context) -> None:
    listeners = context.services.listeners(schema.table_id)
    if listeners:
        raise DependentObjects(
            f"cannot drop table {schema.qualified_name}: {listeners} live "
            f"{'query is' if listeners == 1 else 'queries are'} open on it; close them, or end them with KILL "
            "LIVE QUERY (system.live_queries lists them)"
        )


# ALTER TABLE


def alter_table(statement: AlterTable, context: Context) -> Result:
    """Make the next schema version of a table."""
    authorize(context.rights, Action.ALTER_TABLE)
    _require_own(statement.table)
    namespace = statement.table.namespace or context.namespace
    current: list[TableSchema] = []
    altered: list[TableSchema] = []

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        schema = catalog.table(namespace, statement.table.name)
        if schema is None:
            raise undefined_table(str(statement.table))
        if not context.may_see(schema):
            raise hidden_table(str(statement.table))
        current[:] = [schema]
        changed = _ALTERATIONS[type(statement.action)](statement.action, schema, context)
        changed = replace(changed, version=schema.version + 1, updated_at=context.now)
        if isinstance(statement.action, SetNotNull):
            _check_no_null(statement.action.name, changed, catalog, context)
        altered[:] = [changed]
        return catalog.replace_table(changed)

    def definitions(batch: WriteBatch, catalog: Catalog) -> None:
        for schema in altered:
            batch.define_table(
                schema.table_id,
                schema.version,
                **context.services.engine.core_definition(schema, catalog.history[schema.table_id]),
            )

    try:
        context.change_catalog(statement, change, definitions)
    except BaseException:
        # SET NOT NULL closes the table to writers of the old version while it looks; open it again.
        for schema in current:
            if context.services.catalog.table(schema.namespace, schema.name) == schema:
                context.services.engine.define(schema, context.services.catalog.history[schema.table_id])
        raise
    return Result.affected(0, f"Altered table {namespace}.{statement.table.name}")


def _existing(name: str, schema: TableSchema) -> Column:
    column = schema.column(name)
    if column is None:
        raise UndefinedColumn(f'column "{name}" of relation "{schema.qualified_name}" does not exist')
    return column


def _with_column(schema: TableSchema, changed: Column) -> TableSchema:
    columns = tuple(changed if column.id == changed.id else column for column in schema.columns)
    return replace(schema, columns=columns)


def _add_column(action: AddColumn, schema: TableSchema, context: Context) -> TableSchema:
    definition = action.column
    if definition.primary_key:
        raise InvalidDefinition(
            f"{schema.qualified_name} has its PRIMARY KEY {schema.primary_key}; it cannot get another"
        )
    if schema.column(definition.name) is not None:
        raise DuplicateObject(
            f'column "{definition.name}" of relation "{schema.qualified_name}" already exists'
        )
    if len(schema.columns) >= COLUMNS_MAX:
        raise InvalidDefinition(f"a table has at most {COLUMNS_MAX} columns")
    column = _column(schema.next_column_id, definition, False, context)
    default = None if column.default is None else default_expression(column.default)
    generated = is_generated(default, context)
    if not column.nullable and (default is None or generated):
        why = (
            "a DEFAULT of SNOWFLAKE_ID(), UUID_V7() or ULID() leaves them NULL"
            if generated
            else "it needs a DEFAULT"
        )
        raise InvalidDefinition(
            f'column "{column.name}" is NOT NULL and {schema.qualified_name} may have rows: {why}; '
            "give a constant DEFAULT, or add it without NOT NULL"
        )
    # Evaluated once, now: a row that was there before reads the same value for ever.
    missing = None
    if default is not None and not generated:
        missing = checked_default(column.name, column.type, default, context)
    column = replace(column, missing=missing, added_in=schema.version + 1)
    return replace(schema, columns=(*schema.columns, column), next_column_id=column.id + 1)


def _drop_column(action: DropColumn, schema: TableSchema, context: Context) -> TableSchema:
    column = _existing(action.name, schema)
    if action.name == schema.primary_key:
        raise InvalidDefinition(
            f'column "{action.name}" is the PRIMARY KEY of {schema.qualified_name} and cannot be dropped'
        )
    return replace(schema, columns=tuple(one for one in schema.columns if one.id != column.id))


def _rename_column(action: RenameColumn, schema: TableSchema, context: Context) -> TableSchema:
    column = _existing(action.name, schema)
    check_column_name(action.to)
    if schema.column(action.to) is not None:
        raise DuplicateObject(f'column "{action.to}" of relation "{schema.qualified_name}" already exists')
    key = action.to if schema.primary_key == action.name else schema.primary_key
    return replace(_with_column(schema, replace(column, name=action.to)), primary_key=key)


def _set_not_null(action: SetNotNull, schema: TableSchema, context: Context) -> TableSchema:
    return _with_column(schema, replace(_existing(action.name, schema), nullable=False))


def _drop_not_null(action: DropNotNull, schema: TableSchema, context: Context) -> TableSchema:
    if action.name == schema.primary_key:
        raise InvalidDefinition(
            f'column "{action.name}" is the PRIMARY KEY of {schema.qualified_name} and stays NOT NULL'
        )
    return _with_column(schema, replace(_existing(action.name, schema), nullable=True))


def _set_default(action: SetDefault, schema: TableSchema, context: Context) -> TableSchema:
    column = _existing(action.name, schema)
    value = checked_default(column.name, column.type, action.expression, context)
    if value is None and not column.nullable:
        raise InvalidDefinition(f'column "{column.name}" is NOT NULL, so its DEFAULT cannot be NULL')
    _keep_stream_key_automatic(schema, column, is_generated(action.expression, context), context)
    return _with_column(schema, replace(column, default=action.sql))


def _drop_default(action: DropDefault, schema: TableSchema, context: Context) -> TableSchema:
    column = _existing(action.name, schema)
    _keep_stream_key_automatic(schema, column, False, context)
    return _with_column(schema, replace(column, default=None))


def _keep_stream_key_automatic(
    schema: TableSchema, column: Column, generated: bool, context: Context
) -> None:
    if context.services.settings.compat == COMPAT_0_4:
        return
    if schema.kind is TableKind.STREAM and column.name == schema.primary_key and not generated:
        raise InvalidDefinition(f'the PRIMARY KEY "{column.name}" of a STREAM table must stay automatic')


def _set_type(action: SetType, schema: TableSchema, context: Context) -> TableSchema:
    column = _existing(action.name, schema)
    if not is_wider(column.type, action.type):
        raise InvalidDefinition(
            f'column "{column.name}" has type {column.type} and cannot become {action.type}; only wider types keep '
            "every value: SMALLINT to INT to BIGINT, FLOAT to DOUBLE, a longer VARCHAR or TEXT, a larger DECIMAL"
        )
    if column.name == schema.primary_key and action.type.name is not column.type.name:
        raise InvalidDefinition(f'the PRIMARY KEY "{column.name}" of {schema.qualified_name} keeps its type')
    changed = replace(column, type=action.type, missing=_widened(column.missing, action.type))
    if column.default is not None:
        checked_default(column.name, action.type, default_expression(column.default), context)
    return _with_column(schema, changed)


def _widened(value: Any, kind: DataType) -> Any:
    from kalamdb.types import coerce

    return None if value is None else coerce(value, kind)


def _set_access(action: SetAccess, schema: TableSchema, context: Context) -> TableSchema:
    """The table with another ACCESS. One that is restricted is opened by who may GRANT: else a service to whom one
    thing is granted would give itself all the others."""
    if schema.kind is not TableKind.SHARED:
        raise InvalidDefinition(
            f"ACCESS is for SHARED tables; {schema.qualified_name} is a {schema.kind.name} table"
        )
    if reach_of(schema) is Reach.RESTRICTED and not may(context.rights, Action.GRANT):
        raise AccessDenied(
            f"permission denied for table {schema.qualified_name}: role {context.role} may not change the ACCESS of a "
            "restricted table; ask a dba"
        )
    return replace(schema, options=replace(schema.options, access=action.access))


def _set_flush_policy(action: SetFlushPolicy, schema: TableSchema, context: Context) -> TableSchema:
    if schema.kind is TableKind.STREAM:
        raise InvalidDefinition(f"{schema.qualified_name} is a STREAM table, which is never flushed")
    options = replace(schema.options, flush_rows=action.flush_rows, flush_interval_s=action.flush_interval_s)
    return replace(schema, options=options)


_ALTERATIONS: Mapping[type, Callable[[Any, TableSchema, Any], TableSchema]] = {
    AddColumn: _add_column,
    DropColumn: _drop_column,
    RenameColumn: _rename_column,
    SetNotNull: _set_not_null,
    DropNotNull: _drop_not_null,
    SetDefault: _set_default,
    DropDefault: _drop_default,
    SetType: _set_type,
    SetAccess: _set_access,
    SetFlushPolicy: _set_flush_policy,
}


def _check_no_null(name: str, changed: TableSchema, catalog: Catalog, context: Context) -> None:
    """Refuse SET NOT NULL where a row has a NULL.

    The table is given its new version first: from then on no row of the old version can be committed, so what the
    newest snapshot shows is all there is.
    """
    engine = context.services.engine
    history = [*catalog.history[changed.table_id], changed]
    engine.define(changed, history)
    rows = TableRows(changed, history)
    position = changed.position(name)
    view = engine.view()
    for partition in view.partitions(changed.table_id):
        values = view.scan(changed.table_id, partition, view.snapshot, rows.reader, [position])
        nulls = sum(1 for (value,) in values if value is None)
        if nulls:
            raise NotNullViolation(
                f'column "{name}" of {changed.qualified_name} has NULL in existing rows and cannot be set NOT NULL; '
                f"give them a value first: UPDATE {changed.qualified_name} SET {name} = … WHERE {name} IS NULL"
            )


# Views


def create_view(statement: CreateView, context: Context) -> Result:
    """Store a query under a name; it is read with its reader's rights and rows."""
    authorize(context.rights, Action.CREATE_VIEW)
    namespace, name = _namespace_for_new(statement.view, context), statement.view.name
    check_table_name(name, statement.view.position)
    # Planned once, so that a view that cannot be read is not made.
    context.services.queries.view_columns(context, statement.query)
    view = View(namespace, name, statement.query, context.now, resolve_in=context.namespace)
    if statement.or_replace and _is_hidden_view(namespace, name, context):
        raise DuplicateObject(f'relation "{namespace}.{name}" already exists')

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        if catalog.table(namespace, name) is not None:
            raise DuplicateObject(f'relation "{namespace}.{name}" already exists and is a table')
        if statement.if_not_exists and catalog.view(namespace, name) is not None:
            return catalog, []
        return catalog.add_view(view, replacing=statement.or_replace)

    context.change_catalog(statement, change)
    return Result.affected(0, f"Created view {namespace}.{name}")


def drop_view(statement: DropView, context: Context) -> Result:
    """Remove a view."""
    authorize(context.rights, Action.DROP_VIEW)
    _require_own(statement.view)
    namespace, name = statement.view.namespace or context.namespace, statement.view.name
    hidden = _is_hidden_view(namespace, name, context)

    def change(catalog: Catalog) -> tuple[Catalog, list[CatalogChange]]:
        if hidden or catalog.view(namespace, name) is None:
            if statement.if_exists:
                return catalog, []
            table = catalog.table(namespace, name)
            if table is not None and context.may_see(table):
                raise InvalidDefinition(f'"{statement.view}" is a table; use DROP TABLE')
            missing = UndefinedTable(f'view "{statement.view}" does not exist')
            missing.hides = str(statement.view) if hidden else None
            raise missing
        return catalog.drop_view(namespace, name)

    context.change_catalog(statement, change)
    return Result.affected(0, f"Dropped view {namespace}.{name}")


def _is_hidden_view(namespace: str, name: str, context: Context) -> bool:
    """Whether there is such a view, and it reads what is hidden from who asks: whose it then is neither to drop nor to
    put another in its place."""
    view = context.catalog.view(namespace, name)
    if view is None or all(map(context.may_see, context.catalog.tables.values())):
        return False
    try:
        context.services.queries.view_columns(replace(context, namespace=view.resolve_in), view.sql)
    except UndefinedTable as error:
        return error.hides is not None
    except Error:
        return False
    return False
