"""One statement's text to its tree, and the trees that are kept.

A statement is read by the scanner first, which lifts literals out of it. Statements that differ in nothing
but those literals share one tree, found by their shape. Where the tree depends on a literal, or keeps a
piece of the text, it is found by the text itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalamcore import statements
from kalamcore.errors import InvalidTextError, LimitExceededError
from kalamdb.errors import (
    EmptyStatement,
    InvalidDefinition,
    InvalidName,
    InvalidSyntax,
    ProgrammingError,
    StatementTooLarge,
)
from kalamdb.sql.availability import check_available
from kalamdb.sql.execute_as import ExecuteAs, execute_as
from kalamdb.sql.query import Query
from kalamdb.sql.rules import NeedsText, RawToken, Reading
from kalamdb.sql.syntax_errors import located, may_hold_secret, syntax_error

if TYPE_CHECKING:
    # Classes are costly to make, so each family of trees is loaded with the grammar, at the first text that needs it.
    from kalamcore.statements import Scan
    from kalamdb.sql.backup import Backup, EraseUserData, ExportUserData, Restore
    from kalamdb.sql.ddl import (
        AlterNamespace,
        AlterTable,
        CreateNamespace,
        CreateTable,
        CreateView,
        DropNamespace,
        DropTable,
        DropView,
        UseNamespace,
    )
    from kalamdb.sql.dml import Condition, Delete, Insert, Update
    from kalamdb.sql.expressions import Expression
    from kalamdb.sql.jobs import (
        Checkpoint,
        CompactAll,
        CompactTable,
        FlushAll,
        FlushTable,
        KillJob,
        ShowJobs,
    )
    from kalamdb.sql.live import KillLiveQuery
    from kalamdb.sql.query import Explain, SimpleQuery
    from kalamdb.sql.show import DescribeTable, ShowNamespaces, ShowStats, ShowTables
    from kalamdb.sql.storage import AlterStorage, CheckStorage, CreateStorage, DropStorage, ShowStorages
    from kalamdb.sql.transaction import Begin, Commit, Rollback
    from kalamdb.sql.users import AlterUser, CreateUser, DropUser, Grant, Revoke, ShowUsers

    Statement = (
        AlterNamespace
        | AlterTable
        | CreateNamespace
        | CreateTable
        | CreateView
        | DropNamespace
        | DropTable
        | DropView
        | UseNamespace
        | Delete
        | Insert
        | Update
        | Explain
        | Query
        | DescribeTable
        | ShowNamespaces
        | ShowStats
        | ShowTables
        | AlterStorage
        | CheckStorage
        | CreateStorage
        | DropStorage
        | ShowStorages
        | Backup
        | EraseUserData
        | ExportUserData
        | Restore
        | Begin
        | Commit
        | Rollback
        | Checkpoint
        | CompactAll
        | CompactTable
        | FlushAll
        | FlushTable
        | KillJob
        | ShowJobs
        | KillLiveQuery
        | AlterUser
        | CreateUser
        | DropUser
        | Grant
        | Revoke
        | ShowUsers
        | ExecuteAs
    )

# Trees of longer texts are not kept under their text.
_KEPT_TEXT_CHARACTERS_MAX = 20_000
_KEPT_TOKENS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement, and what was lifted out of its text.

    `statement` may be shared by many texts; `literals` fill its Lifted nodes, and `rows` are the rows of an
    Insert whose source is LiteralRows.
    """

    statement: Statement
    literals: Sequence[object]
    rows: Sequence[tuple[object, ...]] | None
    scan: Scan | None = None
    starts: tuple[int, ...] | None = None
    """Where the tokens of the text began that the tree was made from; None if that was this text."""

    def locate(self, position: int | None) -> int | None:
        """Where in this statement's text the thing is that a node's `position` names: a shared tree knows the
        positions of the text that it was made from. None where that cannot be told."""
        if position is None or self.starts is None:
            return position
        if position not in self.starts or self.scan is None:
            return None
        token = self.starts.index(position)
        tokens = self.scan.tokens
        if self.rows is None or token < _rows_at(tokens):
            return tokens[token][1] if token < len(tokens) else None
        behind = len(self.starts) - token
        return tokens[-behind][1] if behind <= len(tokens) else None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tree by shape. `statement` is None where only the text decides."""

    statement: Statement | None
    starts: tuple[int, ...]


class StatementCache:
    """Parsed statements, the `size` most recently used by shape and as many by text. Thread-safe."""

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._by_shape: dict[str, _Kept] = {}
        self._by_text: dict[str, Statement] = {}
        self._simple_by_shape: dict[str, SimpleQuery | None] = {}
        self._simple_by_text: dict[str, SimpleQuery] = {}
        self.simple_of_text = self._simple_by_text.get
        self._lock = threading.Lock()

    def parse(self, scan: Scan, sql: str) -> ParsedStatement:
        """The statement, from here or from the grammar. Raises what `parse` raises."""
        if scan.kind in _QUERIES:
            return ParsedStatement(_query(scan, sql), (), None, scan)
        if scan.kind == "EXECUTE" and (inner := execute_as(scan, sql)) is not None:
            return ParsedStatement(inner, (), None, scan)
        shape = scan.shape
        with self._lock:
            kept = _touched(self._by_shape, shape)
            statement = _touched(self._by_text, sql) if kept is None or kept.statement is None else None
        if kept is not None and kept.statement is not None:
            return ParsedStatement(kept.statement, scan.literals, scan.rows, scan, kept.starts)
        if statement is not None:
            return ParsedStatement(statement, (), scan.rows, scan)
        if kept is None and (statement := _read_without_rows(scan, sql)) is not None:
            self._keep(self._by_shape, shape, _Kept(statement, ()))
            return ParsedStatement(statement, scan.literals, scan.rows, scan, ())
        statement, by_shape = _read(scan, sql, lift=kept is None)
        if by_shape:
            self._keep(self._by_shape, shape, _Kept(statement, _starts(scan)))
            return ParsedStatement(statement, scan.literals, scan.rows, scan)
        if len(sql) <= _KEPT_TEXT_CHARACTERS_MAX and not may_hold_secret(scan.tokens):
            self._keep(self._by_text, sql, statement)
            if scan.kind in _LIFTING:
                self._keep(self._by_shape, shape, _Kept(None, ()))
        return ParsedStatement(statement, (), scan.rows, scan)

    def simple(self, scan: Scan, sql: str) -> SimpleQuery | None:
        """The tree, if the statement may be answered without the query engine; from here or read anew."""
        shape = scan.shape
        try:
            found = self._simple_by_shape[shape]
        except KeyError:
            from kalamdb.sql.simple_select import recognise

            found = recognise(scan, sql)
            self._keep(self._simple_by_shape, shape, found)
        if found is None:
            return None
        if not found.stands_for(sql):
            from kalamdb.sql.simple_select import recognise

            return recognise(scan, sql)
        if not found.literals and len(sql) <= _KEPT_TEXT_CHARACTERS_MAX:
            self._keep(self._simple_by_text, sql, found)
        return found

    def _keep(self, kept: dict[str, Any], key: str, value: object) -> None:
        with self._lock:
            kept[key] = value
            while len(kept) > self._size:
                del kept[next(iter(kept))]

    def __len__(self) -> int:
        return len(self._by_shape) + len(self._by_text)


def _touched(kept: dict[str, Any], key: str) -> Any:
    """The value, moved to the end that is forgotten last."""
    value = kept.pop(key, None)
    if value is not None:
        kept[key] = value
    return value


_shared = StatementCache()


def scan_statement(sql: str, **limits: int) -> Scan:
    """Read one statement's tokens. Raises InvalidSyntax, and StatementTooLarge beyond a limit."""
    try:
        return statements.scan(sql, **limits)
    except LimitExceededError as error:
        raise StatementTooLarge(str(error), position=error.position) from None
    except InvalidTextError as error:
        raise _invalid_text(error, sql) from None
    except UnicodeEncodeError as error:
        raise _not_unicode(error, sql) from None


