"""Who may: roles, the permission table, users, grants, the audit log, and the one function that every road passes."""

from kalamdb.auth.authorize import authorize, by_role_alone, hidden_table, may, may_see, undefined_table
from kalamdb.auth.permissions import ACTS_AS, ROW_ACTIONS, Action, Role
from kalamdb.auth.rights import BY_ROLE, Rights

__all__ = [
    "ACTS_AS",
    "BY_ROLE",
    "ROW_ACTIONS",
    "Action",
    "Rights",
    "Role",
    "authorize",
    "by_role_alone",
    "hidden_table",
    "may",
    "may_see",
    "undefined_table",
]
