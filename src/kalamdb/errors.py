"""Every error kalamdb raises on purpose, as one tree.

Each leaf has a stable `code`, an SQLSTATE, and stands below the DB-API 2.0 (PEP 249) class it belongs to. Messages
follow PostgreSQL's manner and name the thing and the remedy; they never show another user's data, a credential or a
path outside the database.
"""

from __future__ import annotations

from typing import ClassVar


class Warning(Exception):  # noqa: A001 - the name PEP 249 asks for
    """Something worth telling that stopped nothing."""


class Error(Exception):
    """Base of every error kalamdb raises on purpose.

    `code`: stable name for programs. `sqlstate`: five characters, as PostgreSQL's. `message`: the text.
    `position`: where in the SQL text, in characters from 0, or None. `request_id`: of what a server answered, its
    number in the server's log; else None.
    """

    code: ClassVar[str] = "ERROR"
    sqlstate: str = "XX000"
    request_id: str | None = None

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class InterfaceError(Error):
    """The interface was used wrongly: a closed database, a wrong number of parameters."""

    code = "INTERFACE_ERROR"
    sqlstate = "HY000"


class DatabaseError(Error):
    """Base of errors that are about the database itself."""


class DataError(DatabaseError):
    """A value is wrong for its place."""

    code = "DATA_ERROR"
    sqlstate = "22000"


class OperationalError(DatabaseError):
    """The database could not do it just now, or not any more."""

    code = "OPERATIONAL_ERROR"
    sqlstate = "58000"


class IntegrityError(DatabaseError):
    """A constraint of a table refused it."""

    code = "INTEGRITY_ERROR"
    sqlstate = "23000"


class InternalError(DatabaseError):
    """A fault of kalamdb or of a library below it, not of the caller."""

    code = "INTERNAL_ERROR"
    sqlstate = "XX000"


class ProgrammingError(DatabaseError):
    """The statement is wrong; fix the text."""

    code = "PROGRAMMING_ERROR"
    sqlstate = "42000"


class NotSupportedError(DatabaseError):
    """The statement is understood and not offered."""

    code = "NOT_SUPPORTED"
    sqlstate = "0A000"


class UnsupportedLiveQuery(NotSupportedError):
    """A SELECT that runs, and that is more than a live query can be."""

    code = "UNSUPPORTED"


class DatabaseClosed(InterfaceError):
    """The database or session was closed; open it again."""

    code = "DATABASE_CLOSED"
    sqlstate = "08003"


class ForkedProcess(InterfaceError):
    """The database was opened before a fork; open it in the child anew."""

    code = "FORKED_PROCESS"
    sqlstate = "08003"


class InvalidParameter(InterfaceError):
    """Parameters do not fit the statement: a wrong count, a wrong kind, several statements."""

    code = "INVALID_PARAMETER"
    sqlstate = "07001"


class ParametersWithBatch(InvalidParameter):
    """Parameters were given with several statements; they go with one alone."""

    code = "PARAMS_WITH_BATCH"


class InvalidSetting(InterfaceError):
    """A setting that does not exist, or a value it cannot have."""

    code = "INVALID_SETTING"
    sqlstate = "22023"


class InvalidSyntax(ProgrammingError):
    """The SQL is wrong; fix the text."""

    code = "INVALID_SQL"
    sqlstate = "42601"


class EmptyStatement(ProgrammingError):
    """There is no statement in the text."""

    code = "EMPTY_SQL"
    sqlstate = "42601"


class UndefinedTable(ProgrammingError):
    """No such table, or none that the caller may read."""

    code = "TABLE_NOT_FOUND"
    sqlstate = "42P01"
    hides: str | None = None
    """The one that there is, which the caller may not read: for the audit log, and for nobody else."""


class UndefinedColumn(ProgrammingError):
    """No such column."""

    code = "COLUMN_NOT_FOUND"
    sqlstate = "42703"


class UndefinedFunction(ProgrammingError):
    """No such function, or not with these arguments."""

    code = "FUNCTION_NOT_FOUND"
    sqlstate = "42883"


class UndefinedNamespace(ProgrammingError):
    """No such namespace."""

    code = "NAMESPACE_NOT_FOUND"
    sqlstate = "3F000"


class UndefinedObject(ProgrammingError):
    """No such storage, job, user or view."""

    code = "NOT_FOUND"
    sqlstate = "42704"


