"""The one question every road into the engine asks: may they do this?"""

from __future__ import annotations

from kalamdb.auth.permissions import ROWS, STATEMENTS, Action, Role, Rule, reach_of
from kalamdb.auth.rights import Rights
from kalamdb.errors import AccessDenied, UndefinedTable
from kalamdb.schema import TableSchema


def authorize(
    rights: Rights, action: Action, table: TableSchema | None = None, name: str | None = None
) -> None:
    """Return where they may do it. `table`: for what is done to rows; `name`: of what it is done to, as the statement
    has it.

    Raises UndefinedTable for a table that they may not even read: it answers as one that does not exist. Raises
    AccessDenied for anything else that they may not.
    """
    if may(rights, action, table):
        return
    if table is None:
        denied = AccessDenied(f"permission denied: role {rights.role} may not {action.value}")
        denied.table = name
        raise denied
    shown = name or table.name
    if not may_see(rights, table):
        raise hidden_table(shown)
    denied = AccessDenied(
        f"permission denied for table {shown}: role {rights.role} may not {action.value} it"
        + ("; ask a dba to GRANT it" if _rule(rights.role, action, table) is Rule.BY_GRANT else "")
    )
    denied.table = shown
    raise denied


def may(rights: Rights, action: Action, table: TableSchema | None = None) -> bool:
    """Whether they may do it."""
    rule = _rule(rights.role, action, table)
    if rule is Rule.BY_GRANT:
        assert table is not None
        return action in rights.grants.get(table.table_id, ())
    return rule is Rule.YES


def by_role_alone(role: Role, action: Action, table: TableSchema) -> bool:
    """Whether everybody of this role may, whatever is granted: an answer that may be kept for the role."""
    return _rule(role, action, table) is Rule.YES


def may_see(rights: Rights, table: TableSchema) -> bool:
    """Whether the table exists for them: in listings, in DESCRIBE, in errors. Whoever may read it, knows of it."""
    return may(rights, Action.SELECT, table)


def undefined_table(name: str) -> UndefinedTable:
    """The one answer for a table that is not there and for one that the caller may not see."""
    return UndefinedTable(f'relation "{name}" does not exist')


def hidden_table(name: str) -> UndefinedTable:
    """The same answer, which the audit log tells as a refusal."""
    hidden = undefined_table(name)
    hidden.hides = name
    return hidden


def _rule(role: Role, action: Action, table: TableSchema | None) -> Rule:
    return STATEMENTS[action][role] if table is None else ROWS[reach_of(table)][action][role]
