"""Who may: roles, the permission table, and the one function that every road passes."""

from kalamdb.auth.authorize import authorize, may, may_see
from kalamdb.auth.permissions import Action, Role

__all__ = ["Action", "Role", "authorize", "may", "may_see"]
