"""Statements about rows, from SQLAlchemy's trees to kalamdb's SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, literal_column, select
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import compiler

_JSON_FUNCTIONS = {
    sqltypes.Integer: "json_get_int",
    sqltypes.Boolean: "json_get_bool",
    sqltypes.Float: "json_get_float",
    sqltypes.String: "json_get_str",
}
"""By the type that is asked of an element; any other is its JSON."""


class KalamCompiler(compiler.SQLCompiler):
    """SELECT, INSERT, UPDATE and DELETE."""

    # ON CONFLICT is written as SQLite writes it, and so is the statement that holds it.
    visit_on_conflict_do_nothing = SQLiteCompiler.visit_on_conflict_do_nothing
    visit_on_conflict_do_update = SQLiteCompiler.visit_on_conflict_do_update
    _on_conflict_target = SQLiteCompiler._on_conflict_target

    def limit_clause(self, select: Any, **kw: Any) -> str:
        """LIMIT and OFFSET, each alone if need be."""
        text = ""
        if select._limit_clause is not None:
            text += "\n LIMIT " + self.process(select._limit_clause, **kw)
        if select._offset_clause is not None:
            text += "\n OFFSET " + self.process(select._offset_clause, **kw)
        return text

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Nothing: who commits second is told, and nobody waits."""
        return ""

    def returning_clause(
        self, stmt: Any, returning_cols: Any, *, populate_result_map: bool, **kw: Any
    ) -> str:
        """Columns by their names alone."""
        kw["include_table"] = False
        text: str = super().returning_clause(
            stmt, returning_cols, populate_result_map=populate_result_map, **kw
        )
        return text

    def visit_cast(self, cast: Any, **kw: Any) -> str:
        """CAST; of JSON to text by an operator, for after a CAST it would be read as JSON all the same."""
        if isinstance(cast.clause.type, sqltypes.JSON) and isinstance(cast.type, sqltypes.String):
            return f"({self.process(cast.clause, **kw)} || '')"
        text: str = super().visit_cast(cast, **kw)
        return text

    def visit_exists_unary_operator(
        self, element: Any, operator: Any, within_columns_clause: bool = False, **kw: Any
    ) -> str:
        """EXISTS; as a column, which it cannot be, whether more than no rows are counted."""
        if not within_columns_clause:
            return f"EXISTS {self.process(element.element, **kw)}"
        query = element.element.element
        found: Any = literal_column("count(*) > 0")
        if isinstance(query, Select) and not (
            query._distinct or query._group_by_clauses or query._has_row_limiting_clause
        ):
            counted = query.with_only_columns(found, maintain_column_froms=True)
        else:
            counted = select(found).select_from(query.subquery())
        return self.process(counted.scalar_subquery(), **kw)

    def visit_empty_set_expr(self, element_types: Any, **kw: Any) -> str:
        """What `IN ()` would be, if it could be written."""
        nulls = ", ".join("NULL" for _ in element_types or [None])
        return f"SELECT {nulls} WHERE 1 != 1"

    def visit_frame_clause(self, frameclause: Any, **kw: Any) -> str:
        """The bounds of a window, written out: they are read when the statement is planned."""
        text: str = super().visit_frame_clause(frameclause, **{**kw, "literal_execute": True})
        return text

    def _format_frame_clause(self, range_: Any, **kw: Any) -> str:
        """The same, as SQLAlchemy 2.0 asks for it."""
        text: str = super()._format_frame_clause(range_, **{**kw, "literal_execute": True})  # type: ignore[misc]
        return text

    # Patterns

    def visit_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """LIKE; an ESCAPE other than the backslash is turned into that, which is the one that there is."""
        return self._like(binary, "LIKE", **kw)

    def visit_not_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """NOT LIKE."""
        return self._like(binary, "NOT LIKE", **kw)

    def visit_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """ILIKE."""
        return self._like(binary, "ILIKE", **kw)

    def visit_not_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """NOT ILIKE."""
        return self._like(binary, "NOT ILIKE", **kw)

    def visit_ilike_case_insensitive_operand(self, element: Any, **kw: Any) -> str:
        """The operand as it is: ILIKE is told apart by its name, and needs no lower()."""
        return self.process(element.element, **kw)

    def _like(self, binary: Any, word: str, **kw: Any) -> str:
        text = self.process(binary.left, **kw)
        pattern = self.process(binary.right, **kw)
        escape = binary.modifiers.get("escape")
        if escape is not None and escape != "\\":
            # Backslashes stand for themselves then, and what the escape stood before has a backslash before it.
            found = self.render_literal_value(
                f"\\{escape}(.)" if not escape.isalnum() else f"{escape}(.)", sqltypes.STRINGTYPE
            )
            pattern = f"regexp_replace(replace({pattern}, '\\', '\\\\'), {found}, '\\$1', 'g')"
        return f"{text} {word} {pattern}"

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """`~`, and `~*` for the flag i."""
        return self._matches(binary, "~", **kw)

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """`!~` and `!~*`."""
        return self._matches(binary, "!~", **kw)

    def _matches(self, binary: Any, word: str, **kw: Any) -> str:
        flags = binary.modifiers.get("flags")
        if flags not in (None, "i"):
            raise CompileError(f"regexp_match has the flag 'i' on kalamdb, and not {flags!r}")
        star = "*" if flags else ""
        return f"{self.process(binary.left, **kw)} {word}{star} {self.process(binary.right, **kw)}"

    def visit_regexp_replace_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """regexp_replace(), of all that matches."""
        flags = binary.modifiers.get("flags") or ""
        shown = self.render_literal_value(flags if "g" in flags else flags + "g", sqltypes.STRINGTYPE)
        text, replaced = self.process(binary.left, **kw), self.process(binary.right, **kw)
        return f"regexp_replace({text}, {replaced}, {shown})"

    # JSON

    def visit_json_getitem_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """An element, as the type that is asked for."""
        kw.pop("_cast_applied", None)
        return self._element(binary, self.process(binary.right, **kw), **kw)

    def visit_json_path_getitem_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """An element several steps down."""
        kw.pop("_cast_applied", None)
        return self._element(binary, self.process(binary.right, **{**kw, "literal_execute": True}), **kw)

    def _element(self, binary: Any, steps: str, **kw: Any) -> str:
        document = self.process(binary.left, **kw)
        kind = binary.type
        for known, function in _JSON_FUNCTIONS.items():
            if isinstance(kind, known):
                return f"{function}({document}, {steps})"
        if isinstance(kind, sqltypes.Numeric):
            # By way of its text: a floating number would not be exact.
            exact = self.dialect.type_compiler_instance.process(kind)
            return f"CAST(json_get_str({document}, {steps}) AS {exact})"
        return f"json_get_json({document}, {steps})"


