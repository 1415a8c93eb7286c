"""A session: one user's conversation with the database, and the only road to rows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from kalamcore import errors as core
from kalamcore.statements import Scan
from kalamdb import interrupts
from kalamdb.auth import ACTS_AS, Rights, Role
from kalamdb.auth.account import check_user_name, shown_user
from kalamdb.auth.audit import DENIED, SUCCESS, AuditEntry
from kalamdb.engine.core_errors import translated
from kalamdb.errors import (
    AccessDenied,
    Error,
    InvalidName,
    InvalidParameter,
    InvalidSetting,
    InvalidTransactionState,
    ParametersWithBatch,
    SerializationFailure,
    UndefinedTable,
)
from kalamdb.execution import simple_select, write_plan
from kalamdb.execution.audited import entry_of, entry_of_reading, is_audited
from kalamdb.execution.context import Context
from kalamdb.execution.execute import authorize_beforehand, changes_what_exists, execute
from kalamdb.execution.transaction import OpenTransaction, snapshot_gone
from kalamdb.functions.registry import FunctionContext
from kalamdb.result import Result
from kalamdb.sql.execute_as import ExecuteAs
from kalamdb.sql.parser import (
    ParsedStatement,
    parse,
    scan_statement,
    simple_of_text,
    split_statements,
)
from kalamdb.sql.parser import simple_select as find_simple_select
from kalamdb.sql.query import SimpleQuery, SimpleSelect

if TYPE_CHECKING:
    import pyarrow as pa

    from kalamcore.changes import Waker
    from kalamdb.catalog.catalog import Catalog
    from kalamdb.database import Database
    from kalamdb.live import LiveQuery, Subscription
    from kalamdb.types import DataType

Listening = TypeVar("Listening")

RETRIES_MAX = 10_000
QUICK_RETRIES = 20
_OWN = frozenset({"UseNamespace", "Begin", "Commit", "Rollback"})
"""Statements about the session itself, by the names of their classes."""


class Session:
    """One user's view of a database. Safe for threads; `USE` and a transaction are of all that share it."""

    def __init__(
        self,
        database: Database,
        user: str,
        role: Role | None,
        namespace: str,
        durability: str | None = None,
        actor: str | None = None,
        address: str | None = None,
    ) -> None:
        """`role`: what the application gave; None for the user's own. `actor`: who acts as `user`, where that is
        another. `address`: where its requests come from; None within the process. Over the network users must exist.
        Raises AccessDenied for a user who was deleted."""
        self._database = database
        self.user = user
        self._actor = user if actor is None else actor
        self._address = address
        self.namespace = namespace
        self._given_role = role
        self.rights: Rights
        self._ask_rights()
        self._transaction: OpenTransaction | None = None
        # Held by each statement inside a transaction, and by what opens and ends one.
        self._lock = threading.RLock()
        self.durability = database.settings.durability if durability is None else durability
        self.statement_timeout_s: float = database.settings.statement_timeout_s or 0.0
        """How long a statement may read before it is stopped, in seconds; 0: for ever."""

    @property
    def role(self) -> Role:
        """The role that the next statement runs with. Raises AccessDenied for a user who was deleted meanwhile."""
        self._keep_rights()
        return self.rights.role

    def _keep_rights(self) -> None:
        """Have the rights of this moment, before a statement. The quickest roads ask in a line of their own."""
        if self._rights_version != self._database.accounts.version:
            self._ask_rights()

    def _ask_rights(self) -> None:
        """What the user may do as of now. Raises AccessDenied for a user who was deleted."""
        accounts = self._database.accounts
        # Before the look: a change that comes behind it is met by the next statement.
        version = accounts.version
        self._rights_version = -1
        self.rights = accounts.rights_of(self.user, self._given_role, must_exist=self._address is not None)
        self._rights_version = version

    @property
    def durability(self) -> str:
        """When this session's commits are acknowledged: "full" or "normal", never more than the database's. Raises
        InvalidSetting."""
        return "full" if self._sync else "normal"

    @durability.setter
    def durability(self, durability: str) -> None:
        self._sync = self._syncs(durability)

    def _syncs(self, durability: str) -> bool:
        if durability not in ("full", "normal"):
            raise InvalidSetting(f'durability is "full" or "normal", not {durability!r}')
        if durability == "full" and self._database.settings.durability != "full":
            raise InvalidSetting(
                'the database is open with durability "normal", which a session cannot raise; open it with "full"'
            )
        return durability == "full"

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> Result:
        """Run SQL as this session's user.

        `sql`: one statement, or several ended by `;` (the result is the last one's; parameters go with one alone).
        `parameters`: values for `?` or `$1, $2, …`, bound by value and never spliced into the text.
        Raises kalamdb.Error and its kin; a statement that fails leaves no trace.
        """
        started = time.perf_counter_ns()
        database = self._database
        if database._closed or database._forked:
            database.check_open()
        if self._rights_version != database.accounts.version:
            self._ask_rights()
        scan: Scan | None = None
        plan: write_plan.WritePlan | None
        if (plan := database.write_plans.by_text.get(sql)) is not None:
            result = write_plan.run(plan, self, parameters, None, started, sql)
            if result is not None:
                return result
        elif (simple := simple_of_text(sql)) is not None:
            result = simple_select.answer(self, simple, parameters, (), started)
            if result is not None:
                return result
        elif ";" in sql:
            statements = split_statements(sql)
            if len(statements) > 1:
                for result in self._execute_batch(statements, parameters, started):
                    last = result
                return last
            sql = statements[0] if statements else ""
        elif sql[:6].lower() == "select":
            scan = scan_statement(sql)
            if (simple := find_simple_select(scan, sql)) is not None:
                literals = scan.literals if simple.literals else ()
                result = simple_select.answer(self, simple, parameters, literals, started)
                if result is not None:
                    return result
        elif sql[:6].lower() in write_plan.WORDS:
            scan = scan_statement(sql)
            plan = database.write_plans.find(sql, scan)
            if plan is not None:
                result = write_plan.run(plan, self, parameters, scan, started, scan.shape)
                if result is not None:
                    return result
        statement = Statement(self, sql, scan)
        result = self._timed(statement, checked_parameters(statement, parameters), started)
        if scan is not None and plan is None:
            database.write_plans.of(self, sql, scan, statement.parsed.statement)
        return result

    def stream(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.RecordBatchReader:
        """Run one query, and give its rows as Arrow, batch by batch, which is how more than memory holds is read.

        Of one table with plain columns and comparisons, without ORDER BY and LIMIT, and outside of a transaction, the
        rows are read as they are asked for, all of them as they were when this was called; of any other query they
        are made first. UUID and JSON are text. Raises as execute, also while it is read; SerializationFailure where
        whoever reads waited so long (transaction_timeout_s) that what it reads was compacted away.
        """
        found = self.row_pages(sql, parameters)
        return self.execute(sql, parameters).arrow_reader() if found is None else found

    def row_pages(self, sql: str, parameters: Sequence[Any] | None = None) -> pa.RecordBatchReader | None:
        """The same where the rows are read as they are asked for; else None, and nothing has happened."""
        from kalamdb.execution.row_pages import row_pages

        self._database.check_open()
        self._keep_rights()
        statements = split_statements(sql)
        if len(statements) != 1 or self._transaction is not None:
            return None
        scan = scan_statement(statements[0])
        simple = find_simple_select(scan, statements[0])
        if not isinstance(simple, SimpleSelect):
            return None
        return row_pages(self, simple, parameters, scan.literals if simple.literals else ())

    def execute_at_once(
        self, sql: str, parameters: Sequence[Any] | None = None, *, within_s: float
    ) -> Result | None:
        """Run one statement if that takes next to no time; None where it may not, and then nothing has happened.

        For who must not wait, such as an event loop: what comes back had no need of a disk, a storage or the query
        engine, and read for not much longer than `within_s` seconds. Raises as execute.
        """
        started = time.perf_counter_ns()
        database = self._database
        if database._closed or database._forked:
            database.check_open()
        if ";" in sql or self._transaction is not None:
            return None
        if self._rights_version != database.accounts.version:
            self._ask_rights()
        scan: Scan | None = None
        plan = database.write_plans.by_text.get(sql)
        simple = None if plan is not None else simple_of_text(sql)
        if plan is None and simple is None:
            word = sql[:6].lower()
            if word == "select":
                scan = scan_statement(sql)
                simple = find_simple_select(scan, sql)
            elif word in write_plan.WORDS:
                scan = scan_statement(sql)
                plan = database.write_plans.find(sql, scan)
        if simple is not None:
            literals = scan.literals if scan is not None and simple.literals else ()
            return simple_select.answer(self, simple, parameters, literals, started, within_s=within_s)
        if plan is None or self._sync:
            return None
        return write_plan.run(plan, self, parameters, scan, started, sql if scan is None else scan.shape)

    def execute_each(self, sql: str, parameters: Sequence[Any] | None = None) -> Iterator[Result]:
        """Run SQL as execute does, and give the result of each statement when it has ended, in order.

        What comes behind a statement has not begun when its result is given. Raises as execute; whoever lets go of the
        iterator before its end runs no further statement, and leaves no transaction open that the batch began.
        """
        statements = split_statements(sql) if ";" in sql else []
        if len(statements) > 1:
            yield from self._execute_batch(statements, parameters, time.perf_counter_ns())
        else:
            yield self.execute(sql, parameters)

    def _execute_batch(
        self, texts: list[str], parameters: Sequence[Any] | None, started: int
    ) -> Iterator[Result]:
        self._database.check_open()
        if parameters:
            raise ParametersWithBatch("parameters go with a single statement; run the statements one by one")
        self._keep_rights()
        prepared: list[Statement | Error] = []
        for text in texts:
            try:
                statement = Statement(self, text)
                checked_parameters(statement, None)
                self._authorize_beforehand(statement.parsed.statement)
                prepared.append(statement)
            except (InvalidParameter, Error) as error:
                if error.code == "PERMISSION_DENIED":
                    raise
                prepared.append(error)
        mine: OpenTransaction | None = None
        for number, one in enumerate(prepared, 1):
            try:
                if isinstance(one, Error):
                    raise one
                # The statement before may have changed them, and so may others.
                self._keep_rights()
                result = self._timed(one, (), started)
                if type(one.parsed.statement).__name__ == "Begin":
                    mine = self._transaction
                yield result
            except BaseException as error:
                # A batch that fails does not leave the session in a transaction that it began itself.
                if mine is not None:
                    self._forget(mine)
                if isinstance(error, Error):
                    error.message = f"Statement {number} failed: {error.message}"
                    error.args = (error.message,)
                raise

    def _timed(self, statement: Statement, parameters: Sequence[Any], started: int) -> Result:
        if statement.simple is not None:
            answer = simple_select.answer(self, statement.simple, parameters, statement._literals, started)
            if answer is not None:
                return answer
        parsed = statement.parsed
        tree = parsed.statement
        if type(tree) is ExecuteAs:
            return self._execute_as(tree, parameters)
        try:
            result = self._run(parsed, lambda context: execute(tree, context), parameters)
        except Error as error:
            self._note_refusal(error, tree)
            error.position = parsed.locate(error.position)
            raise
        if is_audited(tree):
            self._note(tree, SUCCESS)
        result.took_ms = (time.perf_counter_ns() - started) / 1e6
        return result

    def _execute_as(self, statement: ExecuteAs, parameters: Sequence[Any]) -> Result:
        """Run a statement as another user, with that user's rights and rows. Nothing of this session changes."""
        with self._lock if self._transaction is not None else contextlib.nullcontext():
            subject = self._acting_as(statement)
            subject._transaction = self._transaction
            try:
                result = subject.execute(statement.sql, parameters or None)
                if result.user is None:
                    result.user = subject.user
                return result
            except Error as error:
                if error.position is not None:
                    error.position += statement.position
                raise

    def _acting_as(self, statement: ExecuteAs) -> Session:
        """A session of the subject. The answer to one that may not be is that to one that is not there."""
        refused = AccessDenied(
            f"permission denied: role {self.role} may not EXECUTE AS USER {shown_user(statement.user)}"
        )
        entry = AuditEntry(
            self._actor, "EXECUTE AS USER", SUCCESS, subject=statement.user, address=self._address
        )
        subject: Session | None = None
        with contextlib.suppress(AccessDenied, InvalidName):
            check_user_name(statement.user)
            # Whoever acts as itself keeps a role that the application gave: that may be less than the user's own.
            given = self._given_role if statement.user == self.user else None
            subject = Session(
                self._database,
                statement.user,
                given,
                self.namespace,
                self.durability,
                actor=self._actor,
                address=self._address,
            )
        allowed = subject is not None and (
            subject.user == self.user or subject.rights.role in ACTS_AS[self.rights.role]
        )
        if subject is None or not allowed:
            self._write_audit(replace(entry, outcome=DENIED))
            raise refused
        if not self._database.read_only:
            # Before anything is done: what was done as another is always told.
            self._database.audit.write(entry)
        subject._lock = self._lock
        subject.statement_timeout_s = self.statement_timeout_s
        return subject

    def _authorize_beforehand(self, statement: Any) -> None:
        try:
            authorize_beforehand(statement, self.rights)
        except Error as error:
            self._note_refusal(error, statement)
            raise

    def _note_refusal(self, error: Error, statement: Any) -> None:
        """Have a refusal in the audit log; that of a table that is hidden from the user, too."""
        if isinstance(error, AccessDenied):
            self._note(statement, DENIED, error.table)
        elif isinstance(error, UndefinedTable) and error.hides:
            self._note(statement, DENIED, error.hides)

    def _note(self, statement: Any, outcome: str, about: str | None = None) -> None:
        """`about`: the table, where the statement is a query and does not say by itself."""
        entry = entry_of(statement, self._actor, self.user, self._address, outcome)
        if entry.target is None:
            entry = replace(entry, target=about)
        if outcome == SUCCESS and not self._database.read_only:
            self._database.audit.write(entry)
        else:
            self._write_audit(entry)

    def note_reading(self, target: str) -> None:
        """Write a row of the audit log for what is read across users, before it is."""
        if not self._database.read_only:
            self._database.audit.write(entry_of_reading(target, self._actor, self.user, self._address))

    def _write_audit(self, entry: AuditEntry) -> None:
        """Of what was refused: it stays refused where the row cannot be written."""
        if not self._database.read_only:
            with contextlib.suppress(Error, core.CoreError):
                self._database.audit.write(entry)

    def _run(self, parsed: ParsedStatement, work: Any, parameters: Sequence[Any]) -> Result:
        """Run `work` in a fresh context, anew as long as others change its rows or its table in between."""
        statement = parsed.statement
        if type(statement).__name__ in _OWN:
            return self._run_own(statement)
        if self._transaction is not None:
            result = self._run_inside(parsed, work, parameters)
            if result is not None:
                return result
        held: list[object] = []
        attempt = 0
        while attempt < RETRIES_MAX:
            interrupts.check()
            context = self.context(parameters, parsed.literals, parsed.rows)
            try:
                try:
                    return work(context)  # type: ignore[no-any-return]
                except core.ColdMissError as miss:
                    held += context.load_cold(miss)
            except core.WriteConflictError:
                attempt += 1
                if attempt > QUICK_RETRIES:
                    time.sleep(0.0005)
            except core.CoreError as error:
                raise translated(error) from error
        raise SerializationFailure("the statement's rows were changed by others all the time; run it again")

    def _run_inside(self, parsed: ParsedStatement, work: Any, parameters: Sequence[Any]) -> Result | None:
        """Run `work` in the open transaction; None where another thread has ended it meanwhile."""
        with self._lock:
            transaction = self._open_transaction()
            if transaction is None:
                return None
            if changes_what_exists(parsed.statement):
                verb = "DDL" if parsed.scan is None else parsed.scan.kind
                raise InvalidTransactionState(
                    f"{verb} changes what exists and cannot stand inside a transaction; COMMIT or ROLLBACK it first"
                )
            before = len(transaction.rows)
            held: list[object] = []
            attempt = 0
            try:
                while attempt < RETRIES_MAX:
                    interrupts.check()
                    context = self.context(parameters, parsed.literals, parsed.rows, transaction)
                    try:
                        return work(context)  # type: ignore[no-any-return]
                    except core.ColdMissError as miss:
                        transaction.rows.back_to(before)
                        held += self._database.engine.load_cold(miss)
                    except core.WriteConflictError as conflict:
                        if conflict.operation < 0:
                            raise snapshot_gone() from conflict
                        # A row of a STREAM ended between the look and the write.
                        transaction.rows.back_to(before)
                        attempt += 1
                    except core.CoreError as error:
                        raise translated(error) from error
                raise SerializationFailure("the statement's rows go all the time; run it again")
            except BaseException:
                transaction.rows.back_to(before)
                raise
            finally:
                transaction.used_at = time.monotonic()

    def _answer_inside(
        self, simple: SimpleQuery, parameters: Sequence[Any] | None, literals: Sequence[Any], started: int
    ) -> Result | None:
        """The core's answer to a simple SELECT as the open transaction sees it; None where it has none."""
        with self._lock:
            transaction = self._open_transaction()
            if transaction is None or transaction.catalog is not self._database.catalog:
                return None
            try:
                return simple_select.answer(self, simple, parameters, literals, started, transaction.rows)
            finally:
                transaction.used_at = time.monotonic()

    # Transactions

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; one that was idle for too long is, until the next statement says so."""
        return self._transaction is not None

    def begin(self, *, durability: str | None = None) -> None:
        """Open a transaction: from here on every statement sees the rows as they are now, and its own writes, which
        nobody else sees before commit().

        `durability`: of its commit, "full" or "normal"; None for the session's. Raises InvalidTransactionState inside
        of one, InvalidSetting.
        """
        self._database.check_open()
        self._database.check_writable()
        sync = self._sync if durability is None else self._syncs(durability)
        with self._lock:
            if self._open_transaction() is not None:
                raise InvalidTransactionState("a transaction is open already; COMMIT or ROLLBACK it first")
            self._transaction = OpenTransaction.begin(self._database, sync)

    def commit(self) -> None:
        """Write all that the transaction changed as one commit, or nothing of it. The transaction is over either way.

        Raises SerializationFailure where others changed what it wrote, InvalidTransactionState where none is open, and
        DatabasePoisoned, CommitOutcomeUnknown, StorageUnavailable. A user who was deleted meanwhile commits nothing:
        AccessDenied.
        """
        self._commit()

    def _commit(self) -> int:
        self._database.check_open()
        self._keep_rights()
        with self._lock:
            transaction = self._open_transaction()
            if transaction is None:
                raise _no_transaction()
            transaction.ended_by_session = True
            self._transaction = None
            return transaction.commit(self._database)

    def rollback(self) -> None:
        """Forget all that the transaction changed. Raises InvalidTransactionState where none is open."""
        self._database.check_open()
        with self._lock:
            if self._transaction is None:
                raise _no_transaction()
            self._transaction.ended_by_session = True
            self._transaction = None

    @contextlib.contextmanager
    def transaction(self, *, durability: str | None = None) -> Iterator[Session]:
        """A block of statements as one transaction: committed at its end, rolled back where an exception leaves it.

        `durability` and errors as begin() and commit().
        """
        self.begin(durability=durability)
        mine = self._transaction
        assert mine is not None
        try:
            yield self
        except BaseException:
            self._forget(mine)
            raise
        if not mine.ended_by_session:
            with self._lock:
                if self._transaction is not mine:
                    raise self._timed_out()
                self._commit()

    def _forget(self, transaction: OpenTransaction) -> None:
        with self._lock:
            if self._transaction is transaction:
                self._transaction = None

    def _open_transaction(self) -> OpenTransaction | None:
        """The open transaction. Raises InvalidTransactionState where it was idle for too long, and ends it.
        REQUIRES: the lock."""
        transaction = self._transaction
        if transaction is None:
            return None
        if transaction.idle_s() > self._database.settings.transaction_timeout_s:
            self._transaction = None
            raise self._timed_out()
        return transaction

    def _timed_out(self) -> InvalidTransactionState:
        return InvalidTransactionState(
            "the transaction was idle for longer than transaction_timeout_s "
            f"({self._database.settings.transaction_timeout_s:g} s) and was rolled back; begin it again",
            sqlstate="25P03",
        )

    @property
    def catalog(self) -> Catalog:
        """What exists now; an immutable value."""
        return self._database.catalog

    def _run_own(self, statement: Any) -> Result:
        from kalamdb.sql.ddl import UseNamespace
        from kalamdb.sql.transaction import Begin, Commit

        if isinstance(statement, UseNamespace):
            return self.use(statement.name)
        if isinstance(statement, Begin):
            self.begin()
            return Result.affected(0, "Transaction begun")
        if isinstance(statement, Commit):
            changed = self._commit()
            return Result.affected(changed, f"Committed {changed} row(s)")
        self.rollback()
        return Result.affected(0, "Rolled back")

    def use(self, namespace: str) -> Result:
        """Have unqualified names mean this namespace's. Raises UndefinedNamespace."""
        transaction = self._transaction
        catalog = self._database.catalog if transaction is None else transaction.catalog
        catalog.require_namespace(namespace)
        self.namespace = namespace
        return Result.affected(0, f"Using namespace {namespace}")

    def context(
        self,
        parameters: Sequence[Any] = (),
        literals: Sequence[Any] = (),
        rows: Sequence[tuple[Any, ...]] | None = None,
        transaction: OpenTransaction | None = None,
    ) -> Context:
        """What one statement needs, as things are now, or as the transaction sees them."""
        database = self._database
        now = database.now()
        engine = database.engine
        view = engine.view() if transaction is None else transaction.rows
        return Context(
            services=database,
            user=self.user,
            rights=self.rights,
            namespace=self.namespace,
            catalog=database.catalog if transaction is None else transaction.catalog,
            snapshot=view.snapshot,
            reader=view,
            now=now,
            function_context=FunctionContext(now, self.user, self.rights.role, database.ids),
            parameters=parameters,
            literals=literals,
            rows=rows,
            sync=self._sync,
            load_cold=engine.load_cold,
            timeout_s=self.statement_timeout_s or None,
            transaction=None if transaction is None else transaction.rows,
            actor=self._actor,
            address=self._address,
        )

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Result:
        """Run one statement for every row of parameters. An INSERT … VALUES is one commit: all rows or none."""
        return self.prepare(sql).executemany(rows)

    def parameter_types(self, sql: str) -> Sequence[DataType | None]:
        """The type that each parameter of one statement takes; None where its text does not say so.

        For values from where not every type can be told, as in JSON. Raises InvalidSyntax, StatementTooLarge.
        """
        from kalamdb.execution.parameter_types import parameter_types

        self._keep_rights()
        return parameter_types(scan_statement(sql), self._database.catalog, self.namespace, self.rights)

    def prepare(self, sql: str) -> Statement:
        """A statement that is parsed once."""
        self._database.check_open()
        statements = split_statements(sql) if ";" in sql else [sql]
        if len(statements) != 1:
            raise InvalidParameter("prepare takes one statement; prepare them one by one")
        self._keep_rights()
        statement = Statement(self, statements[0])
        self._authorize_beforehand(statement.parsed.statement)
        if statement.simple is None and statement.scan.kind.lower() in write_plan.WORDS:
            statement._plan = self._database.write_plans.of(
                self, statement.sql, statement.scan, statement.parsed.statement
            )
        return statement

    def insert(
        self, table: str, data: Any, *, progress: Callable[[int, int], object] | None = None
    ) -> Result:
        """Insert rows into `table` (`name` or `namespace.name`), all of them or none.

        `data`: anything with `__arrow_c_stream__` or `__arrow_c_array__` (pyarrow, pandas, Polars), matched by column
        name, or a list of dicts. Columns that are not in it take their defaults. A stream (`__arrow_c_stream__` without
        a length, as pyarrow.RecordBatchReader) is read by pieces: its rows wait, sorted, in a temporary file of the
        database's directory, and memory holds some of them; within a transaction, and for a STREAM table, all.
        An Arrow table or stream of 200,000 rows or 32 MB and more, outside of a transaction, goes to a hot segment at
        once, always durable as by "full". `progress` is called on the way with the rows that were written and the rows
        in all; what it raises then ends the load, and nothing is there of it.
        """
        from kalamdb.execution.bulk import insert_data
        from kalamdb.execution.row_stream import RowStream, incoming
        from kalamdb.sql.names import TableName

        started = time.perf_counter_ns()
        self._database.check_open()
        self._database.check_writable()
        namespace, _, name = table.rpartition(".")
        target = TableName(name, namespace or None)
        self._keep_rights()
        parsed = ParsedStatement(None, (), None)  # type: ignore[arg-type]
        rows = incoming(data)
        try:
            result = self._run(parsed, lambda context: insert_data(target, rows, context, progress), ())
        except Error as error:
            self._note_refusal(error, BulkInsert(table))
            raise
        finally:
            if isinstance(rows, RowStream):
                rows.close()
        result.took_ms = (time.perf_counter_ns() - started) / 1e6
        return result

    def subscribe(
        self,
        sql: str,
        parameters: Sequence[Any] | None = None,
        *,
        last_rows: int | None = None,
        from_seq: int | None = None,
    ) -> Subscription:
        """Listen to rows of one table: what is there, and then every change of it, in commit order, each once.

        `sql`: `SELECT columns FROM table [WHERE predicate]`, or `SUBSCRIBE TO table [WHERE predicate]`; its predicate
        compares columns with values. It begins with the rows that are there, with `last_rows` the last so many; with
        `from_seq`, the seq of an event or the `_seq` of a row, with what changed since. Rows that others wrote to the
        same user's partition, or to a SHARED table, are among them; what this session wrote in an open transaction only
        once it is committed. Iterate over what is returned, or `async for` over it.
        Raises UnsupportedLiveQuery, InvalidSyntax, UndefinedTable, UndefinedColumn, AccessDenied, InvalidParameter,
        ReadOnlyDatabase, SubscriptionLimitExceeded, and SubscriptionLagged where what changed since `from_seq` is not
        all kept any more.
        """
        from kalamdb.live.subscription import Subscription

        return self._listening(
            lambda: Subscription(self, sql, () if parameters is None else parameters, last_rows, from_seq)
        )

    def listen(
        self,
        sql: str,
        waker: Waker,
        options: dict[str, object],
        parameters: Sequence[Any] | None = None,
    ) -> LiveQuery:
        """The same for a server, which tells it by itself: see LiveQueries.open. Raises as subscribe."""
        return self._listening(lambda: self._database.live.open(self, sql, parameters or (), waker, options))

    def in_namespace(self, namespace: str) -> Session:
        """Another session of the same user, in which unqualified names mean this namespace's. Raises
        UndefinedNamespace, AccessDenied."""
        other = Session(
            self._database,
            self.user,
            self._given_role,
            self.namespace,
            self.durability,
            actor=self._actor,
            address=self._address,
        )
        other.statement_timeout_s = self.statement_timeout_s
        other.use(namespace)
        return other

    def _listening(self, begin: Callable[[], Listening]) -> Listening:
        self._database.check_open()
        self._database.check_writable()
        self._keep_rights()
        try:
            return begin()
        except Error as error:
            self._note_refusal(error, Subscribe())
            raise

    def __repr__(self) -> str:
        return f"<Session of {self.user}, role {self.role}>"


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """What the audit log knows Session.insert as."""

    table: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What the audit log knows Session.subscribe as."""


def _no_transaction() -> InvalidTransactionState:
    return InvalidTransactionState("no transaction is open; BEGIN one first", sqlstate="25P01")


class Statement:
    """One statement of one session: scanned and parsed once, run any number of times."""

    __slots__ = ("_literals", "_plan", "_read", "_rights", "_session", "parsed", "scan", "simple", "sql")

    def __init__(self, session: Session, sql: str, scan: Scan | None = None) -> None:
        self._session = session
        self.sql = sql
        self.scan: Scan = scan_statement(sql) if scan is None else scan
        self._plan: write_plan.WritePlan | None = None
        self.parsed: ParsedStatement = parse(self.scan, sql)
        self.simple: SimpleQuery | None = None
        self._read: simple_select.Plan | None = None
        self._rights: Rights | None = None
        """With which it was read: with the same, and by the same catalog, it may be read again."""
        self._literals: Sequence[object] = ()
        if self.scan.kind == "SELECT":
            self.simple = find_simple_select(self.scan, sql)
            if self.simple is not None and self.simple.literals:
                self._literals = self.scan.literals

    def execute(self, parameters: Sequence[Any] | None = None) -> Result:
        """Run it with these parameters. Raises as Session.execute."""
        session = self._session
        database = session._database
        read = self._read
        if (
            read is not None
            and read.core is not None
            and read.catalog is database._catalog
            and read.namespace is session.namespace
            and session.rights is self._rights
            and session._rights_version == database.accounts.version
            and session._transaction is None
            and not database._forked
        ):
            found: Result | None = None
            try:
                found = read.core.answer(
                    read.store, session.user, parameters, self._literals, 0, session.statement_timeout_s
                )
            except (core.ColdMissError, core.WriteConflictError):
                pass  # the slower way brings what was missing, or takes a newer snapshot
            except (core.CoreError, TimeoutError) as error:
                if not simple_select.outdated(read, database, error):
                    raise simple_select.explained(session, error) from error
            if found is not None:
                return found
        started = time.perf_counter_ns()
        if database._closed or database._forked:
            database.check_open()
        if session._rights_version != database.accounts.version:
            session._ask_rights()
        if self.simple is not None:
            rights = session.rights
            answer = simple_select.answer(session, self.simple, parameters, self._literals, started)
            if answer is not None:
                self._read = simple_select.lasting(session, self.simple)
                # Another thread may have met a change of them meanwhile.
                self._rights = rights if session.rights is rights else None
                return answer
        elif self._plan is not None:
            written = write_plan.run(self._plan, session, parameters, self.scan, started, self.sql)
            if written is not None:
                return written
        return session._timed(self, checked_parameters(self, parameters), started)

    def executemany(self, rows: Sequence[Sequence[Any]]) -> Result:
        """Run it for every row of parameters. An INSERT … VALUES is one commit: all rows or none; any other statement
        runs once a row, in order, each on its own."""
        from kalamdb.sql.dml import Insert, ValuesRows

        started = time.perf_counter_ns()
        session = self._session
        session._database.check_open()
        session._keep_rights()
        if not isinstance(rows, (list, tuple)):
            rows = list(rows)
        if self._plan is not None and rows and self._plan.inserts is not None:
            written = write_plan.insert_many(self._plan, session, rows, started, self.sql)
            if written is not None:
                return written
        parameter_rows = [checked_parameters(self, row) for row in rows]
        statement = self.parsed.statement
        if not parameter_rows:
            result = Result.affected(0, "No rows")
        elif (
            isinstance(statement, Insert)
            and isinstance(statement.source, ValuesRows)
            and statement.on_conflict is None
            and statement.returning is None
        ):
            from kalamdb.execution.bulk import insert_many

            result = session._run(
                self.parsed, lambda context: insert_many(statement, parameter_rows, context), ()
            )
        else:
            count = 0
            for parameters in parameter_rows:
                written = None
                if self._plan is not None:
                    written = write_plan.run(self._plan, session, parameters, self.scan, started, self.sql)
                result = session._timed(self, parameters, started) if written is None else written
                count += result.rowcount
            result.rowcount = count
        result.took_ms = (time.perf_counter_ns() - started) / 1e6
        return result


def checked_parameters(statement: Statement, parameters: Sequence[Any] | None) -> Sequence[Any]:
    """As many values as the statement takes. Raises InvalidParameter."""
    if parameters is None:
        parameters = ()
    elif isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise InvalidParameter(f"parameters are a list or tuple of values, not {type(parameters).__name__}")
    wanted = statement.scan.parameters
    if len(parameters) != wanted:
        were = "was" if len(parameters) == 1 else "were"
        raise InvalidParameter(f"the statement takes {wanted} parameter(s), {len(parameters)} {were} given")
    return parameters
