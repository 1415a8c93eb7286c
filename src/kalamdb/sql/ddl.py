"""Namespaces, tables and views: the statements of ddl.lark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kalamdb.errors import DuplicateObject, InvalidDefinition, UndefinedColumn
from kalamdb.schema import TableKind, TableOptions
from kalamdb.sql.expressions import Expression, Literal, Parameter, walk
from kalamdb.sql.names import TableName, check_column_name, check_namespace_name, check_table_name, printable
from kalamdb.sql.rules import PARAMETER_KIND, Quote, Rules, Token
from kalamdb.sql.table_options import (
    Option,
    flush_policy_options,
    options_of,
    refuse_option,
    seconds,
    with_option,
)
from kalamdb.types import DataType


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    """CREATE NAMESPACE [IF NOT EXISTS] name [WITH OPTIONS (…)]"""

    name: str
    if_not_exists: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DropNamespace:
    """DROP NAMESPACE [IF EXISTS] name [CASCADE]"""

    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class AlterNamespace:
    """ALTER NAMESPACE name SET OPTIONS (key = value, …)"""

    name: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class UseNamespace:
    """USE [NAMESPACE] name"""

    name: str


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """name TYPE and its constraints. `nullable` is None where neither NULL nor NOT NULL was said.
    `auto_increment` is 'snowflake', 'uuid', '' (said, without a strategy) or None."""

    name: str
    type: DataType
    nullable: bool | None = None
    default: Expression | None = None
    default_sql: str | None = None
    auto_increment: str | None = None
    primary_key: bool = False
    comment: str | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE [USER|SHARED|STREAM] TABLE [IF NOT EXISTS] table (column, …) [option …] [WITH (…)]"""

    table: TableName
    kind: TableKind
    if_not_exists: bool
    columns: tuple[ColumnDefinition, ...]
    primary_key: str | None
    options: TableOptions


@dataclass(frozen=True, slots=True)
class AddColumn:
    """ADD [COLUMN] column"""

    column: ColumnDefinition


@dataclass(frozen=True, slots=True)
class DropColumn:
    """DROP [COLUMN] name"""

    name: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """RENAME COLUMN name TO to"""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class SetNotNull:
    """ALTER COLUMN name SET NOT NULL"""

    name: str


@dataclass(frozen=True, slots=True)
class DropNotNull:
    """ALTER COLUMN name DROP NOT NULL"""

    name: str


@dataclass(frozen=True, slots=True)
class SetDefault:
    """ALTER COLUMN name SET DEFAULT expression"""

    name: str
    expression: Expression
    sql: str


@dataclass(frozen=True, slots=True)
class DropDefault:
    """ALTER COLUMN name DROP DEFAULT"""

    name: str


@dataclass(frozen=True, slots=True)
class SetType:
    """ALTER COLUMN name [SET DATA] TYPE type"""

    name: str
    type: DataType


@dataclass(frozen=True, slots=True)
class SetAccess:
    """SET ACCESS public|private|restricted"""

    access: str


@dataclass(frozen=True, slots=True)
class SetFlushPolicy:
    """SET FLUSH POLICY …"""

    flush_rows: int | None
    flush_interval_s: int | None


AlterAction = (
    AddColumn
    | DropColumn
    | RenameColumn
    | SetNotNull
    | DropNotNull
    | SetDefault
    | DropDefault
    | SetType
    | SetAccess
    | SetFlushPolicy
)


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE table action"""

    table: TableName
    action: AlterAction


@dataclass(frozen=True, slots=True)
class DropTable:
    """DROP [USER|SHARED|STREAM] TABLE [IF EXISTS] table"""

    table: TableName
    kind: TableKind | None = None
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE [OR REPLACE] VIEW [IF NOT EXISTS] view AS query"""

    view: TableName
    query: str
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class DropView:
    """DROP VIEW [IF EXISTS] view"""

    view: TableName
    if_exists: bool = False


