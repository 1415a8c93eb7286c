"""Queries made at random, in a text that three engines understand.

Every expression has a kind, so that no engine has to convert what another would not. What is said in different words
stands between marks, and `spoken` chooses the words of one engine. Where rows are cut by LIMIT they are ordered by all
that is shown, so that there is one right answer.

What is refused, for DataFusion would answer it wrongly (docs/sql.md), is drawn now and then, and goes on being refused.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

DIVIDED = "\x01"
"""Division of integers: `//` in DuckDB, where `/` answers a fraction."""

TABLES: dict[str, dict[str, str]] = {
    "t1": {"id": "I", "a": "I", "b": "I", "s": "T", "r": "R", "f": "B", "day": "D"},
    "t2": {"id": "I", "a": "I", "c": "I", "s": "T", "p": "N", "made": "M"},
    "t3": {"id": "T", "a": "I", "r": "R", "u": "T", "hour": "H", "f": "B"},
}
"""Columns and their kinds: Integer, Real, Text, Boolean, Date, Moment, Hour, decimal Number."""

INTEGERS = (-3, -1, 0, 1, 2, 3, 5, 7, 40)
REALS = (-1.5, -0.25, 0.0, 0.5, 1.0, 2.5, 7.75)
TEXTS = ("", "a", "ab", "abc", "b", "B", "ba", "x y", "a%", "zz")
DATES = ("1969-12-31", "2026-01-01", "2026-01-02", "2026-02-28")
MOMENTS = ("1969-12-31 23:59:59", "2026-01-01 00:00:00", "2026-01-02 03:04:05")
HOURS = ("00:00:00", "01:02:03", "23:59:59")
VALUES: dict[str, Sequence[object]] = {
    "I": INTEGERS, "R": REALS, "T": TEXTS, "B": (True, False), "D": DATES, "M": MOMENTS, "H": HOURS, "N": REALS,
}  # fmt: skip

_COMPARED = ("=", "=", "=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Column:
    """What can be named in an expression."""

    text: str
    kind: str


@dataclass(frozen=True)
class Drawn:
    """A query: its text with marks, the kinds of what it answers, whether its rows are in order."""

    text: str
    kinds: tuple[str, ...]
    ordered: bool = False

    def spoken(self, engine: str) -> str:
        """In the words of `sqlite`, `duckdb` or `kalamdb`."""
        return self.text.replace(DIVIDED, "//" if engine == "duckdb" else "/")


def draw(seed: str) -> Drawn:
    """The query of this seed."""
    return _Draft(random.Random(seed)).whole()


def rows(table: str, draw: random.Random, count: int) -> list[tuple[object, ...]]:
    """Rows for a table, keys each once, NULL in a fourth of all else."""
    columns = TABLES[table]
    keys: list[object] = (
        draw.sample([*range(-2, 20)], count)
        if columns["id"] == "I"
        else draw.sample([f"{text}{number}" for text in ("a", "b", "") for number in range(9)], count)
    )
    rest = list(columns.items())[1:]
    return [
        (key, *(None if draw.random() < 0.25 else draw.choice(VALUES[kind]) for _, kind in rest))
        for key in keys
    ]


class _Draft:
    """One query being written."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._aliases = 0

    # ---- whole queries

    def whole(self) -> Drawn:
        form = self._draw.random()
        if form < 0.12:
            return self._ordered(self._set_operation(2))
        if form < 0.24:
            return self._ordered(self._with())
        return self._ordered(self._select(2))

    def _ordered(self, query: Drawn) -> Drawn:
        """ORDER BY all that is shown, and LIMIT, now and then."""
        if not self._chance(40):
            return query
        # ORDER BY 1 where rows could be ordered by an expression of another name would not be the same everywhere.
        order = ", ".join(
            f"{place} {self._one(('ASC', 'DESC'))} NULLS {self._one(('FIRST', 'LAST'))}"
            for place in range(1, len(query.kinds) + 1)
        )
        text = f"{query.text} ORDER BY {order}"
        if self._chance(60):
            text += f" LIMIT {self._one((0, 1, 2, 3, 5, 10))}"
            if self._chance(40):
                text += f" OFFSET {self._one((0, 1, 2, 4))}"
        return Drawn(text, query.kinds, ordered=True)

    def _set_operation(self, depth: int) -> Drawn:
        kinds = [self._one(("I", "T", "R", "D")) for _ in range(self._one((1, 2, 3)))]
        word = self._one(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "UNION"))
        if self._chance(3):
            word = self._one(("INTERSECT ALL", "EXCEPT ALL"))
        left, right = (self._select(depth - 1, kinds) for _ in range(2))
        return Drawn(f"{left.text} {word} {right.text}", tuple(kinds))

    def _with(self) -> Drawn:
        inner = self._set_operation(1) if self._chance(30) else self._select(1)
        if self._chance(25):
            kinds = [self._one(("I", "T", "R")) for _ in range(self._one((1, 2)))]
            listed = ", ".join(
                f"({', '.join(self._literal(kind) if row else self._known(kind) for kind in kinds)})"
                for row in range(self._one((1, 2, 4)))
            )
            inner = Drawn(f"VALUES {listed}", tuple(kinds))
        name = self._alias("w")
        columns = [Column(f"c{number}", kind) for number, kind in enumerate(inner.kinds)]
        head = f"WITH {name}({', '.join(column.text for column in columns)}) AS ({inner.text}) "
        outer = self._select(1, source=(name, columns))
        return Drawn(head + outer.text, outer.kinds)

    def _select(
        self,
        depth: int,
        kinds: Sequence[str] | None = None,
        source: tuple[str, list[Column]] | None = None,
    ) -> Drawn:
        """SELECT … FROM … of these kinds, or of any."""
        text, scope = self._from(depth, source)
        where = f" WHERE {self.predicate(scope, depth + 1)}" if self._chance(65) else ""
        form = self._draw.random()
        if kinds is None and form < 0.30:
            return self._grouped(f"{text}{where}", scope, depth)
        if kinds is None and form < 0.42:
            return self._windowed(f"{text}{where}", scope)
        wanted = kinds or [self._any_kind(scope) for _ in range(self._one((1, 2, 3)))]
        items = [self._expression(kind, scope, depth) for kind in wanted]
        distinct = "DISTINCT " if self._chance(15) else ""
        listed = ", ".join(f"{item} AS x{number}" for number, item in enumerate(items))
        return Drawn(f"SELECT {distinct}{listed} FROM {text}{where}", tuple(wanted))

    def _grouped(self, text: str, scope: list[Column], depth: int) -> Drawn:
        """Aggregates, in groups or of all rows."""
        keys: list[tuple[str, str]] = []
        for _ in range(self._one((0, 1, 1, 1, 2))):
            column = self._one(scope)
            simple = self._chance(70) or column.kind not in "IT"
            keys.append((column.text if simple else self._expression(column.kind, scope, 1), column.kind))
        aggregates = [self._aggregate(scope) for _ in range(self._one((1, 1, 2, 3)))]
        items = [*keys, *aggregates]
        listed = ", ".join(f"{item} AS x{number}" for number, (item, _) in enumerate(items))
        query = f"SELECT {listed} FROM {text}"
        if keys:
            query += f" GROUP BY {', '.join(key for key, _ in keys)}"
        if keys and self._chance(30):
            having, kind = self._aggregate(scope)
            query += f" HAVING {having} {self._one(_COMPARED)} {self._known(kind)}"
        return Drawn(query, tuple(kind for _, kind in items))

    def _aggregate(self, scope: list[Column]) -> tuple[str, str]:
        column = self._one(scope)
        argument = column.text
        if column.kind == "I" and self._chance(30):
            argument = self._expression("I", scope, 1)
        distinct = "DISTINCT " if self._chance(15) else ""
        forms = [("count(*)", "I"), (f"count({distinct}{argument})", "I")]
        if column.kind in "IRN":
            forms.append((f"sum({distinct}{argument})", column.kind))
        if column.kind in "IR":
            # The average of decimals is a decimal of so many digits here, and a fraction elsewhere.
            forms.append((f"avg({argument})", "R"))
        if column.kind != "B":
            forms += [(f"min({argument})", column.kind), (f"max({argument})", column.kind)] * 2
        text, kind = self._one(forms)
        if self._chance(20):
            text += f" FILTER (WHERE {self.predicate(scope, 1)})"
        return text, kind

    def _windowed(self, text: str, scope: list[Column]) -> Drawn:
        """Window functions whose order is total, or that do not depend on what is equal in it."""
        items: list[tuple[str, str]] = [(column.text, column.kind) for column in scope[:2]]
        for _ in range(self._one((1, 2))):
            items.append(self._window(scope))
        listed = ", ".join(f"{item} AS x{number}" for number, (item, _) in enumerate(items))
        return Drawn(f"SELECT {listed} FROM {text}", tuple(kind for _, kind in items))

    def _window(self, scope: list[Column]) -> tuple[str, str]:
        argument, other = self._one(scope), self._one(scope)
        partition = f"PARTITION BY {other.text} " if self._chance(60) else ""
        total = "ORDER BY " + ", ".join(
            f"{column.text} {self._one(('ASC', 'DESC'))} NULLS {self._one(('FIRST', 'LAST'))}"
            for column in self._draw.sample(scope, len(scope))
        )
        by_one = f"ORDER BY {self._one(scope).text} NULLS {self._one(('FIRST', 'LAST'))}"
        frame = ""
        if self._chance(50):
            begins = self._one(("UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW"))
            ends = self._one(("UNBOUNDED FOLLOWING", "1 FOLLOWING", "CURRENT ROW"))
            frame = f" ROWS BETWEEN {begins} AND {ends}"
        forms = [
            (f"row_number() OVER ({partition}{total})", "I"),
            (f"rank() OVER ({partition}{by_one})", "I"),
            (f"dense_rank() OVER ({partition}{by_one})", "I"),
            (f"percent_rank() OVER ({partition}{by_one})", "R"),
            (f"cume_dist() OVER ({partition}{by_one})", "R"),
            (f"ntile({self._one((1, 2, 3))}) OVER ({partition}{total})", "I"),
            (f"lag({argument.text}) OVER ({partition}{total})", argument.kind),
            (f"lead({argument.text}, 2) OVER ({partition}{total})", argument.kind),
            (f"first_value({argument.text}) OVER ({partition}{total}{frame})", argument.kind),
            (f"last_value({argument.text}) OVER ({partition}{total}{frame})", argument.kind),
            (f"nth_value({argument.text}, 2) OVER ({partition}{total}{frame})", argument.kind),
            (f"count({argument.text}) OVER ({partition}{total}{frame})", "I"),
            (f"count(*) OVER ({partition}{by_one})", "I"),
            (f"count(*) OVER ({partition.strip()})", "I"),
        ]
        if argument.kind in "IRN":
            forms += [
                (f"sum({argument.text}) OVER ({partition}{total}{frame})", argument.kind),
                (f"sum({argument.text}) OVER ({partition}{by_one})", argument.kind),
            ]
        if argument.kind in "IR":
            forms.append((f"avg({argument.text}) OVER ({partition}{total}{frame})", "R"))
        if argument.kind != "B":
            forms += [
                (f"min({argument.text}) OVER ({partition}{total}{frame})", argument.kind),
                (f"max({argument.text}) OVER ({partition}{by_one})", argument.kind),
            ]
        return self._one(forms)

    # ---- FROM

    def _from(self, depth: int, source: tuple[str, list[Column]] | None) -> tuple[str, list[Column]]:
        text, scope = self._source(depth, source)
        for _ in range(self._one((0, 0, 1, 1, 2)) if depth else self._one((0, 0, 0, 1))):
            joined, columns = self._source(depth - 1, None)
            kind = self._one(
                ("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",")
            )
            if kind in ("CROSS JOIN", ","):
                # A comma binds less than JOIN does; so none comes after it.
                text, scope = f"{text} CROSS JOIN {joined}", scope + columns
                continue
            text += f" {kind} {joined} ON {self._condition(scope, columns)}"
            scope = scope + columns
        return text, scope

    def _source(self, depth: int, source: tuple[str, list[Column]] | None) -> tuple[str, list[Column]]:
        alias = self._alias("a")
        if source is not None:
            name, columns = source
            return f"{name} AS {alias}", [Column(f"{alias}.{column.text}", column.kind) for column in columns]
        if depth > 0 and self._chance(20):
            inner = self._set_operation(1) if self._chance(25) else self._select(depth - 1)
            columns = [Column(f"{alias}.x{number}", kind) for number, kind in enumerate(inner.kinds)]
            return f"({self._ordered_limit(inner)}) AS {alias}", columns
        name = self._one(list(TABLES))
        return f"{name} AS {alias}", [
            Column(f"{alias}.{column}", kind) for column, kind in TABLES[name].items()
        ]

    def _ordered_limit(self, inner: Drawn) -> str:
        return self._ordered(inner).text if self._chance(20) else inner.text

    def _condition(self, left: list[Column], right: list[Column]) -> str:
        """ON: an equality of both sides, mostly, and more."""
        pairs = [
            (one, other) for one in left for other in right if one.kind == other.kind and one.kind in "IT"
        ]
        parts = []
        if pairs and self._chance(92):
            one, other = self._one(pairs)
            parts.append(f"{one.text} = {other.text}")
        if not parts or self._chance(30):
            parts.append(self.predicate(self._one((left + right, left, right)), 1))
        return " AND ".join(parts)

    # ---- predicates

    def predicate(self, scope: list[Column], depth: int) -> str:
        """TRUE, FALSE or NULL of a row."""
        form = self._draw.random()
        if depth > 0 and form < 0.30:
            parts = [self.predicate(scope, depth - 1) for _ in range(self._one((2, 2, 3)))]
            return f"({self._one((' AND ', ' OR ')).join(parts)})"
        if depth > 0 and form < 0.38:
            return f"NOT ({self.predicate(scope, depth - 1)})"
        if depth > 1 and form < 0.50:
            return self._subquery_predicate(scope)
        column = self._one(scope)
        kind, not_ = column.kind, self._one(("", "", "NOT "))
        subject = column.text if self._chance(65) else self._expression(kind, scope, depth - 1)
        form = self._draw.random()
        if form < 0.14:
            return f"{subject} IS {not_}NULL"
        if kind == "B":
            return self._one((f"{not_}{subject}", f"({subject} = {self._operand('B', scope, 0)})"))
        if form < 0.34:
            count = self._one((1, 2, 3, 5))
            values = ", ".join(self._operand(kind, scope, 0) for _ in range(count))
            return f"{subject} {not_}IN ({values})"
        if form < 0.46:
            low, high = self._operand(kind, scope, 0), self._operand(kind, scope, 0)
            return f"{subject} {not_}BETWEEN {low} AND {high}"
        if form < 0.54 and kind == "T":
            pattern = self._one(("'a%'", "'%b'", "'_'", "'%'", "'a_c'", "''"))
            return f"{subject} {not_}LIKE {pattern}"
        if form < 0.64:
            return f"{subject} IS {not_}DISTINCT FROM {self._operand(kind, scope, 0)}"
        return f"{subject} {self._one(_COMPARED)} {self._operand(kind, scope, depth - 1)}"

    def _subquery_predicate(self, scope: list[Column]) -> str:
        text, inner = self._source(0, None)
        not_ = self._one(("", "NOT "))
        where = f" WHERE {self.predicate(inner, 1)}" if self._chance(50) else ""
        outer, candidates = self._matching(scope, inner)
        if candidates and self._chance(70):
            link = f"{outer.text} = {self._one(candidates).text}"
            where = f"{where} AND {link}" if where else f" WHERE {link}"
            if " OR " in where and not where.startswith(" WHERE ("):
                where = f" WHERE {link}"
        columns = [column for column in inner if column.kind == outer.kind]
        if columns and self._chance(50):
            # A subquery that names a column of the query around it is refused beside NOT.
            alone = "" if self._chance(95) else where
            return f"{outer.text} {not_}IN (SELECT {self._one(columns).text} FROM {text}{alone})"
        return f"{not_}EXISTS (SELECT 1 FROM {text}{where})"

    def _matching(self, scope: list[Column], inner: list[Column]) -> tuple[Column, list[Column]]:
        outer = self._one([column for column in scope if column.kind in "IT"] or scope)
        return outer, [column for column in inner if column.kind == outer.kind]

    # ---- expressions

    def _expression(self, kind: str, scope: list[Column], depth: int) -> str:
        if depth <= 0 or self._chance(45):
            return self._operand(kind, scope, 0)
        form = self._draw.random()
        if form < 0.2:
            return self._case(kind, scope, depth)
        if form < 0.3:
            parts = [self._expression(kind, scope, depth - 1) for _ in range(self._one((2, 3)))]
            return f"COALESCE({', '.join(parts)})"
        if form < 0.36 and kind != "B":
            return f"NULLIF({self._expression(kind, scope, depth - 1)}, {self._operand(kind, scope, 0)})"
        if form < 0.42 and depth > 1 and kind in "ITR":
            return self._scalar_subquery(kind, scope)
        if kind == "I":
            return self._integer(scope, depth)
        if kind == "R":
            return self._real(scope, depth)
        if kind == "T":
            return self._text(scope, depth)
        if kind == "B":
            return f"({self.predicate(scope, depth - 1)})"
        return self._operand(kind, scope, 0)

    def _integer(self, scope: list[Column], depth: int) -> str:
        one, other = (self._expression("I", scope, depth - 1) for _ in range(2))
        return self._one(
            (
                f"({one} + {other})",
                f"({one} - {other})",
                f"({one} * {self._one((2, 3, -1))})",
                f"({one} {DIVIDED} NULLIF({other}, 0))",
                f"({one} % NULLIF({other}, 0))",
                f"abs({one})",
                f"(- {one})",
                f"length({self._expression('T', scope, depth - 1)})",
                f"CAST({self._expression('B', scope, depth - 1)} AS INT)",
            )
        )

    def _real(self, scope: list[Column], depth: int) -> str:
        one = self._expression("R", scope, depth - 1)
        return self._one(
            (
                f"({one} + {self._expression('R', scope, depth - 1)})",
                f"({one} - {self._operand('I', scope, 0)})",
                f"({one} * {self._one((2, 0.5, -1.0))} + 0.0)",
                f"({one} / NULLIF({self._operand('R', scope, 0)}, 0.0) + 0.0)",
                f"abs({one})",
                f"(round({one}) + 0.0)",
                f"CAST({self._expression('I', scope, depth - 1)} AS DOUBLE PRECISION)",
            )
        )

    def _text(self, scope: list[Column], depth: int) -> str:
        one = self._expression("T", scope, depth - 1)
        return self._one(
            (
                f"({one} || {self._expression('T', scope, depth - 1)})",
                f"upper({one})",
                f"lower({one})",
                f"trim({one})",
                f"substr({one}, {self._one((1, 2, 3))}, {self._one((0, 1, 2))})",
                f"replace({one}, 'a', 'oo')",
                f"CAST({self._expression('I', scope, depth - 1)} AS VARCHAR)",
            )
        )

    def _case(self, kind: str, scope: list[Column], depth: int) -> str:
        value = self._expression(kind, scope, depth - 1)
        otherwise = f" ELSE {self._expression(kind, scope, depth - 1)}" if self._chance(70) else ""
        column = self._one(scope)
        if self._chance(30) and column.kind != "B":
            arms = " ".join(
                f"WHEN {self._operand(column.kind, scope, 0)} THEN {self._operand(kind, scope, 0)}"
                for _ in range(self._one((1, 2)))
            )
            return f"CASE {column.text} {arms}{otherwise or f' ELSE {value}'} END"
        arms = "".join(
            f" WHEN {self.predicate(scope, depth - 1)} THEN {self._operand(kind, scope, 0)}"
            for _ in range(self._one((0, 1)))
        )
        return f"CASE WHEN {self.predicate(scope, depth - 1)} THEN {value}{arms}{otherwise} END"

    def _scalar_subquery(self, kind: str, scope: list[Column]) -> str:
        text, inner = self._source(0, None)
        column = self._one([column for column in inner if column.kind == kind] or inner)
        name = self._one(("min", "max")) if column.kind == kind else "count"
        if name == "count" and kind != "I":
            return self._operand(kind, scope, 0)
        outer, candidates = self._matching(scope, inner)
        where = (
            f" WHERE {self._one(candidates).text} = {outer.text}" if candidates and self._chance(60) else ""
        )
        return f"(SELECT {name}({column.text}) FROM {text}{where})"

    def _operand(self, kind: str, scope: list[Column], depth: int) -> str:
        if depth > 0:
            return self._expression(kind, scope, depth)
        columns = [column.text for column in scope if column.kind == kind]
        return self._one(columns) if columns and self._chance(60) else self._literal(kind)

    def _literal(self, kind: str) -> str:
        return f"CAST(NULL AS {_TYPES[kind]})" if self._chance(6) else self._known(kind)

    def _known(self, kind: str) -> str:
        value = self._one(VALUES[kind])
        if isinstance(value, bool):
            return str(value).upper()
        return f"'{value}'" if isinstance(value, str) else f"{value}"

    # ---- chance

    def _any_kind(self, scope: list[Column]) -> str:
        return self._one(scope).kind

    def _alias(self, letter: str) -> str:
        self._aliases += 1
        return f"{letter}{self._aliases}"

    def _chance(self, percent: int) -> bool:
        return self._draw.random() * 100 < percent

    def _one(self, options: Sequence[T]) -> T:
        return self._draw.choice(options)


_TYPES = {
    "I": "BIGINT", "R": "DOUBLE PRECISION", "T": "VARCHAR", "B": "BOOLEAN", "D": "DATE", "M": "TIMESTAMP", "H": "TIME",
    "N": "DECIMAL(10,2)",
}  # fmt: skip