def split_statements(sql: str) -> list[str]:
    """The statements of a batch, without their `;`. Raises as `scan_statement`."""
    try:
        return [sql[start:end] for start, end in statements.split(sql)]
    except LimitExceededError as error:
        raise StatementTooLarge(str(error), position=error.position) from None
    except InvalidTextError as error:
        raise _invalid_text(error, sql) from None
    except UnicodeEncodeError as error:
        raise _not_unicode(error, sql) from None


def _invalid_text(error: InvalidTextError, sql: str) -> ProgrammingError:
    if sql.startswith('""', error.position):
        return InvalidName("a quoted name is empty; put a name between the quotes", position=error.position)
    return located(InvalidSyntax(str(error), position=error.position), sql)


def _not_unicode(error: UnicodeEncodeError, sql: str) -> ProgrammingError:
    return located(
        InvalidSyntax(
            "the text has a lone surrogate, which is no character; remove it", position=error.start
        ),
        sql,
    )


def parse(scan: Scan, sql: str, cache: StatementCache | None = None) -> ParsedStatement:
    """The tree of one statement, which was scanned before.

    Raises InvalidSyntax (with position), EmptyStatement, NotSupportedError for statements that are not
    offered, and InvalidName, InvalidDefinition, DuplicateObject where a statement contradicts itself.
    """
    return (_shared if cache is None else cache).parse(scan, sql)


