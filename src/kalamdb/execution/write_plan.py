"""The short way of plain writes: INSERT … VALUES, and UPDATE and DELETE of one row by its key.

Such a statement becomes a plan of the core once, which then goes from values to the log in one native pass. What a
plan does not know it leaves alone, and what it meets on its way that is not plain (a value that does not fit, a key
that is taken, a row that changed meanwhile) it gives up without a trace: the general way of kalamdb.execution.dml then
runs the statement anew, and says what there is to say.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamdb.errors import Error

if TYPE_CHECKING:
    from kalamcore.statements import Scan
    from kalamcore.store import Transaction
    from kalamcore.write_plan import ChangePlan, InsertPlan
    from kalamdb.auth import Rights
    from kalamdb.catalog.catalog import Catalog
    from kalamdb.database import Database
    from kalamdb.execution.transaction import OpenTransaction
    from kalamdb.result import Result
    from kalamdb.session import Session

PLANS_MAX = 1024
TEXT_CHARACTERS_MAX = 20_000
WORDS = frozenset({"insert", "update", "delete"})
"""How the statements begin that may have a plan."""

_NOT_PLAIN = (
    core.ValueMismatchError,
    core.ValueOutOfRangeError,
    core.NullValueError,
    core.DuplicateKeyError,
    core.WriteConflictError,
    core.ColdMissError,
    Error,
)


class WritePlan:
    """One statement as who has these rights runs it in one namespace, as long as the catalog is the same.

    `inserts` or `changes` is the core's plan; neither where the statement is for the general way.
    """

    __slots__ = (
        "catalog",
        "changes",
        "inserts",
        "literal_rows",
        "namespace",
        "rights",
        "statement",
    )

    def __init__(self, statement: Any, catalog: Catalog, namespace: str, rights: Rights) -> None:
        self.statement = statement
        self.catalog = catalog
        self.namespace = namespace
        self.rights = rights
        self.inserts: InsertPlan[Result] | None = None
        self.changes: ChangePlan[Result] | None = None
        self.literal_rows = False
        """Whether its values are the rows that the scanner read."""


class WritePlans:
    """The plans of one database, for any thread. A look-up takes no lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.by_text: dict[str, WritePlan] = {}
        """Of statements without literals, by their very text."""
        self.by_shape: dict[str, WritePlan] = {}
        """Of all, by the scanner's shape."""
        self._of_others: dict[tuple[str, str, Rights], WritePlan] = {}

    def find(self, sql: str, scan: Scan) -> WritePlan | None:
        """The plan of a text that was not met before, if one of its shape was."""
        shape = scan.shape
        plan = self.by_shape.get(shape)
        if plan is not None and _has_no_literals(shape) and len(sql) <= TEXT_CHARACTERS_MAX:
            _remember(self.by_text, sql, plan)
        return plan

    def of(self, session: Session, sql: str, scan: Scan, statement: Any) -> WritePlan:
        """The plan, made now where there is none, and found from now on."""
        plan = self.find(sql, scan)
        if plan is None:
            plan = self._made(session, statement)
            _remember(self.by_shape, scan.shape, plan)
        return plan

    def fresh(self, plan: WritePlan, session: Session, shape: str) -> WritePlan:
        """The plan of the same statement for this session and this moment."""
        key = (shape, session.namespace, session.rights)
        found = self._of_others.get(key)
        if (
            found is not None
            and found.catalog is self._database._catalog
            and found.statement is plan.statement
        ):
            return found
        made = self._made(session, plan.statement)
        _remember(self._of_others, key, made)
        return made

    def _made(self, session: Session, statement: Any) -> WritePlan:
        from kalamdb.execution import write_planning

        database = self._database
        plan = WritePlan(statement, database._catalog, session.namespace, session.rights)
        try:
            write_planning.fill(plan, statement, database, session.context())
        except Error:
            # The general way says what is wrong.
            plan.inserts = plan.changes = None
        return plan


def _has_no_literals(shape: str) -> bool:
    return "\x01" not in shape and "\x02" not in shape