class DdlRules(Rules):
    """The rules of ddl.lark."""

    def create_namespace(
        self, if_not_exists: bool | None, name: Token, options: Mapping[str, object] | None
    ) -> CreateNamespace:
        check_namespace_name(name.value, name.start_pos)
        return CreateNamespace(name.value, bool(if_not_exists), options or {})

    def drop_namespace(self, if_exists: bool | None, name: Token, cascade: bool | None) -> DropNamespace:
        return DropNamespace(name.value, bool(if_exists), bool(cascade))

    def alter_namespace(self, name: Token, options: Mapping[str, object]) -> AlterNamespace:
        return AlterNamespace(name.value, options)

    def use_namespace(self, name: Token) -> UseNamespace:
        return UseNamespace(name.value)

    def cascade(self) -> bool:
        return True

    def create_table(
        self,
        kind: TableKind | None,
        if_not_exists: bool | None,
        table: TableName,
        *parts: ColumnDefinition | Token | list[Option],
    ) -> CreateTable:
        check_table_name(table.name, table.position)
        columns = tuple(part for part in parts if isinstance(part, ColumnDefinition))
        keys = [part for part in parts if isinstance(part, Token)]
        options = [option for part in parts if isinstance(part, list) for option in part]
        _check_distinct(columns)
        primary_key = _primary_key(table, columns, keys)
        kind, given = options_of(table.name, kind, options)
        return CreateTable(table, kind, bool(if_not_exists), columns, primary_key, given)

    def kind(self, word: Token) -> TableKind:
        return TableKind(word.value)

    def column_definition(
        self, name: Token, type: DataType, *constraints: dict[str, Any]
    ) -> ColumnDefinition:
        check_column_name(name.value, name.start_pos)
        given: dict[str, Any] = {}
        for constraint in constraints:
            for key, value in constraint.items():
                if key in given and key != "default_sql":
                    label = "NULL or NOT NULL" if key == "nullable" else key.replace("_", " ").upper()
                    _refuse(name, f"column {printable(name.value)} has {label} twice; say it once")
                given[key] = value
        if given.get("primary_key") and given.get("nullable") is True:
            _refuse(
                name, f"column {printable(name.value)} is the PRIMARY KEY and cannot be NULL; leave NULL out"
            )
        if "default" in given and "auto_increment" in given:
            _refuse(
                name, f"column {printable(name.value)} has both DEFAULT and AUTO_INCREMENT; keep one of them"
            )
        return ColumnDefinition(name.value, type, **given, position=name.start_pos)

    def primary_key_of(self, *names: Token) -> Token:
        if len(names) > 1:
            _refuse(names[1], "a PRIMARY KEY has one column; put the others into it, or leave them out")
        return names[0]

    def primary_key(self) -> dict[str, Any]:
        return {"primary_key": True}

    def not_null(self, words: Token) -> dict[str, Any]:
        return {"nullable": False}

    def nullable(self) -> dict[str, Any]:
        return {"nullable": True}

    def default(self, quote: Quote) -> dict[str, Any]:
        return {"default": _without_parameters(quote), "default_sql": quote.sql}

    def auto_increment(self, strategy: str | None) -> dict[str, Any]:
        return {"auto_increment": strategy or ""}

    def strategy(self, word: Token) -> str:
        return str(word.value)

    def comment(self, text: Token) -> dict[str, Any]:
        return {"comment": text.value}

    def storage(self, name: Token) -> list[Option]:
        return [Option("storage_id", name.value, "STORAGE", name.start_pos)]

    def use_user_storage(self, value: bool | None) -> list[Option]:
        return [Option("use_user_storage", value is not False, "USE_USER_STORAGE")]

    def boolean(self, word: Token) -> bool:
        return bool(word.value == "true")

    def flush_policy(self, *parts: Option) -> list[Option]:
        return list(parts)

    def flush_rows(self, rows: Token) -> Option:
        return Option("flush_rows", rows.value, "FLUSH ROWS", rows.start_pos)

    def flush_interval(self, duration: tuple[object, str | None, int]) -> Option:
        return Option("flush_interval_s", seconds(*duration, "FLUSH INTERVAL"), "FLUSH INTERVAL", duration[2])

    def duration(self, number: Token, unit: Token | None = None) -> tuple[object, str | None, int]:
        return number.value, unit.value if unit else None, number.start_pos

    def deleted_retention(self, duration: tuple[object, str | None, int]) -> list[Option]:
        return [with_option("deleted_retention_hours", duration, "DELETED_RETENTION")]

    def ttl(self, duration: tuple[object, str | None, int]) -> list[Option]:
        return [with_option("ttl_seconds", duration, "TTL")]

    def max_rows(self, rows: Token) -> list[Option]:
        return [Option("max_rows", rows.value, "MAX_ROWS", rows.start_pos)]

    def access(self, word: Token) -> list[Option]:
        return [with_option("access", (word.value, None, word.start_pos), "ACCESS")]

    def table_type(self, word: Token) -> NoReturn:
        refuse_option("table_type", word.value, word.start_pos)

    def owner_id(self, word: Token) -> NoReturn:
        refuse_option("owner_id", word.value, word.start_pos)

    def with_options(self, pairs: Mapping[str, object]) -> list[Option]:
        options: list[Option] = []
        for key, value in pairs.items():
            if key == "flush_policy":
                options += flush_policy_options(value)
            else:
                options.append(with_option(key, (value, None, None), key.upper()))
        return options

    def pairs(self, *pairs: tuple[Token, object]) -> Mapping[str, object]:
        given: dict[str, object] = {}
        for key, value in pairs:
            name = str(key.value).lower()
            if name in given:
                _refuse(key, f"option {name.upper()} is given twice; give it once")
            given[name] = value
        return given

    def pair(self, key: Token, value: Token | Literal) -> tuple[Token, object]:
        return key, value.value

    def signed_setting(self, number: Token) -> Literal:
        return Literal(-number.value, number.start_pos)

    def alter_table(self, table: TableName, action: AlterAction) -> AlterTable:
        return AlterTable(table, action)

    def add_column(self, column: ColumnDefinition) -> AddColumn:
        if column.primary_key:
            raise InvalidDefinition(
                f"column {printable(column.name)} cannot be added as PRIMARY KEY; a table keeps the key "
                "it was created with",
                position=column.position,
            )
        return AddColumn(column)

    def drop_column(self, name: Token) -> DropColumn:
        return DropColumn(name.value)

    def rename_column(self, name: Token, to: Token) -> RenameColumn:
        check_column_name(to.value, to.start_pos)
        return RenameColumn(name.value, to.value)

    def set_not_null(self, name: Token, words: Token) -> SetNotNull:
        return SetNotNull(name.value)

    def drop_not_null(self, name: Token, words: Token) -> DropNotNull:
        return DropNotNull(name.value)

    def set_default(self, name: Token, quote: Quote) -> SetDefault:
        return SetDefault(name.value, _without_parameters(quote), quote.sql)

    def drop_default(self, name: Token) -> DropDefault:
        return DropDefault(name.value)

    def set_type(self, name: Token, type: DataType) -> SetType:
        return SetType(name.value, type)

    def set_access(self, word: Token) -> SetAccess:
        return SetAccess(str(with_option("access", (word.value, None, word.start_pos), "ACCESS").value))

    def set_flush_policy(self, parts: list[Option]) -> SetFlushPolicy:
        _, options = options_of("", TableKind.SHARED, parts)
        return SetFlushPolicy(options.flush_rows, options.flush_interval_s)

    def drop_table(self, kind: TableKind | None, if_exists: bool | None, table: TableName) -> DropTable:
        return DropTable(table, kind, bool(if_exists))

    def create_view(
        self, or_replace: bool | None, if_not_exists: bool | None, view: TableName, query: Token
    ) -> CreateView:
        check_table_name(view.name, view.position)
        for token in self.reading.tokens:
            if token[0] == PARAMETER_KIND:
                raise InvalidDefinition(
                    "a view takes no parameters; write the values into it", position=token[1]
                )
        return CreateView(view, query.value, bool(if_not_exists), bool(or_replace))

    def or_replace(self) -> bool:
        return True

    def drop_view(self, if_exists: bool | None, view: TableName) -> DropView:
        return DropView(view, bool(if_exists))


