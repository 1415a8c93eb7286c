"""Which types the parameters of a statement take, as far as its text says so.

For values from where not every type can be told: in JSON a timestamp is a number or a text. A parameter that is
compared with a column, or written to one, takes the column's type; that of LIMIT and OFFSET is BIGINT. Of any other,
and where columns of one name have several types in the tables that the text names, nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kalamcore.statements import OPERATOR, PARAMETER, QUOTED, WORD, Scan
from kalamdb.auth import Action, Rights, may
from kalamdb.catalog.catalog import Catalog
from kalamdb.execution.returning import SYSTEM_TYPES
from kalamdb.schema import TableSchema
from kalamdb.types import BIGINT, DataType

_COMPARED = frozenset({"=", "<>", "!=", "<", "<=", ">", ">=", "=="})


def parameter_types(
    scan: Scan, catalog: Catalog, namespace: str, rights: Rights
) -> Sequence[DataType | None]:
    """A type for each parameter, or None. Tables that the caller may neither read nor insert into say nothing."""
    types: list[DataType | None] = [None] * scan.parameters
    if types:
        text = _Text(scan)
        columns = _column_types(text.tables(catalog, namespace, rights))
        for index, column in text.beside_columns():
            types[index] = columns.get(column)
        for index in text.counts():
            types[index] = BIGINT
        for index, found in text.inserted(catalog, namespace, rights):
            types[index] = found
    return types


def _column_types(tables: Iterator[TableSchema]) -> dict[str, DataType | None]:
    """By name; None for a name that means columns of several types."""
    found: dict[str, DataType | None] = dict(SYSTEM_TYPES)
    for table in tables:
        for column in table.columns:
            known = found.get(column.name, column.type)
            found[column.name] = column.type if known == column.type else None
    return found


class _Text:
    """The tokens of a statement, looked at by their places. Beyond either end there is a token of no kind."""

    def __init__(self, scan: Scan) -> None:
        tokens = scan.tokens
        self.kinds = [*(kind for kind, _, _, _ in tokens), 0]
        self.values = [*(value for _, _, _, value in tokens), None]
        self.count = len(tokens)

    def tables(self, catalog: Catalog, namespace: str, rights: Rights) -> Iterator[TableSchema]:
        """What of the names can be a table that the caller may use, each once."""
        seen: set[int] = set()
        for place in range(self.count):
            table = self._table(place, catalog, namespace, rights)
            if table is not None and table.table_id not in seen:
                seen.add(table.table_id)
                yield table

    def beside_columns(self) -> Iterator[tuple[int, str]]:
        """(parameter, column) where one is compared with the other, is in a list or between bounds, or is SET."""
        for place in range(self.count):
            if self.kinds[place] != PARAMETER:
                continue
            before = self._compared_before(place)
            column = self._column_ending(before) if before is not None else None
            if column is None and self._is_operator(place + 1, *_COMPARED):
                column = self._column_beginning(place + 2)
            if column is not None:
                yield self._parameter(place), column

    def counts(self) -> Iterator[int]:
        """Parameters of LIMIT and OFFSET."""
        for place in range(1, self.count):
            if self.kinds[place] == PARAMETER and self._is_word(place - 1, "limit", "offset"):
                yield self._parameter(place)

    def inserted(
        self, catalog: Catalog, namespace: str, rights: Rights
    ) -> Iterator[tuple[int, DataType | None]]:
        """(parameter, type) of those that are a whole value in the rows of INSERT … VALUES."""
        for place in range(self.count):
            if not (self._is_word(place, "insert") and self._is_word(place + 1, "into")):
                continue
            table = self._table(place + 2, catalog, namespace, rights)
            at = place + (5 if self._is_operator(place + 3, ".") else 3)
            if table is None:
                continue
            columns = [column.name for column in table.columns]
            if self._is_operator(at, "("):
                end = self._closing(at)
                columns = [str(self.values[one]) for one in range(at + 1, end, 2)]
                at = end + 1
            if self._is_word(at, "values"):
                types = {column.name: column.type for column in table.columns}
                for index, position in self._whole_values(at + 1):
                    if position < len(columns):
                        yield index, types.get(columns[position])

    def _whole_values(self, at: int) -> Iterator[tuple[int, int]]:
        """(parameter, position in its row) of VALUES' rows, which begin at a place."""
        while self._is_operator(at, "("):
            end, position, depth = self._closing(at), 0, 0
            for place in range(at + 1, end):
                if self._is_operator(place, "(", "["):
                    depth += 1
                elif self._is_operator(place, ")", "]"):
                    depth -= 1
                elif depth == 0 and self._is_operator(place, ","):
                    position += 1
                elif (
                    self.kinds[place] == PARAMETER
                    and depth == 0
                    and (place == at + 1 or self._is_operator(place - 1, ","))
                    and (place + 1 == end or self._is_operator(place + 1, ","))
                ):
                    yield self._parameter(place), position
            at = end + 2 if self._is_operator(end + 1, ",") else end + 1

    def _compared_before(self, place: int) -> int | None:
        """The place before the operator that compares what stands there with what is here."""
        if self._is_operator(place - 1, *_COMPARED):
            return place - 2
        if self._is_word(place - 1, "between"):
            return self._without_not(place - 2)
        if self._is_word(place - 1, "and") and self._is_word(place - 3, "between"):
            return self._without_not(place - 4)
        at = place - 1
        while self._is_operator(at, ",") and at > 1 and self.kinds[at - 1] not in (WORD, OPERATOR):
            at -= 2
        if self._is_operator(at, "(") and self._is_word(at - 1, "in"):
            return self._without_not(at - 2)
        return None

    def _without_not(self, place: int) -> int:
        return place - 1 if self._is_word(place, "not") else place

    def _column_ending(self, place: int) -> str | None:
        """The column that ends here. One that is part of a longer expression says nothing: `a + b = ?`."""
        if not self._is_name(place):
            return None
        start = place
        while self._is_operator(start - 1, ".") and self._is_name(start - 2):
            start -= 2
        before_is_operand = self.kinds[start - 1] == OPERATOR and not self._is_operator(start - 1, "(", ",")
        return None if start > 0 and before_is_operand else str(self.values[place])

    def _column_beginning(self, place: int) -> str | None:
        if not self._is_name(place):
            return None
        while self._is_operator(place + 1, ".") and self._is_name(place + 2):
            place += 2
        after = place + 1
        if (
            after < self.count
            and self.kinds[after] == OPERATOR
            and not self._is_operator(after, ")", ",", ";")
        ):
            return None
        return str(self.values[place])

    def _table(self, place: int, catalog: Catalog, namespace: str, rights: Rights) -> TableSchema | None:
        if not self._is_name(place):
            return None
        name = str(self.values[place])
        if self._is_operator(place + 1, ".") and self._is_name(place + 2):
            found = catalog.table(name, str(self.values[place + 2]))
        else:
            found = catalog.table(namespace, name)
        if found is None or not any(may(rights, one, found) for one in (Action.SELECT, Action.INSERT)):
            return None
        return found

    def _closing(self, place: int) -> int:
        """The parenthesis that closes the one here; the end of the text where none does."""
        depth = 0
        for at in range(place, self.count):
            if self._is_operator(at, "("):
                depth += 1
            elif self._is_operator(at, ")"):
                depth -= 1
                if depth == 0:
                    return at
        return self.count

    def _parameter(self, place: int) -> int:
        index = self.values[place]
        assert isinstance(index, int)
        return index

    def _is_name(self, place: int) -> bool:
        return 0 <= place < self.count and self.kinds[place] in (WORD, QUOTED)

    def _is_word(self, place: int, *words: str) -> bool:
        return 0 <= place < self.count and self.kinds[place] == WORD and self.values[place] in words

    def _is_operator(self, place: int, *operators: str) -> bool:
        return 0 <= place < self.count and self.kinds[place] == OPERATOR and self.values[place] in operators
