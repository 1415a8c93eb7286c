"""The permission table: which role may do what.

Access modes of SHARED tables, grants and users join it in a later version; until then every session may read and
write every SHARED table.
"""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """What a session's user may do; `user` is the default."""

    USER = "user"
    SERVICE = "service"
    DBA = "dba"
    SYSTEM = "system"


class Action(enum.Enum):
    """One thing a statement does; the value is what a refusal calls it."""

    SELECT = "read"
    INSERT = "insert into"
    UPDATE = "update"
    DELETE = "delete from"
    CREATE_TABLE = "create tables"
    ALTER_TABLE = "alter tables"
    DROP_TABLE = "drop tables"
    CREATE_VIEW = "create views"
    DROP_VIEW = "drop views"
    CHANGE_NAMESPACE = "create, alter or drop namespaces"
    FLUSH = "flush, compact or checkpoint tables"
    SEE_ALL_JOBS = "see the jobs of others"
    KILL_JOB = "kill jobs"
    CHANGE_STORAGE = "create, alter, drop or check storages"
    BACKUP = "back up or restore"
    EXPORT_OWN_DATA = "export its own data"
    EXPORT_ANY_DATA = "export the data of another user"
    ERASE_DATA = "erase the data of users"
    READ_ALL_USERS = "read all_users"
    READ_ADMINISTRATION = "read administration tables"


_EVERYBODY = frozenset(Role)
_BUILDERS = frozenset({Role.SERVICE, Role.DBA, Role.SYSTEM})
_ADMINISTRATORS = frozenset({Role.DBA, Role.SYSTEM})

PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.SELECT: _EVERYBODY,
    Action.INSERT: _EVERYBODY,
    Action.UPDATE: _EVERYBODY,
    Action.DELETE: _EVERYBODY,
    Action.CREATE_TABLE: _BUILDERS,
    Action.ALTER_TABLE: _BUILDERS,
    Action.DROP_TABLE: _ADMINISTRATORS,
    Action.CREATE_VIEW: _BUILDERS,
    Action.DROP_VIEW: _BUILDERS,
    Action.CHANGE_NAMESPACE: _ADMINISTRATORS,
    Action.FLUSH: _BUILDERS,
    Action.SEE_ALL_JOBS: _BUILDERS,
    Action.KILL_JOB: _ADMINISTRATORS,
    Action.CHANGE_STORAGE: _ADMINISTRATORS,
    Action.BACKUP: _ADMINISTRATORS,
    Action.EXPORT_OWN_DATA: _EVERYBODY,
    Action.EXPORT_ANY_DATA: _ADMINISTRATORS,
    Action.ERASE_DATA: _ADMINISTRATORS,
    Action.READ_ALL_USERS: _ADMINISTRATORS,
    Action.READ_ADMINISTRATION: _ADMINISTRATORS,
}