simple_of_text = _shared.simple_of_text
"""The tree of a simple SELECT without literals, where this very text was met before; else None."""


def simple_select(scan: Scan, sql: str) -> SimpleQuery | None:
    """The tree, if the statement is a simple SELECT (kalamdb.sql.simple_select)."""
    return _shared.simple(scan, sql)


_QUERIES = frozenset({"SELECT", "WITH", "VALUES"})


def _query(scan: Scan, sql: str) -> Query:
    """A query is text: nothing of it is parsed here."""
    if "?" not in sql and ";" not in sql:
        return Query(sql)
    tokens = scan.tokens
    return Query(Reading(sql, tokens).source(tokens[0][1], tokens[-1][2]))


_LIFTING = frozenset({"INSERT", "UPDATE", "DELETE"})
_reading_lock = threading.Lock()


def _read(scan: Scan, sql: str, lift: bool) -> tuple[Statement, bool]:
    """The tree, and whether it stands for every statement of the same shape."""
    tokens = scan.tokens
    if not tokens:
        raise EmptyStatement("there is no statement in the text")
    check_available(tokens)
    lifted = lifted_literals(scan, sql, tokens) if lift and scan.kind in _LIFTING else None
    if lifted is not None:
        try:
            return _read_tokens(sql, tokens, lifted, scan.rows is not None), True
        except NeedsText:
            pass
    return _read_tokens(sql, tokens, {}, scan.rows is not None), False


def parse_expression(sql: str) -> Expression:
    """One expression on its own, such as a column's DEFAULT, with its literals in it. Raises as `parse`."""
    tokens = scan_statement(sql).tokens
    if not tokens:
        raise EmptyStatement("there is no expression in the text")
    expression: Expression = _read_tokens(sql, tokens, {}, False, start="condition")
    return expression


