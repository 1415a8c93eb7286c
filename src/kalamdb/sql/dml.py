"""Statements that change rows: the statements of dml.lark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kalamdb.errors import DuplicateObject, InvalidDefinition, InvalidSyntax
from kalamdb.sql.expressions import Expression, to_sql
from kalamdb.sql.names import TableName, printable
from kalamdb.sql.rules import Quote, Rules, Token


@dataclass(frozen=True, slots=True)
class DefaultValue:
    """DEFAULT where a value is expected."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ValuesRows:
    """VALUES (…), …: rows with at least one cell that is no literal. All rows have the same length."""

    rows: tuple[tuple[Expression | DefaultValue, ...], ...]


@dataclass(frozen=True, slots=True)
class LiteralRows:
    """VALUES (…), … where every cell is a literal: the rows are `ParsedStatement.rows`, read by the
    scanner."""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """INSERT … SELECT: the query's text, with its parameters as $n."""

    sql: str


@dataclass(frozen=True, slots=True)
class DefaultValues:
    """DEFAULT VALUES: one row of nothing but defaults."""


InsertSource = ValuesRows | LiteralRows | QuerySource | DefaultValues


@dataclass(frozen=True, slots=True)
class Assignment:
    """column = value"""

    column: str
    value: Expression | DefaultValue
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """What stands after WHERE.

    `expression` is None when only DataFusion can read it. `sql` is the source text, with parameters as $n,
    and None in a statement whose literals were lifted out: there `text(literals)` prints the expression.
    """

    expression: Expression | None
    sql: str | None = field(default=None, compare=False)

    def text(self, literals: Sequence[object] = ()) -> str:
        """The condition as SQL for DataFusion."""
        if self.sql is not None:
            return self.sql
        assert self.expression is not None
        return to_sql(self.expression, literals)


@dataclass(frozen=True, slots=True)
class OnConflict:
    """ON CONFLICT [(key)] DO NOTHING | DO UPDATE SET … [WHERE …]. `assignments` is None for DO NOTHING. The
    refused row is the table `excluded`."""

    key: str | None
    assignments: tuple[Assignment, ...] | None
    where: Condition | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Star:
    """`*`: every column of the table but the system columns."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SelectItem:
    """expression [[AS] alias], or `*`. `sql` is the expression's source text, without the alias."""

    expression: Expression | Star
    alias: str | None
    sql: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT INTO table [(column, …)] source [ON CONFLICT …] [RETURNING …]"""

    table: TableName
    columns: tuple[str, ...] | None
    source: InsertSource
    on_conflict: OnConflict | None = None
    returning: tuple[SelectItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE table [[AS] alias] SET column = value, … [WHERE condition] [RETURNING …]"""

    table: TableName
    alias: str | None
    assignments: tuple[Assignment, ...]
    where: Condition | None = None
    returning: tuple[SelectItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE FROM table [[AS] alias] [WHERE condition] [RETURNING …]"""

    table: TableName
    alias: str | None
    where: Condition | None = None
    returning: tuple[SelectItem, ...] | None = None


class DmlRules(Rules):
    """The rules of dml.lark."""

    def insert(
        self,
        table: TableName,
        columns: tuple[str, ...] | None,
        source: InsertSource,
        on_conflict: OnConflict | None,
        returning: tuple[SelectItem, ...] | None,
    ) -> Insert:
        return Insert(table, columns, source, on_conflict, returning)

    def column_names(self, *names: Token) -> tuple[str, ...]:
        _once(names)
        return tuple(name.value for name in names)

    def values_rows(self, *rows: tuple[Expression | DefaultValue, ...]) -> ValuesRows:
        for row in rows:
            if len(row) != len(rows[0]):
                raise InvalidSyntax(
                    "the rows of VALUES differ in length; give each as many values as the first",
                    position=row[0].position,
                )
        return ValuesRows(rows)

    def literal_rows(self, rows: Token) -> LiteralRows:
        return LiteralRows()

    def query_source(self, text: Token) -> QuerySource:
        return QuerySource(text.value)

    def default_values(self) -> DefaultValues:
        return DefaultValues()

    def row(self, *values: Expression | DefaultValue) -> tuple[Expression | DefaultValue, ...]:
        return values

    def default_value(self, word: Token) -> DefaultValue:
        return DefaultValue(word.start_pos)

    def do_nothing(self, conflict: tuple[int, str | None]) -> OnConflict:
        position, key = conflict
        return OnConflict(key, None, None, position)

    def do_update(
        self, conflict: tuple[int, str | None], assignments: tuple[Assignment, ...], where: Condition | None
    ) -> OnConflict:
        position, key = conflict
        if key is None:
            raise InvalidSyntax(
                "ON CONFLICT DO UPDATE needs the key: ON CONFLICT (key) DO UPDATE …", position=position
            )
        return OnConflict(key, assignments, where, position)

    def conflict(self, on: Token, word: Token, key: str | None) -> tuple[int, str | None]:
        return on.start_pos, key

    def conflict_key(self, *names: Token) -> str:
        if len(names) > 1:
            raise InvalidDefinition(
                "ON CONFLICT takes one column, the primary key; leave the others out",
                position=names[1].start_pos,
            )
        name: str = names[0].value
        return name

    def update(
        self,
        table: TableName,
        alias: Token | None,
        assignments: tuple[Assignment, ...],
        where: Condition | None,
        returning: tuple[SelectItem, ...] | None,
    ) -> Update:
        return Update(table, alias.value if alias else None, assignments, where, returning)

    def assignments(self, *assignments: Assignment) -> tuple[Assignment, ...]:
        seen = set()
        for assignment in assignments:
            if assignment.column in seen:
                raise DuplicateObject(
                    f"column {printable(assignment.column)} is set twice; set it once",
                    position=assignment.position,
                )
            seen.add(assignment.column)
        return assignments

    def assignment(self, column: Token, value: Expression | DefaultValue) -> Assignment:
        return Assignment(column.value, value, column.start_pos)

    def delete(
        self,
        table: TableName,
        alias: Token | None,
        where: Condition | None,
        returning: tuple[SelectItem, ...] | None,
    ) -> Delete:
        return Delete(table, alias.value if alias else None, where, returning)

    def where(self, condition: Token) -> Condition:
        read: Condition = condition.value
        return read

    def returning(self, *items: SelectItem) -> tuple[SelectItem, ...]:
        return items

    def star(self, star: Token) -> Star:
        return Star(star.start_pos)

    def select_item(self, item: Star | Quote, alias: Token | None = None) -> SelectItem:
        if isinstance(item, Star):
            return SelectItem(item, None, "*")
        return SelectItem(item.expression, alias.value if alias else None, item.sql)

    def alias(self, name: Token) -> Token:
        return name


def _once(names: tuple[Token, ...]) -> None:
    seen = set()
    for name in names:
        if name.value in seen:
            raise DuplicateObject(
                f"column {printable(name.value)} is named twice; name it once", position=name.start_pos
            )
        seen.add(name.value)
