"""Statements about what exists: what the dialect adds to a table, leaves out of it, and refuses.

- The key of a table is one column, BIGINT or TEXT. A table without one gets `row_id`, which fills itself.
- A foreign key is left out with a warning: relationships need to say it, and nobody else enforces it either while the
  application writes through them. UNIQUE and CHECK are what an application relies on, and are refused.
- An index is left out with a warning: it changes no answer.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy import util
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import CheckConstraint, Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.sql import compiler

ROW_ID = "row_id"
ROW_ID_COMMENT = "key of a table that was declared without one"
"""By which reflection tells it from a column of the same name."""
KINDS = ("user", "shared", "stream")
NEW_KEY = "SNOWFLAKE_ID()"


class KalamDDLCompiler(compiler.DDLCompiler):
    """CREATE and DROP."""

    def visit_create_table(self, create: Any, **kw: Any) -> str:
        """CREATE TABLE, once the table is one that can be kept as it was declared."""
        table = create.element
        _check_promises(table)
        text: str = super().visit_create_table(create, **kw)
        return text

    def get_column_specification(self, column: Column[Any], **kw: Any) -> str:
        """One column with its type, DEFAULT, NOT NULL and comment."""
        parts = [self.preparer.format_column(column), self._type(column)]
        default = self.get_column_default_string(column)
        if default is None and _fills_itself(column):
            default = NEW_KEY
        if default is not None:
            parts += ["DEFAULT", default]
        if column.computed is not None:
            raise CompileError(f"column {column} is computed, which kalamdb does not offer; use a view")
        if not column.nullable and not column.primary_key:
            parts.append("NOT NULL")
        if column.comment:
            parts += ["COMMENT", self.sql_compiler.render_literal_value(column.comment, sqltypes.STRINGTYPE)]
        return " ".join(parts)

    def _type(self, column: Column[Any]) -> str:
        kind = column.type.dialect_impl(self.dialect)
        if isinstance(kind, sqltypes.TypeDecorator):
            kind = kind.impl_instance
        # Keys are BIGINT, and ids that fill themselves need it; so does a column that refers to one.
        if isinstance(kind, sqltypes.Integer) and (column.primary_key or column.foreign_keys):
            return "BIGINT"
        if column.primary_key and isinstance(kind, sqltypes.Uuid):
            return "TEXT"
        if column.primary_key and not isinstance(kind, (sqltypes.String, sqltypes.Integer)):
            raise CompileError(
                f"column {column} is a primary key of type {column.type!r}; a key of kalamdb is an integer, text or a "
                "UUID"
            )
        text: str = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        return text

    def visit_create_table_as(self, element: Any, **kw: Any) -> str:
        """Refused. Raises CompileError."""
        raise CompileError("kalamdb has no CREATE TABLE AS; create the table, and INSERT from the SELECT")

    def create_table_constraints(
        self, table: Table, _include_foreign_key_constraints: Any = None, **kw: Any
    ) -> str:
        """The key; one of its own for a table that has none."""
        text: str = super().create_table_constraints(table, _include_foreign_key_constraints, **kw)
        if table.primary_key.columns:
            return text
        if ROW_ID in table.columns:
            raise CompileError(
                f"table {table.fullname} has no primary key, and a column {ROW_ID}, which is what the dialect adds "
                "then; make it the primary key, or give it another name"
            )
        comment = self.sql_compiler.render_literal_value(ROW_ID_COMMENT, sqltypes.STRINGTYPE)
        return f"{ROW_ID} BIGINT PRIMARY KEY DEFAULT {NEW_KEY} COMMENT {comment}"

    def visit_primary_key_constraint(self, constraint: Any, **kw: Any) -> str:
        """The key, without a name."""
        columns = list(constraint)
        if len(columns) > 1:
            names = ", ".join(column.name for column in columns)
            raise CompileError(
                f"table {constraint.table.fullname} has a primary key of several columns ({names}); a key of kalamdb "
                "is one: make one of them the key, or add one that holds them all"
            )
        return f"PRIMARY KEY ({self.preparer.format_column(columns[0])})"

    def visit_foreign_key_constraint(self, constraint: Any, **kw: Any) -> None:  # type: ignore[override]
        """Nothing: see _check_promises."""

    def visit_unique_constraint(self, constraint: Any, **kw: Any) -> None:  # type: ignore[override]
        """Nothing: see _check_promises."""

    def visit_check_constraint(self, constraint: Any, **kw: Any) -> None:
        """Nothing: see _check_promises."""

    def visit_column_check_constraint(self, constraint: Any, **kw: Any) -> None:
        """Nothing: see _check_promises."""

    def post_create_table(self, table: Table) -> str:
        """`WITH (TYPE = 'USER', …)`, as kalamdb_kind and kalamdb_with have it."""
        options = table.dialect_options["kalamdb"]
        asked: dict[str, Any] = dict(options["with"] or {})
        kind = options["kind"]
        if kind is not None:
            if str(kind).lower() not in KINDS:
                raise CompileError(f"kalamdb_kind is one of {', '.join(KINDS)}, not {kind!r}")
            asked["TYPE"] = str(kind).upper()
        for key in asked:
            if not str(key).isidentifier():
                raise CompileError(f"kalamdb_with has names of options of CREATE TABLE, and {key!r} is none")
        said = ", ".join(f"{key} = {self._option(value)}" for key, value in asked.items())
        return f" WITH ({said})" if said else ""

    def _option(self, value: object) -> str:
        if isinstance(value, (bool, int)):
            return str(value).upper()
        text: str = self.sql_compiler.render_literal_value(str(value), sqltypes.STRINGTYPE)
        return text

    def visit_create_index(self, create: Any, *unused: Any, **kw: Any) -> str:
        """Nothing, with a warning; the dialect executes no empty text."""
        index = create.element
        if index.unique:
            _promise(index.table, f"unique index {index.name}")
        else:
            util.warn(f"kalamdb has no indexes beside the primary key; {index.name} is left out")
        return ""

    def visit_drop_index(self, drop: Any, **kw: Any) -> str:
        """Nothing."""
        return ""

    def visit_create_schema(self, create: Any, **kw: Any) -> str:
        """CREATE NAMESPACE."""
        said = "IF NOT EXISTS " if create.if_not_exists else ""
        return f"CREATE NAMESPACE {said}{self.preparer.format_schema(create.element)}"

    def visit_drop_schema(self, drop: Any, **kw: Any) -> str:
        """DROP NAMESPACE."""
        said = "IF EXISTS " if drop.if_exists else ""
        return f"DROP NAMESPACE {said}{self.preparer.format_schema(drop.element)}" + (
            " CASCADE" if drop.cascade else ""
        )


def _fills_itself(column: Column[Any]) -> bool:
    return column.table is not None and column.table._autoincrement_column is column


def _check_promises(table: Table) -> None:
    """Warn of what is left out of a table, and refuse what an application would rely on. Raises CompileError."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            names = ", ".join(column.name for column in constraint.columns)
            _promise(table, f"UNIQUE ({names})")
        elif isinstance(constraint, CheckConstraint):
            _promise(table, f"CHECK ({constraint.sqltext})")
    for index in table.indexes:
        if index.unique:
            _promise(table, f"unique index {index.name}")
    if any(isinstance(constraint, ForeignKeyConstraint) for constraint in table.constraints):
        util.warn(
            f"kalamdb does not enforce foreign keys: those of {table.fullname} serve relationships and joins alone, "
            "and ON DELETE and ON UPDATE are not done"
        )


def _promise(table: Table, said: str) -> None:
    """Something that kalamdb would not keep. Raises CompileError, but for a table that does without it."""
    if not table.dialect_options["kalamdb"]["unenforced"]:
        raise CompileError(
            f"table {table.fullname} declares {said}, which kalamdb does not enforce: make it the primary key, leave "
            "it out, or say that it may go unenforced by the table's argument kalamdb_unenforced=True"
        )
    util.warn(f"kalamdb does not enforce {said} of {table.fullname}")