def _refuse(token: Token, message: str) -> NoReturn:
    raise InvalidDefinition(message, position=token.start_pos)


def _check_distinct(columns: tuple[ColumnDefinition, ...]) -> None:
    seen = set()
    for column in columns:
        if column.name in seen:
            raise DuplicateObject(
                f"column {printable(column.name)} is defined twice; rename or remove one",
                position=column.position,
            )
        seen.add(column.name)


def _primary_key(table: TableName, columns: tuple[ColumnDefinition, ...], keys: list[Token]) -> str | None:
    """The key's column, whichever way it was said. Whether a key is needed is not a question of syntax."""
    named = [(column.name, column.position) for column in columns if column.primary_key]
    named += [(key.value, key.start_pos) for key in keys]
    if not named:
        return None
    name, position = named[0]
    if len(named) > 1:
        raise InvalidDefinition(
            f"table {printable(table.name)} has more than one PRIMARY KEY; keep one", position=named[1][1]
        )
    column = next((column for column in columns if column.name == name), None)
    if column is None:
        raise UndefinedColumn(
            f"column {printable(name)} of the PRIMARY KEY does not exist", position=position
        )
    if column.nullable is True:
        raise InvalidDefinition(
            f"column {printable(name)} is the PRIMARY KEY and cannot be NULL; leave NULL out",
            position=position,
        )
    return name


def _without_parameters(quote: Quote) -> Expression:
    expression: Expression = quote.expression
    for node in walk(expression):
        if isinstance(node, Parameter):
            raise InvalidDefinition(
                "a DEFAULT takes no parameters; write the value into it", position=node.position
            )
    return expression