def _read_tokens(
    sql: str,
    tokens: Sequence[RawToken],
    lifted: Mapping[int, int],
    literal_rows: bool,
    start: str = "statement",
) -> Any:
    from lark.exceptions import UnexpectedInput

    from kalamdb.sql.dml import Condition
    from kalamdb.sql.expressions import Opaque, walk
    from kalamdb.sql.grammar import grammar

    with _reading_lock:
        rules, parser = grammar().rules, grammar().parser

        def read_condition(outer: Reading, at: int, stop: int) -> Condition:
            """What stands after WHERE, read a second time; what the grammar cannot read is left to
            DataFusion."""
            inner_lifted = {index - at: literal for index, literal in lifted.items() if at <= index < stop}
            rules.reading = Reading(sql, tokens[at:stop], inner_lifted)
            expression: Expression | None
            try:
                expression = parser.parse(rules.reading, start="condition")  # type: ignore[assignment]
            except (UnexpectedInput, InvalidDefinition, InvalidSyntax):
                expression = None
            finally:
                rules.reading = outer
            if not lifted:
                return Condition(expression, outer.source(tokens[at][1], tokens[stop - 1][2]))
            # The text has literals in it, so a tree that needs the text cannot be shared.
            if expression is None or any(isinstance(node, Opaque) for node in walk(expression)):
                raise NeedsText
            return Condition(expression, None)

        rules.reading = Reading(sql, tokens, lifted, literal_rows, read_condition)
        try:
            return parser.parse(rules.reading, start=start)
        except UnexpectedInput as error:
            unread = syntax_error(error, sql, tokens)
        except ProgrammingError as error:
            raise located(error, sql) from None
        finally:
            del rules.reading
        # Not while the parser's own error is at hand, whose text would be kept as the context of ours.
        raise unread


def lifted_literals(scan: Scan, sql: str, tokens: Sequence[RawToken]) -> dict[int, int] | None:
    """Which token is which lifted literal, read off the shape; None where the tree must be found by its text:
    literals in what is kept as text, or queries inside."""
    words = {token[3] for token in tokens if token[0] == statements.WORD}
    if words & {"select", "with"} or (scan.rows is None and scan.kind != "INSERT" and "values" in words):
        return None
    shape = scan.shape
    lifted: dict[int, int] = {}
    at = index = 0
    returning = False
    while index < len(tokens):
        kind, start, end, value = tokens[index]
        while shape.startswith(" ", at):
            at += 1
        if shape.startswith("\x02", at):
            at += 1
            index = _behind_rows(tokens, index)
            continue
        if shape.startswith("\x01", at):
            if returning:
                return None
            lifted[index] = len(lifted)
            at += 2
        elif kind == statements.PARAMETER:
            at += 1 if sql[start] == "?" else 1 + len(str(value + 1))
        else:
            returning = returning or (kind == statements.WORD and value == "returning")
            at += end - start
        index += 1
    if at != len(shape) or len(lifted) != len(scan.literals):
        return None
    return lifted


def _rows_at(tokens: Sequence[RawToken]) -> int:
    """The token after VALUES."""
    for index, token in enumerate(tokens):
        if token[0] == statements.WORD and token[3] == "values" and index > 2:
            return index + 1
    return len(tokens)


def _behind_rows(tokens: Sequence[RawToken], at: int) -> int:
    """The token behind the rows of VALUES that begin at `at`; `at` itself where the scanner left them out."""
    from kalamdb.sql.lexer import rows_end

    if tokens[at][0] == statements.OPERATOR and tokens[at][3] == "(":
        return rows_end(tokens, at)
    return at


def _starts(scan: Scan) -> tuple[int, ...]:
    """Where the tokens begin; nothing when there are very many, which would take more room than the tree."""
    tokens = scan.tokens
    return tuple(token[1] for token in tokens) if len(tokens) <= _KEPT_TOKENS_MAX else ()


def _read_without_rows(scan: Scan, sql: str) -> Statement | None:
    """The tree of a long INSERT of literal rows, from its shape with one short row in it: the tokens of a
    million cells are never made. None where it must be read in full."""
    if scan.rows is None or len(sql) <= _KEPT_TEXT_CHARACTERS_MAX:
        return None
    head, _, tail = scan.shape.partition("\x02")
    if not head.endswith("values ") or "'" in tail or '"' in tail or "returning" in tail:
        return None
    for letter, stand_in in (
        ("i", "0"),
        ("I", "9" * 20),
        ("n", "0.5"),
        ("e", "1e1"),
        ("s", "''"),
        ("b", "X''"),
    ):
        tail = tail.replace("\x01" + letter, stand_in)
    text = f"{head}(0){tail}"
    try:
        short = scan_statement(text)
        statement, by_shape = _read(short, text, lift=True)
    except ProgrammingError:
        # Told about the text as it was written.
        return None
    return statement if by_shape and len(short.literals) == len(scan.literals) else None
