"""Users: who exists, with which role. Only what the permission table gives is changed, whoever asks and however."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kalamdb.auth import Action, Role, authorize
from kalamdb.auth.account import ROOT, Account, check_user_name, next_credentials, shown_user
from kalamdb.errors import (
    AccessDenied,
    DuplicateObject,
    InvalidDefinition,
    NotSupportedError,
    UndefinedObject,
)
from kalamdb.execution.expressions import evaluate_one
from kalamdb.result import Result, tuples
from kalamdb.sql.dml import DefaultValue
from kalamdb.sql.expressions import quoted
from kalamdb.sql.users import AlterUser, UserParts
from kalamdb.types import TEXT, TIMESTAMP

if TYPE_CHECKING:
    from kalamcore.store import WriteBatch
    from kalamdb.execution.context import Context
    from kalamdb.sql.dml import Update
    from kalamdb.sql.users import CreateUser, DropUser, ShowUsers

EMAIL_LENGTH_MAX = 320
STORAGE_MODES = ("table", "region")
SHOWN_COLUMNS = ("user_id", "role", "email", "created_at", "deleted_at")
_CHANGEABLE = ("deleted_at", "role", "email", "storage_mode", "storage_id")


def create_user(statement: CreateUser, context: Context) -> Result:
    """Make a user, who can log in once there is a password."""
    authorize(context.rights, Action.CHANGE_USERS)
    check_user_name(statement.user)
    parts, accounts = statement.parts, context.services.accounts
    role = Role.USER if parts.role is None else _role(parts.role)
    _authorize_role(role, context)
    existing = accounts.find(statement.user)
    if existing is not None:
        if existing.deleted_at is not None:
            raise DuplicateObject(
                f"user {shown_user(statement.user)} was dropped and is kept for now; bring the user back with UPDATE "
                "system.users SET deleted_at = NULL, or choose another name"
            )
        if statement.if_not_exists:
            return Result.affected(0, f"User {shown_user(statement.user)} already exists")
    made = Account(statement.user, role, context.now, context.now)
    made = _with_parts(made, replace(parts, role=None), context)
    accounts.create(made, lambda batch: context.note(statement, batch))
    return Result.affected(0, f"Created user {shown_user(statement.user)}")


@dataclass(frozen=True, slots=True)
class RestoreUser:
    """What the audit log knows UPDATE system.users SET deleted_at = NULL as."""

    user: str


def alter_user(statement: AlterUser, context: Context) -> Result:
    """Change a user: everybody the own password and email, a dba and system the rest and others."""
    user, parts = statement.user, statement.parts
    if parts == UserParts():
        return Result.affected(0, "Nothing to change")
    own = user == context.user and parts == UserParts(password=parts.password, email=parts.email)
    # Before a look at the user, so that a refusal does not tell whether there is one.
    authorize(context.rights, Action.CHANGE_OWN_ACCOUNT if own else Action.CHANGE_USERS)
    if own and context.actor not in (None, user):
        # Or a service would log in as whoever it may act as, also when it is none any more, and nothing would tell.
        raise AccessDenied(
            "permission denied: EXECUTE AS USER changes no password and no email; a dba can, without it"
        )
    account = context.services.accounts.find(user)
    if account is None or account.deleted_at is not None:
        raise _no_such_user(user)
    _alter([user], parts, context, own=own)
    if parts.password is not None:
        context.services.password_changed(user)
    return Result.affected(0, f"Altered user {shown_user(user)}")


def drop_user(statement: DropUser, context: Context) -> Result:
    """Delete a user for now: it can do nothing from here on, and be brought back for as long as its rows are kept."""
    authorize(context.rights, Action.CHANGE_USERS)
    if statement.user == ROOT:
        raise InvalidDefinition('user "root" always exists and cannot be dropped')
    accounts = context.services.accounts
    account = accounts.find(statement.user)
    if account is None or account.deleted_at is not None:
        if statement.if_exists:
            return Result.affected(0, f"User {shown_user(statement.user)} does not exist")
        raise _no_such_user(statement.user)

    def delete(old: Account) -> Account:
        _authorize_role(old.role, context)
        return replace(
            old,
            deleted_at=old.deleted_at or context.now,
            updated_at=context.now,
            credentials_changed_at=next_credentials(old.credentials_at, context.now),
        )

    accounts.replace([statement.user], delete, lambda batch: context.note(statement, batch))
    context.services.watch_policies()
    return Result.affected(0, f"Dropped user {shown_user(statement.user)}")


def show_users(statement: ShowUsers, context: Context) -> Result:
    """One row a user: user_id, role, email, created_at, deleted_at."""
    authorize(context.rights, Action.READ_ADMINISTRATION)
    rows = [
        (one.user_id, one.role.value, one.email, one.created_at, one.deleted_at)
        for one in context.services.accounts.all()
    ]
    return Result.from_rows(SHOWN_COLUMNS, (TEXT, TEXT, TEXT, TIMESTAMP, TIMESTAMP), rows)


def update_users(statement: Update, context: Context) -> Result:
    """UPDATE system.users: brings deleted users back (`SET deleted_at = NULL`), and changes what ALTER USER does."""
    authorize(context.rights, Action.CHANGE_USERS)
    if statement.returning is not None:
        raise NotSupportedError("UPDATE system.users has no RETURNING; SELECT the rows afterwards")
    given: dict[str, Any] = {}
    for assignment in statement.assignments:
        name, value = assignment.column, assignment.value
        if name not in _CHANGEABLE:
            raise AccessDenied(
                f"column {name} of system.users cannot be changed; those that can are {', '.join(_CHANGEABLE)}"
            )
        given[name] = None if isinstance(value, DefaultValue) else evaluate_one(value, context)
    restore = "deleted_at" in given
    if restore and given["deleted_at"] is not None:
        raise InvalidDefinition("deleted_at can only be set to NULL, which brings a user back; use DROP USER")
    parts = UserParts(
        role=given.get("role"),
        email="" if "email" in given and given["email"] is None else given.get("email"),
        storage="" if "storage_id" in given and given["storage_id"] is None else given.get("storage_id"),
        storage_mode=given.get("storage_mode"),
    )
    users = _matching(statement, context)
    _alter(users, parts, context, restore=restore)
    return Result.affected(len(users), f"Updated {len(users)} row(s)")


def _matching(statement: Update, context: Context) -> list[str]:
    sql = "SELECT user_id FROM system.users"
    if statement.alias is not None:
        sql += f" AS {quoted(statement.alias)}"
    if statement.where is not None:
        sql += f" WHERE {statement.where.text(context.literals)}"
    answer = context.services.queries.select(context, sql, context.parameters)
    return [row[0] for row in tuples(answer.batches, answer.schema)]


def _alter(
    users: Sequence[str], parts: UserParts, context: Context, *, own: bool = False, restore: bool = False
) -> None:
    """Change users, all of them or none. `own`: it is the password or email of who asks. `restore`: those who were
    deleted come back. REQUIRES: who asks may change users, or that is `own`."""
    if parts.role is not None:
        role = _role(parts.role)
        if ROOT in users and role is not Role.SYSTEM:
            raise InvalidDefinition('user "root" always has the role system')
        _authorize_role(role, context)

    def change(old: Account) -> Account:
        if not own:
            _authorize_role(old.role, context)
        new = _with_parts(old, parts, context)
        return replace(new, deleted_at=None) if restore else new

    def note(batch: WriteBatch) -> None:
        for user in users:
            if restore:
                context.note(RestoreUser(user), batch)
            if parts != UserParts():
                context.note(AlterUser(user, parts), batch)

    context.services.accounts.replace(users, change, note)


def _with_parts(account: Account, parts: UserParts, context: Context) -> Account:
    """The account with what the statement says. Raises InvalidDefinition, UndefinedObject."""
    changes: dict[str, Any] = {"updated_at": context.now}
    if parts.password is not None:
        changes |= {
            "password_hash": context.services.hash_password(parts.password),
            "credentials_changed_at": next_credentials(account.credentials_at, context.now),
            "failed_logins": 0,
            "locked_until": None,
        }
    if parts.role is not None:
        changes["role"] = _role(parts.role)
    if parts.email is not None:
        changes["email"] = _email(parts.email)
    if parts.storage is not None:
        if parts.storage:
            context.catalog.require_storage(parts.storage)
        changes["storage_id"] = parts.storage or None
    if parts.storage_mode is not None:
        if parts.storage_mode not in STORAGE_MODES:
            raise InvalidDefinition(f"the STORAGE MODE of a user is {' or '.join(STORAGE_MODES)}")
        changes["storage_mode"] = parts.storage_mode
    return replace(account, **changes)


def _role(name: object) -> Role:
    try:
        return Role(str(name).lower())
    except ValueError:
        raise InvalidDefinition(
            "a role of this name does not exist; roles are user, service, dba and system"
        ) from None


def _authorize_role(role: Role, context: Context) -> None:
    """Users of role system are for system alone, and so is that role. Raises AccessDenied."""
    if role is Role.SYSTEM:
        authorize(context.rights, Action.CHANGE_SYSTEM_USERS)


def _email(text: object) -> str | None:
    if not isinstance(text, str) or len(text) > EMAIL_LENGTH_MAX or not text.isprintable():
        raise InvalidDefinition(
            f"an email is text of up to {EMAIL_LENGTH_MAX} characters without control characters"
        )
    return text or None


def _no_such_user(user: str) -> UndefinedObject:
    return UndefinedObject(f"user {shown_user(user)} does not exist")