class KalamTypeCompiler(compiler.GenericTypeCompiler):
    """The names of types."""

    def visit_float(self, type_: Any, **kw: Any) -> str:
        """As wide as a float of Python."""
        return "DOUBLE"

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - the name SQLAlchemy asks for
        """By its own name it is kalamdb's, of 32 bits."""
        return "FLOAT"

    def visit_DOUBLE(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """64 bits."""
        return "DOUBLE"

    def visit_DOUBLE_PRECISION(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """64 bits."""
        return "DOUBLE"

    def visit_NUMERIC(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """DECIMAL with its digits."""
        return self.visit_DECIMAL(type_, **kw)

    def visit_DECIMAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """DECIMAL(38,10) where no digits are told."""
        if type_.precision is None:
            return "DECIMAL(38,10)" if type_.scale is None else f"DECIMAL(38,{type_.scale})"
        return f"DECIMAL({type_.precision},{type_.scale or 0})"

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """An instant, UTC."""
        return "TIMESTAMP"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """An instant, UTC, whether its zone is asked for or not."""
        return "TIMESTAMP"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A time of day without a zone."""
        return "TIME"

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:
        """Bytes."""
        return "BYTES"

    def visit_BLOB(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Bytes."""
        return "BYTES"

    def visit_BINARY(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Bytes, of any length."""
        return "BYTES"

    def visit_VARBINARY(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Bytes, of any length."""
        return "BYTES"

    def visit_NVARCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text is Unicode."""
        return self.visit_VARCHAR(type_, **kw)

    def visit_NCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text is Unicode."""
        return self.visit_VARCHAR(type_, **kw)

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text, of so many characters where it is told; collations there are none."""
        return f"VARCHAR({type_.length})" if type_.length else "TEXT"

    def visit_CHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Up to so many characters; nothing is padded."""
        return self.visit_VARCHAR(type_, **kw)

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text."""
        return "TEXT"

    def visit_CLOB(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text."""
        return "TEXT"

    def visit_UUID(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A UUID."""
        return "UUID"

    def visit_uuid(self, type_: Any, **kw: Any) -> str:
        """A UUID."""
        return "UUID"

    def visit_JSON(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text that is checked to be JSON."""
        return "JSON"