def _remember(kept: dict[Any, WritePlan], key: Any, plan: WritePlan) -> None:
    if len(kept) >= PLANS_MAX:
        kept.clear()
    kept[key] = plan


def run(
    plan: WritePlan,
    session: Session,
    parameters: Sequence[Any] | None,
    scan: Scan | None,
    started: int,
    shape: str,
) -> Result | None:
    """The statement's result; None where the general way is to run it. In a transaction the rows go to that.

    `scan`: the text, where its literals are needed. `shape`: what tells the statement from others.
    """
    if session._transaction is None:
        return _run(plan, session, parameters, scan, started, shape, None)
    with _inside(session) as transaction:
        if transaction is None:
            return None
        return _run(plan, session, parameters, scan, started, shape, transaction)


def insert_many(
    plan: WritePlan, session: Session, rows: Sequence[Any], started: int, shape: str
) -> Result | None:
    """The statement once for every row of parameters, in one commit; None where the general way is to run it."""
    if session._transaction is None:
        return _insert_many(plan, session, rows, started, shape, None)
    with _inside(session) as transaction:
        if transaction is None:
            return None
        return _insert_many(plan, session, rows, started, shape, transaction)


class _inside:  # noqa: N801 a context manager, and three times as quick as one made of a generator
    """The session's open transaction, its own while the block runs; None where its catalog is not the newest, by which
    plans are made, or another thread has just ended it. Raises InvalidTransactionState where it was idle for too long.
    """

    __slots__ = ("open", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.open: OpenTransaction | None = None

    def __enter__(self) -> Transaction | None:
        session = self.session
        session._lock.acquire()
        try:
            found = session._open_transaction()
        except BaseException:
            session._lock.release()
            raise
        if found is None or found.catalog is not session._database._catalog:
            return None
        self.open = found
        return found.rows

    def __exit__(self, *error: object) -> None:
        if self.open is not None:
            self.open.used_at = time.monotonic()
        self.session._lock.release()


def _standing(plan: WritePlan, session: Session, shape: str) -> WritePlan:
    """The plan, or the one that stands for it in this session and by the newest catalog."""
    database = session._database
    database.writes_left -= 1
    if database.writes_left < 0:
        database.wrote(0)
    if (
        plan.catalog is not database._catalog
        or plan.rights is not session.rights
        or plan.namespace != session.namespace
    ):
        return database.write_plans.fresh(plan, session, shape)
    return plan


def _run(
    plan: WritePlan,
    session: Session,
    parameters: Sequence[Any] | None,
    scan: Scan | None,
    started: int,
    shape: str,
    transaction: Transaction | None,
) -> Result | None:
    plan = _standing(plan, session, shape)
    values = () if parameters is None else parameters
    user, sync = session.user, session._sync
    try:
        if plan.inserts is not None:
            if not plan.literal_rows:
                literals = () if scan is None else scan.literals
                return plan.inserts.run(values, literals, user, sync, started, transaction)
            rows = None if parameters or scan is None else scan.rows
            return None if rows is None else plan.inserts.run_many(rows, user, sync, started, transaction)
        if plan.changes is not None:
            literals = () if scan is None else scan.literals
            return plan.changes.run(values, literals, user, sync, started, transaction)
    except _NOT_PLAIN:
        pass
    except core.CoreError as error:
        if isinstance(error, core.CorruptionError) and plan.catalog is not session._database._catalog:
            # The table was changed meanwhile, and the row is of a version that the plan cannot read.
            return None
        from kalamdb.engine.core_errors import translated

        raise translated(error) from error
    return None


def _insert_many(
    plan: WritePlan,
    session: Session,
    rows: Sequence[Any],
    started: int,
    shape: str,
    transaction: Transaction | None,
) -> Result | None:
    plan = _standing(plan, session, shape)
    if transaction is None:
        session._database.wrote(len(rows))
    if plan.inserts is None or plan.literal_rows:
        return None
    try:
        return plan.inserts.run_many(rows, session.user, session._sync, started, transaction)
    except _NOT_PLAIN:
        return None
    except core.CoreError as error:
        from kalamdb.engine.core_errors import translated

        raise translated(error) from error
