"""The one question every road into the engine asks: may this role do this?"""

from __future__ import annotations

from kalamdb.auth.permissions import PERMISSIONS, Action, Role
from kalamdb.errors import AccessDenied
from kalamdb.schema import TableSchema


def authorize(role: Role, action: Action, table: TableSchema | None = None) -> None:
    """Raise AccessDenied unless `role` may do `action` (on `table`, where it is about one)."""
    if role in PERMISSIONS[action]:
        return
    if table is not None:
        raise AccessDenied(f"permission denied for table {table.name}: role {role} may not {action.value} it")
    raise AccessDenied(f"permission denied: role {role} may not {action.value}")


def may(role: Role, action: Action) -> bool:
    """Whether the role may do it, where the answer only decides what is shown."""
    return role in PERMISSIONS[action]


def may_see(role: Role, table: TableSchema) -> bool:
    """Whether the table exists for this role: in listings, in DESCRIBE, in errors."""
    return role in PERMISSIONS[Action.SELECT]
