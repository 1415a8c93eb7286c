"""GRANT and REVOKE: what single users may do to the rows of a SHARED table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kalamdb.auth import Action, authorize, undefined_table
from kalamdb.auth.account import shown_user
from kalamdb.auth.permissions import Reach, reach_of
from kalamdb.errors import InvalidDefinition, UndefinedObject
from kalamdb.result import Result

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.schema import TableSchema
    from kalamdb.sql.users import Grant, Revoke


def grant(statement: Grant, context: Context) -> Result:
    """Let users do more to a table, from their next statement on."""
    schema = _table(statement, context)
    accounts = context.services.accounts
    for user in statement.users:
        account = accounts.find(user)
        if account is None or account.deleted_at is not None:
            raise UndefinedObject(
                f"user {shown_user(user)} does not exist; create it first with CREATE USER, so that the name is nobody "
                "else's"
            )
    _regrant(statement, schema, lambda held, said: held | said, context)
    return Result.affected(0, f"Granted {_said(statement)}")


def revoke(statement: Revoke, context: Context) -> Result:
    """Take from users what was granted, from their next statement on. What was not granted is no error."""
    schema = _table(statement, context)
    _regrant(statement, schema, lambda held, said: held - said, context)
    return Result.affected(0, f"Revoked {_said(statement)}")


def _regrant(
    statement: Grant | Revoke,
    schema: TableSchema,
    change: Callable[[frozenset[Action], frozenset[Action]], frozenset[Action]],
    context: Context,
) -> None:
    """Change what the users hold by what the statement says."""
    said = frozenset(Action[name] for name in statement.privileges)
    context.services.accounts.regrant(
        statement.users,
        schema.table_id,
        lambda held: change(held, said),
        context.user,
        context.now,
        lambda batch: context.note(statement, batch),
    )


def _table(statement: Grant | Revoke, context: Context) -> TableSchema:
    authorize(context.rights, Action.GRANT)
    name = statement.table
    namespace = name.namespace or context.namespace
    schema = context.catalog.table(namespace, name.name) if name.catalog is None else None
    if schema is None or not context.may_see(schema):
        if context.catalog.view(namespace, name.name) is not None:
            raise InvalidDefinition(
                f'"{name}" is a view, which is read with its reader\'s rights; GRANT on its tables'
            )
        raise undefined_table(str(name))
    reach = reach_of(schema)
    if reach is Reach.OWN:
        raise InvalidDefinition(
            f"{schema.qualified_name} is a {schema.kind.name} table, whose rows are each user's own; "
            "GRANT is for SHARED tables"
        )
    if reach is Reach.PRIVATE and type(statement).__name__ == "Grant":
        raise InvalidDefinition(
            f"{schema.qualified_name} is private, and nothing of it can be granted; "
            "ALTER TABLE … SET ACCESS restricted first"
        )
    return schema


def _said(statement: Grant | Revoke) -> str:
    return f"{', '.join(statement.privileges)} on {statement.table}"