class UndefinedBackup(ProgrammingError):
    """No backup is in the place that RESTORE was given."""

    code = "BACKUP_NOT_FOUND"
    sqlstate = "42704"


class DuplicateObject(ProgrammingError):
    """A namespace, table, view, column or function of this name exists."""

    code = "ALREADY_EXISTS"
    sqlstate = "42710"


class DependentObjects(ProgrammingError):
    """Other things refer to it; remove them first."""

    code = "DEPENDENT_OBJECTS"
    sqlstate = "2BP01"


class InvalidDefinition(ProgrammingError):
    """A table, column, default, option or name that cannot be as it was asked for."""

    code = "INVALID_DEFINITION"
    sqlstate = "42P16"


class InvalidName(ProgrammingError):
    """A name that is reserved, too long or has characters it cannot have."""

    code = "INVALID_NAME"
    sqlstate = "42602"


class AccessDenied(ProgrammingError):
    """The user's role does not allow this."""

    code = "PERMISSION_DENIED"
    sqlstate = "42501"
    table: str | None = None
    """Which it is about, for the audit log."""


class StatementTooLarge(ProgrammingError):
    """The statement is beyond a limit, which the message names."""

    code = "STATEMENT_TOO_LARGE"
    sqlstate = "54000"


class TypeMismatch(DataError):
    """A value of a type that its place does not take."""

    code = "TYPE_MISMATCH"
    sqlstate = "42804"


class NumericOutOfRange(DataError):
    """A number, or the result of arithmetic, too large for its type."""

    code = "NUMERIC_OUT_OF_RANGE"
    sqlstate = "22003"


class DivisionByZero(DataError):
    """A division by zero."""

    code = "DIVISION_BY_ZERO"
    sqlstate = "22012"


class ValueTooLong(DataError):
    """Text longer than its VARCHAR(n), or a row beyond 16 MB."""

    code = "VALUE_TOO_LONG"
    sqlstate = "22001"


class InvalidValue(DataError):
    """A value that cannot be read as its type: text that is no number, date, UUID, JSON or valid Unicode."""

    code = "INVALID_VALUE"
    sqlstate = "22P02"


class NotNullViolation(IntegrityError):
    """A NULL for a column that is NOT NULL."""

    code = "NOT_NULL_VIOLATION"
    sqlstate = "23502"


class UniqueViolation(IntegrityError):
    """A row with this primary key exists."""

    code = "UNIQUE_VIOLATION"
    sqlstate = "23505"


class InvalidCredentials(OperationalError):
    """The user's name or the password is wrong; which of them is not told."""

    code = "INVALID_CREDENTIALS"
    sqlstate = "28P01"


class RemoteAccessDenied(InvalidCredentials):
    """What works from the server's own machine alone: the log-in without a password, and the set-up."""

    code = "REMOTE_ACCESS_DENIED"
    sqlstate = "28000"


class AlreadySetUp(OperationalError):
    """The first passwords are there; change them with ALTER USER."""

    code = "ALREADY_SET_UP"
    sqlstate = "55000"


class InvalidToken(OperationalError):
    """The token is none that this database takes; log in again."""

    code = "INVALID_CREDENTIALS"
    sqlstate = "28000"


class RefreshTokenReused(InvalidToken):
    """A refresh token was used a second time: somebody has a copy. All that came from its log-in are dead now.

    `user`: whose it was, for the audit log and for nobody else.
    """

    def __init__(self, message: str, *, user: str) -> None:
        super().__init__(message)
        self.user = user


class TokenExpired(OperationalError):
    """The token was good and is not any more; refresh it, or log in again."""

    code = "TOKEN_EXPIRED"
    sqlstate = "28000"


class AccountLocked(OperationalError):
    """Too many log-ins of this account failed. `retry_after_s`: seconds until the next one is looked at."""

    code = "ACCOUNT_LOCKED"
    sqlstate = "28000"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitExceeded(OperationalError):
    """Too many requests in a short time. `retry_after_s`: seconds until the next one is looked at."""

    code = "RATE_LIMIT_EXCEEDED"
    sqlstate = "53400"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class IssuerUnavailable(OperationalError):
    """The keys of a token's issuer cannot be had just now; trying again may help."""

    code = "ISSUER_UNAVAILABLE"
    sqlstate = "08006"


class ServerUnreachable(OperationalError):
    """No connection to the server could be made, so that nothing was done; see whether it runs, and the URL."""

    code = "SERVER_UNREACHABLE"
    sqlstate = "08001"


class ConnectionLost(OperationalError):
    """The connection ended before the answer was there: what was asked for may have been done, or may not."""

    code = "CONNECTION_LOST"
    sqlstate = "08006"


class ServerTimeout(ConnectionLost):
    """The server did not answer within `timeout_s`: what was asked for may have been done, or may not."""

    code = "SERVER_TIMEOUT"


class SerializationFailure(OperationalError):
    """Others changed what the transaction wrote; nothing of it was written, run it again."""

    code = "SERIALIZATION_FAILURE"
    sqlstate = "40001"


class InvalidTransactionState(OperationalError):
    """Not here: BEGIN or DDL in a transaction, COMMIT outside of one (25P01), or it was idle too long (25P03)."""

    code = "INVALID_TRANSACTION_STATE"
    sqlstate = "25001"

    def __init__(self, message: str, *, position: int | None = None, sqlstate: str = "25001") -> None:
        super().__init__(message, position=position)
        self.sqlstate = sqlstate


class JobCancelled(OperationalError):
    """The job was ended by KILL JOB, or because the database was closed; nothing of it is half done."""

    code = "JOB_CANCELLED"
    sqlstate = "57014"


class SubscriptionLagged(OperationalError):
    """A subscription has lost changes: its consumer was too slow, or what it would resume from is not kept any more.
    Start over with a new snapshot."""

    code = "SUBSCRIPTION_LAGGED"
    sqlstate = "57014"


class LiveQueryKilled(OperationalError):
    """The live query was ended by KILL LIVE QUERY."""

    code = "LIVE_QUERY_KILLED"
    sqlstate = "57014"


class SubscriptionLimitExceeded(OperationalError):
    """The user has as many live queries open as a user may have; close some first."""

    code = "SUBSCRIPTION_LIMIT_EXCEEDED"
    sqlstate = "53400"


class StatementTimeout(OperationalError):
    """The statement took longer than `statement_timeout_s`."""

    code = "STATEMENT_TIMEOUT"
    sqlstate = "57014"


class ResourcesExceeded(OperationalError):
    """The statement needs more memory or rows than it may use."""

    code = "RESOURCES_EXCEEDED"
    sqlstate = "53000"


class DatabaseLocked(OperationalError):
    """The directory is open elsewhere; the message names the owner's pid."""

    code = "DATABASE_LOCKED"
    sqlstate = "55006"


class ReadOnlyDatabase(OperationalError):
    """The database was opened with read_only=True; open it without to change it, or to have work done."""

    code = "READ_ONLY"
    sqlstate = "25006"


class DatabasePoisoned(OperationalError):
    """An earlier write or sync failed; close the database and open it again."""

    code = "DATABASE_POISONED"
    sqlstate = "58030"


class CommitOutcomeUnknown(OperationalError):
    """The commit was written but not synced: it may or may not be there after a reopen."""

    code = "COMMIT_OUTCOME_UNKNOWN"
    sqlstate = "40003"


class StorageUnavailable(OperationalError):
    """A file or storage did not answer; trying again may help."""

    code = "STORAGE_UNAVAILABLE"
    sqlstate = "58030"


class StorageOutcomeUnknown(StorageUnavailable):
    """A conditional write failed in a way that may have stored it; read it again before deciding."""

    code = "STORAGE_OUTCOME_UNKNOWN"
    sqlstate = "40003"


class StorageConflict(OperationalError):
    """Somebody else replaced the file first; nothing was written, read it again."""

    code = "STORAGE_CONFLICT"
    sqlstate = "40001"


class StorageInUse(OperationalError):
    """Another database keeps its files in this place; give this one a place of its own."""

    code = "STORAGE_IN_USE"
    sqlstate = "55006"


class Corruption(OperationalError):
    """Bytes on disk are not what was written; the message names file and offset."""

    code = "CORRUPTION"
    sqlstate = "XX001"


class SegmentMissing(Corruption):
    """A file that the database wrote is not in its storage, which did answer; bring it back from a backup."""

    code = "SEGMENT_MISSING"
    sqlstate = "58P01"


class UnknownFormat(OperationalError):
    """Written by a newer version of kalamdb; the message names both versions."""

    code = "UNKNOWN_FORMAT"
    sqlstate = "58000"
